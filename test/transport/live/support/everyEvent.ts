import { acknowledgeCall } from "../../../../src/domain/actions/acknowledgeCall.ts";
import { answerCall } from "../../../../src/domain/actions/answerCall.ts";
import { createRoom } from "../../../../src/domain/actions/createRoom.ts";
import { deleteState } from "../../../../src/domain/actions/deleteState.ts";
import { hangupCall } from "../../../../src/domain/actions/hangupCall.ts";
import { insertEvents } from "../../../../src/domain/actions/insertEvents.ts";
import { inviteUser } from "../../../../src/domain/actions/inviteUser.ts";
import { joinRoom } from "../../../../src/domain/actions/joinRoom.ts";
import { kickUser } from "../../../../src/domain/actions/kickUser.ts";
import { patchPowerLevels } from "../../../../src/domain/actions/patchPowerLevels.ts";
import { placeCall } from "../../../../src/domain/actions/placeCall.ts";
import { prepareMessage, sendPreparedMessage } from "../../../../src/domain/actions/preparedMessages.ts";
import { redactEvent } from "../../../../src/domain/actions/redactEvent.ts";
import { rejectCall } from "../../../../src/domain/actions/rejectCall.ts";
import { rejectEvent } from "../../../../src/domain/actions/rejectEvent.ts";
import { sendCallCandidates } from "../../../../src/domain/actions/sendCallCandidates.ts";
import { sendMessage } from "../../../../src/domain/actions/sendMessages.ts";
import { setMarker } from "../../../../src/domain/actions/setMarker.ts";
import { setProfile } from "../../../../src/domain/actions/setProfile.ts";
import { setState } from "../../../../src/domain/actions/setStates.ts";
import type { Domain } from "../../../../src/domain/domain.ts";
import { callIdOf } from "../../../../src/model/call.ts";
import type { EphemeralEvent, StoredEvent } from "../../../../src/model/event.ts";
import type { Requester } from "../../../../src/model/requester.ts";

type Input = Record<string, unknown>;

/** Who makes events: a user on two devices, one of which acts, and two others. */
export interface Makers {
  phone: Requester;
  laptop: Requester;
  bob: Requester;
  carol: Requester;
}

const description = (type: string): Input => ({ type, sdp: "v=0" });

const messages: Input[] = [
  { content: { text: { body: "plain" } } },
  {
    content: { text: { body: "rich", formattedBody: "<b>rich</b>", externalUrl: "https://example.org/1" } },
    mentions: ["@bob:localhost"],
  },
  { content: { text: { body: "noticed", msgtype: "m.notice" } } },
  {
    content: {
      media: {
        ...{ msgtype: "m.image", body: "picture", mxc: "mxc://localhost/picture", mimetype: "image/png", size: 5 },
        ...{ width: 3, height: 4, durationMs: 6, externalUrl: "https://example.org/2" },
      },
    },
  },
  { content: { location: { body: "here", geoUri: "geo:1,2" } } },
  { type: "org.example.custom", content: { custom: { anything: [1, { b: null }] } } },
  { content: { custom: { msgtype: "m.text", body: 5 } } },
];

const states: [type: string, content: Input][] = [
  ["m.room.name", { name: "Renamed" }],
  ["m.room.topic", { topic: "Tea" }],
  ["m.room.avatar", { url: "mxc://localhost/room" }],
  ["m.room.history_visibility", { history_visibility: "world_readable" }],
  ["m.room.history_visibility", { history_visibility: "shared" }],
  ["m.room.join_rules", { join_rule: "invite" }],
  ["m.room.join_rules", { join_rule: "public" }],
  ["org.example.state", { value: 1 }],
  ["org.example.state", { value: 2 }],
];

/**
 * Makes events of every kind and type that the server knows, on a room that the phone's user and Bob are in, and on
 * others that they are invited to, kicked from and let into.
 */
export async function makeEveryEvent(
  { tools, profileSpread }: Domain,
  { phone, laptop, bob, carol }: Makers,
): Promise<void> {
  let actions = 0;
  const actionId = (): string => `action ${actions++}`;
  const text = (body: string, more: Input = {}): Input => ({ content: { text: { body } }, ...more });
  const { roomId } = await createRoom(tools, phone, {
    ...{ name: "Everything", topic: "All", alias: "#everything:localhost", joinRule: "PUBLIC", actionId: actionId() },
    invite: [carol.userId],
  });
  await joinRoom(tools, bob, { target: { roomId } });
  const says = (who: Requester, message: Input): Promise<StoredEvent> =>
    sendMessage(tools, who, { roomId, message: { actionId: actionId(), ...message } });
  const sets = (who: Requester, type: string, content: Input): Promise<StoredEvent> =>
    setState(tools, who, { roomId, type, content, actionId: actionId() });

  const names = (who: Requester, key: string, value: string): Promise<StoredEvent | null> =>
    setProfile(tools, who, { roomId, key, value, actionId: actionId() }, profileSpread);

  const senders = [phone, laptop, bob];
  for (const [index, message] of messages.entries()) await says(senders[index % 3]!, message);
  for (const [type, content] of states) await sets(phone, type, content);
  for (const who of [phone, bob]) {
    await names(who, "displayname", "Me");
    await names(who, "avatar_url", "mxc://localhost/me");
  }
  await patchPowerLevels(tools, phone, { roomId, path: ["kick"], value: 40, actionId: actionId() });
  await deleteState(tools, phone, { roomId, type: "org.example.state", actionId: actionId() });

  for (const who of senders) {
    const parent = await says(who, text("edited later"));
    await says(who, text("edited", { updates: parent.eventId }));
    await says(bob, text("related", { relatesTo: [{ type: "m.thread", eventId: parent.eventId }] }));
    const reaction = { content: { reaction: "+1" } };
    await says(phone, { ...reaction, relatesTo: [{ type: "m.annotation", eventId: parent.eventId }] });
    const redacted = await says(who, text("regretted"));
    await redactEvent(tools, who, { eventId: redacted.eventId, reason: "typo", actionId: actionId() });
    await setMarker(tools, who, { eventId: parent.eventId, kind: "read" });
    await setMarker(tools, who, { eventId: parent.eventId, kind: "delivered" });
    await setMarker(tools, who, { eventId: redacted.eventId, kind: "read", private: true });
  }
  await sendMessage(tools, phone, { roomId, message: text("kept off"), suppressOnStream: true });

  const { prepared } = await prepareMessage(tools, bob, { roomId, message: text("signed") });
  const signatures = { [bob.userId]: { "ed25519:key": "A".repeat(86) } };
  await sendPreparedMessage(tools, bob, { prepared, signatures });
  const wrong = await names(bob, "displayname", "Wrong");
  await rejectEvent(tools, { ...phone, admin: true }, { eventId: wrong!.eventId, reason: "spam" });
  const anchor = await says(phone, text("what is inserted after"));
  const inserted = [
    { message: text("long ago"), sentAt: 1000 },
    { state: { type: "org.example.state", stateKey: "_", content: { value: 0 } }, sentAt: 2000 },
  ];
  await insertEvents(tools, phone, { roomId, insertAfter: anchor.eventId, events: inserted });

  await makeSignals(tools, { phone, bob });

  const other = await createRoom(tools, carol, { joinRule: "INVITE" });
  for (const { userId } of [phone, bob]) await inviteUser(tools, carol, { roomId: other.roomId, userId });
  for (const who of [phone, bob]) await joinRoom(tools, who, { target: { roomId: other.roomId } });
  await sendMessage(tools, carol, { roomId: other.roomId, message: text("hello") });
  for (const { userId } of [phone, bob]) {
    await kickUser(tools, carol, { roomId: other.roomId, userId, reason: "bye" });
    await inviteUser(tools, carol, { roomId: other.roomId, userId });
  }
}

/** Signals of every type, in a room of two. [VOIP-1] */
async function makeSignals(tools: Domain["tools"], { phone, bob }: Pick<Makers, "phone" | "bob">): Promise<void> {
  const { roomId } = await createRoom(tools, phone, { joinRule: "PUBLIC" });
  await joinRoom(tools, bob, { target: { roomId } });
  const { eventId } = await placeCall(tools, phone, { roomId, offer: description("offer"), actionId: "call" });
  const callId = callIdOf(eventId);
  await answerCall(tools, bob, { callId, answer: description("answer") });
  await rejectCall(tools, { ...bob, deviceId: "another" }, { callId, reason: "busy" });
  const { userId, deviceId } = bob;
  const candidates = [{ candidate: "c" }];
  await sendCallCandidates(tools, phone, { callId, candidates, toUserId: userId, toDeviceId: deviceId });
  await acknowledgeCall(tools, phone, { callId, userId, deviceId });
  await hangupCall(tools, bob, { callId });
}

/**
 * Contents that the schema knows and that nothing makes yet, or that nobody is told of, as a room's creation: it comes
 * before the first join.
 */
export const ephemeralEvents: readonly EphemeralEvent[] = [
  ephemeral("m.typing", { user_ids: ["@alice:localhost"] }),
  ephemeral("m.presence", { state: "IDLE", status: "away", capability_hashes: ["hash"] }),
  ephemeral("m.room.create", { creator: "@alice:localhost" }),
  ephemeral("m.room.aliases", { aliases: ["#everything:localhost"] }),
  ephemeral("org.example.unknown", { anything: true }),
];

function ephemeral(type: string, content: Input): EphemeralEvent {
  const event = { eventId: `ephemeral_${type}`, roomId: null, type, sender: "@bob:localhost", sentAt: 1000 };
  return { kind: "EPHEMERAL", ...event, content: JSON.stringify(content) };
}
