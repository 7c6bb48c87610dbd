import type { TestApp } from "../../kit/app.ts";
import type { Client } from "../../kit/client.ts";
import { sql } from "../../kit/database.ts";
import type { Oracle } from "./visibilityOracle.ts";
import { type HistoryEvent } from "./visibilityOracle.ts";

export type Step = "join" | "leave" | "invite" | "reject" | "kick" | "ban" | "unban" | "knock";

interface Membership {
  name: string;
  /** What happened before anybody said a word. */
  first?: Step[];
  /** What happened between the rounds of messages. */
  then: Step[];
}

/** How the reader came into the room and out of it. */
export const histories: Membership[] = [
  { name: "never in the room", then: [] },
  { name: "in it from the start", first: ["join"], then: [] },
  { name: "joined later", then: ["join"] },
  { name: "joined and left", then: ["join", "leave"] },
  { name: "left and joined again", then: ["join", "leave", "join"] },
  { name: "left and invited again", then: ["join", "leave", "invite"] },
  { name: "invited only", then: ["invite"] },
  { name: "invited, then joined", then: ["invite", "join"] },
  { name: "invited, then rejected it", then: ["invite", "reject"] },
  { name: "invited, which was taken back", then: ["invite", "kick"] },
  { name: "kicked", then: ["join", "kick"] },
  { name: "banned", then: ["join", "ban"] },
  { name: "banned without having been there", then: ["ban"] },
  { name: "banned, then unbanned", then: ["join", "ban", "unban"] },
  { name: "knocked", then: ["knock"] },
];

/** A room's visibilities: the first at its creation, the others spread over its life. */
export const constantVisibilities = [["WORLD_READABLE"], ["SHARED"], ["INVITED"], ["JOINED"]];
export const changingVisibilities = [
  ["SHARED", "JOINED"],
  ["JOINED", "SHARED"],
  ["WORLD_READABLE", "JOINED", "WORLD_READABLE"],
];

/** Where the reader's token stood while the room lived. */
export interface Mark {
  stream: string;
  /** The newest event then. */
  eventId: string;
}

/** A room with a past, and the oracle for its reader. */
export interface LivedRoom {
  roomId: string;
  marks: Mark[];
  oracle: Oracle;
}

export interface People {
  alice: Client;
  bob: Client;
  reader: Client;
}

/** Lets a room live: rounds of messages, and between them what changes who may read. */
export async function liveRoom(
  people: People,
  history: Membership,
  visibilities: string[],
): Promise<Omit<LivedRoom, "oracle">> {
  const { alice, bob, reader } = people;
  const joinRule = history.then.includes("knock") ? "KNOCK" : "PUBLIC";
  const roomId = await alice.createRoom({
    joinRule,
    historyVisibility: visibilities[0],
    name: "First",
    invite: [bob.userId],
  });
  let last = await bob.join(roomId);
  const invites: string[] = [];
  const marks: Mark[] = [];
  const take = async (step: Step): Promise<void> => {
    last = await takeStep(step, people, roomId, invites.at(-1));
    if (step === "invite") invites.push(last);
  };
  for (const step of history.first ?? []) await take(step);
  const rounds = new Rounds(people, roomId);
  last = await rounds.talk();
  for (const change of interleave(history.then, visibilities.slice(1))) {
    marks.push({ stream: await tokenOf(reader, roomId), eventId: last });
    if (typeof change === "string") await take(change);
    else await setVisibility(alice, roomId, change.visibility);
    last = await rounds.talk();
  }
  marks.push({ stream: await tokenOf(reader, roomId), eventId: last });
  await rounds.talk();
  return { roomId, marks };
}

/** The steps in their order, with the changes of visibility spread evenly among them. */
function interleave(steps: Step[], visibilities: string[]): (Step | { visibility: string })[] {
  const changes = visibilities.map((visibility, index) => ({
    visibility,
    after: Math.round(((index + 1) * steps.length) / (visibilities.length + 1)),
  }));
  const due = (taken: number) =>
    changes.filter(({ after }) => after === taken).map(({ visibility }) => ({ visibility }));
  return [...due(0), ...steps.flatMap((step, index) => [step, ...due(index + 1)])];
}

async function takeStep(
  step: Step,
  { alice, reader }: People,
  roomId: string,
  inviteId: string | undefined,
): Promise<string> {
  if (step === "join") return reader.join(roomId);
  if (step === "leave") return reader.leave(roomId);
  if (step === "knock" || step === "reject") {
    const field = step === "knock" ? "knockRoom(input: { roomId: $id })" : "rejectInvite(input: { eventId: $id })";
    const { result } = await reader.do<{ result: { event: { id: string } } }>(
      `mutation ($id: ID!) { result: ${field} { event { id } } }`,
      { id: step === "knock" ? roomId : inviteId },
    );
    return result.event.id;
  }
  return alice.membership(step, roomId, reader.userId);
}

async function setVisibility(alice: Client, roomId: string, visibility: string): Promise<void> {
  await alice.setState(roomId, "m.room.history_visibility", { history_visibility: visibility.toLowerCase() });
}

/** A token of the reader's for this room alone; it can be had whether or not the room is to be seen. */
async function tokenOf(reader: Client, roomId: string): Promise<string> {
  const { streamToken } = await reader.do<{ streamToken: string }>(
    "query ($rooms: [String!]) { streamToken(rooms: $rooms) }",
    { rooms: [roomId] },
  );
  const { initialSync } = await reader.do<{ initialSync: { stream: string } }>(
    "query ($stream: StreamToken) { initialSync(stream: $stream) { stream } }",
    { stream: streamToken },
  );
  return initialSync.stream;
}

/** What others say between the steps: each round has parents of its own, and children of these and of earlier ones. */
class Rounds {
  readonly #people: People;
  readonly #roomId: string;
  readonly #parents: string[] = [];
  /** What the next round redacts. */
  #doomed: string[] = [];
  #edit: string | null = null;

  constructor(people: People, roomId: string) {
    this.#people = people;
    this.#roomId = roomId;
  }

  /** Gives the id of the last event. */
  async talk(): Promise<string> {
    const round = this.#parents.length;
    const { alice, bob } = this.#people;
    const [parent, later, now] = await this.#send(
      ["message", "to be redacted later", "to be redacted now"].map((body) => said(`${body} ${round}`)),
    );
    this.#parents.push(parent!);
    const parents = [...new Set([this.#parents[0]!, ...this.#parents.slice(-2)])];
    const threads = parents.map((eventId) => ({ type: "m.thread", eventId }));
    await alice.do(
      `mutation ($note: SendMessageInput!, $topic: SetStateInput!) {
         note: sendMessage(input: $note) { actionId } topic: setState(input: $topic) { actionId }
       }`,
      {
        note: {
          roomId: this.#roomId,
          message: { type: "org.example.note", content: { custom: { note: round } }, relatesTo: threads },
        },
        topic: { roomId: this.#roomId, type: "m.room.topic", content: { topic: `topic ${round}` } },
      },
    );
    const children = await this.#send([
      { ...said(`reply ${round}`), relatesTo: threads },
      ...parents.map((eventId) => ({
        type: "m.reaction",
        content: { reaction: `key ${round % 2}` },
        relatesTo: [{ type: "m.annotation", eventId, key: `key ${round % 2}` }],
      })),
      ...parents.map((updates) => ({ ...edit(`edit ${round}`), updates })),
      ...(this.#edit === null ? [] : [{ ...edit(`edit of an edit ${round}`), updates: this.#edit }]),
    ]);
    const [, reaction] = children;
    this.#edit = children[1 + parents.length]!;
    const last = await redact(bob, [now!, ...this.#doomed]);
    this.#doomed = [later!, reaction!];
    return last;
  }

  async #send(messages: object[]): Promise<string[]> {
    const { sendMessages } = await this.#people.bob.do<{ sendMessages: { events: { id: string }[] } }>(
      "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }",
      { input: { roomId: this.#roomId, messages } },
    );
    return sendMessages.events.map(({ id }) => id);
  }
}

function said(body: string): object {
  return { content: { text: { body } } };
}

function edit(body: string): object {
  return {
    content: { custom: { msgtype: "m.text", body: `* ${body}`, "m.new_content": { msgtype: "m.text", body } } },
  };
}

async function redact(client: Client, ids: string[]): Promise<string> {
  const data = await client.do<Record<string, { event: { id: string } }>>(
    `mutation (${ids.map((_id, n) => `$id${n}: ID!`).join(", ")}) {
       ${ids.map((_id, n) => `redact${n}: redactEvent(input: { eventId: $id${n} }) { event { id } }`).join(" ")}
     }`,
    Object.fromEntries(ids.map((id, n) => [`id${n}`, id])),
  );
  return data[`redact${ids.length - 1}`]!.event.id;
}

interface Row {
  room_id: string;
  event_id: string;
  type: string;
  state_key: string | null;
  sender: string;
  content: string | null;
  replaces_id: string | null;
  updates_id: string | null;
  relates_to: string | null;
  redacts_id: string | null;
  redacted_by_id: string | null;
}

/** All events of all rooms as they are stored, whoever may see them. */
export async function storedEvents({ databaseUrl }: TestApp): Promise<Map<string, HistoryEvent[]>> {
  const rows = await sql<Row>(databaseUrl, "SELECT * FROM event ORDER BY position");
  const rooms = new Map<string, HistoryEvent[]>();
  for (const row of rows) {
    const events = rooms.get(row.room_id) ?? [];
    rooms.set(row.room_id, [...events, eventOf(row)]);
  }
  return rooms;
}

function eventOf(row: Row): HistoryEvent {
  const relations = JSON.parse(row.relates_to ?? "[]") as { type: string; event_id: string; key?: string }[];
  return {
    id: row.event_id,
    type: row.type,
    stateKey: row.state_key,
    sender: row.sender,
    content: row.content === null ? null : (JSON.parse(row.content) as Record<string, unknown>),
    replacesId: row.replaces_id,
    updatesId: row.updates_id,
    relatesTo: relations.map(({ type, event_id, key }) => ({ type, eventId: event_id, key: key ?? null })),
    redactsId: row.redacts_id,
    redactedById: row.redacted_by_id,
  };
}
