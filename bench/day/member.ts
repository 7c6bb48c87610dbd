import { markedBody } from "../peers/marks.ts";
import type { Client, Follower, FollowerEvents } from "../peers/peer.ts";
import { seededRandom } from "./random.ts";

const pageSize = 30;
const syncLimit = 20;

/** What people do in a chat client, and how often among a hundred things. */
const mix = {
  send: 30,
  "mark read": 30,
  "open room": 12,
  "page back": 9,
  react: 8,
  edit: 4,
  "find member": 3,
  reconnect: 3,
  "sign in": 1,
};
export type Action = keyof typeof mix;
export const actions = Object.keys(mix) as Action[];

interface OpenRoom {
  roomId: string;
  newest: string;
  /** The place before what was read of it; null at its beginning. */
  before: string | null;
}

/** Tells when an event is on its way, so that its deliveries can be timed. */
export type OnSend = (mark: string) => void;

/** A member of the team, whose actions a seed determines, whatever the server. */
export class Member {
  readonly #client: Client;
  readonly #rooms: readonly string[];
  readonly #random: () => number;
  readonly #on: FollowerEvents;
  readonly #onSend: OnSend;
  #follower: Follower | null = null;
  #room: OpenRoom | null = null;
  #own: { roomId: string; eventId: string } | null = null;

  constructor(client: Client, given: { rooms: readonly string[]; seed: number; on: FollowerEvents; onSend: OnSend }) {
    this.#client = client;
    this.#rooms = given.rooms;
    this.#random = seededRandom(given.seed);
    this.#on = given.on;
    this.#onSend = given.onSend;
  }

  /** Opens the client: its stream, and a room. */
  async arrive(): Promise<void> {
    this.#follower = await this.#client.follow(this.#on);
    await this.#openRoom();
  }

  /** The next action by the mix. */
  choose(): Action {
    let left = this.#random() * 100;
    return actions.find((action) => (left -= mix[action]) < 0) ?? "send";
  }

  async act(action: Action): Promise<void> {
    const { roomId, newest, before } = this.#room!;
    switch (action) {
      case "send":
        return this.#send(roomId);
      case "mark read":
        return this.#client.markRead(roomId, newest);
      case "open room":
        return this.#openRoom();
      case "page back": {
        const page = await this.#client.page(roomId, pageSize, before);
        this.#room = { roomId, newest, before: page.before };
        return;
      }
      case "react":
        return this.#client.react(roomId, newest, `reaction ${Math.floor(this.#random() * 1e9)}`);
      case "edit":
        if (this.#own === null) return this.#send(roomId);
        return this.#client.edit(this.#own.roomId, this.#own.eventId, "what was meant to be said");
      case "find member":
        await this.#client.findMember(roomId, "user1");
        return;
      case "reconnect":
        return this.#reconnect();
      case "sign in":
        return this.#signIn();
    }
  }

  leave(): void {
    this.#follower?.close();
  }

  async #send(roomId: string): Promise<void> {
    const { mark, body } = markedBody();
    this.#onSend(mark);
    const eventId = await this.#client.send(roomId, body);
    this.#own = { roomId, eventId };
    this.#room = { ...this.#room!, newest: eventId };
  }

  async #openRoom(): Promise<void> {
    const roomId = this.#rooms[Math.floor(this.#random() * this.#rooms.length)]!;
    const { eventIds, before } = await this.#client.page(roomId, pageSize, null);
    this.#room = { roomId, newest: eventIds.at(-1)!, before };
  }

  /** As after a lost connection: what happened meanwhile, then the stream from there on. */
  async #reconnect(): Promise<void> {
    const place = this.#follower!.place();
    this.#follower!.close();
    const { next } = await this.#client.sync(place, syncLimit);
    this.#follower = await this.#client.follow(this.#on, next);
  }

  /** As on a new device, which is closed again afterwards. */
  async #signIn(): Promise<void> {
    const device = await this.#client.logIn("another");
    await device.sync(null, syncLimit);
    device.close();
  }
}
