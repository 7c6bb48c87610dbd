import type { MatrixClient } from "matrix-bot-sdk";
import type { Channel } from "./channels.ts";
import type { Outgoing } from "./memory.ts";
import type { Parts } from "./parts.ts";
import { clean, isLong, quotable, repliedTo, shortened, toIrc, type Content, type Quoted, type Said } from "./text.ts";

/** The state of a room that says which channel it is for: the bridge learns its rooms from the homeserver by it. */
export const channelState = "org.hearth.irc.channel";

/** The events that become something on IRC, or tell what to do there. */
export const eventTypes = ["m.room.message", "m.room.member", "m.room.topic", channelState];

/** An event as application services get it. */
export interface MatrixEvent {
  type: string;
  event_id: string;
  room_id: string;
  sender: string;
  state_key?: string;
  content: Content;
}

/** What happens on Matrix, for IRC; and what the homeserver asks for. */
export class FromMatrix {
  readonly #parts: Parts;
  readonly #follow: (channel: Channel) => void;
  readonly #publicUrl: string;
  readonly #maxLines: number;
  readonly #failed: (error: unknown) => void;

  constructor(
    parts: Parts,
    follow: (channel: Channel) => void,
    settings: { publicUrl: string; maxLines: number },
    failed: (error: unknown) => void,
  ) {
    this.#parts = parts;
    this.#follow = follow;
    this.#publicUrl = settings.publicUrl;
    this.#maxLines = settings.maxLines;
    this.#failed = failed;
  }

  /** What the room of an alias that doesn't exist shall be; false when the alias can be no channel's. */
  roomFor(alias: string): object | false {
    const suffix = this.#parts.service.getSuffixForAlias(alias);
    const channel = suffix ? this.#parts.names.channelOfSuffix(suffix) : null;
    if (channel === null || this.#parts.channels.named(channel)) return false;
    return {
      preset: "public_chat",
      name: channel,
      initial_state: [{ type: channelState, state_key: "", content: { channel } }],
      // Ghosts bring the topics that were set on IRC, where the channel decides who may.
      power_level_content_override: { events: { "m.room.topic": 0 } },
    };
  }

  /** What the ghost of a user id that doesn't exist is called; false when it can be nobody's. */
  ghostFor(userId: string): { display_name: string } | false {
    const nick = this.#parts.ghosts.nickOf(userId);
    return nick !== null && { display_name: nick };
  }

  /** Takes an event, once. What becomes of it is in the memory then, and done as soon as it has been saved. */
  async take(event: MatrixEvent): Promise<void> {
    if (this.#parts.memory.hasTaken(event.event_id)) return;
    const outgoing = await this.#becomes(event).catch((error: unknown) => {
      this.#failed(error);
      return [];
    });
    void this.#parts.memory.take(event.event_id, outgoing).then(() => {
      if (!this.#parts.service.isNamespacedUser(event.sender)) this.#parts.puppets.wake(event.sender);
      for (const { user } of outgoing) this.#parts.puppets.wake(user);
    });
  }

  async #becomes(event: MatrixEvent): Promise<Outgoing[]> {
    const { type, room_id: room, sender: user, event_id: id, content } = event;
    if (type === channelState) return this.#opened(event);
    if (type === "m.room.member") return this.#moved(event);
    if (this.#parts.service.isNamespacedUser(user)) return [];
    const channel = this.#parts.channels.in(room)?.name;
    const direct = this.#parts.memory.directIn(room);
    const target = channel ?? (direct?.user === user ? direct.nick : undefined);
    if (target === undefined) return [];
    if (type === "m.room.message") {
      const said = await this.#said(
        event,
        direct ? this.#parts.ghosts.clientOf(direct.nick) : this.#parts.service.botClient,
      );
      return said ? [{ id, user, room, target, ...said }] : [];
    }
    const { topic } = content;
    return channel !== undefined && typeof topic === "string"
      ? [{ id, user, room, target, how: "topic", text: clean(topic) }]
      : [];
  }

  #opened({ sender, room_id, content }: MatrixEvent): [] {
    if (sender === this.#parts.service.botUserId && typeof content["channel"] === "string") {
      const channel = this.#parts.channels.add(content["channel"], room_id);
      if (channel) this.#follow(channel);
    }
    return [];
  }

  async #moved({
    event_id: id,
    room_id: room,
    sender,
    state_key: user = "",
    content,
  }: MatrixEvent): Promise<Outgoing[]> {
    const isIn = content["membership"] === "join";
    const isOut = content["membership"] === "leave" || content["membership"] === "ban";
    const channel = this.#parts.channels.in(room);
    if (this.#parts.service.isNamespacedUser(user)) {
      // Those who are put out must not count as there, or nobody would bring them back when they speak again.
      if (isOut && sender !== user) channel?.ghosts.delete(user);
      if (content["membership"] === "invite" && !this.#parts.service.isNamespacedUser(sender)) {
        await this.#invited(room, sender, user);
      }
      return [];
    }
    if (channel && isIn) return [{ id, user, room, target: channel.name, how: "join" }];
    if (channel && isOut) return [{ id, user, room, target: channel.name, how: "part" }];
    const direct = this.#parts.memory.directIn(room);
    if (direct?.user === user && isOut) {
      await this.#parts.memory.forgetDirect(room);
      await this.#parts.ghosts.leave(this.#parts.ghosts.idOf(direct.nick), room);
    }
    return [];
  }

  /** Takes an invitation of a ghost as the wish to talk to them in private. */
  async #invited(room: string, user: string, ghost: string): Promise<void> {
    const nick = this.#parts.ghosts.nickOf(ghost);
    if (nick === null || this.#parts.channels.in(room)) return this.#parts.ghosts.leave(ghost, room);
    await this.#parts.ghosts.join(ghost, room);
    await this.#parts.memory.rememberDirect(room, { user, nick });
  }

  async #said({ room_id, content, sender }: MatrixEvent, client: MatrixClient): Promise<Said | null> {
    const quoted = await this.#quotedBy(room_id, content, client);
    const said = toIrc(content, quoted, (mxc, name) => this.#addressOf(mxc, name));
    return said && isLong(said.text, this.#maxLines) ? this.#uploaded(said, sender) : said;
  }

  async #quotedBy(room: string, content: Content, client: MatrixClient): Promise<Quoted | null> {
    const eventId = repliedTo(content);
    if (eventId === null) return null;
    try {
      const original = (await client.getEvent(room, eventId)) as MatrixEvent;
      const nick = this.#parts.ghosts.nameOf(original.sender) ?? this.#parts.puppets.nickOf(original.sender);
      return { nick, text: quotable(original.content) };
    } catch {
      // The reply says something without it, too.
      return null;
    }
  }

  /** The beginning of a long text and a link to all of it, which on IRC would be a flood. */
  async #uploaded(said: Said, sender: string): Promise<Said> {
    const name = `${this.#parts.puppets.nickOf(sender)}.txt`;
    try {
      const mxc = await this.#parts.service.botClient.uploadContent(
        Buffer.from(said.text),
        "text/plain; charset=utf-8",
        name,
      );
      return { ...said, text: `${shortened(said.text, 200)} ${this.#addressOf(mxc, name)}` };
    } catch (error) {
      this.#failed(error);
      return said;
    }
  }

  /** Where everybody can fetch a file. */
  #addressOf(mxc: string, name: string): string {
    const path = mxc.slice("mxc://".length).split("/").map(encodeURIComponent).join("/");
    return `${this.#publicUrl}/_matrix/media/v3/download/${path}/${encodeURIComponent(name)}`;
  }
}
