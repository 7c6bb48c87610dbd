import type { ActionTools } from "../../src/domain/actions/act.ts";
import { banUser } from "../../src/domain/actions/banUser.ts";
import { createRoom } from "../../src/domain/actions/createRoom.ts";
import { deleteState } from "../../src/domain/actions/deleteState.ts";
import { insertEvents } from "../../src/domain/actions/insertEvents.ts";
import { inviteUser } from "../../src/domain/actions/inviteUser.ts";
import { joinRoom } from "../../src/domain/actions/joinRoom.ts";
import { kickUser } from "../../src/domain/actions/kickUser.ts";
import { leaveRoom } from "../../src/domain/actions/leaveRoom.ts";
import { prepareMessage, sendPreparedMessage } from "../../src/domain/actions/preparedMessages.ts";
import { redactEvent } from "../../src/domain/actions/redactEvent.ts";
import { rejectEvent } from "../../src/domain/actions/rejectEvent.ts";
import { rejectInvite } from "../../src/domain/actions/rejectInvite.ts";
import { sendMessage, sendMessages } from "../../src/domain/actions/sendMessages.ts";
import { setMarker } from "../../src/domain/actions/setMarker.ts";
import { setState, setStates } from "../../src/domain/actions/setStates.ts";
import { unbanUser } from "../../src/domain/actions/unbanUser.ts";
import { placeToken } from "../../src/domain/reading/pages.ts";
import { movesAuth, type StoredEvent } from "../../src/model/event.ts";
import { comparePlaces } from "../../src/model/order.ts";
import type { Requester } from "../../src/model/requester.ts";
import { actors, targets, type Members } from "./members.ts";
import type { KeptToken } from "./places.ts";
import type { Action, ActionName } from "./schedule.ts";

/** What the actions of a schedule choose from, and add to. */
export interface Scene {
  userIds: string[];
  roomIds: string[];
  /** Events that somebody made, in any room. */
  events: StoredEvent[];
  members: Members;
  /** An alias that is taken. */
  alias: string;
  /** Places that clients remember. */
  kept: KeptToken[];
}

interface Doing {
  tools: ActionTools;
  /** The same user on the other process. */
  elsewhere: ActionTools;
  requester: Requester;
  other: string;
  roomId: string;
  scene: Scene;
  picks: Action["picks"];
}

/** So many actions are done by whoever was drawn, allowed or not; the others by somebody who probably may. */
const blind = 0.08;

/** Does an action; gives the events that it made. Rejects as the action does, mostly since it isn't allowed. */
export async function perform(action: Action, scene: Scene, tools: readonly ActionTools[]): Promise<StoredEvent[]> {
  const { name, app, picks } = action;
  const roomId = scene.roomIds[action.room % scene.roomIds.length]!;
  const user = scene.userIds[action.user]!;
  const other = scene.userIds[action.other]!;
  const { members, userIds } = scene;
  const anyhow = picks[1] < blind;
  const actor = anyhow ? user : members.oneWith(actors[name] ?? ["join"], roomId, userIds, user);
  const others = userIds.filter((userId) => userId !== actor);
  const wanted = targets[name];
  const target = anyhow || wanted === undefined ? other : members.oneWith(wanted, roomId, others, other);
  if (actor === null || target === null) return [];
  const requester = { userId: actor, deviceId: "device", admin: false, tokenId: "device" };
  const [here, elsewhere] = [tools[app]!, tools[1 - app]!];
  const doing = { tools: here, elsewhere, requester, other: target, roomId, scene, picks };
  const made = (await actions[name](doing)) ?? [];
  const events = Array.isArray(made) ? made : [made];
  scene.events.push(...events);
  members.learn(events);
  return events;
}

type Made = StoredEvent | StoredEvent[] | undefined;

const actions: Record<ActionName, (doing: Doing) => Promise<Made> | Made> = {
  send: ({ tools, requester, other, roomId, picks }) =>
    sendMessage(tools, requester, { roomId, message: mentioning(picks, other), suppressOnStream: picks[1] < 0.1 }),
  edit({ tools, requester, roomId, scene, picks }) {
    const own = messagesOf(scene).filter((event) => event.sender === requester.userId);
    const parent = newest(own, roomId, picks[0]);
    return parent && sendMessage(tools, requester, { roomId, message: { ...text(picks), updates: parent.eventId } });
  },
  reply({ tools, requester, roomId, scene, picks }) {
    const parent = newest(messagesOf(scene), roomId, picks[0]);
    const relatesTo = parent && [{ type: "m.thread", eventId: parent.eventId }];
    return parent && sendMessage(tools, requester, { roomId, message: { ...text(picks), relatesTo } });
  },
  react({ tools, requester, roomId, scene, picks }) {
    const parent = newest(messagesOf(scene), roomId, picks[0]);
    const relatesTo = parent && [{ type: "m.annotation", eventId: parent.eventId }];
    return parent && sendMessage(tools, requester, { roomId, message: { content: { reaction: "+1" }, relatesTo } });
  },
  redact({ tools, requester, roomId, scene, picks }) {
    // What decides who may do what can't be redacted, nor can redactions.
    const redactable = scene.events.filter((event) => !movesAuth(event) && event.redactsId === null && event.content);
    const target = newest(redactable, roomId, picks[0]);
    return target && redactEvent(tools, requester, { eventId: target.eventId });
  },
  setState: ({ tools, requester, roomId, picks }) =>
    setState(tools, requester, { roomId, ...slot(requester, picks[0]), content: { value: picks[1] > 0.5 } }),
  deleteState: ({ tools, requester, roomId, picks }) =>
    deleteState(tools, requester, { roomId, ...slot(requester, picks[0]) }),
  setVisibility({ tools, requester, roomId, picks }) {
    const visibility = ["world_readable", "shared", "invited", "joined"][Math.floor(picks[0] * 4)];
    const content = { history_visibility: visibility };
    return setState(tools, requester, { roomId, type: "m.room.history_visibility", content });
  },
  invite: ({ tools, requester, roomId, other }) => inviteUser(tools, requester, { roomId, userId: other }),
  join: ({ tools, requester, roomId }) => joinRoom(tools, requester, { target: { roomId } }),
  leave: ({ tools, requester, roomId }) => leaveRoom(tools, requester, { roomId }),
  reject({ tools, requester, roomId, scene }) {
    const invite = scene.events.findLast((event) => event.roomId === roomId && event.stateKey === requester.userId);
    return invite && rejectInvite(tools, requester, { eventId: invite.eventId });
  },
  kick: ({ tools, requester, roomId, other }) => kickUser(tools, requester, { roomId, userId: other }),
  ban: ({ tools, requester, roomId, other }) => banUser(tools, requester, { roomId, userId: other }),
  unban: ({ tools, requester, roomId, other }) => unbanUser(tools, requester, { roomId, userId: other }),
  sendMany: ({ tools, requester, roomId, picks }) =>
    sendMessages(tools, requester, { roomId, messages: [text(picks), text(picks), text(picks)] }),
  setMany({ tools, requester, roomId, picks }) {
    const states = picks.map((pick, index) => ({ ...slot(requester, pick), content: { value: `${pick} ${index}` } }));
    return setStates(tools, requester, { roomId, states });
  },
  /** The same action on both processes, as by a client that lost the answer: one event. [ACT-2] */
  async sendTwice({ tools, elsewhere, requester, roomId, picks }) {
    const message = { ...text(picks), actionId: `twice ${picks[0]}` };
    return once([tools, elsewhere], (each) => sendMessage(each, requester, { roomId, message }));
  },
  /** Prepared on one process, sent to both. [ACT-13] */
  async sendSigned({ tools, elsewhere, requester, roomId, picks }) {
    const { prepared } = await prepareMessage(tools, requester, { roomId, message: text(picks) });
    const signatures = { [requester.userId]: { "org.example:key": "c2lnbmVk" } };
    return once([tools, elsewhere], (each) => sendPreparedMessage(each, requester, { prepared, signatures }));
  },
  async mark({ tools, requester, roomId, scene, picks }) {
    const target = newest(scene.events, roomId, picks[0]);
    if (target === undefined) return undefined;
    const input = { kind: picks[1] < 0.75 ? "read" : "delivered", private: (picks[1] * 10) % 1 < 0.4 };
    const marker = await setMarker(tools, requester, { eventId: target.eventId, ...input });
    if (comparePlaces(marker.place, target.place) < 0) throw new Error(`a marker stayed before ${target.eventId}`);
    return undefined;
  },
  insert({ tools, requester, roomId, scene, picks }) {
    return insertAfter(tools, requester, anchor(scene, roomId, tools, picks), picks);
  },
  /** At the same place from both processes at once: both land. [EVS-6] */
  async insertTwice({ tools, elsewhere, requester, roomId, scene, picks }) {
    const after = anchor(scene, roomId, tools, picks);
    const landed = await all([tools, elsewhere].map((each) => insertAfter(each, requester, after, picks)));
    return landed.flat();
  },
  /** Of any kind, in force or not, by an admin. [EVS-7] */
  async rejectEvent({ tools, requester, roomId, scene, picks }) {
    const events = scene.events.filter((event) => kindOf(event) === rejectable(picks[1]) && event.redactsId === null);
    const target = newest(events, roomId, picks[0]);
    if (target === undefined) return undefined;
    const { eventId } = target;
    const { redaction, restored } = await rejectEvent(tools, { ...requester, admin: true }, { eventId });
    return restored === null ? redaction : [redaction, restored];
  },
  async createRoom({ tools, requester, other, scene }) {
    const event = await createRoom(tools, requester, { joinRule: "PUBLIC", invite: [other] });
    scene.roomIds.push(event.roomId);
    const join = await joinRoom(tools, requester, { target: { roomId: event.roomId } });
    return [event, join];
  },
  /** The database rolls the unit back, which leaves numbers unused. */
  async refused({ tools, requester, scene }) {
    await createRoom(tools, requester, { alias: scene.alias });
    throw new Error("a second room got the alias");
  },
};

function messagesOf({ events }: Scene): StoredEvent[] {
  return events.filter((event) => event.kind === "MESSAGE");
}

/** What all of these give, when they are settled; throws what the first of them threw. */
async function all<Result>(doing: Promise<Result>[]): Promise<Result[]> {
  const answers = await Promise.allSettled(doing);
  return answers.map((answer) => {
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  });
}

/** One action on both processes at once, which makes one event. */
async function once(
  tools: ActionTools[],
  act: (tools: ActionTools) => Promise<StoredEvent>,
): Promise<StoredEvent | undefined> {
  const [one, other] = await all(tools.map(act));
  if (one!.eventId !== other!.eventId) throw new Error(`one action made ${one!.eventId} and ${other!.eventId}`);
  return one;
}

/** An event to insert after, mostly one that others take, too; its place is remembered. */
function anchor({ events, kept }: Scene, roomId: string, tools: ActionTools, picks: Action["picks"]): StoredEvent {
  const there = events.filter((event) => event.roomId === roomId);
  const event = picks[0] < 0.6 ? there[0]! : newest(there, roomId, picks[0])!;
  if (kept.length < 2) kept.push({ token: placeToken(tools.tokens, event), roomId, eventId: event.eventId });
  return event;
}

function insertAfter(
  tools: ActionTools,
  requester: Requester,
  { roomId, eventId }: StoredEvent,
  picks: Action["picks"],
): Promise<StoredEvent[]> {
  const message = { message: text(picks), sentAt: 1000 };
  const state = { state: { ...slot(requester, picks[1]), content: { value: "long ago" } }, sentAt: 2000 };
  const events = [message, state, message].slice(0, 1 + Math.floor(picks[1] * 3));
  return insertEvents(tools, requester, { roomId, insertAfter: eventId, events });
}

function kindOf(event: StoredEvent): string {
  if (event.kind === "MESSAGE" || !movesAuth(event)) return event.kind;
  return event.type;
}

function rejectable(pick: number): string {
  if (pick < 0.25) return "MESSAGE";
  if (pick < 0.6) return "STATE";
  return pick < 0.85 ? "m.room.member" : "m.room.history_visibility";
}

let texts = 0;
function mentioning(picks: Action["picks"], userId: string): object {
  return { ...text(picks), ...(picks[0] < 0.3 ? { mentions: [userId] } : {}) };
}

function text(picks: Action["picks"]): { content: { text: { body: string } } } {
  return { content: { text: { body: `text ${texts++} ${picks[0].toFixed(2)}` } } };
}

/** The chosen event of the room, the newest the likeliest. */
function newest(events: readonly StoredEvent[], roomId: string, pick: number): StoredEvent | undefined {
  const there = events.filter((event) => event.roomId === roomId);
  return there[Math.floor(there.length * (1 - pick * pick))] ?? there.at(-1);
}

/** A few slots, so that they are set again and again; the last is the user's own. */
function slot({ userId }: Requester, pick: number): { type: string; stateKey: string } {
  const slots = [
    { type: "org.example.one", stateKey: "_" },
    { type: "org.example.one", stateKey: "_two" },
    { type: "org.example.two", stateKey: "_" },
    { type: "org.example.own", stateKey: userId },
  ];
  return slots[Math.floor(pick * slots.length)]!;
}
