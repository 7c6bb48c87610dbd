import { createRoom } from "../../src/domain/actions/createRoom.ts";
import { joinRoom } from "../../src/domain/actions/joinRoom.ts";
import { HearthError } from "../../src/model/errors.ts";
import { Mirror } from "../kit/mirror.ts";
import { perform, type Scene } from "./actions.ts";
import { expectAtRest } from "./rest.ts";
import { Members } from "./members.ts";
import { Poller } from "./poller.ts";
import type { Action, Schedule, Step } from "./schedule.ts";
import { processLost, type World } from "./world.ts";

/** What happened in a schedule, by which a test can tell that it tests something. */
export interface Happenings {
  /** Events that were stored. */
  events: number;
  /** Events that streams brought. */
  delivered: number;
  /** Chunks that sent their client to sync. [EVS-2] */
  limited: number;
  refusals: number;
  /** Moves of markers. */
  moves: number;
  /** State that was rejected. */
  rejected: number;
  inserted: number;
}

/** Runs a schedule in rooms and with users of its own; throws when a client was led astray. */
export async function runSchedule(world: World, schedule: Schedule): Promise<Happenings> {
  const run = await Run.prepare(world, schedule);
  try {
    await run.steps();
    return await run.check();
  } finally {
    await run.end();
  }
}

/** Refusals that are part of life: users try what they may not do, and what others have just made impossible. */
const expectedCodes = ["FORBIDDEN", "NOT_FOUND", "BAD_INPUT", "ALIAS_IN_USE"];

class Run {
  readonly #world: World;
  readonly #schedule: Schedule;
  readonly #scene: Scene;
  /** One of each user; on which of the processes each mirror is. */
  readonly #mirrors: { mirror: Mirror; app: number }[];
  /** Of one user, since each costs as much as several steps. */
  readonly #poller: Poller;
  /** The burst that still runs while the step after it is taken. */
  #burst: Promise<unknown> = Promise.resolve();
  #disturbed = false;
  #refusals = 0;

  private constructor(world: World, schedule: Schedule, scene: Scene, mirrors: Mirror[]) {
    this.#world = world;
    this.#schedule = schedule;
    this.#scene = scene;
    this.#mirrors = mirrors.map((mirror, index) => ({ mirror, app: index % 2 }));
    this.#poller = new Poller(scene.userIds[0]!, schedule.limit);
  }

  static async prepare(world: World, schedule: Schedule): Promise<Run> {
    const userIds = await world.users(schedule.users);
    const { limit } = schedule;
    const mirrors = userIds.map((userId, index) => new Mirror(world.domain(index % 2), userId, { limit }));
    await Promise.all(mirrors.map((mirror) => mirror.begin()));
    const alias = `#${userIds[0]!.slice(1)}`;
    const scene: Scene = { userIds, roomIds: [], events: [], members: new Members(), alias, kept: [] };
    for (const [index, { creator, open, visibility }] of schedule.rooms.entries()) {
      const requester = { userId: userIds[creator]!, deviceId: "device", admin: false, tokenId: "device" };
      const users = Object.fromEntries(userIds.map((userId) => [userId, userId === requester.userId ? 100 : 60]));
      const { tools } = world.domain(creator % 2);
      const created = await createRoom(tools, requester, {
        joinRule: open ? "PUBLIC" : "INVITE",
        historyVisibility: visibility,
        state: [{ type: "m.room.power_levels", content: { users } }],
        ...(index === 0 ? { alias } : {}),
      });
      scene.roomIds.push(created.roomId);
      // They are in it already; the answer is the event that says so.
      const join = await joinRoom(tools, requester, { target: { roomId: created.roomId } });
      scene.members.learn([join]);
      scene.events.push(join);
    }
    return new Run(world, schedule, scene, mirrors);
  }

  async steps(): Promise<void> {
    for (const step of this.#schedule.steps) {
      const burst = this.#burst;
      await this.#take(step);
      await burst;
    }
    await this.#burst;
  }

  /** At rest, all that any client of the users knows is what a fresh sync says, and no stream left anything out. */
  async check(): Promise<Happenings> {
    const clients = this.#mirrors.map(({ mirror, app }) => ({ mirror, domain: this.#world.domain(app) }));
    for (const { mirror, domain } of clients) if (!mirror.connected) await mirror.connect(domain);
    const journal = await expectAtRest(this.#world, this.#scene, clients, this.#poller);
    const sum = (count: (mirror: Mirror) => number): number =>
      this.#mirrors.reduce((total, { mirror }) => total + count(mirror), 0);
    return {
      events: journal.events.length,
      moves: journal.moves.length,
      rejected: journal.rejected.size,
      inserted: journal.events.filter(({ insertedAfter }) => insertedAfter !== null).length,
      delivered: sum(({ received }) => received.length),
      limited: sum(({ skipped }) => skipped.length),
      refusals: this.#refusals,
    };
  }

  async end(): Promise<void> {
    await this.#burst.catch(() => undefined);
    await Promise.all(this.#mirrors.map(({ mirror }) => mirror.disconnect()));
  }

  async #take(step: Step): Promise<void> {
    switch (step.step) {
      case "act":
        return this.#act(step.action);
      case "burst":
        void this.#start(step.actions);
        return;
      case "disconnect":
        return this.#mirrors[step.user]!.mirror.disconnect();
      case "connect":
        return this.#connect(step.user, step.app);
      case "move":
        await this.#mirrors[step.user]!.mirror.disconnect();
        return this.#connect(step.user, step.app);
      case "poll":
        return this.#poller.poll(this.#world.domain(step.app));
      case "crash":
        return this.#crash(step.app, step.actions);
      case "cut":
        await this.#underWay(step.actions);
        return this.#world.cut(step.app);
    }
  }

  async #connect(user: number, app: number): Promise<void> {
    const place = this.#mirrors[user]!;
    if (place.mirror.connected) return;
    place.app = app;
    await place.mirror.connect(this.#world.domain(app));
  }

  #start(actions: Action[]): Promise<void>[] {
    const doing = actions.map((action) => this.#act(action));
    this.#burst = Promise.all(doing);
    // It is waited for one step later; that it failed must not be news before.
    this.#burst.catch(() => undefined);
    return doing;
  }

  /** Begins a burst, and resolves when the first of its actions was answered and others are under way. */
  async #underWay(actions: Action[]): Promise<void> {
    this.#disturbed = true;
    await Promise.race(this.#start(actions));
  }

  async #crash(app: number, actions: Action[]): Promise<void> {
    await this.#underWay(actions);
    await this.#world.crash(app);
    for (const [user, place] of this.#mirrors.entries()) {
      if (place.app !== app || !place.mirror.connected) continue;
      await place.mirror.disconnect();
      await this.#connect(user, user % 2);
    }
  }

  async #act(action: Action): Promise<void> {
    try {
      await perform(
        action,
        this.#scene,
        [0, 1].map((slot) => this.#world.domain(slot).tools),
      );
    } catch (error) {
      const code = error instanceof HearthError ? error.code : null;
      if (code !== null && expectedCodes.includes(code)) return void this.#refusals++;
      // Whoever waited for a lost process, or for the lock on a connection that was cut, isn't told what became of it.
      if (error === processLost || (code === "OVERLOADED" && this.#disturbed)) return;
      throw new Error(`${action.name} failed: ${String(error)}`, { cause: error });
    }
  }
}
