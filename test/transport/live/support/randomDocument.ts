import {
  getNamedType,
  getNullableType,
  isCompositeType,
  isEnumType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  parse,
  validate,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLInterfaceType,
  type GraphQLObjectType,
  type GraphQLSchema,
} from "graphql";
import type { Random } from "../../../simulation/random.ts";

/** A subscription to the event stream that selects anything, and what may be given as its own variables. */
export interface RandomDocument {
  text: string;
  /** By name; undefined stands for a variable that is left out. */
  choices: Record<string, unknown[]>;
}

type Owner = GraphQLObjectType | GraphQLInterfaceType;

const rootVariables = "$stream: StreamToken, $tweak: FilterInput, $outOfOrder: Boolean! = false";
const rootArguments = "stream: $stream, tweak: $tweak, outOfOrder: $outOfOrder";
const deepest = 4;

/** A valid document; one that isn't, as when two selections of a key can't be merged, is made anew. */
export function randomDocument(schema: GraphQLSchema, random: Random): RandomDocument {
  for (;;) {
    const { text, choices } = new Writing(schema, random).document();
    if (validate(schema, parse(text)).length === 0) return { text, choices };
  }
}

/** Values for the document's own variables. */
export function randomVariables({ choices }: RandomDocument, random: Random): Record<string, unknown> {
  const chosen = Object.entries(choices).map(([name, values]) => [name, pick(random, values)] as const);
  return Object.fromEntries(chosen.filter(([, value]) => value !== undefined));
}

/** One of some values. */
export function pick<Value>(random: Random, values: readonly Value[]): Value {
  return values[random.between(0, values.length - 1)]!;
}

/** What an argument may be given; null for those that aren't given. */
function valuesOf(name: string, type: GraphQLInputType): unknown[] | null {
  const named = getNamedType(type);
  if (isEnumType(named)) return named.getValues().map((value) => value.name);
  if (named.name === "String" && isListType(getNullableType(type))) return [["type", "content"], ["-content"], []];
  return name === "last" || name === "first" ? [1, 3] : null;
}

class Writing {
  readonly #schema: GraphQLSchema;
  readonly #random: Random;
  readonly #fragments: string[] = [];
  readonly #variables: string[] = [];
  readonly #choices: Record<string, unknown[]> = {};
  #names = 0;

  constructor(schema: GraphQLSchema, random: Random) {
    this.#schema = schema;
    this.#random = random;
  }

  document(): RandomDocument {
    const chunk = this.#schema.getType("StreamChunk") as GraphQLObjectType;
    const inner = Array.from({ length: this.#random.between(1, 4) }, () => this.#chunkSelection(chunk)).join(" ");
    const alias = this.#random.chance(0.2) ? "live: " : "";
    const variables = [rootVariables, ...this.#variables].join(", ");
    const text = `subscription (${variables}) { ${alias}eventStream(${rootArguments}) { ${inner} } } ${this.#fragments.join(" ")}`;
    return { text, choices: this.#choices };
  }

  #chunkSelection(chunk: GraphQLObjectType): string {
    const weights = { events: 8, json: 4, stream: 3, limited: 1, rooms: 1, invites: 1, left: 1, __typename: 1 };
    const name = this.#random.weighted(weights);
    const field = chunk.getFields()[name];
    const selected = field === undefined ? `${this.#alias()}__typename` : this.#field(field, 1);
    return this.#wrapped(selected, "StreamChunk");
  }

  /** In a fragment, or under a condition, or as it is. */
  #wrapped(selected: string, type: string): string {
    const kind = this.#random.between(0, 9);
    if (kind === 0) return `... on ${type}${this.#directive()} { ${selected} }`;
    if (kind === 1) return `...${this.#directive()} { ${selected} }`;
    if (kind !== 2) return selected;
    const name = `Part${this.#names++}`;
    this.#fragments.push(`fragment ${name} on ${type} { ${selected} }`);
    return `...${name}${this.#directive()}${this.#random.chance(0.3) ? ` ...${name}` : ""}`;
  }

  #selection(type: Owner, depth: number): string {
    const fields = Object.values(type.getFields()).filter(
      (field) => depth < deepest || !isCompositeType(getNamedType(field.type)),
    );
    const selected = Array.from({ length: this.#random.between(1, depth === 1 ? 5 : 3) }, () => {
      if (this.#random.chance(0.1) || fields.length === 0) return `${this.#alias()}__typename`;
      return this.#wrapped(this.#field(pick(this.#random, fields), depth + 1), type.name);
    });
    if (isInterfaceType(type)) {
      for (let count = this.#random.between(0, 2); count > 0; count--) {
        const possible = pick(this.#random, this.#schema.getPossibleTypes(type));
        selected.push(`... on ${possible.name} { ${this.#selection(possible, depth)} }`);
      }
    }
    return selected.join(" ");
  }

  #field(field: GraphQLField<unknown, unknown>, depth: number): string {
    const given = field.args.flatMap((argument) => {
      const value = this.#value(argument);
      return value === null ? [] : [`${argument.name}: ${value}`];
    });
    const type = getNamedType(field.type);
    const inner = isObjectType(type) || isInterfaceType(type) ? ` { ${this.#selection(type, depth)} }` : "";
    // What takes arguments has a name of its own, or it couldn't be merged with another.
    const alias = given.length > 0 ? `a${this.#names++}: ` : this.#alias();
    const text = `${field.name}${given.length > 0 ? `(${given.join(", ")})` : ""}${inner}`;
    const again = this.#random.chance(0.1) ? ` again${this.#names++}: ${text}` : "";
    return `${alias}${text}${this.#directiveOf(text)}${again}`;
  }

  #directiveOf(text: string): string {
    return text.endsWith("}") ? "" : this.#directive();
  }

  /** Of an argument that it knows how to give; null for none. */
  #value({ name, type }: GraphQLArgument): string | null {
    const named = getNamedType(type);
    const values = valuesOf(name, type);
    if (values === null || this.#random.chance(0.2)) return null;
    const literal = (value: unknown): string => (isEnumType(named) ? String(value) : JSON.stringify(value));
    if (this.#random.chance(0.2)) return literal(pick(this.#random, values));
    const variable = `v${this.#names++}`;
    const fallback = this.#random.chance(0.7) ? ` = ${literal(pick(this.#random, values))}` : "";
    const required = isNonNullType(type);
    this.#variables.push(`$${variable}: ${String(type)}${fallback}`);
    this.#choices[variable] = [
      ...values,
      ...(fallback !== "" || !required ? [undefined, undefined] : []),
      ...(required ? [] : [null, null]),
    ];
    return `$${variable}`;
  }

  #alias(): string {
    return this.#random.chance(0.2) ? `a${this.#names++}: ` : "";
  }

  #directive(): string {
    if (!this.#random.chance(0.25)) return "";
    const variable = `v${this.#names++}`;
    const fallback = this.#random.chance(0.5);
    this.#variables.push(`$${variable}: Boolean!${fallback ? ` = ${this.#random.chance(0.5)}` : ""}`);
    this.#choices[variable] = [true, false, ...(fallback ? [undefined] : [])];
    return ` @${this.#random.chance(0.5) ? "include" : "skip"}(if: $${variable})`;
  }
}
