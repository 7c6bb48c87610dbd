import { takesAllTypes, type Kind, type Selection } from "../model/selection.ts";
import type { Glob, Patterns } from "../model/patterns.ts";

/** Collects the values of a statement; `add` gives the placeholder of each. */
export class Parameters {
  readonly values: unknown[] = [];

  add(value: unknown, type: string): string {
    this.values.push(value);
    return `$${this.values.length}::${type}`;
  }
}

/**
 * The SQL condition on `event` that agrees with the predicates in domain/rules/filter.ts: what passes, and with `alone`
 * what a timeline lists on its own. "" when everything does. [FIL-7]
 */
export function selectionCondition(
  selection: Selection,
  parameters: Parameters,
  { alone }: { alone: boolean },
): string {
  const parts = [
    takesAllTypes(selection) ? "" : typesCondition(selection, parameters),
    patternsCondition("event.sender", selection.senders, parameters),
    patternsCondition("event.room_id", selection.rooms, parameters),
    ...(alone ? [listedCondition(selection, parameters)] : []),
  ];
  return parts.filter((part) => part !== "").join(" AND ");
}

function typesCondition({ types }: Selection, parameters: Parameters): string {
  const ofKind = (kind: Kind, test: string): string => {
    const condition = patternsCondition("event.type", types[kind], parameters);
    return condition === "" ? test : `(${test} AND ${condition})`;
  };
  return `(${ofKind("STATE", "event.state_key IS NOT NULL")} OR ${ofKind("MESSAGE", "event.state_key IS NULL")})`;
}

function listedCondition({ hidesUpdates, hidesRelations }: Selection, parameters: Parameters): string {
  const updates = hidesUpdates ? ["event.updates_id IS NULL"] : [];
  if (hidesRelations === null) return updates.join("");
  const matching = patternsCondition("relation ->> 'type'", hidesRelations, parameters);
  const relations =
    matching === ""
      ? "event.relates_to IS NULL"
      : `(event.relates_to IS NULL OR NOT EXISTS (
           SELECT FROM jsonb_array_elements(event.relates_to::jsonb) AS relation WHERE ${matching}))`;
  return [...updates, relations].join(" AND ");
}

/** The condition that a text passes a list of patterns; "" when every text does. */
export function patternsCondition(text: string, { included, excluded }: Patterns, parameters: Parameters): string {
  const parts = [];
  if (included !== null) parts.push(included.length === 0 ? "false" : anyOf(text, included, parameters));
  if (excluded.length > 0) parts.push(`NOT ${anyOf(text, excluded, parameters)}`);
  return parts.join(" AND ");
}

function anyOf(text: string, globs: readonly Glob[], parameters: Parameters): string {
  return `(${text} LIKE ANY (${parameters.add(globs.map(likeOf), "text[]")}))`;
}

function likeOf(glob: Glob): string {
  return glob.map((piece) => piece.replace(/[\\%_]/g, "\\$&")).join("%");
}
