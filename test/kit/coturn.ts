import { execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { until } from "./until.ts";

/** Whether there is coturn, a real TURN server, with its test client. */
export const coturnInstalled = ["turnserver", "turnutils_uclient"].every((command) => {
  try {
    execFileSync("which", [command], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});

export interface Coturn {
  port: number;
  close(): Promise<void>;
}

/** Starts coturn on loopback, over UDP and TCP, and waits until it answers. */
export async function startCoturn(secret: string): Promise<Coturn> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-turn-"));
  const port = await freePort();
  const child = spawn(
    "turnserver",
    [
      ...["-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", `--listening-port=${port}`],
      ...["--use-auth-secret", `--static-auth-secret=${secret}`, "--realm=localhost", "--allow-loopback-peers"],
      ...["--no-cli", "--no-tls", "--no-dtls", "--no-rfc5780", "--log-file=stdout", "--simple-log"],
      ...[`--userdb=${join(folder, "users")}`, `--pidfile=${join(folder, "pid")}`],
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const gone = once(child, "exit");
  let log = "";
  child.stdout.on("data", (text) => (log = (log + String(text)).slice(-4000)));
  await until(
    async () => (await answersOn(port)) || child.exitCode !== null,
    () => log,
  );
  return {
    port,
    async close() {
      child.kill("SIGKILL");
      await gone;
      await rm(folder, { recursive: true });
    },
  };
}

/** Whether something answers a binding request. */
async function answersOn(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  const answer = new Promise<boolean>((resolve) => {
    socket.once("message", () => resolve(true));
    socket.once("error", () => resolve(false));
    setTimeout(() => resolve(false), 300);
  });
  // Type 1, no attributes, the magic cookie and an id.
  socket.send(Buffer.from(`000100002112a442${"00".repeat(12)}`, "hex"), port, "127.0.0.1");
  return answer.finally(() => socket.close());
}
