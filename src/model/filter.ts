import { z } from "zod";
import { check } from "./check.ts";
import { HearthError, badInput } from "./errors.ts";
import { maxPage } from "./paging.ts";
import { canonicalPatterns } from "./patterns.ts";
import { selectionOf, type Selection, type SelectionDefinition } from "./selection.ts";

/** What a filter asks for; the canonical form, so that equal inputs look alike. [FIL-1, FIL-2] */
export interface FilterDefinition extends SelectionDefinition {
  /** Whose presence and profile changes to receive. */
  users: string[] | null;
  format: "CLIENT" | "FEDERATION";
  relationOrder: "NEWEST_LAST" | "NEWEST_FIRST";
  /** Keys of the event JSON to return; null: all. */
  fields: string[] | null;
  /** Page size for calls that name none; null: the call's default. [FIL-4] */
  limit: number | null;
}

/** A filter's definition with what it compiles to. */
export interface Filter {
  definition: FilterDefinition;
  selection: Selection;
}

/** Inputs of a filter: every key may be left out, or be null for the default. */
export type FilterInput = { [Key in keyof FilterDefinition]?: FilterDefinition[Key] | null | undefined };

/** Children of one parent that may be bundled. */
const maxBundle = 100;
/** The canonical form is at most this long. */
const maxDefinitionBytes = 8192;

const everything: FilterDefinition = {
  types: null,
  rooms: null,
  senders: null,
  users: null,
  format: "CLIENT",
  bundleUpdates: true,
  bundleRelations: 0,
  relationTypes: null,
  relationOrder: "NEWEST_LAST",
  children: null,
  fields: null,
  limit: null,
};

const list = z.array(z.string()).nullish();
const definitionShape = z.strictObject({
  types: list,
  rooms: list,
  senders: list,
  users: list,
  format: z.enum(["CLIENT", "FEDERATION"]).nullish(),
  bundleUpdates: z.boolean().nullish(),
  bundleRelations: z
    .number()
    .int()
    .min(0, `is not between 0 and ${maxBundle}`)
    .max(maxBundle, `is not between 0 and ${maxBundle}`)
    .nullish(),
  relationTypes: list,
  relationOrder: z.enum(["NEWEST_LAST", "NEWEST_FIRST"]).nullish(),
  children: z.boolean().nullish(),
  fields: list,
  limit: z
    .number()
    .int()
    .min(0, `is not between 0 and ${maxPage}`)
    .max(maxPage, `is not between 0 and ${maxPage}`)
    .nullish(),
});
const listKeys = ["types", "rooms", "senders", "users", "relationTypes", "fields"] as const;

/**
 * Makes a filter of inputs: of nothing, of a definition, or of a definition with single keys overridden by `tweak`, where
 * null lifts a limit. [FIL-2, FIL-4] Throws `BAD_INPUT` naming the key, `TOO_LARGE` for more than 8 KB.
 */
export function filterOf(input: FilterInput = {}, tweak: FilterInput | null = null): Filter {
  const checked = { ...check(definitionShape, input), ...(tweak === null ? {} : check(definitionShape, tweak)) };
  const given = Object.fromEntries(
    Object.entries(checked).filter(([, value]) => value !== null && value !== undefined),
  );
  const definition: FilterDefinition = { ...everything, ...given };
  for (const key of listKeys) {
    const values = definition[key];
    if (values !== null) definition[key] = canonicalPatterns(values, key);
  }
  for (const type of definition.types ?? []) {
    if (/^-?(state|message|ephemeral):$/.test(type)) throw badInput("types", `${JSON.stringify(type)} names no type`);
  }
  if (Buffer.byteLength(JSON.stringify(definition)) > maxDefinitionBytes) {
    throw new HearthError("TOO_LARGE", `The filter is larger than ${maxDefinitionBytes} bytes.`, {
      field: "definition",
    });
  }
  return { definition, selection: selectionOf(definition) };
}

/** Only what differs from the defaults, in a fixed order: what a filter token carries. [FIL-1] */
export function sparseDefinition(definition: FilterDefinition): FilterInput {
  const keys = Object.keys(everything) as (keyof FilterDefinition)[];
  return Object.fromEntries(
    keys.filter((key) => definition[key] !== everything[key]).map((key) => [key, definition[key]]),
  );
}
