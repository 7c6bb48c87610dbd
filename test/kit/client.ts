import { createClient, type Client as SocketClient } from "graphql-ws";
import WebSocket from "ws";
import { Follow } from "./follow.ts";
import { nextWay } from "./ways.ts";

export interface Answer {
  data?: Record<string, unknown> | null;
  extensions?: Record<string, unknown>;
  errors?: { message: string; path?: (string | number)[]; extensions?: Record<string, unknown> }[];
}

const password = "correct horse battery";

/** A user on a device, speaking GraphQL over real sockets. */
export class Client {
  readonly address: string;
  token: string | null;
  readonly userId: string;
  readonly deviceId: string;
  #socket: SocketClient | null = null;

  constructor(address: string, token: string | null, userId: string, deviceId: string) {
    this.address = address;
    this.token = token;
    this.userId = userId;
    this.deviceId = deviceId;
  }

  static async register(address: string, username: string, deviceId = "device"): Promise<Client> {
    return Client.#signIn(address, "register", username, deviceId);
  }

  /** The same user on another device, or anew on the same. */
  static async login(address: string, username: string, deviceId: string): Promise<Client> {
    return Client.#signIn(address, "login", username, deviceId);
  }

  static async #signIn(
    address: string,
    how: "register" | "login",
    username: string,
    deviceId: string,
  ): Promise<Client> {
    const input = { username, password, deviceId };
    const type = how === "register" ? "RegisterInput" : "LoginInput";
    const data = await new Client(address, null, "", "").do<{
      result: { accessToken: string; viewer: { user: { id: string } } };
    }>(`mutation ($input: ${type}!) { result: ${how}(input: $input) { accessToken viewer { user { id } } } }`, {
      input,
    });
    return new Client(address, data.result.accessToken, data.result.viewer.user.id, deviceId);
  }

  /** The whole answer, errors included. */
  async ask(
    query: string,
    variables: Record<string, unknown> = {},
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(`${nextWay(this.address)}/graphql`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }),
        ...headers,
      },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as Answer;
  }

  /** The data, or an error that shows what went wrong. */
  async do<Data = Record<string, never>>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
    const answer = await this.ask(query, variables);
    if (answer.errors || !answer.data) throw new Error(JSON.stringify(answer.errors ?? answer));
    return answer.data as Data;
  }

  /** The code of the first error; null when there was none. */
  async code(query: string, variables: Record<string, unknown> = {}): Promise<string | null> {
    const { errors } = await this.ask(query, variables);
    return errors ? String(errors[0]?.extensions?.["code"]) : null;
  }

  /** The socket that the client's subscriptions share. */
  get socket(): SocketClient {
    this.#socket ??= createClient({
      url: `${this.address.replace("http", "ws")}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: this.token === null ? {} : { authorization: `Bearer ${this.token}` },
      retryAttempts: 0,
      lazy: true,
    });
    return this.#socket;
  }

  /** Follows the event stream and waits until it is live. */
  async follow(stream: string | null = null): Promise<Follow> {
    const follow = new Follow(this.socket, stream);
    await follow.until(({ chunks }) => chunks.length > 0);
    return follow;
  }

  async close(): Promise<void> {
    await this.#socket?.dispose();
  }

  // Actions that nearly every test takes.

  async createRoom(input: Record<string, unknown> = {}): Promise<string> {
    const data = await this.do<{ createRoom: { room: { id: string } } }>(
      "mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }",
      { input },
    );
    return data.createRoom.room.id;
  }

  async join(roomId: string): Promise<string> {
    const data = await this.do<{ joinRoom: { event: { id: string } } }>(
      "mutation ($roomId: ID!) { joinRoom(input: { target: { roomId: $roomId } }) { event { id } } }",
      { roomId },
    );
    return data.joinRoom.event.id;
  }

  async send(roomId: string, body: string, actionId: string | null = null): Promise<string> {
    const data = await this.do<{ sendMessage: { event: { id: string } } }>(
      `mutation ($roomId: ID!, $body: String!, $actionId: String) {
         sendMessage(input: { roomId: $roomId, message: { content: { text: { body: $body } }, actionId: $actionId } }) { event { id } }
       }`,
      { roomId, body, actionId },
    );
    return data.sendMessage.event.id;
  }

  /** Sends a message of any input; gives the event's id. */
  async message(roomId: string, message: Record<string, unknown>): Promise<string> {
    const data = await this.do<{ sendMessage: { event: { id: string } } }>(
      `mutation ($roomId: ID!, $message: MessageInput!) {
         sendMessage(input: { roomId: $roomId, message: $message }) { event { id } }
       }`,
      { roomId, message },
    );
    return data.sendMessage.event.id;
  }

  /** A text that edits another one. */
  edit(roomId: string, updates: string, body: string): Promise<string> {
    return this.message(roomId, { content: { text: { body } }, updates });
  }

  /** A text that relates to another event. */
  reply(roomId: string, eventId: string, body: string, type = "m.reference"): Promise<string> {
    return this.message(roomId, { content: { text: { body } }, relatesTo: [{ type, eventId }] });
  }

  react(roomId: string, eventId: string, reaction: string): Promise<string> {
    return this.message(roomId, { content: { reaction }, relatesTo: [{ type: "m.annotation", eventId }] });
  }

  async redact(eventId: string): Promise<string> {
    const data = await this.do<{ redactEvent: { event: { id: string } } }>(
      "mutation ($eventId: ID!) { redactEvent(input: { eventId: $eventId }) { event { id } } }",
      { eventId },
    );
    return data.redactEvent.event.id;
  }

  /** Moves a marker; gives it as it stands then. */
  async mark(eventId: string, input: { kind?: "READ" | "DELIVERED"; private?: boolean; actionId?: string } = {}) {
    const data = await this.do<{ setMarker: { marker: { id: string; eventId: string; private: boolean } } }>(
      "mutation ($input: SetMarkerInput!) { setMarker(input: $input) { marker { id eventId private } } }",
      { input: { eventId, kind: "READ", ...input } },
    );
    return data.setMarker.marker;
  }

  /** The token of a filter. */
  async filter(definition: Record<string, unknown>): Promise<string> {
    const data = await this.do<{ filter: { token: string } }>(
      "query ($definition: FilterInput!) { filter(definition: $definition) { token } }",
      { definition },
    );
    return data.filter.token;
  }

  /** An unused stream token. */
  async streamToken(rooms: string[] | null = null, users: string[] | null = null): Promise<string> {
    const data = await this.do<{ streamToken: string }>(
      "query ($rooms: [String!], $users: [String!]) { streamToken(rooms: $rooms, users: $users) }",
      { rooms, users },
    );
    return data.streamToken;
  }

  /** Invites, kicks, bans or unbans; gives the event's id. */
  async membership(action: "invite" | "kick" | "ban" | "unban", roomId: string, userId: string): Promise<string> {
    const data = await this.do<{ result: { event: { id: string } } }>(
      `mutation ($roomId: ID!, $userId: ID!) { result: ${action}User(input: { roomId: $roomId, userId: $userId }) { event { id } } }`,
      { roomId, userId },
    );
    return data.result.event.id;
  }

  async leave(roomId: string): Promise<string> {
    const data = await this.do<{ leaveRoom: { event: { id: string } } }>(
      "mutation ($roomId: ID!) { leaveRoom(input: { roomId: $roomId }) { event { id } } }",
      { roomId },
    );
    return data.leaveRoom.event.id;
  }

  async setState(roomId: string, type: string, content: object, stateKey = "_"): Promise<string> {
    const data = await this.do<{ setState: { event: { id: string } } }>(
      "mutation ($input: SetStateInput!) { setState(input: $input) { event { id } } }",
      { input: { roomId, type, stateKey, content } },
    );
    return data.setState.event.id;
  }

  /** Ids of the room's events that the client may see, oldest first, walked page by page. */
  /** Sets a key of the global profile, or of a room's; gives the id of the event in the room. */
  async setProfile(key: string, value: unknown, roomId: string | null = null): Promise<string> {
    const data = await this.do<{ setProfile: { event: { id: string } | null } }>(
      "mutation ($input: SetProfileInput!) { setProfile(input: $input) { event { id } } }",
      { input: { key, value, roomId } },
    );
    return data.setProfile.event?.id ?? "";
  }

  async timeline(roomId: string, pageSize = 100): Promise<string[]> {
    const ids: string[] = [];
    let before: string | null = null;
    for (;;) {
      const data: {
        scrollback: {
          events: { nodes: { id: string }[]; pageInfo: { hasPreviousPage: boolean; startCursor: string } };
        };
      } = await this.do(
        `query ($roomId: ID!, $last: Int, $before: ChunkToken) {
             scrollback(roomId: $roomId, last: $last, before: $before) {
               events { nodes { id } pageInfo { hasPreviousPage startCursor } }
             }
           }`,
        { roomId, last: pageSize, before },
      );
      const { nodes, pageInfo } = data.scrollback.events;
      ids.unshift(...nodes.map((node) => node.id));
      if (!pageInfo.hasPreviousPage) return ids;
      before = pageInfo.startCursor;
    }
  }
}
