/** What a server is filled with before it is measured: the same for every server. */
export interface Plan {
  /** How many accounts; all have the password `benchPassword`. */
  users: number;
  rooms: readonly PlannedRoom[];
}

/** A public room with a name; its messages are sent by its members in turn, each the same number of them. */
export interface PlannedRoom {
  /** Numbers of users; the first creates the room. */
  members: readonly number[];
  /** How many messages each member has sent. */
  messagesEach: number;
}

export const benchPassword = "as long as it is for the bench";

/** The text of a seeded message, of a length as people write them. */
export function seededText(number: number): string {
  return `message ${number}, of a length as people write them`;
}

/** A chat server that can be started, filled and measured. */
export interface PeerKind {
  /** As tables name it. */
  name: string;
  /** Starts it, filled, with nothing else in it. */
  start(plan: Plan): Promise<Peer>;
}

/** A running chat server that is measured, whatever its API. */
export interface Peer {
  name: string;
  /** One for each user of the plan, in its order. */
  clients: readonly Client[];
  /** Ids of the plan's rooms, in its order. */
  rooms: readonly string[];
  /** The process that serves clients. */
  pid: number;
  /** Null: it has no database server. */
  postgresPid: number | null;
  /** Of the process that serves clients, in MB. */
  memory(): { now: number; peak: number };
  stop(): Promise<void>;
}

/** One signed-in user of a server, with one kept connection for what is asked. All reject on any error. */
export interface Client {
  userId: string;
  /**
   * Sends a text; gives the event's id once it is acknowledged. An action id makes it idempotent where that is the
   * client's choice; elsewhere every request is.
   */
  send(roomId: string, body: string, actionId?: string): Promise<string>;
  /** The same over a WebSocket, opened by the first; null where the API has none. */
  sendBySocket: ((roomId: string, body: string) => Promise<string>) | null;
  react(roomId: string, eventId: string, key: string): Promise<void>;
  /** Replaces the text of an own message. */
  edit(roomId: string, eventId: string, body: string): Promise<void>;
  markRead(roomId: string, eventId: string): Promise<void>;
  /** The newest page of a room, or the one before a place. */
  page(roomId: string, size: number, before: string | null): Promise<Page>;
  /** Looks for a user in the list of a room's members; gives how many the answer holds. */
  findMember(roomId: string, name: string): Promise<number>;
  /** All rooms with their state and newest events, or the difference since a place in the stream. */
  sync(since: string | null, limit: number): Promise<Synced>;
  /** Opens a live stream of everything that happens from now on, or since a place in the stream. */
  follow(on: FollowerEvents, since?: string): Promise<Follower>;
  /** Signs in by password on a device of its own. */
  logIn(deviceId: string): Promise<Client>;
  close(): void;
}

/** An answer that was timed up to its last byte. */
interface Timed {
  milliseconds: number;
  bytes: number;
}

export interface Page extends Timed {
  /** Oldest first. */
  eventIds: string[];
  /** The place before it; null at the beginning of the room. */
  before: string | null;
}

export interface Synced extends Timed {
  /** How many rooms the answer holds. */
  rooms: number;
  /** Where to go on. */
  next: string;
}

/** What a live stream brings. */
export interface FollowerEvents {
  /** A chunk came, with whatever in it. */
  chunk?(): void;
  /** An event came whose text holds a mark. */
  delivered(mark: string): void;
  /** The server left events out because this follower was too slow. */
  limited(): void;
  failed(error: Error): void;
}

export interface Follower {
  /** The place in the stream up to which everything came. */
  place(): string;
  close(): void;
}
