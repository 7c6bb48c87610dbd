import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { required, ServerError, UnreachableError, type Connection } from "./connection.ts";
import type { Chunk } from "./eventFeed.ts";
import { isMessage, lineOf, nameOf, safeLine, timeOf, type ShownEvent } from "./format.ts";
import {
  CreateRoomDocument,
  FindRoomsDocument,
  InviteUserDocument,
  JoinRoomDocument,
  LeaveRoomDocument,
  MarkReadDocument,
  PageDocument,
  PublishRoomDocument,
  RoomsDocument,
  SendTextDocument,
  SetNameDocument,
  type RoomsQuery,
} from "./generated/graphql.ts";
import { UsageError } from "./options.ts";
import type { Screen } from "./screen.ts";

/** The room whose messages are on the screen. */
interface OpenRoom {
  id: string;
  title: string;
  /** Before the oldest event shown; null when there is nothing older. */
  before: string | null;
  /** Order of the newest event shown: what the stream brings up to there has been shown. */
  newest: string;
}

type Invitation = NonNullable<RoomsQuery["viewer"]>["invites"][number];

const messagesPerPage = 20;
const sendAttempts = 6;

/**
 * What the user sees, and what they can do. Its methods must not overlap: a chunk of the event stream that came while a
 * room was being opened would be shown before the room's older messages, or not at all.
 */
export class Chat {
  readonly #connection: Connection;
  readonly #screen: Screen;
  readonly #userId: string;
  /** Ids of the rooms as they were numbered last. */
  #numbered: string[] = [];
  #room: OpenRoom | null = null;

  constructor(connection: Connection, screen: Screen, userId: string) {
    this.#connection = connection;
    this.#screen = screen;
    this.#userId = userId;
  }

  /** Lists rooms and invites. */
  async rooms(): Promise<void> {
    const rooms = [];
    const invites: Invitation[] = [];
    for (let after: string | null = null, more = true; more;) {
      const answer: RoomsQuery = await this.#connection.execute(RoomsDocument, { after });
      const viewer = required(answer.viewer);
      // Every page tells of all invites.
      if (after === null) invites.push(...viewer.invites);
      rooms.push(...viewer.rooms.nodes);
      ({ endCursor: after, hasNextPage: more } = viewer.rooms.pageInfo);
    }
    this.#numbered = rooms.map(({ id }) => id);
    if (rooms.length === 0) this.#print("You are in no room yet: /create NAME or /join ID.");
    for (const [index, { id, title, memberCount, lastActivityAt, unread }] of rooms.entries()) {
      const facts = [
        memberCount === 1 ? "1 member" : `${memberCount} members`,
        ...(lastActivityAt === null ? [] : [timeOf(lastActivityAt)]),
        ...(unread.count === 0 ? [] : [`${unread.count} unread`]),
        ...(unread.highlight === 0 ? [] : [`${unread.highlight} for you`]),
      ].join(", ");
      this.#print(`${String(index + 1).padStart(3)}  ${this.#bold(safeLine(title))} (${facts})  ${this.#dim(id)}`);
    }
    for (const invite of invites) this.#announce(invite);
  }

  async create(name: string): Promise<void> {
    const { createRoom } = await this.#connection.execute(CreateRoomDocument, { name });
    await this.#enter(required(createRoom).room.id);
  }

  /** Joins by id or alias. */
  async join(room: string): Promise<void> {
    const target = room.startsWith("#") ? { alias: room } : { roomId: room };
    const { joinRoom } = await this.#connection.execute(JoinRoomDocument, { target });
    await this.#enter(required(joinRoom).room.id);
  }

  /** Invites someone, by id or by the name that they have on this server, into the open room. */
  async invite(user: string): Promise<void> {
    const { id } = this.#openRoom();
    const userId = user.startsWith("@") ? user : `@${user}${this.#userId.slice(this.#userId.indexOf(":"))}`;
    await this.#connection.execute(InviteUserDocument, { roomId: id, userId });
  }

  /** Opens a room by its number in the list or by its id. */
  async open(which: string): Promise<void> {
    const numbered = /^\d+$/.test(which) ? this.#numbered[Number(which) - 1] : which;
    if (numbered === undefined) throw new UsageError(`There is no room ${which}: /rooms lists them.`);
    await this.#enter(numbered);
  }

  /** Shows the page before the oldest event shown. */
  async history(): Promise<void> {
    const room = this.#openRoom();
    if (room.before === null) return this.#notice("This is where the room begins.");
    const page = await this.#page(room.id, room.before);
    this.#notice(`Earlier in ${room.title}:`);
    this.#showAll(page.events);
    room.before = page.before;
    this.#notice(page.before === null ? "This is where the room begins." : "That was earlier.");
  }

  /** Lists published rooms in whose name, topic or aliases a text occurs. */
  async find(text: string): Promise<void> {
    const { publishedRooms } = await this.#connection.execute(FindRoomsDocument, { search: text });
    const { totalCount, nodes } = required(publishedRooms);
    this.#notice(totalCount === 0 ? "There is no such room." : `${totalCount} rooms:`);
    for (const { id, name, topic, aliases, memberCount } of nodes) {
      const told = topic === null ? "" : ` ${safeLine(topic)}`;
      this.#print(`${this.#bold(safeLine(name ?? aliases[0] ?? "A room"))} (${memberCount})${told}  ${this.#dim(id)}`);
    }
  }

  /** Lets others find and join the open room. */
  async publish(): Promise<void> {
    const { id } = this.#openRoom();
    const { publishRoom } = await this.#connection.execute(PublishRoomDocument, { roomId: id });
    this.#notice(`${safeLine(required(publishRoom).room.title)} is a room that everybody finds now.`);
  }

  /** Sets the display name, of which the user's rooms are told. */
  async setName(name: string): Promise<void> {
    await this.#connection.execute(SetNameDocument, { name });
    this.#notice(`You are called ${safeLine(name)} now.`);
  }

  async leave(): Promise<void> {
    const { id } = this.#openRoom();
    await this.#connection.execute(LeaveRoomDocument, { roomId: id });
    this.#exit();
    this.#notice("You left the room.");
  }

  /**
   * Says something in the open room; it is shown when the event stream brings it. If no answer comes it is sent again:
   * the action id makes sure that it still is said only once.
   */
  async say(body: string): Promise<void> {
    const { id } = this.#openRoom();
    const message = { content: { text: { body } }, actionId: randomUUID() };
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#connection.execute(SendTextDocument, { roomId: id, message });
        return;
      } catch (error) {
        if (!(error instanceof UnreachableError) || attempt === sendAttempts) throw error;
        await sleep(attempt * 200);
      }
    }
  }

  /** Shows what the event stream brought. */
  async take({ events, rooms, invites, left, limited }: Chunk): Promise<void> {
    const titles = new Map(rooms.map(({ id, title }) => [id, safeLine(title)]));
    const gone = new Set(left.map(({ roomId }) => roomId));
    for (const event of events) {
      const title = event.roomId === null ? undefined : titles.get(event.roomId);
      if (event.roomId !== null && event.roomId === this.#room?.id) await this.#showNew(event, this.#room);
      else if (isMessage(event) && event.roomId !== null) this.#showElsewhere(event, title ?? event.roomId);
    }
    for (const invite of invites) this.#announce(invite);
    if (this.#room !== null && gone.has(this.#room.id)) {
      this.#notice(`You are no longer in ${this.#room.title}.`);
      this.#exit();
    }
    if (limited) await this.#startOver();
  }

  async #showNew(event: ShownEvent, room: OpenRoom): Promise<void> {
    if (event.order === null || event.order <= room.newest) return;
    room.newest = event.order;
    this.#showAll([event]);
    if (isMessage(event)) await this.#markRead([event]);
  }

  /** What is on the screen counts as read. Where that can't be told now, the next message that is shown will tell it. */
  async #markRead(events: readonly ShownEvent[]): Promise<void> {
    const unread = events.findLast((event) => isMessage(event) && event.senderId !== this.#userId);
    if (unread === undefined) return;
    try {
      await this.#connection.execute(MarkReadDocument, { eventId: unread.id });
    } catch (error) {
      if (!(error instanceof ServerError || error instanceof UnreachableError)) throw error;
    }
  }

  #showElsewhere(event: ShownEvent, title: string): void {
    const line = lineOf(event, this.#userId, this.#screen.style);
    if (line !== null) this.#print(`${this.#dim(`(${title})`)} ${line}`);
  }

  /** More happened than the stream replays: what is on the screen has a gap, so the room is opened anew. */
  async #startOver(): Promise<void> {
    this.#notice("A lot has happened meanwhile: /rooms shows where.");
    if (this.#room === null) return;
    try {
      await this.#enter(this.#room.id);
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      this.#notice(`You are no longer in ${this.#room.title}.`);
      this.#exit();
    }
  }

  async #enter(roomId: string): Promise<void> {
    const page = await this.#page(roomId, null);
    const title = safeLine(page.room.title);
    this.#room = { id: roomId, title, before: page.before, newest: page.newest };
    this.#screen.setPrompt(`${title}> `);
    this.#print(`== ${this.#bold(title)} ${this.#dim(roomId)}`);
    if (page.room.topic !== null) this.#notice(page.room.topic);
    if (page.before !== null) this.#notice("/history shows what was said before.");
    this.#showAll(page.events);
    await this.#markRead(page.events);
  }

  #exit(): void {
    this.#room = null;
    this.#screen.setPrompt("> ");
  }

  /** Reads backwards until a page of messages is together, however much else lies between them. */
  async #page(roomId: string, before: string | null) {
    let events: ShownEvent[] = [];
    for (;;) {
      const place = events[0]?.cursor ?? before;
      const variables = { roomId, last: messagesPerPage, before: place };
      const { room, events: page } = required((await this.#connection.execute(PageDocument, variables)).scrollback);
      events = [...page.nodes, ...events];
      const earliest = events.filter(isMessage).at(-messagesPerPage);
      if (earliest === undefined && page.pageInfo.hasPreviousPage) continue;
      const newest = events.at(-1)?.order ?? "";
      const from = earliest === undefined ? 0 : events.indexOf(earliest);
      const older = from > 0 || page.pageInfo.hasPreviousPage;
      events = events.slice(from);
      return { room, events, newest, before: older ? (events[0]?.cursor ?? null) : null };
    }
  }

  #openRoom(): OpenRoom {
    if (this.#room === null) throw new UsageError("No room is open: /rooms lists yours, /open N opens one.");
    return this.#room;
  }

  #announce({ inviter, room }: Invitation): void {
    const who = nameOf(inviter.id, this.#userId);
    this.#notice(`${who} invites you to ${safeLine(room.name ?? "a room without a name")}: /join ${room.id}`);
  }

  #showAll(events: ShownEvent[]): void {
    for (const event of events) {
      const line = lineOf(event, this.#userId, this.#screen.style);
      if (line !== null) this.#print(line);
    }
  }

  #notice(text: string): void {
    this.#print(this.#dim(`-- ${safeLine(text)}`));
  }

  #print(text: string): void {
    this.#screen.print(text);
  }

  #bold(text: string): string {
    return this.#screen.style.bold(text);
  }

  #dim(text: string): string {
    return this.#screen.style.dim(text);
  }
}
