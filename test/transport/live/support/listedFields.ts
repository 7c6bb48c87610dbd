import {
  assertCompositeType,
  getNamedType,
  isCompositeType,
  isEnumType,
  isInterfaceType,
  isLeafType,
  isListType,
  isObjectType,
  getNullableType,
  parse,
  type DocumentNode,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInterfaceType,
  type GraphQLObjectType,
  type GraphQLSchema,
} from "graphql";
import { shareableFields } from "../../../../src/schema/shareable.ts";

/** A subscription that selects one listed field, under the alias `tested`, beside the name of its type. */
export interface ListedField {
  type: string;
  field: string;
  /** With the field's arguments, for people. */
  text: string;
  document: DocumentNode;
}

type Selecting = (inner: string) => string;
type Owner = GraphQLObjectType | GraphQLInterfaceType;

/** What is wrong with the list itself: types and fields that the schema doesn't have. */
export function unknownFields(schema: GraphQLSchema): string[] {
  return Object.entries(shareableFields).flatMap(([name, fields]) => {
    const type = schema.getType(name);
    if (!isObjectType(type) && !isInterfaceType(type)) return [name];
    return fields.filter((field) => type.getFields()[field] === undefined).map((field) => `${name}.${field}`);
  });
}

/** Documents for every field of the list and every form of its arguments; those of types that no listed field leads to are missing. */
export function listedFields(schema: GraphQLSchema): ListedField[] {
  const ways = waysTo(schema);
  return Object.entries(shareableFields).flatMap(([typeName, fields]) => {
    const selecting = ways.get(typeName);
    const type = schema.getType(typeName) as Owner;
    if (selecting === undefined) return [];
    return fields.flatMap((name) => {
      const field = type.getFields()[name];
      if (field === undefined) return [];
      const inner = isLeafType(getNamedType(field.type)) ? "" : ` { __typename ${leavesOf(field).join(" ")} }`;
      return formsOf(field).map((given) => ({
        ...{ type: typeName, field: name, text: `${typeName}.${name}${given}` },
        // A chunk's own lists are shared whatever they are called, its __typename is not part of them.
        document: parse(
          `subscription ${selecting(typeName === "StreamChunk" ? `${name}${given}${inner}` : `on: __typename tested: ${name}${given}${inner}`)}`,
        ),
      }));
    });
  });
}

/** How each type of the list is reached from a chunk, by listed fields alone. */
function waysTo(schema: GraphQLSchema): Map<string, Selecting> {
  const ways = new Map<string, Selecting>([["StreamChunk", (inner) => `{ eventStream { ${inner} } }`]]);
  // Grows while it is walked.
  for (const [name, selecting] of ways) {
    const type = assertCompositeType(schema.getType(name)) as Owner;
    const reach = (other: string, way: Selecting): void => {
      if (other in shareableFields && !ways.has(other)) ways.set(other, way);
    };
    if (isInterfaceType(type)) {
      for (const possible of schema.getPossibleTypes(type)) {
        for (const each of [possible, ...possible.getInterfaces()]) {
          reach(each.name, (inner) => selecting(`... on ${each.name} { ${inner} }`));
        }
      }
    }
    for (const field of listedOf(type)) {
      const inside = getNamedType(field.type);
      if (isCompositeType(inside)) reach(inside.name, (inner) => selecting(`${field.name} { ${inner} }`));
    }
  }
  return ways;
}

/** The listed fields of a type, those of its interfaces included. */
function listedOf(type: Owner): GraphQLField<unknown, unknown>[] {
  const owners = [type, ...type.getInterfaces()];
  const names = new Set(owners.flatMap((owner) => shareableFields[owner.name] ?? []));
  return [...names].map((name) => type.getFields()[name]).filter((field) => field !== undefined);
}

function leavesOf(field: GraphQLField<unknown, unknown>): string[] {
  const type = getNamedType(field.type) as Owner;
  return listedOf(type)
    .filter((each) => isLeafType(getNamedType(each.type)))
    .map((each) => each.name);
}

/** A field's arguments: none, and each of them with each of its values. */
function formsOf({ args }: GraphQLField<unknown, unknown>): string[] {
  return ["", ...args.flatMap((argument) => valuesOf(argument).map((value) => `(${argument.name}: ${value})`))];
}

function valuesOf({ name, type }: GraphQLArgument): string[] {
  const named = getNamedType(type);
  if (isEnumType(named)) return named.getValues().map((value) => value.name);
  if (isListType(getNullableType(type)) && named.name === "String") return ["[]", '["content", "type", "displayname"]'];
  if (named.name === "Int" && (name === "width" || name === "height")) return ["96"];
  throw new Error(`This test doesn't know what to give as ${name}: ${String(type)}.`);
}
