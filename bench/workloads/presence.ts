import { temporaryDataDir } from "../data.ts";
import type { Options } from "../options.ts";
import { rounded, type Report, type Row } from "../report.ts";
import { met } from "../rounds.ts";
import { program } from "../../scripts/program.ts";
import { startServer } from "../server.ts";
import { buildTown, liveIn, type Pastime } from "../town.ts";

/** Of one core, for a hundred changes a second. */
const goalOfCore = 0.25;
/** Times by which presence may raise the 99th percentile of sends. */
const goalOfSends = 1.2;
const document = "mutation ($state: PresenceState!) { setPresence(input: { state: $state }) { presence { state } } }";

/** Many users online in rooms of 2 to 500 people, without presence and with it, while some change theirs. */
export async function presence(options: Options): Promise<Report> {
  const dataDir = await temporaryDataDir();
  const town = await buildTown(dataDir, options.subscribers?.[1] ?? 5000);
  const changes: Pastime = {
    rate: 100,
    act(number, actors) {
      const state = Math.floor(number / actors.length) % 2 === 0 ? "IDLE" : "ONLINE";
      return actors[number % actors.length]!.client.post(JSON.stringify({ query: document, variables: { state } }));
    },
  };
  const rows: Row[] = [];
  for (const setting of ["off", "on"]) {
    const server = await startServer(dataDir, options, { HEARTH_PRESENCE: setting });
    rows.push(...(await liveIn(server, town, changes, options)).map((row) => ({ presence: setting, ...row })));
    await server.stop();
  }
  judge(rows);
  return { server: program().from, rows };
}

/** What presence costs: of a core, and of the time that sends take. */
function judge(rows: readonly Row[]): void {
  const find = (presence: string, name: string): Row =>
    rows.find((row) => row["presence"] === presence && row["case"] === name)!;
  const changes = find("on", "pastime");
  const cost = rounded(Number(changes["server CPU"]) - Number(find("on", "rest")["server CPU"]));
  Object.assign(changes, { "more of a core": cost, "p99 to off": "", goal: goalOfCore, met: met(cost < goalOfCore) });
  const both = find("on", "both");
  const times = rounded(Number(both["send p99 ms"]) / Number(find("off", "both")["send p99 ms"]));
  Object.assign(both, { "p99 to off": times, goal: goalOfSends, met: met(times <= goalOfSends) });
}
