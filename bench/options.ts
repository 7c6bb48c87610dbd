import { parseArgs } from "node:util";

/** What the command line says; every workload takes what concerns it. */
export interface Options {
  /** Measured seconds of each run. */
  seconds: number;
  /** Seconds of load before the measuring begins. */
  warmup: number;
  /** Concurrent clients of `send` and of `scrollback`, and the people of `day`. */
  clients: number | null;
  /** The other server that is measured beside hearth. */
  peer: "synapse" | null;
  /**
   * How many subscribers `fanout` has: who are sent to as fast as it goes, and at a rate; and how many `followers` has
   * beside a peer, and alone; the second also how many users `presence` and `typing` have. The first is how many members have streams open in `actions`.
   */
  subscribers: number[] | null;
  /** Events a second that `fanout` sends to its many subscribers; actions a second of `day`'s team. */
  rate: number | null;
  /** Sizes of the rooms that `scrollback` reads; the first is that of the rooms of `sync` and of `filter`'s room. */
  events: number[] | null;
  /** Members of the big rooms of `actions`. */
  members: number | null;
  /** Rooms of the user who syncs. */
  rooms: number | null;
  /** How often `sync`, `filter`, `relations` and `actions` measure each of their requests, and other workloads their cases. */
  rounds: number | null;
  /** Only the requests of `sync`, `filter`, `relations` and `actions` and the cases of others whose names hold this. */
  only: string;
  /** The share of a core that each of the server's processes gets; null: as much as there is. */
  share: number | null;
  /** Everything smaller and shorter. */
  quick: boolean;
  /** The file that the results of a run of everything are written to; null: the usual one, or none for a quick run. */
  results: string | null;
  /** A directory for CPU profiles of the server, which slow it down somewhat. */
  profile: string | null;
}

export const optionsHelp = `  --seconds <n>          measured seconds of each run (8, and 5 when everything runs)
  --warmup <n>           seconds of load before (2)
  --clients <n>          concurrent clients of send (64) and scrollback (4), people of day (50)
  --peer synapse         measure Synapse beside hearth: installed from PyPI once, on SQLite and on PostgreSQL
  --subscribers <n,n>    numbers of subscribers of fanout and followers (500,5000), open streams of actions (300)
  --rate <n>             events/s of fanout to its many subscribers (20), actions/s of day (5)
  --events <n,n>         sizes of scrollback's rooms (1000,1000000), of sync's (1000) and of filter's (1000000)
  --members <n>          members of the big rooms of actions (10000)
  --rooms <n>            rooms of sync (1000)
  --rounds <n>           measurements of each request of sync (9), filter (40), relations and actions (60); of each case of
                         the others (1, and 3 beside a peer)
  --only <text>          only requests and cases whose names hold it
  --share <n>            holds each process of the server to so much of a core (Linux, as root): workers, where the machine
                         has too few cores for them, PostgreSQL and the load
  --quick                everything smaller and shorter; for all workloads with a peer some minutes
  --results <file>       where a run of everything writes its results (bench/RESULTS.md; a quick one nowhere)
  --profile <directory>  write a CPU profile of the server there and show where its time went`;

interface Defaults {
  seconds: string;
  warmup: string;
  subscribers?: string;
  events?: string;
  rooms?: string;
  rounds?: string;
}

const namedDefaults: Defaults = { seconds: "8", warmup: "2" };
const allDefaults: Defaults = { seconds: "5", warmup: "2" };
const quickDefaults: Defaults = {
  seconds: "1",
  warmup: "0.5",
  subscribers: "50,500",
  events: "1000,20000",
  rooms: "50",
  rounds: "1",
};

/** Reads the command line: the workload and its options. */
export function readOptions(): { workload: string | undefined; options: Options } {
  const { values: given, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: "string" },
      warmup: { type: "string" },
      clients: { type: "string" },
      peer: { type: "string" },
      subscribers: { type: "string" },
      rate: { type: "string" },
      events: { type: "string" },
      members: { type: "string" },
      rooms: { type: "string" },
      rounds: { type: "string" },
      only: { type: "string", default: "" },
      profile: { type: "string" },
      share: { type: "string" },
      quick: { type: "boolean", default: false },
      results: { type: "string" },
    },
  });
  // Everything takes its time: a run of all has shorter parts than one that is named.
  const defaults = given.quick ? quickDefaults : positionals.length === 0 ? allDefaults : namedDefaults;
  const values = { ...defaults, ...given };
  const options = {
    seconds: numberOf(values.seconds),
    warmup: numberOf(values.warmup),
    clients: values.clients === undefined ? null : numberOf(values.clients),
    peer: peerOf(values.peer),
    subscribers: values.subscribers?.split(",").map(numberOf) ?? null,
    rate: values.rate === undefined ? null : numberOf(values.rate),
    events: values.events?.split(",").map(numberOf) ?? null,
    members: values.members === undefined ? null : numberOf(values.members),
    rooms: values.rooms === undefined ? null : numberOf(values.rooms),
    rounds: values.rounds === undefined ? null : numberOf(values.rounds),
    only: values.only,
    quick: values.quick,
    results: values.results ?? null,
    profile: values.profile ?? null,
    share: values.share === undefined ? null : numberOf(values.share),
  };
  return { workload: positionals[0], options };
}

function peerOf(name: string | undefined): Options["peer"] {
  if (name === undefined || name === "synapse") return name ?? null;
  throw new Error(`${name} is no server that the bench knows.`);
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0)) throw new Error(`${text} is no number.`);
  return value;
}
