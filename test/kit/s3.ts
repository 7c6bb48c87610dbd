import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { S3Settings } from "../../src/store/media/s3.ts";
import { freePorts } from "./ports.ts";
import { until } from "./until.ts";

/** Whether there is SeaweedFS, a real S3-compatible store; `.ci/run` installs it from PyPI. */
export const s3Installed = ((): boolean => {
  try {
    execFileSync("which", ["weed"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

export interface S3Server {
  settings: S3Settings;
  close(): Promise<void>;
}

/** A store with one bucket, which holds nothing yet, on loopback alone. It checks signatures and the hash of what comes. */
export async function startS3(): Promise<S3Server> {
  const directory = await mkdtemp(join(tmpdir(), "hearth-s3-"));
  const settings = { bucket: "hearth", region: "us-east-1", accessKey: "hearth-key", secretKey: "hearth-secret" };
  const credentials = [{ accessKey: settings.accessKey, secretKey: settings.secretKey }];
  const identities = [{ name: "hearth", credentials, actions: ["Admin", "Read", "Write", "List"] }];
  await writeFile(join(directory, "s3.json"), JSON.stringify({ identities }));
  const ports = await freePorts(8);
  const named = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc"];
  named.push("filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc");
  const child = spawn(
    "weed",
    [
      ...["server", `-dir=${directory}`, "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"],
      ...["-filer", "-s3", `-s3.config=${join(directory, "s3.json")}`, "-s3.iam=false", "-s3.port.iceberg=0"],
      ...["-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=20"],
      ...named.map((name, number) => `-${name}=${ports[number]}`),
    ],
    { stdio: ["ignore", "ignore", "pipe"], cwd: directory },
  );
  const exited = once(child, "exit");
  let log = "";
  child.stderr.on("data", (text) => (log = (log + String(text)).slice(-4000)));
  const endpoint = `http://127.0.0.1:${ports[6]}`;
  async function close(): Promise<void> {
    child.kill("SIGKILL");
    await exited;
    await rm(directory, { recursive: true, force: true });
  }
  try {
    // It takes requests before all its parts have found each other: a write tells that they have.
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(log);
        const { createS3 } = await import("../../src/store/media/s3.ts");
        const store = createS3({
          ...{ settings: { ...settings, endpoint }, fetch, clock: { now: () => Date.now() }, retryAfterMs: [] },
          ...{ log: { debug() {}, info() {}, warn() {}, error() {} }, spool: null as never },
        });
        const nothing = { path: "", size: 0, sha256: emptyHash, discard: () => Promise.resolve() };
        return store.put("ready", nothing).then(
          () => true,
          () => false,
        );
      },
      () => `the store isn't ready: ${log}`,
      60_000,
    );
  } catch (error) {
    await close();
    throw error;
  }
  return { settings: { ...settings, endpoint }, close };
}

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
