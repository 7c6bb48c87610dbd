import { deleteState } from "../../../../src/domain/actions/deleteState.ts";
import { insertEvents } from "../../../../src/domain/actions/insertEvents.ts";
import { inviteUser } from "../../../../src/domain/actions/inviteUser.ts";
import { joinRoom } from "../../../../src/domain/actions/joinRoom.ts";
import { kickUser } from "../../../../src/domain/actions/kickUser.ts";
import { leaveRoom } from "../../../../src/domain/actions/leaveRoom.ts";
import { redactEvent } from "../../../../src/domain/actions/redactEvent.ts";
import { rejectEvent } from "../../../../src/domain/actions/rejectEvent.ts";
import { sendMessage, sendMessages } from "../../../../src/domain/actions/sendMessages.ts";
import { setMarker } from "../../../../src/domain/actions/setMarker.ts";
import { setProfile } from "../../../../src/domain/actions/setProfile.ts";
import { setState } from "../../../../src/domain/actions/setStates.ts";
import type { Domain } from "../../../../src/domain/domain.ts";
import { HearthError } from "../../../../src/model/errors.ts";
import type { StoredEvent } from "../../../../src/model/event.ts";
import type { Requester } from "../../../../src/model/requester.ts";
import type { Random } from "../../../simulation/random.ts";
import { pick } from "./randomDocument.ts";

/** Where actions take place, and what came of those before. */
export interface Stage {
  domain: Domain;
  /** Devices of several users, several of each. */
  devices: readonly Requester[];
  roomIds: readonly string[];
  /** Grows with what is made. */
  events: StoredEvent[];
}

const weights = {
  ...{ send: 10, sendMany: 4, edit: 4, reply: 3, react: 3, redact: 5, setState: 5, deleteState: 1, profile: 2 },
  ...{ visibility: 2, mark: 4, insert: 2, reject: 2, invite: 2, join: 5, leave: 2, kick: 3 },
};

/** Does something by somebody, allowed or not. */
export async function actAtRandom(stage: Stage, random: Random): Promise<void> {
  const { tools } = stage.domain;
  const requester = pick(random, stage.devices);
  const roomId = pick(random, stage.roomIds);
  const userId = pick(random, stage.devices).userId;
  const common = {
    ...(random.chance(0.6) ? { actionId: `action ${tools.ids.opaque()}` } : {}),
    ...(random.chance(0.1) ? { suppressOnStream: true } : {}),
  };
  const text = (): object => ({ content: { text: { body: `text ${random.between(0, 1000)}` } } });
  const events = stage.events.filter((event) => event.roomId === roomId);
  const messages = events.filter(({ kind, redactsId }) => kind === "MESSAGE" && redactsId === null);
  const target = messages.length > 0 ? pick(random, messages.slice(-5)) : events[0]!;
  const { eventId } = target;
  const author = stage.devices.find((device) => device.userId === target.sender) ?? requester;
  const { suppressOnStream, ...actionId } = { suppressOnStream: false, ...common };
  const says = (who: Requester, more: object): Promise<StoredEvent> =>
    sendMessage(tools, who, { roomId, message: { ...text(), ...actionId, ...more }, suppressOnStream });
  const visibilities = ["shared", "joined", "invited", "world_readable"];
  const sets = (type: string, content: object): Promise<StoredEvent> =>
    setState(tools, requester, { roomId, type, content, ...common });
  // In one room: what reaches others in the background would come between two renderings of the same.
  const names = (): Promise<unknown> => {
    const input = { roomId, key: "displayname", value: `${random.next()}`, ...common };
    return setProfile(tools, requester, input, stage.domain.profileSpread);
  };
  const actions: Record<keyof typeof weights, () => Promise<unknown>> = {
    send: () => says(requester, {}),
    sendMany: () => sendMessages(tools, requester, { roomId, messages: [text(), text()], ...common }),
    edit: () => says(author, { updates: eventId }),
    reply: () => says(requester, { relatesTo: [{ type: "m.thread", eventId }] }),
    react: () => says(requester, { content: { reaction: "+1" }, relatesTo: [{ type: "m.annotation", eventId }] }),
    redact: () => redactEvent(tools, random.chance(0.5) ? author : requester, { eventId, ...common }),
    setState: () => sets(pick(random, ["m.room.topic", "org.example"]), { topic: `${random.next()}` }),
    deleteState: () => deleteState(tools, requester, { roomId, type: "org.example", stateKey: "_", ...common }),
    profile: names,
    visibility: () => sets("m.room.history_visibility", { history_visibility: pick(random, visibilities) }),
    mark: () => setMarker(tools, requester, { eventId, kind: "read", private: random.chance(0.4) }),
    insert: () =>
      insertEvents(tools, requester, { roomId, insertAfter: eventId, events: [{ message: text(), sentAt: 1 }] }),
    reject: () => rejectEvent(tools, { ...requester, admin: true }, { eventId: pick(random, events).eventId }),
    invite: () => inviteUser(tools, requester, { roomId, userId, ...common }),
    join: () => joinRoom(tools, requester, { target: { roomId }, ...common }),
    leave: () => leaveRoom(tools, requester, { roomId, ...common }),
    kick: () => kickUser(tools, requester, { roomId, userId, ...common }),
  };
  try {
    await actions[random.weighted(weights)]();
  } catch (error) {
    if (!(error instanceof HearthError)) throw error;
  }
}
