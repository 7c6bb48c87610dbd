import { setTimeout as sleep } from "node:timers/promises";
import irc, { type Client } from "irc-framework";
import type { CaseMapping, Names } from "./names.ts";
import { Backoff, Pace } from "./retry.ts";

/** The IRC network, and how fast one connection may talk there. */
export interface Network {
  host: string;
  port: number;
  tls: boolean;
  lineIntervalMs: number;
  /** In letters. What RFC 1459 allows, until a connection has learnt better. */
  longestNick: number;
  /** They learn, too. */
  names: Names;
}

/** The events by which IRC tells what somebody says, and how they say it. */
export const waysOfSaying = [
  ["privmsg", "message"],
  ["action", "action"],
  ["notice", "notice"],
] as const;

/** Who a connection is for. */
export interface Identity {
  /** Nicks in the order in which they are tried. */
  nicks(longest: number): Iterator<string, never>;
  user: string;
  realName: string;
}

/** The server's words for what it didn't do. */
export type Refusal = string;

/** The connection ended before it was known whether the server did what it was told. */
export class DisconnectedError extends Error {
  override readonly name = "DisconnectedError";
}

interface Exchange {
  token: string;
  refusals: Refusal[];
  settle(result: Refusal[] | DisconnectedError): void;
}

const stableMs = 30_000;

/**
 * One connection to IRC, which is made again whenever it is lost.
 *
 * IRC acknowledges nothing. But a server does what it is told in order, and so its answer to a `PING` says that it has done
 * everything before that, and that whatever it refused it has refused by then. `exchange` builds on this.
 */
export class IrcConnection {
  readonly client: Client;
  readonly #network: Network;
  readonly #identity: Identity;
  readonly #entered: () => Promise<unknown>;
  readonly #pace: Pace;
  readonly #backoff = new Backoff(500, 300_000);
  #nicks: Iterator<string, never>;
  #state: "away" | "registered" | "ready" = "away";
  #ready = new Gate();
  #since = 0;
  #mask = "";
  #trouble = "";
  #last: Promise<unknown> = Promise.resolve();
  #exchange: Exchange | null = null;
  #exchanges = 0;
  #stopped = false;
  #retry: NodeJS.Timeout | null = null;

  /** `entered` is done each time that the server has let the connection in, before it is ready for anything else. */
  constructor(network: Network, identity: Identity, entered: () => Promise<unknown>) {
    this.#network = network;
    this.#identity = identity;
    this.#entered = entered;
    this.#pace = new Pace(network.lineIntervalMs);
    this.#nicks = identity.nicks(network.longestNick);
    const { host, port, tls } = network;
    this.client = new irc.Client({
      ...{ host, port, tls, nick: "", username: identity.user, gecos: identity.realName },
      version: "hearth's example of a bridge",
      auto_reconnect: false,
    });
    this.#listen();
    this.#connect();
  }

  /** How the network calls this connection now; null while it isn't there. */
  get nick(): string | null {
    return this.#state === "away" ? null : this.client.user.nick;
  }

  /** Resolves when something can be said, as soon as the connection is there. */
  ready(): Promise<void> {
    return this.#ready.opened;
  }

  /** How many bytes of text fit into a line. The network puts the name of who sends it before it. */
  room(command: string, target: string): number {
    return 510 - Buffer.byteLength(`:${this.#mask || "x".repeat(100)} ${command} ${target} :`);
  }

  /**
   * Sends lines, not too fast, and waits until the server has done with them; resolves to what it refused. Throws a
   * DisconnectedError when the connection ends before that.
   */
  exchange(...lines: string[][]): Promise<Refusal[]> {
    const exchange = this.#last.then(() => this.#run(lines));
    this.#last = exchange.catch(() => undefined);
    return exchange;
  }

  async #run(lines: string[][]): Promise<Refusal[]> {
    if (this.#state === "away") throw new DisconnectedError("There is no connection to IRC.");
    return new Promise<Refusal[]>((resolve, reject) => {
      const settle: Exchange["settle"] = (result) => {
        this.#exchange = null;
        if (result instanceof DisconnectedError) reject(result);
        else resolve(result);
      };
      this.#exchange = { token: `hearth-${++this.#exchanges}`, refusals: [], settle };
      void this.#write(this.#exchange, lines);
    });
  }

  async #write(exchange: Exchange, lines: string[][]): Promise<void> {
    for (const line of lines) {
      const wait = this.#pace.wait();
      if (wait > 0) await sleep(wait);
      if (this.#exchange !== exchange) return;
      // Whatever is in it, it is one line.
      this.client.raw(...line.map((part) => part.replace(/[\r\n\0]/g, " ")));
    }
    this.client.raw("PING", exchange.token);
  }

  /** Says goodbye, and doesn't come back. */
  async stop(message: string): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (!this.client.connected) return this.client.quit(message);
    const closed = new Promise<void>((resolve) => this.client.on("close", () => resolve()));
    this.client.quit(message);
    await Promise.race([closed, sleep(2000, undefined, { ref: false })]);
  }

  #connect(): void {
    this.#nicks = this.#identity.nicks(this.#network.longestNick);
    this.client.options.nick = this.#nicks.next().value;
    this.client.connect();
  }

  #listen(): void {
    const tryNextNick = () => {
      if (this.#state === "away") this.client.changeNick(this.#nicks.next().value);
    };
    this.client
      .on("nick in use", tryNextNick)
      .on("nick invalid", tryNextNick)
      .on("registered", () => void this.#enter())
      .on("server options", ({ options: { NICKLEN, CASEMAPPING } }) => {
        if (Number(NICKLEN) > 0) this.#network.longestNick = Number(NICKLEN);
        if (CASEMAPPING !== undefined) this.#network.names.caseMapping = CASEMAPPING as CaseMapping;
      })
      .on("socket close", (error) => {
        if (error) this.#trouble = error.message;
      })
      .on("irc error", ({ error, reason }) => {
        if (error === "irc") this.#trouble = reason ?? "";
      })
      .on("close", () => this.#lose())
      .on("pong", ({ message }) => {
        if (message === this.#exchange?.token) this.#exchange.settle(this.#exchange.refusals);
      })
      .on("join", ({ nick, ident, hostname }) => {
        if (this.#network.names.isSame(nick, this.client.user.nick)) this.#mask = `${nick}!${ident}@${hostname}`;
      })
      .use((_client, raw) =>
        raw.use((command, line, _raw, _client, next) => {
          if (/^[45]\d\d$/.test(command)) this.#exchange?.refusals.push(line.params.at(-1) ?? command);
          next();
        }),
      );
  }

  async #enter(): Promise<void> {
    this.#state = "registered";
    this.#since = Date.now();
    try {
      // What the server tells about itself has come when this is answered.
      await this.exchange();
      await this.#entered();
    } catch (error) {
      // It is entered anew once it is back.
      if (error instanceof DisconnectedError) return;
      throw error;
    }
    this.#state = "ready";
    this.#ready.open();
  }

  #lose(): void {
    if (this.#state === "ready") this.#ready = new Gate();
    // A server that takes people in only to throw them out is not to be asked again at once.
    if (this.#state !== "away" && Date.now() - this.#since > stableMs) this.#backoff.reset();
    this.#state = "away";
    this.#exchange?.settle(new DisconnectedError("The connection to IRC is lost."));
    if (this.#stopped) return;
    const wait = this.#backoff.next();
    const reason = this.#trouble === "" ? "" : ` (${this.#trouble})`;
    console.error(`-- ${this.#identity.realName} isn't on IRC${reason}; trying again in ${Math.ceil(wait / 1000)} s.`);
    this.#trouble = "";
    this.#retry = setTimeout(() => this.#connect(), wait);
  }
}

class Gate {
  open = (): void => undefined;
  readonly opened = new Promise<void>((resolve) => (this.open = resolve));
}
