import { spawn, type ChildProcess } from "node:child_process";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isSynapseInstalled } from "../../bench/peers/synapse/install.ts";
import type { Report, Row } from "../../bench/report.ts";

const repository = resolve(import.meta.dirname, "../..");
const tiny = ["--clients", "4", "--seconds", "0.3", "--warmup", "0.1", "--rate", "20"];

/** How long servers may take to start and be filled on a busy machine. */
const startMs = 60_000;

/** Takes the place of the machine's directory for temporary files. */
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "hearth-test-bench-"));
  // Under root PostgreSQL runs as another user, who must get through to the data.
  await chmod(scratch, 0o711);
});
afterAll(async () => {
  for (const { child, ended } of started) {
    child.kill("SIGTERM");
    await ended;
  }
  await rm(scratch, { recursive: true, force: true });
});

/** Data directories that are there. */
async function dataDirs(): Promise<string[]> {
  return (await readdir(scratch)).filter((name) => name.startsWith("hearth-bench-"));
}

interface Run {
  child: ChildProcess;
  errors(): string;
  /** The exit code, and what was printed. */
  ended: Promise<{ code: number | null; output: string }>;
}

const started: Run[] = [];

function bench(...args: string[]): Run {
  const child = spawn(process.execPath, ["--import", "tsx", "bench/main.ts", ...args], {
    cwd: repository,
    env: { ...process.env, TMPDIR: scratch },
  });
  let [output, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const ended = new Promise<{ code: number | null; output: string }>((done) => {
    child.once("close", (code) => done({ code, output }));
  });
  const run = { child, ended, errors: () => errors };
  started.push(run);
  return run;
}

async function reportOf({ ended, errors }: Run): Promise<Report> {
  const { code, output } = await ended;
  expect(code, errors()).toBe(0);
  return JSON.parse(output.trimEnd().split("\n").at(-1)!) as Report;
}

describe("the bench", () => {
  test("has a team go through a day without errors, and leaves nothing behind", { timeout: 2 * startMs }, async () => {
    const { rows } = await reportOf(bench("day", ...tiny));
    expect(rows.map((row) => row.case)).toEqual(["one after the other", "20 actions/s"]);
    for (const row of rows) {
      expect(row.errors).toBe(0);
      expect(row["actions/s"]).toBeGreaterThan(0);
    }
    expect(rows[0]!["deliveries/s"]).toBeGreaterThan(0);
    expect(await dataDirs()).toEqual([]);
  });

  test("tells what it can measure when it is asked for something else", async () => {
    const run = bench("nothing");
    expect((await run.ended).code).toBe(2);
    expect(run.errors()).toContain("npm run bench -- [send|");
  });
});

const installed = isSynapseInstalled();

describe.skipIf(!installed)(`Synapse beside it${installed ? "" : " (skipped: needs matrix-synapse)"}`, () => {
  test("takes the same messages on either store, and is compared", { timeout: 3 * startMs }, async () => {
    const { rows, tables } = await reportOf(
      bench("send", ...tiny, "--peer", "synapse", "--seconds", "2", "--only", "HTTP, one room"),
    );
    expect(rows.map((row) => row.server)).toEqual(["hearth", "Synapse, SQLite", "Synapse, PostgreSQL"]);
    for (const row of rows) expect(row).toMatchObject({ errors: 0, clients: 4 } satisfies Row);
    expect(tables![0]!.rows[0]!["Synapse, SQLite: times"]).toBeGreaterThan(0);
  });
});
