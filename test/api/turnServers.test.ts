import { execFile, execFileSync, spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";

const secret = "open sesame";

interface TurnServer {
  uris: string[];
  username: string;
  password: string;
  expiresAt: string;
}

async function turnServers(client: Client): Promise<TurnServer[]> {
  const { viewer } = await client.do<{ viewer: { turnServers: TurnServer[] } }>(
    "{ viewer { turnServers { uris username password expiresAt } } }",
  );
  return viewer.turnServers;
}

function isInstalled(command: string): boolean {
  try {
    execFileSync("which", [command], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const installed = isInstalled("turnserver") && isInstalled("turnutils_uclient");

test("[VOIP-8] without a TURN server there are none, and nobody gets credentials without signing in", async () => {
  const server = await startApp();
  expect(await turnServers(await server.user("alice"))).toEqual([]);
  expect(await server.stranger().do("{ viewer { turnServers { uris } } }")).toEqual({ viewer: null });
  await server.close();
});

test("[VOIP-8] credentials name the user and the moment that they end, and hold for a day", async () => {
  const uris = ["turn:turn.example.org:3478?transport=udp", "turns:turn.example.org"];
  const clock = { now: () => 1_700_000_000_500 };
  const server = await startApp({ config: { turn: { uris, secret: "north" } }, clock });
  // The password as `openssl dgst -sha1 -hmac north -binary | base64` gives it.
  expect(await turnServers(await server.user("alice"))).toEqual([
    {
      uris,
      username: "1700086400:@alice:localhost",
      password: "1l5LhMG+Mqer+k6hZpZTgi9PXio=",
      expiresAt: "2023-11-15T22:13:20.000Z",
    },
  ]);
  await server.close();
});

describe.skipIf(!installed)(`coturn${installed ? "" : " (skipped: needs turnserver)"}`, () => {
  let folder: string;
  let turn: ChildProcess;
  let port: number;
  let log = "";

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hearth-turn-"));
    port = await freePort();
    turn = spawn(
      "turnserver",
      [
        ...["-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", `--listening-port=${port}`],
        ...["--use-auth-secret", `--static-auth-secret=${secret}`, "--realm=localhost", "--allow-loopback-peers"],
        ...["--no-cli", "--no-tls", "--no-dtls", "--no-rfc5780", "--log-file=stdout", "--simple-log"],
        ...[`--userdb=${join(folder, "users")}`, `--pidfile=${join(folder, "pid")}`],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    turn.stdout!.on("data", (text) => (log = (log + String(text)).slice(-4000)));
    await until(
      async () => (await client("nobody", "nothing")) !== "no answer" || turn.exitCode !== null,
      () => log,
    );
  });
  afterAll(async () => {
    const gone = once(turn, "exit");
    turn.kill("SIGKILL");
    await gone;
    await rm(folder, { recursive: true });
  });

  /** What a client gets of the TURN server: two relays that send each other what they are sent, or a refusal. */
  function client(username: string, password: string): Promise<"relayed" | "refused" | "no answer"> {
    const args = ["-p", String(port), "-u", username, "-w", password, ...["-y", "-c", "-n", "1", "127.0.0.1"]];
    return new Promise((resolve) => {
      execFile("turnutils_uclient", args, { timeout: 10_000 }, (error, output) => {
        if (error === null) resolve(/tot_recv_msgs=[1-9]/.test(output) ? "relayed" : "no answer");
        else resolve(output.includes("Cannot complete Allocation") ? "refused" : "no answer");
      });
    });
  }

  test("[VOIP-8] allocates a relay for the credentials that the server gives, and for no others", async () => {
    const uris = [`turn:127.0.0.1:${port}?transport=udp`];
    const server = await startApp({ config: { turn: { uris, secret } } });
    const [alice] = await turnServers(await server.user("alice"));
    expect(await client(alice!.username, alice!.password)).toBe("relayed");
    const [bob] = await turnServers(await server.user("bob"));
    expect(await client(alice!.username, bob!.password)).toBe("refused");
    await server.close();
  }, 60_000);

  test("[VOIP-8] refuses credentials whose time is over", async () => {
    const clock = { now: () => Date.now() - 25 * 60 * 60_000 };
    const server = await startApp({ config: { turn: { uris: ["turn:127.0.0.1"], secret } }, clock, mirrors: false });
    const [alice] = await turnServers(await server.user("alice"));
    expect(await client(alice!.username, alice!.password)).toBe("refused");
    await server.close();
  });
});

/** A UDP port that is free now. */
async function freePort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
