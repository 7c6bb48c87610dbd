import type { EventConnection } from "../model/connection.ts";
import { clientJson, contentOf, type AnyEvent, type StoredEvent } from "../model/event.ts";
import { pickFields } from "../model/fields.ts";
import type { Filter, FilterDefinition } from "../model/filter.ts";
import type { Context } from "./context.ts";

type Json = Record<string, unknown>;
type Form = Pick<FilterDefinition, "format" | "fields">;

/** The event alone, in client or federation form, with all of its keys or those named. [EV-1, EV-6] */
export function eventJson(event: AnyEvent, { format, fields }: Form, context: Context): Json | Promise<Json> {
  const json = documentOf(event, format, context);
  if (fields === null) return json;
  return json instanceof Promise ? json.then((each) => pickFields(each, fields)) : pickFields(json, fields);
}

/** At once where nothing has to be loaded, as for nearly all messages: a page has hundreds of them. */
function documentOf(event: AnyEvent, format: Form["format"], context: Context): Json | Promise<Json> {
  if (event.kind !== "EPHEMERAL" && format === "FEDERATION") return federationJson(event, context);
  if (event.kind === "EPHEMERAL") return clientJson(event, false, null);
  const acted = context.acted(event);
  if (event.replacesId === null) return clientJson(event, acted, null);
  return previousContent(event, context).then((previous) => clientJson(event, acted, previous));
}

/** Markers have no such form, since no server tells them to another: they stand as clients see them. [ACT-11, EV-6] */
function federationJson(event: StoredEvent, context: Context): Json | Promise<Json> {
  return event.marker === null ? context.load.federationJson(event) : clientJson(event, false, null);
}

/** What the slot held before, where the viewer may see that event. */
export async function previousContent(event: StoredEvent, context: Context): Promise<Json | null> {
  const previous = event.replacesId === null ? null : await context.load.event(event.replacesId);
  return previous && contentOf(previous);
}

/** State as a list of current state has it: without what it replaced. [SYN-10] */
export async function stateJson(event: StoredEvent, { definition }: Filter, context: Context): Promise<Json> {
  const { format, fields } = definition;
  const json =
    format === "FEDERATION" ? await federationJson(event, context) : clientJson(event, context.acted(event), null);
  return fields === null ? json : pickFields(json, fields);
}

/**
 * The event as a filter wants it: in its format, with its fields, and with what it bundles. [FIL-2, REL-2, UPD-1, UPD-3]
 * `updated_by` holds all descendants by `updates`, `replies` the newest children, with a token for earlier ones if there
 * are some. What `fields` names is cut out of each of these documents; the bundles are asked for on their own.
 */
export function shapedJson(event: AnyEvent, filter: Filter, context: Context): Json | Promise<Json> {
  const { definition } = filter;
  const json = eventJson(event, definition, context);
  if (event.kind !== "MESSAGE") return json;
  const looksForUpdates = definition.bundleUpdates && event.updated !== false;
  if (!looksForUpdates && definition.bundleRelations === 0) return json;
  return bundledJson(event, json, filter, context);
}

async function bundledJson(
  event: StoredEvent,
  json: Json | Promise<Json>,
  filter: Filter,
  context: Context,
): Promise<Json> {
  const { definition } = filter;
  const [updates, replies] = await Promise.all([
    definition.bundleUpdates ? context.load.updates(event) : [],
    definition.bundleRelations > 0 ? context.load.bundledReplies(event, filter) : null,
  ]);
  const bundled: Json = {};
  if (updates.length > 0) {
    bundled["updated_by"] = await Promise.all(updates.map(async (update) => eventJson(update, definition, context)));
  }
  if (replies !== null && replies.edges.length > 0) bundled["replies"] = await repliesJson(replies, context);
  return { ...(await json), ...bundled };
}

async function repliesJson(replies: EventConnection, context: Context): Promise<Json> {
  const chunk = await Promise.all(replies.edges.map(async ({ node }) => shapedJson(node, replies.filter, context)));
  return { ...(replies.hasPreviousPage ? { start: replies.start } : {}), chunk };
}
