import { Random } from "./random.ts";

/** How often each action is drawn, against the others. */
const actionWeights = {
  send: 8,
  edit: 5,
  reply: 3,
  react: 2,
  redact: 5,
  setState: 4,
  deleteState: 3,
  setVisibility: 2,
  invite: 4,
  join: 7,
  leave: 4,
  reject: 1,
  kick: 2,
  ban: 1,
  unban: 2,
  sendMany: 2,
  setMany: 2,
  sendTwice: 2,
  createRoom: 1,
  refused: 2,
  mark: 9,
  insert: 3,
  insertTwice: 1,
  rejectEvent: 4,
  sendSigned: 1,
};
const stepWeights = { act: 60, burst: 11, disconnect: 6, connect: 9, move: 6, poll: 7 };

export type ActionName = keyof typeof actionWeights;

/** What somebody does. The numbers choose among what there is when it happens: rooms, events, users. */
export interface Action {
  name: ActionName;
  user: number;
  other: number;
  room: number;
  app: number;
  picks: readonly [number, number];
}

export type Step =
  | { step: "act"; action: Action }
  /** At once, from both processes. */
  | { step: "burst"; actions: Action[] }
  /** A mirror's stream ends, goes on from its last token, or does both. */
  | { step: "disconnect" | "connect" | "move"; user: number; app: number }
  /** A client that doesn't stream takes the difference since its last sync. */
  | { step: "poll"; app: number }
  /** In the midst of a burst a process is lost, or only its writer's connection. */
  | { step: "crash" | "cut"; app: number; actions: Action[] };

export interface Schedule {
  seed: number;
  users: number;
  rooms: { creator: number; open: boolean; visibility: string }[];
  /** Timeline events per room of a sync. */
  limit: number;
  steps: Step[];
}

const visibilities = ["WORLD_READABLE", "SHARED", "INVITED", "JOINED"] as const;

/** What a seed stands for. `crashes`: one process is lost on the way. */
export function scheduleOf(seed: number, { crashes }: { crashes: boolean }): Schedule {
  const random = new Random(seed);
  const users = random.chance(0.4) ? 3 : 2;
  const rooms = Array.from({ length: random.between(1, 2) }, () => ({
    creator: random.between(0, users - 1),
    open: random.chance(0.8),
    visibility: visibilities[random.between(0, 3)]!,
  }));
  const limit = [20, 20, 8, 3][random.between(0, 3)]!;
  const length = random.between(10, 25);
  const steps = Array.from({ length }, () => stepOf(random, users));
  if (crashes) {
    for (const step of ["crash", "cut"] as const) {
      const app = random.between(0, 1);
      const actions = burstOf(random, users, 8, 16);
      steps.splice(random.between(length >> 1, length), 0, { step, app, actions });
    }
  }
  return { seed, users, rooms, limit, steps };
}

function stepOf(random: Random, users: number): Step {
  const step = random.weighted(stepWeights);
  if (step === "act") return { step, action: actionOf(random, users) };
  if (step === "burst") return { step, actions: burstOf(random, users, 3, 6) };
  const app = random.between(0, 1);
  return step === "poll" ? { step, app } : { step, user: random.between(0, users - 1), app };
}

function burstOf(random: Random, users: number, least: number, most: number): Action[] {
  return Array.from({ length: random.between(least, most) }, () => actionOf(random, users));
}

function actionOf(random: Random, users: number): Action {
  return {
    name: random.weighted(actionWeights),
    user: random.between(0, users - 1),
    other: random.between(0, users - 1),
    room: random.between(0, 1000),
    app: random.between(0, 1),
    picks: [random.next(), random.next()],
  };
}

/** A line for each step, for people. */
export function describeSchedule({ seed, users, rooms, limit, steps }: Schedule): string {
  const text = ({ name, user, other, room, app, picks }: Action): string =>
    `${name} by ${user} (other ${other}, room ${room}, process ${app}, ${picks.map((pick) => pick.toFixed(2)).join()})`;
  const lines = steps.map((each) => {
    if (each.step === "act") return text(each.action);
    if ("actions" in each) return `${each.step}\n${each.actions.map((action) => `    ${text(action)}`).join("\n")}`;
    return `${each.step}${"user" in each ? ` user ${each.user},` : ""} process ${each.app}`;
  });
  return [`seed ${seed}: ${users} users, limit ${limit}, rooms ${JSON.stringify(rooms)}`, ...lines].join("\n  ");
}
