import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { TestApp } from "../../kit/app.ts";
import type { Client } from "../../kit/client.ts";
import { difference, fill, isObject, type Names } from "./match.ts";
import { inherited } from "../../processes/support/serverProcess.ts";
import { stepsOf, type Json, type Step } from "./page.ts";
import { Subscription } from "./subscription.ts";
import { program } from "../../../scripts/program.ts";

/** Somebody who reads guide pages from the top down and does what they say. */
export class Walk {
  readonly #server: TestApp;
  readonly #clients = new Map<string, Client>();
  /** The subscription that each client opened last. */
  readonly #open = new Map<string, Subscription>();
  readonly #names: Names = new Map();
  /** What each client was answered last. */
  readonly #answers = new Map<string, unknown>();
  /** The functions of the page's JavaScript. */
  #functions: Functions = {};

  constructor(server: TestApp) {
    this.#server = server;
  }

  /** Runs every document of a page; throws where an answer isn't what the page shows. Gives the number of documents. */
  async read(page: string, file: string): Promise<number> {
    const steps = stepsOf(page, file);
    this.#functions = await functionsOf(page);
    for (const step of steps) {
      for (let time = 0; time < step.times; time++) {
        const found = await this.#take(step).catch((error: unknown) => String(error));
        if (found !== null) throw new Error(`${file}:${step.line}: ${found}`);
      }
    }
    return steps.filter(({ document }) => document !== null).length;
  }

  async #take({ who, document, command, variables, answer }: Step): Promise<string | null> {
    if (command !== null) {
      return difference(answer, { output: await this.#runCommand(command) }, this.#names, "the command");
    }
    const client = this.#client(who);
    const filled = fill(variables, this.#names, (name, path) =>
      this.#functions[name]?.(path === "" ? undefined : valueAt(this.#answers.get(who), path)),
    ) as Json;
    if (document?.kind === "subscription") {
      this.#open.get(who)?.stop();
      this.#open.set(who, new Subscription(client, document.text, filled));
    }
    if (document === null || document.kind === "subscription") {
      const open = this.#open.get(who);
      if (open === undefined) return `${who} follows nothing`;
      let next = await open.next();
      while (document === null && isEmptyChunk(next)) next = await open.next();
      return difference(answer, next, this.#names);
    }
    const given = await client.ask(document.text, filled);
    client.token = accessTokenIn(given.data) ?? client.token;
    this.#answers.set(who, given.data);
    // A page shows what is in `data`, or the whole answer where there are errors in it.
    // The session that a first request began is told beside both.
    const { extensions: _session, ...whole } = given;
    return difference(answer, answer["errors"] || given.errors ? whole : given.data, this.#names);
  }

  /** Runs a command such as `npx hearth admin make-admin alice` from the sources, at the store of the server; gives what it says. */
  async #runCommand(command: string): Promise<string> {
    if (!command.startsWith("admin ")) throw new Error(`npx hearth ${command} isn't for here`);
    const { stdout } = await promisify(execFile)(process.execPath, [...program().arguments, ...command.split(" ")], {
      env: { ...inherited(), DATABASE_URL: this.#server.databaseUrl },
    });
    return stdout;
  }

  #client(who: string): Client {
    const client = this.#clients.get(who) ?? this.#server.stranger();
    this.#clients.set(who, client);
    return client;
  }

  async close(): Promise<void> {
    for (const subscription of this.#open.values()) subscription.stop();
    await Promise.all([...this.#clients.values()].map((client) => client.close()));
  }
}

type Functions = Record<string, ((value: unknown) => unknown) | undefined>;

/** The functions that the JavaScript of a page exports, if it has any. */
async function functionsOf(page: string): Promise<Functions> {
  const [, code] = /^```js\n(.*?)^```$/ms.exec(page) ?? [];
  if (code === undefined) return {};
  return (await import(/* @vite-ignore */ `data:text/javascript,${encodeURIComponent(code)}`)) as Functions;
}

/** What stands in an answer at a path such as `prepareMessage.json`. */
function valueAt(answer: unknown, path: string): unknown {
  return path.split(".").reduce((value, key) => (isObject(value) ? value[key] : undefined), answer);
}

/** A quiet stream brings a chunk now and then, for its token alone. */
function isEmptyChunk(answer: Json): boolean {
  const { events } = (answer["eventStream"] ?? {}) as { events?: unknown[] };
  return events?.length === 0;
}

/** What registering or logging in gives: from then on the client is signed in. */
function accessTokenIn(data: Json | null | undefined): string | undefined {
  const { register, login } = (data ?? {}) as Record<string, { accessToken?: string } | undefined>;
  return (register ?? login)?.accessToken;
}
