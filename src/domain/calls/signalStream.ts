import { callOfSignal, inviteIdOf, type Call } from "../../model/call.ts";
import { callNotFound, roomNotFound } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import { filterOf } from "../../model/filter.ts";
import type { Requester } from "../../model/requester.ts";
import { callsById, liveCallsOf } from "../../store/calls.ts";
import { eventsById } from "../../store/events.ts";
import { updatesOf } from "../../store/relations.ts";
import type { Sessions } from "../live/sessions.ts";
import type { Reading } from "../reading/reading.ts";
import { accessToRooms, maySee } from "../reading/views.ts";
import type { EventStream } from "../sync/eventStream.ts";
import type { Follower } from "../sync/follower.ts";

/** Which calls' signals are asked for: of all, or of one room or call. */
export interface SignalWish {
  roomId: string | null;
  callId: string | null;
}

/** A signal, and the call as it is when the signal is told. */
export interface CallSignal {
  callId: string;
  event: StoredEvent;
}

interface Tools {
  reading: Reading;
  stream: EventStream;
  sessions: Sessions;
}

/** Signal types as filters name them. */
const filter = filterOf({ types: ["message:m.call.*"] });

/**
 * The signals of a user's calls, as they come: first those of the calls that are live, then what follows, each once and in
 * order. Where a consumer was so slow that signals were dropped, those of the live calls come anew. Each is told only
 * while the user may see it. Follows the event stream, so whatever holds for that holds for this.
 */
export class SignalStream {
  readonly #reading: Reading;
  readonly #stream: EventStream;
  readonly #userId: string;
  readonly #wish: SignalWish;
  readonly #follower: Follower;
  readonly #release: () => void;
  #waiting: CallSignal[] = [];

  private constructor(
    { reading, stream, sessions }: Tools,
    requester: Requester,
    wish: SignalWish,
    follower: Follower,
  ) {
    this.#reading = reading;
    this.#stream = stream;
    this.#userId = requester.userId;
    this.#wish = wish;
    this.#follower = follower;
    // Who waits for signals is in use, though it asks for nothing. [SES-1]
    this.#release = sessions.hold(requester);
  }

  /** Throws `NOT_FOUND` for a room or a call that the user may not see. */
  static async open(tools: Tools, requester: Requester, wish: SignalWish): Promise<SignalStream> {
    const { reading, stream } = tools;
    const { userId, deviceId, tokenId } = requester;
    await checkWish(reading, userId, wish);
    // What was signalled up to here is read, what comes after it is followed.
    const { position } = reading.head;
    const rooms = wish.roomId === null ? null : [wish.roomId];
    const follower = await stream.open({ userId, deviceId, rooms, users: null, position }, tokenId, { filter });
    const signals = new SignalStream(tools, requester, wish, follower);
    try {
      signals.#waiting = await signals.#live(position);
    } catch (error) {
      signals.close();
      throw error;
    }
    return signals;
  }

  /** The next signal; null after the end. Rejects with the error that ended the stream. */
  async next(): Promise<CallSignal | null> {
    for (;;) {
      const signal = this.#waiting.shift();
      if (signal !== undefined) return signal;
      const step = await this.#follower.next();
      if (step === null) return null;
      const signals = step.events.filter(({ kind }) => kind === "MESSAGE");
      this.#waiting = step.limited ? await this.#live(step.position) : await this.#told(signals);
    }
  }

  close(): void {
    this.#stream.close(this.#follower);
    this.#release();
  }

  /** The signals so far of the calls that were live at a position. */
  async #live(position: number): Promise<CallSignal[]> {
    const { connection } = this.#reading;
    const calls = (await liveCallsOf(connection, this.#userId, position)).filter((call) => this.#wants(call));
    if (calls.length === 0) return [];
    const inviteIds = calls.map(({ callId }) => inviteIdOf(callId)!);
    const [invites, updates] = await Promise.all([
      eventsById(connection, inviteIds),
      updatesOf(connection, inviteIds, position),
    ]);
    const events = [...invites, ...[...updates.values()].flat()].filter((event) => event.position <= position);
    return this.#told(events.sort((a, b) => a.position - b.position));
  }

  /** Of these events those that signal a call of the user, as far as they may be seen now. [EV-9] */
  async #told(events: readonly StoredEvent[]): Promise<CallSignal[]> {
    const { connection } = this.#reading;
    const signals = events.flatMap((event) => {
      const callId = event.insertedAfterId === null ? callOfSignal(event) : null;
      return callId === null ? [] : [{ callId, event }];
    });
    if (signals.length === 0) return [];
    const rooms = [...new Set(events.map(({ roomId }) => roomId))];
    const [calls, access] = await Promise.all([
      callsById(connection, [...new Set(signals.map(({ callId }) => callId))]),
      accessToRooms(connection, this.#userId, rooms),
    ]);
    const wanted = new Set(calls.filter((call) => this.#wants(call)).map(({ callId }) => callId));
    return signals.filter(({ callId, event }) => wanted.has(callId) && maySee(event, access.get(event.roomId)));
  }

  #wants({ callId, roomId, caller, callee }: Call): boolean {
    const own = caller === this.#userId || callee === this.#userId;
    const { roomId: room, callId: call } = this.#wish;
    return own && (room === null || room === roomId) && (call === null || call === callId);
  }
}

async function checkWish({ connection }: Reading, userId: string, { roomId, callId }: SignalWish): Promise<void> {
  if (roomId !== null) {
    const access = await accessToRooms(connection, userId, [roomId]);
    if (!access.get(roomId)?.view) throw roomNotFound();
  }
  if (callId === null) return;
  const [call] = await callsById(connection, [callId]);
  const [invite] = call === undefined ? [] : await eventsById(connection, [inviteIdOf(callId)!]);
  if (invite === undefined) throw callNotFound();
  const access = await accessToRooms(connection, userId, [invite.roomId]);
  if (!maySee(invite, access.get(invite.roomId))) throw callNotFound();
}
