import { GraphQLError, Kind, type ValueNode } from "graphql";
import { builder } from "./builder.ts";

builder.scalarType("DateTime", {
  description: "ISO 8601 with milliseconds, UTC.",
  serialize: (value) => new Date(value).toISOString(),
  parseValue(value) {
    const time = typeof value === "string" ? Date.parse(value) : NaN;
    if (Number.isNaN(time)) throw new GraphQLError("DateTime takes an ISO 8601 date and time.");
    return new Date(time);
  },
});

builder.scalarType("JSON", {
  description: "Any JSON value.",
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: (node, variables) => literal(node, variables ?? {}),
});

builder.scalarType("JSONObject", {
  description: "A JSON object.",
  serialize: (value) => value,
  parseValue: object,
  parseLiteral: (node, variables) => object(literal(node, variables ?? {})),
});

token("FilterToken", "Stands for the inputs of the filter query.");
token("ChunkToken", "A place in an ordered result of unknown size; the cursor of every connection.");
token("StreamToken", "A choice of rooms and users, and a position in the event stream.");

function token(name: "FilterToken" | "ChunkToken" | "StreamToken", description: string): void {
  builder.scalarType(name, {
    description,
    serialize: (value) => value,
    parseValue(value) {
      if (typeof value !== "string") throw new GraphQLError(`${name} takes a string.`);
      return value;
    },
  });
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new GraphQLError("JSONObject takes an object.");
  }
  return value as Record<string, unknown>;
}

/** JSON written as a GraphQL literal. Documents are bounded in depth and tokens before this runs. */
function literal(node: ValueNode, variables: Record<string, unknown>): unknown {
  switch (node.kind) {
    case Kind.STRING:
    case Kind.ENUM:
    case Kind.BOOLEAN:
      return node.value;
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.NULL:
      return null;
    case Kind.LIST:
      return node.values.map((item) => literal(item, variables));
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map((field) => [field.name.value, literal(field.value, variables)]));
    case Kind.VARIABLE:
      return variables[node.name.value];
  }
}
