import { Kind, parse } from "graphql";

/** A document of a page, a further answer on a subscription that is open already, or a command. */
export interface Step {
  /** Where the page has it. */
  line: number;
  /** Who runs it, such as `alice` or `alice's phone`. */
  who: string;
  times: number;
  /** Null for a further answer, and for a command. */
  document: { text: string; kind: "query" | "mutation" | "subscription" } | null;
  /** A command of `hearth` with its parameters, such as `admin make-admin alice`. */
  command: string | null;
  variables: Json;
  /** Of a command its `output`. */
  answer: Json;
}

export type Json = Record<string, unknown>;

const languages = ["graphql", "json", "sh", "text"] as const;

interface Block {
  line: number;
  kind: "comment" | (typeof languages)[number];
  text: string;
}

/** The steps of a guide page, in order; docs/guide/README.md says how they are written. Throws for anything else. */
export function stepsOf(page: string, file: string): Step[] {
  const blocks = blocksOf(page);
  const steps: Step[] = [];
  const take = (kind: Block["kind"], after: Block): Block => {
    const block = blocks.shift();
    if (block?.kind === kind) return block;
    throw new Error(`${file}:${after.line}: a ${kind} block is missing after it`);
  };
  for (let comment = blocks.shift(); comment; comment = blocks.shift()) {
    if (comment.text === "on the server") {
      const command = take("sh", comment);
      const answer = { output: take("text", command).text };
      const [, text = null] = /^npx hearth (.*)\n$/.exec(command.text) ?? [];
      steps.push({ line: command.line, who: "", times: 1, document: null, command: text, variables: {}, answer });
      continue;
    }
    const [, verb, who, times] = /^(as|next for) ([^,]+?)(?:, (\d+) times)?$/.exec(comment.text) ?? [];
    if (comment.kind !== "comment" || !who) throw new Error(`${file}:${comment.line}: nobody is said to run this`);
    const step = { line: comment.line, who, times: Number(times ?? 1), command: null, variables: {} };
    if (verb === "next for") {
      steps.push({ ...step, document: null, answer: jsonOf(take("json", comment), file) });
      continue;
    }
    const { text, line } = take("graphql", comment);
    const operation = parse(text).definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION)!;
    const variables = operation.variableDefinitions?.length ? jsonOf(take("json", comment), file) : {};
    const answer = jsonOf(take("json", comment), file);
    steps.push({ ...step, line, document: { text, kind: operation.operation }, variables, answer });
  }
  return steps;
}

const blockPattern = new RegExp(`^ *<!-- ([^\\n]*) -->$|^ *\`\`\`(${languages.join("|")})\\n(.*?)^ *\`\`\`$`, "gms");

function blocksOf(page: string): Block[] {
  return [...page.matchAll(blockPattern)].map((match) => {
    const [, comment, language, text] = match;
    const line = page.slice(0, match.index).split("\n").length;
    return comment === undefined
      ? { line, kind: language as Block["kind"], text: text! }
      : { line, kind: "comment", text: comment };
  });
}

function jsonOf({ line, text }: Block, file: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new Error(`${file}:${line}: ${String(error)}`, { cause: error });
  }
}
