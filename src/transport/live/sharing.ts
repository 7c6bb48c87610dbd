import { execute, type GraphQLSchema } from "graphql";
import type { StreamChunk } from "../../domain/sync/chunk.ts";
import type { AnyEvent } from "../../model/event.ts";
import type { Context } from "../../schema/context.ts";
import type { ChunkShape, SharedSelection } from "./shape.ts";

/** An event's JSON for one selection; null where it depends on the viewer. */
type Text = string | null;

interface Rendered {
  text: Text | Promise<Text>;
  /** Which state of the event this shows: a redaction meanwhile makes another of it. [ACT-14] */
  redactedById: string | null;
}

/** All of a chunk but the stream token: it goes between the pieces. */
interface Assembled {
  events: readonly AnyEvent[];
  redactions: readonly (string | null)[];
  limited: boolean;
  pieces: readonly string[];
}

/**
 * What is rendered in one turn of the event loop, in which all who follow an event are told of it: for each selection
 * once, without a viewer. Nothing is kept beyond the turn, so that nobody is shown what has changed since.
 */
export class SharedRendering {
  readonly #schema: GraphQLSchema;
  readonly #newContext: () => Context;
  #context: Context | null = null;
  readonly #rendered = new Map<SharedSelection, Map<AnyEvent, Rendered>>();
  readonly #assembled = new Map<ChunkShape, Assembled>();

  constructor(schema: GraphQLSchema, newContext: () => Context) {
    this.#schema = schema;
    this.#newContext = newContext;
  }

  /** The JSON of an event, at once where nothing has to be loaded. */
  text(selection: SharedSelection, event: AnyEvent): Text | Promise<Text> {
    let texts = this.#rendered.get(selection);
    if (texts === undefined) this.#rendered.set(selection, (texts = new Map<AnyEvent, Rendered>()));
    const redactedById = redactionOf(event);
    const known = texts.get(event);
    if (known?.redactedById === redactedById) return known.text;
    const rendered: Rendered = { text: this.#render(selection, event), redactedById };
    texts.set(event, rendered);
    // From then on without waiting.
    if (rendered.text instanceof Promise) void rendered.text.then((text) => (rendered.text = text));
    return rendered.text;
  }

  /**
   * A chunk without its token, for a shape of which no field needs the viewer: the token goes between the pieces.
   * Null when it can't be put together at once, or not without the viewer.
   */
  pieces(shape: ChunkShape, chunk: StreamChunk): readonly string[] | null {
    const { events, limited } = chunk;
    const last = this.#assembled.get(shape);
    if (last?.limited === limited && isSame(last, events)) return last.pieces;
    const pieces = this.#assemble(shape, chunk);
    const redactions = events.map(redactionOf);
    if (pieces !== null) this.#assembled.set(shape, { events, redactions, limited, pieces });
    return pieces;
  }

  #assemble(shape: ChunkShape, chunk: StreamChunk): string[] | null {
    const pieces: string[] = [];
    let piece = `{"data":{${JSON.stringify(shape.rootKey)}:{`;
    for (const [index, field] of shape.fields.entries()) {
      piece += `${index === 0 ? "" : ","}${JSON.stringify(field.key)}:`;
      if (field.from === "token") {
        pieces.push(piece);
        piece = "";
        continue;
      }
      const value = this.#value(field, chunk);
      if (value === null) return null;
      piece += value;
    }
    return [...pieces, `${piece}}}}`];
  }

  #value(field: ChunkShape["fields"][number], chunk: StreamChunk): string | null {
    if (field.from === "limited") return String(chunk.limited);
    if (field.from === "typename") return '"StreamChunk"';
    if (field.from === "rarely") return chunk[field.list].length === 0 ? "[]" : null;
    if (field.from !== "events") return null;
    const texts: string[] = [];
    for (const event of chunk.events) {
      const text = this.text(field.selection, event);
      if (typeof text !== "string") return null;
      texts.push(text);
    }
    return `[${texts.join(",")}]`;
  }

  #render({ document, variables, key, filter }: SharedSelection, event: AnyEvent): Text | Promise<Text> {
    this.#context ??= this.#newContext();
    const result = execute({
      schema: this.#schema,
      document,
      rootValue: { events: [event], filter },
      contextValue: this.#context,
      variableValues: variables,
    });
    const textOf = ({ data, errors }: Awaited<typeof result>): Text => {
      // Most likely a viewer is needed; whatever else is wrong is told by the rendering for each.
      if (errors !== undefined) return null;
      const [json] = (data as unknown as { eventStream: Record<string, unknown[]> }).eventStream[key]!;
      return JSON.stringify(json);
    };
    return result instanceof Promise ? result.then(textOf) : textOf(result);
  }
}

/** Which redaction an event shows; null for none. */
export function redactionOf(event: AnyEvent): string | null {
  return event.kind === "EPHEMERAL" ? null : event.redactedById;
}

function isSame({ events, redactions }: Assembled, others: readonly AnyEvent[]): boolean {
  if (events.length !== others.length) return false;
  for (let index = 0; index < events.length; index++) {
    if (events[index] !== others[index] || redactions[index] !== redactionOf(others[index]!)) return false;
  }
  return true;
}
