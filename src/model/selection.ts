import { exactTexts, patternsOf, type Patterns } from "./patterns.ts";

/** The part of a filter's definition that says which events pass. [FIL-2] */
export interface SelectionDefinition {
  /** Patterns of types, each with or without a kind's prefix; null doesn't limit, an empty list matches nothing. */
  types: string[] | null;
  rooms: string[] | null;
  senders: string[] | null;
  /** Whether `updates` children come inside their parents; else they are events of their own. [UPD-1] */
  bundleUpdates: boolean;
  /** How many `relates_to` children come inside their parents. [REL-2] */
  bundleRelations: number;
  relationTypes: string[] | null;
  /** Whether children are listed on their own; null: only when none are bundled. [REL-3] */
  children: boolean | null;
}

export type Kind = "STATE" | "MESSAGE" | "EPHEMERAL";

/**
 * Which events a filter lets pass, compiled. The predicate in domain/rules/filter.ts and the SQL condition in
 * store/selection.ts read the same form; a property test holds them together. [FIL-7]
 */
export interface Selection {
  types: Record<Kind, Patterns>;
  senders: Patterns;
  rooms: Patterns;
  /** Children by `updates` are not listed on their own. [UPD-1] */
  hidesUpdates: boolean;
  /** Children by relations of these types are not listed on their own; null: all are. [REL-3] */
  hidesRelations: Patterns | null;
}

export function selectionOf(definition: SelectionDefinition): Selection {
  const { types, senders, rooms, bundleUpdates, bundleRelations, relationTypes, children } = definition;
  const listsChildren = children ?? bundleRelations === 0;
  return {
    types: {
      STATE: patternsOf(typesOfKind(types, "STATE")),
      MESSAGE: patternsOf(typesOfKind(types, "MESSAGE")),
      EPHEMERAL: patternsOf(typesOfKind(types, "EPHEMERAL")),
    },
    senders: patternsOf(senders),
    rooms: patternsOf(rooms),
    hidesUpdates: bundleUpdates,
    hidesRelations: listsChildren ? null : patternsOf(relationTypes),
  };
}

/** The patterns that concern one kind, without their prefixes. */
function typesOfKind(types: readonly string[] | null, kind: Kind): string[] | null {
  if (types === null) return null;
  const own = types.flatMap((entry) => {
    const match = /^(-?)(state|message|ephemeral):(.*)$/s.exec(entry);
    if (match === null) return [entry];
    return match[2] === kind.toLowerCase() ? [`${match[1]}${match[3]}`] : [];
  });
  const includesAny = types.some((entry) => !entry.startsWith("-"));
  // A list that includes something, but nothing of this kind, must not read as all but the exclusions that are left.
  if (includesAny && !own.some((entry) => !entry.startsWith("-"))) return [];
  // A type may be named with its kind and without.
  return own.length === 0 && types.length > 0 ? null : [...new Set(own)];
}

/** The kinds and types that can pass when they are named one by one, else null. */
export function exactTypes(selection: Selection): { message: boolean; type: string }[] | null {
  const state = exactTexts(selection.types.STATE);
  const messages = exactTexts(selection.types.MESSAGE);
  if (state === null || messages === null) return null;
  return [...state.map((type) => ({ message: false, type })), ...messages.map((type) => ({ message: true, type }))];
}

/** Whether every type of stored events passes. */
export function takesAllTypes({ types }: Selection): boolean {
  return [types.STATE, types.MESSAGE].every(({ included, excluded }) => included === null && excluded.length === 0);
}
