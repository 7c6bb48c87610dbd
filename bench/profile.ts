import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";

interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  timeDeltas: number[];
}

const shownFunctions = 25;
const notWork = new Set(["(idle)", "(program)", "(root)"]);

/** Shows in which functions the newest profile of a directory spent its time, without what they called. */
export function showProfiles(directory: string): void {
  const files = readdirSync(directory).filter((name) => name.endsWith(".cpuprofile"));
  const [newest] = files.map((name) => join(directory, name)).sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (newest === undefined) return;
  const profile = JSON.parse(readFileSync(newest, "utf8")) as Profile;
  const names = new Map(profile.nodes.map((node) => [node.id, nameOf(node.callFrame)]));
  const byFunction = new Map<string, number>();
  const byModule = new Map<string, number>();
  let total = 0;
  for (const [index, id] of profile.samples.entries()) {
    const { name, module } = names.get(id)!;
    if (notWork.has(name)) continue;
    const spent = profile.timeDeltas[index]!;
    total += spent;
    const place = `${name}  ${module}`;
    byFunction.set(place, (byFunction.get(place) ?? 0) + spent);
    const owner = module.split(":")[0]!.replace(/\/[^/]*\.[cm]?[jt]s$/, "");
    byModule.set(owner, (byModule.get(owner) ?? 0) + spent);
  }
  process.stderr.write(`\nself time of the server's main thread, ${(total / 1e6).toFixed(1)} s at work\n`);
  for (const group of [byFunction, byModule]) {
    const most = [...group].sort(([, a], [, b]) => b - a).slice(0, shownFunctions);
    for (const [name, spent] of most)
      process.stderr.write(`${((100 * spent) / total).toFixed(1).padStart(5)} %  ${name}\n`);
    process.stderr.write("\n");
  }
}

function nameOf({ functionName, url, lineNumber }: Profile["nodes"][number]["callFrame"]): {
  name: string;
  module: string;
} {
  const name = functionName || "(anonymous)";
  if (url === "") return { name, module: "native" };
  const path = url.split("/node_modules/").at(-1)!;
  const inside = url.includes("/node_modules/") || url.startsWith("node:");
  const own = /\/((?:dist\/)?src\/.*)$/.exec(url)?.[1] ?? basename(url);
  return { name, module: `${inside ? path.replace(/^node:/, "node/") : own}:${lineNumber + 1}` };
}
