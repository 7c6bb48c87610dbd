import { randomUUID } from "node:crypto";
import type { Message } from "irc-framework";
import type { Channel } from "./channels.ts";
import { IrcConnection, waysOfSaying, type Network } from "./ircConnection.ts";
import type { Incoming } from "./memory.ts";
import { nicksFor } from "./names.ts";
import type { Parts } from "./parts.ts";
import { insist } from "./retry.ts";
import { plainText, type Said } from "./text.ts";

const types = { message: "m.text", action: "m.emote", notice: "m.notice" } as const;

/**
 * What happens on IRC, for Matrix. A connection of the bridge's own sits in every channel and listens, so that a room goes
 * on while its Matrix users are away; it never says anything.
 */
export class FromIrc {
  readonly #parts: Parts;
  readonly #connection: IrcConnection;
  /** What was left to deliver when the bridge ended. */
  readonly #left: Incoming[];

  constructor(parts: Parts, network: Network, nick: string) {
    this.#parts = parts;
    this.#left = [...parts.memory.incoming];
    const identity = {
      nicks: (longest: number) => nicksFor(nick, "", longest),
      user: "bridge",
      realName: "The bridge",
    };
    this.#connection = new IrcConnection(network, identity, () => this.#entered());
    this.#listen();
  }

  ready(): Promise<void> {
    return this.#connection.ready();
  }

  stop(message: string): Promise<void> {
    return this.#connection.stop(message);
  }

  /** Listens in a channel that has just got a room. */
  async follow(channel: Channel): Promise<void> {
    await this.#connection.ready();
    await this.#enter(channel);
  }

  /** Takes what someone said to a user in private. */
  spoken(user: string, nick: string, how: Said["how"], message: Message): void {
    this.#take({ user }, nick, how, message);
  }

  async #entered(): Promise<void> {
    for (const incoming of this.#left.splice(0)) this.#deliver(incoming);
    await Promise.all(this.#parts.channels.all.map((channel) => this.#enter(channel)));
  }

  async #enter(channel: Channel): Promise<void> {
    const refusals = await this.#connection.exchange(["JOIN", channel.name]);
    if (refusals.length > 0) this.#tell(channel, `The bridge can't listen in ${channel.name}: ${refusals.join("; ")}`);
  }

  #tell({ name, room }: Channel, text: string): void {
    const { turns, ghosts, service } = this.#parts;
    void turns.take(name, () => ghosts.notice(service.botUserId, room, text));
  }

  #listen(): void {
    const { client } = this.#connection;
    for (const [event, how] of waysOfSaying) {
      client.on(event, (message) => {
        const channel = this.#parts.channels.named(message.target);
        if (channel && message.nick && !this.#isOurs(message.nick)) {
          this.#take({ channel: channel.name }, message.nick, how, message);
        }
      });
    }
    client
      .on("userlist", ({ channel, users }) => this.#see(this.#parts.channels.named(channel), users))
      .on("join", ({ channel, nick }) => this.#arrive(this.#parts.channels.named(channel), nick))
      .on("part", ({ channel, nick }) => this.#go(this.#parts.channels.named(channel), nick))
      .on("kick", ({ channel: name, kicked, nick, message }) => {
        const channel = this.#parts.channels.named(name);
        this.#go(channel, kicked);
        if (channel && this.#parts.names.isSame(kicked, this.#connection.nick ?? "")) {
          this.#tell(channel, `The bridge hears nothing of ${name} until it is started again. ${nick}: ${message}`);
        }
      })
      .on("quit", ({ nick }) => this.#parts.channels.with(nick).forEach((channel) => this.#go(channel, nick)))
      .on("nick", ({ nick, new_nick }) => {
        for (const channel of this.#parts.channels.with(nick)) {
          this.#go(channel, nick);
          this.#arrive(channel, new_nick);
        }
      })
      .on("topic", ({ channel: name, nick, topic }) => {
        const channel = this.#parts.channels.named(name);
        if (!channel) return;
        channel.topic = plainText(topic);
        this.describe(channel, nick);
      });
  }

  #isOurs(nick: string): boolean {
    return this.#parts.names.isSame(nick, this.#connection.nick ?? "") || this.#parts.puppets.has(nick);
  }

  /** Everybody in a channel, as it is told on entering it. */
  #see(channel: Channel | undefined, users: { nick: string }[]): void {
    if (!channel) return;
    const before = [...channel.ghosts].flatMap((ghost) => this.#parts.ghosts.nickOf(ghost) ?? []);
    channel.present.clear();
    for (const { nick } of users) this.#arrive(channel, nick);
    for (const nick of before) this.#settle(channel, nick);
  }

  #arrive(channel: Channel | undefined, nick: string): void {
    if (!channel || this.#isOurs(nick)) return;
    channel.present.set(this.#parts.names.fold(nick), nick);
    this.#settle(channel, nick);
  }

  #go(channel: Channel | undefined, nick: string): void {
    if (!channel?.present.delete(this.#parts.names.fold(nick))) return;
    this.#settle(channel, nick);
  }

  #settle(channel: Channel, nick: string): void {
    void this.#parts.turns.take(channel.name, () => this.#parts.ghosts.settle(channel, nick));
  }

  #take(to: Incoming["to"], nick: string, how: Said["how"], message: Message): void {
    const body = plainText(message.message);
    if (body.trim() === "") return;
    const content = { msgtype: types[how], body };
    const incoming = { id: randomUUID(), nick, at: message.time ?? Date.now(), to, content };
    void this.#parts.memory.receive(incoming);
    this.#deliver(incoming);
  }

  #deliver(incoming: Incoming): void {
    const { to, nick } = incoming;
    const key = "channel" in to ? to.channel : `${to.user} ${this.#parts.names.fold(nick)}`;
    void this.#parts.turns.take(key, async () => {
      try {
        await ("channel" in to ? this.#sayIn(to.channel, incoming) : this.#sayTo(to.user, incoming));
      } finally {
        await this.#parts.memory.delivered(incoming);
      }
    });
  }

  async #sayIn(name: string, incoming: Incoming): Promise<void> {
    const channel = this.#parts.channels.named(name);
    if (!channel) return;
    await this.#parts.ghosts.say(channel.room, incoming);
    // Whoever speaks is in the room by that; they may have left the channel since.
    channel.ghosts.add(this.#parts.ghosts.idOf(incoming.nick));
    this.#settle(channel, incoming.nick);
  }

  async #sayTo(user: string, incoming: Incoming): Promise<void> {
    const nick = this.#parts.names.fold(incoming.nick);
    let room = this.#parts.memory.roomFor(user, nick);
    if (room === undefined) {
      room = await this.#parts.ghosts.inviteToTalk(incoming.nick, user);
      await this.#parts.memory.rememberDirect(room, { user, nick });
    }
    await this.#parts.ghosts.say(room, incoming);
  }

  /** Gives the room the channel's topic, unless one that was set on Matrix is still on its way to IRC. */
  describe(channel: Channel, nick = ""): void {
    const { service, memory, names, ghosts, turns } = this.#parts;
    void turns.take(channel.name, () =>
      insist(async () => {
        const { topic } = channel;
        if (memory.willSetTopic(channel.name) || (await this.#topicOf(channel.room)) === topic) return;
        const isThere = channel.present.has(names.fold(nick));
        const intent = isThere ? service.getIntentForUserId(ghosts.idOf(nick)) : service.botIntent;
        await intent.ensureRegisteredAndJoined(channel.room);
        await intent.underlyingClient.sendStateEvent(channel.room, "m.room.topic", "", { topic });
      }),
    );
  }

  async #topicOf(room: string): Promise<string> {
    try {
      const content = await this.#parts.service.botClient.getRoomStateEvent(room, "m.room.topic", "");
      return typeof content?.topic === "string" ? content.topic : "";
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode === 404) return "";
      throw error;
    }
  }
}
