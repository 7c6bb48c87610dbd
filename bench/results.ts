import { writeFileSync } from "node:fs";
import { machine, rowCells, type Report, type Row } from "./report.ts";
import { comparedWith, versions } from "./versions.ts";

/** What came of each workload: its report, or why there is none. */
export type Results = Map<string, Report | Error>;

/** Writes all that is known so far, for people: what was measured where, and the figures of each workload. */
export function writeResults(
  path: string,
  results: Results,
  { peer, quick }: { peer: string | null; quick: boolean },
): void {
  const parts = [...results].map(([workload, result]) => `## ${workload}\n\n${partOf(workload, result)}`);
  const kind = quick ? "\n\nA quick run: everything smaller and shorter, good for seeing that it runs." : "";
  const head = `# What the bench measured\n\n${surroundings(results)}${kind}\n\n${comparedWith(peer)}`;
  writeFileSync(path, `${[head, ...parts].join("\n\n")}\n`);
}

function surroundings(results: Results): string {
  const report = [...results.values()].find((result): result is Report => !(result instanceof Error));
  const lines = [
    `Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}.`,
    `- Machine: ${machine()}, shared by the servers, PostgreSQL and the load generator.`,
    ...versions(report?.server ?? "unknown").map((version) => `- ${version}`),
  ];
  return lines.join("\n").replace("\n", "\n\n");
}

function partOf(workload: string, result: Report | Error): string {
  const description = descriptions[workload] ?? "";
  if (result instanceof Error) return `${description}\n\nIt failed: ${result.message.split("\n")[0]}`;
  const tables = [
    markdown(result.rows),
    ...(result.tables ?? []).map(({ title, rows }) => `${title}:\n\n${markdown(rows)}`),
  ];
  return [description, ...tables].join("\n\n");
}

function markdown(rows: readonly Row[]): string {
  const [names = [], ...lines] = rowCells(rows);
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(names), line(names.map(() => "---")), ...lines.map(line)].join("\n");
}

const descriptions: Record<string, string> = {
  send: `Clients that send one message at a time and wait for its acknowledgement, over one kept connection each. Every
request to Synapse names a transaction, which makes it idempotent; hearth does the same for those who give an action id.`,
  fanout: `One room, every member with a stream open, four of them sending. \`sent\`: from a message's sending to its deliveries;
\`acknowledged\`: from the sender's answer to the deliveries. \`half\`: the same at half the deliveries a second that were
reached before. Followers of Synapse poll (\`/sync\` with a timeout of 30 s), those of hearth have a WebSocket. Synapse isn't
asked for the many followers: it doesn't keep up with them.`,
  sync: `First hearth alone: an initial sync whole, by pages, as a difference, and what others wait meanwhile. Then beside others:
the full sync of a device that has just signed in, and the difference after news in ten rooms.`,
  filter: `hearth alone: pages of a huge room through filters that let next to nothing through.`,
  scrollback: `First hearth alone: pages of 50 events with their senders' profiles, of a small room and a huge one; \`ratio\` is to
the small one. Then beside others: pages of a small room, which is all that can be seeded through an API in reasonable time.`,
  relations: `hearth alone: pages with and without the replies, edits and reactions that hang on them.`,
  published: `hearth alone: searches among published rooms. Before each a room is renamed, so that it takes a snapshot of its own;
\`shared\` and the later page find one. Then what keeping the directory costs: joins and topics in published rooms, in
others, and with the triggers switched off.`,
  presence: `hearth alone: users in rooms of 2, 10, 50 and 500 people, each with a stream open; \`pastime\`: a hundred changes of
presence a second, \`sends\`: fifty messages a second in rooms of 50, \`both\`: at once. \`off\`: the server's presence is off.`,
  typing: `hearth alone: the same users, of whom a hundred a second begin to type or end it.`,
  followers: `Followers to whom nothing happens: the growth of the server process's memory for each. Then one event to all of
them, ten times: \`all awake\` is how long after the sender's answer the last one has it, the median of the ten.`,
  day: `Fifty people in two rooms of all, five groups and twenty-five direct chats, each with a stream open: of a hundred actions 30
messages, 30 read markers, 12 opened rooms, 9 pages further back, 8 reactions, 4 edits, 3 searches among members, 3
reconnections, 1 sign-in with a full sync; the same sequence for each server, from a seed. Signing in includes the password's
hash, which hearth makes as it should be made, and Synapse as cheaply as it can be.`,
};
