import type { Message } from "irc-framework";
import { DisconnectedError, IrcConnection, waysOfSaying, type Network, type Refusal } from "./ircConnection.ts";
import type { Memory, Outgoing } from "./memory.ts";
import { nicksFor } from "./names.ts";
import { split, type Said } from "./text.ts";

export interface PuppetEvents {
  /** Someone on IRC said something to a Matrix user. */
  spoken(user: string, nick: string, how: Said["how"], message: Message): void;
  /** IRC didn't do what a Matrix user did, and why. */
  refused(outgoing: Outgoing, refusals: Refusal[]): void;
  /** Someone on IRC threw a Matrix user out of a channel. */
  kicked(user: string, channel: string, reason: string): void;
}

/** Matrix users on IRC: each one who has something to do there has a connection of their own. */
export class Puppets {
  readonly #network: Network;
  readonly #nickSuffix: string;
  readonly #memory: Memory;
  readonly #events: PuppetEvents;
  readonly #puppets = new Map<string, Puppet>();

  constructor(network: Network, nickSuffix: string, memory: Memory, events: PuppetEvents) {
    this.#network = network;
    this.#nickSuffix = nickSuffix;
    this.#memory = memory;
    this.#events = events;
  }

  /** Whether it is a Matrix user who has this nick. */
  has(nick: string): boolean {
    return [...this.#puppets.values()].some(
      (puppet) => puppet.nick !== null && this.#network.names.isSame(puppet.nick, nick),
    );
  }

  /** How IRC knows the user; their name on Matrix while they aren't there. */
  nickOf(user: string): string {
    return this.#puppets.get(user)?.nick ?? nameOf(user);
  }

  /** Brings the user to where they are on Matrix. */
  place(user: string, channels: string[]): void {
    this.#puppetOf(user).place(channels);
  }

  /** Does what the memory holds for the user, and ends their connection when there is no more reason for it. */
  wake(user: string): void {
    if (this.#puppets.has(user) || this.#memory.nextOf(user) || this.#memory.talkers.has(user)) {
      this.#puppetOf(user).wake();
    }
  }

  async stop(message: string): Promise<void> {
    await Promise.all([...this.#puppets.values()].map((puppet) => puppet.stop(message)));
  }

  #puppetOf(user: string): Puppet {
    const puppet =
      this.#puppets.get(user) ??
      new Puppet(user, this.#network, this.#nickSuffix, this.#memory, {
        ...this.#events,
        done: () => this.#puppets.delete(user),
      });
    this.#puppets.set(user, puppet);
    return puppet;
  }
}

function nameOf(user: string): string {
  return user.slice(1, user.indexOf(":"));
}

class Puppet {
  readonly #user: string;
  readonly #network: Network;
  readonly #memory: Memory;
  readonly #events: PuppetEvents & { done(): void };
  readonly #connection: IrcConnection;
  /** Where the user is on Matrix. */
  readonly #channels = new Set<string>();
  /** Where they are on IRC, too. */
  readonly #joined = new Set<string>();
  #work: Promise<void> | null = null;
  #stopped = false;

  constructor(
    user: string,
    network: Network,
    nickSuffix: string,
    memory: Memory,
    events: PuppetEvents & { done(): void },
  ) {
    this.#user = user;
    this.#network = network;
    this.#memory = memory;
    this.#events = events;
    const name = nameOf(user);
    const identity = {
      nicks: (longest: number) => nicksFor(name, nickSuffix, longest),
      user: name.replace(/[^A-Za-z0-9]/g, "").slice(0, 9) || "matrix",
      realName: user,
    };
    this.#connection = new IrcConnection(network, identity, () => this.#enter());
    const { client } = this.#connection;
    for (const [event, how] of waysOfSaying) {
      client.on(event, (message) => {
        const isForThem = this.nick !== null && this.#network.names.isSame(message.target, this.nick);
        if (isForThem && !message.from_server && message.nick) events.spoken(user, message.nick, how, message);
      });
    }
    client.on("kick", ({ kicked, channel, nick, message }) => {
      if (this.nick === null || !this.#network.names.isSame(kicked, this.nick)) return;
      this.#joined.delete(this.#network.names.fold(channel));
      this.#channels.delete(this.#network.names.fold(channel));
      events.kicked(user, this.#network.names.fold(channel), `${nick}: ${message}`);
    });
    client.on("close", () => this.#joined.clear());
  }

  get nick(): string | null {
    return this.#connection.nick;
  }

  place(channels: string[]): void {
    for (const channel of channels) this.#channels.add(channel);
    this.wake();
  }

  wake(): void {
    if (this.#stopped) return;
    this.#work ??= this.#run().finally(() => {
      this.#work = null;
      // What came between the last look and now.
      if (this.#memory.nextOf(this.#user)) this.wake();
    });
  }

  async stop(message: string): Promise<void> {
    this.#stopped = true;
    await this.#connection.stop(message);
  }

  async #enter(): Promise<void> {
    for (const channel of this.#channels) await this.#join(channel);
  }

  /** Does everything that the memory holds for this user, in order. */
  async #run(): Promise<void> {
    for (let next = this.#memory.nextOf(this.#user); next; next = this.#memory.nextOf(this.#user)) {
      await this.#connection.ready();
      if (this.#stopped) return;
      let refusals: Refusal[];
      try {
        refusals = await this.#do(next);
      } catch (error) {
        if (!(error instanceof DisconnectedError)) throw error;
        continue;
      }
      await this.#memory.sent(next);
      if (refusals.length > 0) this.#events.refused(next, refusals);
    }
    if (this.#channels.size > 0 || this.#memory.talkers.has(this.#user)) return;
    this.#events.done();
    await this.stop("left the last room");
  }

  async #do(outgoing: Outgoing): Promise<Refusal[]> {
    const { target } = outgoing;
    if (outgoing.how === "join") {
      this.#channels.add(target);
      return this.#join(target);
    }
    if (outgoing.how === "part") {
      this.#channels.delete(target);
      if (!this.#joined.delete(target)) return [];
      return this.#connection.exchange(["PART", target]);
    }
    // Who was thrown out, or left while this was waiting, still gets to say what they said in time.
    const refusals = isNick(target) ? [] : await this.#join(target);
    if (refusals.length > 0) return refusals;
    return this.#connection.exchange(...this.#linesOf(target, outgoing));
  }

  async #join(channel: string): Promise<Refusal[]> {
    if (this.#joined.has(channel)) return [];
    const refusals = await this.#connection.exchange(["JOIN", channel]);
    if (refusals.length === 0) this.#joined.add(channel);
    return refusals;
  }

  #linesOf(target: string, said: Said | { how: "topic"; text: string }): string[][] {
    if (said.how === "topic") {
      const [topic = ""] = split(said.text.replaceAll("\n", " "), this.#connection.room("TOPIC", target));
      // Without a colon it would ask for the topic.
      return [topic === "" ? [`TOPIC ${target} :`] : ["TOPIC", target, topic]];
    }
    const command = said.how === "notice" ? "NOTICE" : "PRIVMSG";
    const [before, after] = said.how === "action" ? ["\u0001ACTION ", "\u0001"] : ["", ""];
    const room = this.#connection.room(command, target) - before.length - after.length;
    return split(said.text, room).map((line) => [command, target, `${before}${line}${after}`]);
  }
}

function isNick(target: string): boolean {
  return !/^[#&+!]/.test(target);
}
