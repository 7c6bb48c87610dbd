import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../../kit/until.ts";
import { driverOf, type Generation } from "./generations.ts";

/** An event in the older form, as a library handed it to its bridge. */
export interface PushedEvent {
  type: string;
  room_id: string;
  event_id: string;
  sender: string;
  content: Record<string, unknown>;
  [key: string]: unknown;
}

/** What a bridge told, see drivers/driver.mjs. */
type Told =
  | { told: "alias asked"; alias: string }
  | { told: "user asked"; userId: string }
  | { told: "registered"; hsToken: string }
  | { told: "event"; event: PushedEvent };

type Answer = { id: number; result: unknown } | { id: number; error: string };

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export interface BridgeOptions {
  generation: Generation;
  /** Where the server is. */
  homeserver: string;
  domain: string;
  /** Where the bridge listens. */
  port: number;
  /** A directory for the bridges' files, which must be there. */
  directory: string;
}

/** A bridge on one of the libraries, in a process of its own that can be killed and started again. */
export class BridgeProcess {
  readonly generation: Generation;
  /** Its registration file. */
  readonly registration: string;
  readonly asToken: string;
  /** All that it told, through all its lives. */
  readonly told: Told[] = [];
  readonly #settings: { directory: string; prefix: string; domain: string };
  readonly #waiting = new Map<number, Waiting>();
  #child: ChildProcess | null = null;
  #exited: Promise<unknown> = Promise.resolve();
  #asked = 0;
  #log = "";

  constructor({ generation, homeserver, domain, port, directory: parent }: BridgeOptions) {
    const directory = join(parent, generation.library);
    this.generation = generation;
    this.registration = join(directory, "registration.yaml");
    this.asToken = `as-token-of-${generation.library}`;
    const settings = {
      homeserver,
      domain,
      port,
      url: `http://127.0.0.1:${port}`,
      prefix: generation.prefix,
      bot: `bot.of.${generation.library}`,
      asToken: this.asToken,
      hsToken: `hs-token-of-${generation.library}`,
      registration: this.registration,
      directory,
    };
    this.#settings = settings;
  }

  /** Starts the process, which does nothing yet. */
  async start(): Promise<void> {
    await mkdir(this.#settings.directory, { recursive: true });
    const child = fork(driverOf(this.generation), [JSON.stringify(this.#settings)], {
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#child = child;
    this.#exited = once(child, "exit");
    // Only the end is of interest, and only when something fails.
    const keep = (text: Buffer): void => void (this.#log = (this.#log + String(text)).slice(-6000));
    child.stdout!.on("data", keep);
    child.stderr!.on("data", keep);
    child.on("message", (message) => this.#take(message as Told | Answer));
    child.once("exit", () => this.#fail("the bridge ended"));
  }

  /** As `kill -9`. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#exited;
    this.#child = null;
  }

  /** Stops the clock for it; what is sent to it waits. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Has something happen on the bridge's other network, or in the bridge; gives what came of it. */
  async do<Result = null>(command: string, input: object = {}): Promise<Result> {
    const id = ++this.#asked;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child!.send({ id, command, input });
    return (await answer) as Result;
  }

  /** Ghosts: users of this server that stand for people of the other network. */
  ghost(nick: string): string {
    return `@${this.generation.prefix}${nick}:${this.#settings.domain}`;
  }

  alias(channel: string): string {
    return `#${this.generation.prefix}${channel}:${this.#settings.domain}`;
  }

  /** The events that came to the bridge, in order of arrival. */
  events(): PushedEvent[] {
    const events = this.told.flatMap((each) => (each.told === "event" ? [each.event] : []));
    if (!this.generation.takesTwice) return events;
    return [...new Map(events.map((event) => [event.event_id, event])).values()];
  }

  /** Those of a room. */
  eventsIn(roomId: string): PushedEvent[] {
    return this.events().filter(({ room_id }) => room_id === roomId);
  }

  /** The texts that came to the bridge from a room, in order of arrival. */
  textsIn(roomId: string): unknown[] {
    return this.eventsIn(roomId)
      .filter(({ type }) => type === "m.room.message")
      .map(({ content }) => content["body"]);
  }

  /** Waits for an event of a room; gives the first that the condition holds for. */
  async gets(roomId: string, condition: (event: PushedEvent) => boolean): Promise<PushedEvent> {
    await until(
      () => this.eventsIn(roomId).some(condition),
      () => `${this.generation.library} was told ${JSON.stringify(this.told)}, and logged ${this.#log}`,
    );
    return this.eventsIn(roomId).find(condition)!;
  }

  #take(message: Told | Answer): void {
    if ("told" in message) {
      this.told.push(message);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ("error" in message) waiting?.reject(new Error(`${this.generation.library}: ${message.error}\n${this.#log}`));
    else waiting?.resolve(message.result);
  }

  #fail(problem: string): void {
    for (const { reject } of this.#waiting.values()) {
      reject(new Error(`${this.generation.library}: ${problem}: ${this.#log}`));
    }
    this.#waiting.clear();
  }
}
