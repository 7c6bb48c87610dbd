import { readFileSync } from "node:fs";
import {
  buildSchema,
  getNamedType,
  isInputObjectType,
  type GraphQLField,
  type GraphQLInputObjectType,
  type GraphQLSchema,
} from "graphql";
import type { Client } from "./client.ts";
import { sql } from "./database.ts";
import { newKey, prepare, signed } from "./signing.ts";

/** Who an action needs: the one who acts, an admin of the server, and somebody else. */
export interface Cast {
  actor: Client;
  other: Client;
}

export type Input = Record<string, unknown>;

/** One mutation that makes events or moves a marker: how it comes to be possible, and what to ask for. */
export interface ActionRow {
  /** Makes all that the action needs, in a room of its own; gives an input that it takes once, without an action id. */
  prepare(cast: Cast): Promise<Input>;
  /** The same action with other content. */
  otherwise(input: Input): Input;
  /** An input that is refused. Without it: the same in a room, or of an event, that there isn't. */
  refused?(input: Input): Input;
  /** What of the payload is the outcome. Without it: the event, or the events. */
  outcome?: string;
  /** Where the action id goes, if not into the input itself. */
  withActionId?(input: Input, actionId: string): Input;
}

const open = (client: Client): Promise<string> => client.createRoom({ joinRule: "PUBLIC" });

/** The actor's own room, with the other in it. */
async function sharedRoom({ actor, other }: Cast): Promise<string> {
  const roomId = await open(actor);
  await other.join(roomId);
  return roomId;
}

/** An alias that no other room has. */
const aliasFor = (roomId: string): string => roomId.replace("!", "#");

const withReason = (input: Input): Input => ({ ...input, reason: "another one" });
const text = (body: string): Input => ({ content: { text: { body } } });

async function aboutOther(cast: Cast): Promise<Input> {
  return { roomId: await sharedRoom(cast), userId: cast.other.userId };
}

/** The id of the invite that the other sends to the actor, into a room of theirs. */
async function invited({ actor, other }: Cast): Promise<string> {
  return other.membership("invite", await other.createRoom(), actor.userId);
}

const offer = { type: "offer", sdp: "v=0" };
const answer = { type: "answer", sdp: "v=0" };
const noCall = (input: Input): Input => ({ ...input, callId: "call_nowhere" });

/** A call that one of the cast has placed to the other; it outlasts every test. */
async function placed(cast: Cast, caller: Client): Promise<string> {
  const input = { roomId: await sharedRoom(cast), offer, lifetimeMs: 3_600_000 };
  const data = await caller.do<{ placeCall: { call: { id: string } } }>(
    "mutation ($input: PlaceCallInput!) { placeCall(input: $input) { call { id } } }",
    { input },
  );
  return data.placeCall.call.id;
}

/** Every mutation that takes an action id, by its name. `actionMutations` says which these are. */
export const everyAction: Record<string, ActionRow> = {
  createRoom: {
    prepare: ({ other }) => Promise.resolve({ name: "New", invite: [other.userId] }),
    otherwise: (input) => ({ ...input, name: "Newer" }),
    refused: (input) => ({ ...input, invite: ["@nobody:localhost"] }),
  },
  joinRoom: {
    prepare: async ({ other }) => ({ target: { roomId: await open(other) } }),
    otherwise: (input) => ({ ...input, servers: ["example.org"] }),
  },
  leaveRoom: {
    prepare: async ({ actor, other }) => {
      const roomId = await open(other);
      await actor.join(roomId);
      return { roomId };
    },
    otherwise: withReason,
  },
  inviteUser: {
    prepare: async ({ actor, other }) => ({ roomId: await actor.createRoom(), userId: other.userId }),
    otherwise: withReason,
  },
  rejectInvite: {
    prepare: async (cast) => ({ eventId: await invited(cast) }),
    otherwise: (input) => ({ ...input, eventId: "$another" }),
  },
  kickUser: { prepare: aboutOther, otherwise: withReason },
  banUser: { prepare: aboutOther, otherwise: withReason },
  unbanUser: {
    prepare: async (cast) => {
      const input = await aboutOther(cast);
      await cast.actor.membership("ban", String(input["roomId"]), cast.other.userId);
      return input;
    },
    otherwise: withReason,
  },
  knockRoom: {
    prepare: async ({ other }) => ({ roomId: await other.createRoom({ joinRule: "KNOCK" }) }),
    otherwise: withReason,
  },
  sendMessage: {
    prepare: async (cast) => ({ roomId: await sharedRoom(cast), message: text("hello") }),
    otherwise: (input) => ({ ...input, message: text("something else") }),
    withActionId: (input, actionId) => ({ ...input, message: { ...(input["message"] as Input), actionId } }),
  },
  sendMessages: {
    prepare: async (cast) => ({ roomId: await sharedRoom(cast), messages: [text("one"), text("two")] }),
    otherwise: (input) => ({ ...input, messages: [text("one")] }),
  },
  redactEvent: {
    prepare: async (cast) => {
      const roomId = await sharedRoom(cast);
      return { eventId: await cast.actor.send(roomId, "to be redacted") };
    },
    otherwise: withReason,
  },
  setState: {
    prepare: async (cast) => ({
      roomId: await sharedRoom(cast),
      type: "m.room.topic",
      content: { topic: "tea" },
    }),
    otherwise: (input) => ({ ...input, content: { topic: "coffee" } }),
  },
  setStates: {
    prepare: async (cast) => ({
      roomId: await sharedRoom(cast),
      states: [
        { type: "m.room.topic", content: { topic: "tea" } },
        { type: "m.room.name", content: { name: "Tea" } },
      ],
    }),
    otherwise: (input) => ({ ...input, states: [{ type: "m.room.topic", content: { topic: "tea" } }] }),
  },
  deleteState: {
    prepare: async (cast) => {
      const roomId = await sharedRoom(cast);
      await cast.actor.setState(roomId, "m.room.topic", { topic: "tea" });
      return { roomId, type: "m.room.topic" };
    },
    otherwise: (input) => ({ ...input, stateKey: "_another" }),
  },
  patchPowerLevels: {
    prepare: async (cast) => ({ roomId: await sharedRoom(cast), path: ["kick"], value: 40 }),
    otherwise: (input) => ({ ...input, value: 41 }),
  },
  createAlias: {
    prepare: async (cast) => {
      const roomId = await sharedRoom(cast);
      return { roomId, alias: aliasFor(roomId) };
    },
    otherwise: (input) => ({ ...input, alias: "#another:localhost" }),
  },
  deleteAlias: {
    prepare: async (cast) => {
      const roomId = await sharedRoom(cast);
      const input = { roomId, alias: aliasFor(roomId) };
      await cast.actor.do("mutation ($input: CreateAliasInput!) { createAlias(input: $input) { actionId } }", {
        input,
      });
      return { alias: input.alias };
    },
    otherwise: () => ({ alias: "#another:localhost" }),
    refused: () => ({ alias: "#nowhere:localhost" }),
  },
  setProfile: {
    prepare: async (cast) => ({ roomId: await sharedRoom(cast), key: "displayname", value: "Somebody" }),
    otherwise: (input) => ({ ...input, value: "Somebody else" }),
  },
  setMarker: {
    prepare: async (cast) => ({ eventId: await cast.other.send(await sharedRoom(cast), "to be read"), kind: "READ" }),
    otherwise: (input) => ({ ...input, kind: "DELIVERED" }),
    outcome: "marker { id eventId }",
  },
  rejectEvent: {
    prepare: async (cast) => {
      const roomId = await sharedRoom(cast);
      await cast.actor.setState(roomId, "m.room.topic", { topic: "tea" });
      return { eventId: await cast.actor.setState(roomId, "m.room.topic", { topic: "spam" }) };
    },
    otherwise: withReason,
    outcome: "redaction { id }",
  },
  sendPreparedMessage: {
    prepare: async (cast) => {
      const prepared = await prepare(cast.actor, await sharedRoom(cast), text("signed"));
      return { prepared: prepared.prepared, signatures: await signed(cast.actor, await newKey(), prepared) };
    },
    // Nobody registered such a key, so that anything may be its signature.
    otherwise: (input) => ({ ...input, signatures: eachSigner(input, () => ({ "ed25519:other": "A".repeat(86) })) }),
    refused: (input) => ({ ...input, signatures: eachSigner(input, () => ({ "ed25519:other": "short" })) }),
  },
  placeCall: {
    prepare: async (cast) => ({ roomId: await sharedRoom(cast), offer, lifetimeMs: 3_600_000 }),
    otherwise: (input) => ({ ...input, lifetimeMs: 3_500_000 }),
  },
  answerCall: {
    prepare: async (cast) => ({ callId: await placed(cast, cast.other), answer }),
    otherwise: (input) => ({ ...input, answer: { ...answer, sdp: "v=1" } }),
    refused: noCall,
  },
  rejectCall: {
    prepare: async (cast) => ({ callId: await placed(cast, cast.other) }),
    otherwise: withReason,
    refused: noCall,
  },
  acknowledgeCall: {
    prepare: async (cast) => {
      const callId = await placed(cast, cast.actor);
      const { userId, deviceId } = cast.other;
      await cast.other.do("mutation ($input: AnswerCallInput!) { answerCall(input: $input) { event { id } } }", {
        input: { callId, answer },
      });
      return { callId, userId, deviceId };
    },
    otherwise: (input) => ({ ...input, deviceId: "another" }),
    refused: noCall,
  },
  sendCallCandidates: {
    prepare: async (cast) => ({ callId: await placed(cast, cast.actor), candidates: [{ candidate: "one" }] }),
    otherwise: (input) => ({ ...input, candidates: [{ candidate: "another" }] }),
    refused: noCall,
  },
  hangupCall: {
    prepare: async (cast) => ({ callId: await placed(cast, cast.actor) }),
    otherwise: withReason,
    refused: noCall,
  },
};

function eachSigner({ signatures }: Input, sign: () => Input): Input {
  return Object.fromEntries(Object.keys(signatures as Input).map((signer) => [signer, sign()]));
}

/** What an action has made: an event, or the move of a marker to one. */
export interface Made {
  /** Of the event, or of the one that the stream carries for the move. */
  id: string;
  roomId: string;
  /** The event that the outcome names. */
  outcomeId: string;
  moved: boolean;
}

/**
 * All that was made under an action id of a device, and how much there is of everything in the store but for the hangups of
 * the server, which come in their own time.
 */
export async function madeUnder(
  databaseUrl: string,
  actionId: string,
  { userId, deviceId }: { userId: string; deviceId: string },
): Promise<{ made: Made[]; total: number }> {
  const rows = await sql<Made & { mine: boolean }>(
    databaseUrl,
    `SELECT id, room_id AS "roomId", outcome_id AS "outcomeId", moved,
       action_id IS NOT DISTINCT FROM $1 AND user_id = $2 AND device_id = $3 AS mine
     FROM (
       SELECT event_id AS id, room_id, event_id AS outcome_id, false AS moved, position,
         action_id, coalesce(action_user, sender) AS user_id, action_device AS device_id
       FROM event WHERE type <> 'm.call.hangup' OR starts_with(sender, '@')
       UNION ALL
       SELECT move_id, room_id, event_id, true, position, action_id, user_id, action_device FROM marker
     ) AS all_made ORDER BY position`,
    [actionId, userId, deviceId],
  );
  const made = rows.filter((row) => row.mine);
  return { made: made.map(({ mine: _mine, ...each }) => each), total: rows.length };
}

/** The document and the variables of an action. */
export function request(name: string, input: Input, { actionId, ...more }: { actionId?: string } & Input = {}) {
  const { withActionId = (each, id) => ({ ...each, actionId: id }), outcome } = everyAction[name]!;
  const mutation = mutations()[name]!;
  const payload = getNamedType(mutation.type);
  const fields = "getFields" in payload ? payload.getFields() : {};
  const usual = fields["events"] ? "events { id }" : "event { id }";
  const inputType = String(mutation.args[0]!.type);
  const asked = { ...input, ...more };
  return {
    query: `mutation ($input: ${inputType}) { ${name}(input: $input) { outcome: ${outcome ?? usual} } }`,
    variables: { input: actionId === undefined ? asked : withActionId(asked, actionId) },
  };
}

/** An input that no room or event stands behind, or whatever else the action refuses. */
export function refusedInput(name: string, input: Input): Input {
  const { refused } = everyAction[name]!;
  return refused ? refused(input) : (nowhere(input) as Input);
}

function nowhere(value: unknown, key = ""): unknown {
  if (key === "roomId") return "!nowhere:localhost";
  if (key === "eventId") return "$nowhere";
  if (Array.isArray(value)) return value.map((each) => nowhere(each));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([each, inner]) => [each, nowhere(inner, each)]));
}

let printed: GraphQLSchema | null = null;

function mutations(): Record<string, GraphQLField<unknown, unknown>> {
  printed ??= buildSchema(readFileSync("schema.graphql", "utf8"));
  return printed.getMutationType()!.getFields();
}

/**
 * Names of the mutations whose input takes such a key, in itself or in what it holds, by the printed schema. Without
 * `prepareMessage`, which stores nothing: the action id goes with the message to `sendPreparedMessage`. [ACT-13]
 */
export function mutationsThatTake(key: "actionId" | "suppressOnStream"): string[] {
  const takes = (type: GraphQLInputObjectType): boolean =>
    Object.entries(type.getFields()).some(([name, field]) => {
      const inner = getNamedType(field.type);
      return name === key || (isInputObjectType(inner) && takes(inner));
    });
  return Object.entries(mutations())
    .filter(([, { args }]) =>
      args.some((argument) => {
        const type = getNamedType(argument.type);
        return isInputObjectType(type) && takes(type);
      }),
    )
    .map(([name]) => name)
    .filter((name) => name !== "prepareMessage")
    .sort();
}
