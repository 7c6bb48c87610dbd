import { HearthError } from "../model/errors.ts";
import { parseDocument, problemsOf, type Parsed } from "./documents.ts";

/** The operations that the server knows before anybody asks, and whether it runs others. */
export interface PersistedOperations {
  /** No other is run. */
  only: boolean;
  /** Documents, each read and valid, by the ids that clients name them by. */
  documents: ReadonlyMap<string, Parsed>;
}

/** How a request says what it asks for. */
export interface Named {
  query?: string | null | undefined;
  /** As the draft of GraphQL over HTTP has it. */
  documentId?: unknown;
  /** `persistedQuery.sha256Hash` as Apollo's clients have it. */
  extensions?: Record<string, unknown> | null | undefined;
}

/**
 * Reads the documents of a file that maps ids, such as hashes of the documents, to them. Throws an error that names the
 * first one that can't be run.
 */
export function prepareOperations(texts: Readonly<Record<string, string>>): ReadonlyMap<string, Parsed> {
  const documents = new Map<string, Parsed>();
  for (const [id, text] of Object.entries(texts)) {
    const parsed = parseDocument(text);
    const [problem] = problemsOf(parsed);
    if (problem !== undefined) throw new Error(`the document ${id} can't be run: ${(problem as Error).message}`);
    documents.set(plainId(id), parsed);
  }
  return documents;
}

/** The id of the document that a request names instead of bringing its text; null where it doesn't. */
export function idNamed({ query, documentId, extensions }: Named): string | null {
  if (typeof query === "string" && query !== "") return null;
  if (typeof documentId === "string") return plainId(documentId);
  const persisted = extensions?.["persistedQuery"];
  const hash = typeof persisted === "object" && persisted !== null && "sha256Hash" in persisted && persisted.sha256Hash;
  return typeof hash === "string" ? plainId(hash) : null;
}

/**
 * The document that a request names; null where it brings one itself, which is to be read. Throws `FORBIDDEN` for one that
 * it brings where only known ones are run; and for ids, in the words that clients of automatic persisted queries know,
 * `NOT_FOUND` where there is no such document, and `UNSUPPORTED` where there are none at all.
 */
export function documentNamed(request: Named, persisted: PersistedOperations | null): Parsed | null {
  const id = idNamed(request);
  if (id === null) {
    if (persisted?.only !== true) return null;
    throw new HearthError(
      "FORBIDDEN",
      "This server runs only the operations that it knows: name one by documentId, or by extensions.persistedQuery.sha256Hash, and send no text.",
    );
  }
  if (persisted === null) throw new HearthError("UNSUPPORTED", "PersistedQueryNotSupported");
  const document = persisted.documents.get(id);
  if (document === undefined) throw new HearthError("NOT_FOUND", "PersistedQueryNotFound");
  return document;
}

/** Some write what kind of hash it is before it. */
function plainId(id: string): string {
  return id.replace(/^sha256:/, "");
}
