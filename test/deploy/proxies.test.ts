import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { freePort } from "../kit/ports.ts";
import { until } from "../kit/until.ts";

/** How a proxy is started with its example from deploy/, over plain HTTP and in a directory of its own. */
interface Proxy {
  command: string;
  args(at: Place): Promise<string[]>;
  environment(at: Place): Record<string, string>;
}

interface Place {
  directory: string;
  port: number;
  upstream: number;
}

const nginx: Proxy = {
  command: "nginx",
  async args({ directory, port, upstream }) {
    const example = await readFile("deploy/nginx.conf", "utf8");
    const plain = example
      .replace("listen 443 ssl;", `listen 127.0.0.1:${port};`)
      .replace(/^ *ssl_certificate.*\n/gm, "")
      .replace("127.0.0.1:8008", `127.0.0.1:${upstream}`)
      .replace("/var/log/nginx/error.log", "stderr");
    expect(plain).not.toMatch(/\b(443|8008)\b|ssl/);
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    const paths = temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join("\n");
    const whole = `pid ${directory}/pid;\nerror_log stderr warn;\nevents {}\nhttp {\n${paths}\n${plain}}\n`;
    await writeFile(join(directory, "nginx.conf"), whole);
    const inFront = "daemon off; master_process off;";
    return ["-e", "stderr", "-p", directory, "-c", join(directory, "nginx.conf"), "-g", inFront];
  },
  environment: () => ({}),
};

const caddy: Proxy = {
  command: "caddy",
  args: () => Promise.resolve(["run", "--config", "deploy/Caddyfile", "--adapter", "caddyfile"]),
  environment: ({ directory, port, upstream }) => ({
    ...{ HEARTH_SITE: `http://127.0.0.1:${port}`, HEARTH_UPSTREAM: `127.0.0.1:${upstream}` },
    ...{ CADDY_ADMIN: `unix/${directory}/admin.sock`, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
  }),
};

// Debian has nginx where only root looks for programs.
const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin`;

function isInstalled({ command }: Proxy): boolean {
  return spawnSync(command, [command === "nginx" ? "-v" : "version"], { env: { ...process.env, PATH } }).status === 0;
}

async function begin(proxy: Proxy, upstream: number) {
  const directory = await mkdtemp(join(tmpdir(), "hearth-proxy-"));
  const place = { directory, port: await freePort(), upstream };
  const environment = { ...process.env, PATH, ...proxy.environment(place) };
  const child: ChildProcess = spawn(proxy.command, await proxy.args(place), {
    env: environment,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr!.on("data", (text) => (said = (said + String(text)).slice(-4000)));
  const exited = once(child, "exit");
  const address = `http://127.0.0.1:${place.port}`;
  const answers = (): Promise<boolean> =>
    fetch(`${address}/health`).then(
      () => true,
      () => false,
    );
  await until(
    () => answers(),
    () => `${proxy.command} doesn't answer: ${said}`,
  );
  return {
    address,
    said: () => said,
    async close() {
      // Politely it would wait for connections that clients keep.
      child.kill("SIGKILL");
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

describe.each([
  ["nginx", nginx],
  ["Caddy", caddy],
] as const)("the example for %s", (name, proxy) => {
  const missing = !isInstalled(proxy);

  describe.skipIf(missing)(`lets through${missing ? ` (skipped: needs ${name})` : ""}`, () => {
    let server: TestApp;
    let proxied: Awaited<ReturnType<typeof begin>>;
    let alice: Client;

    beforeAll(async () => {
      server = await startApp({ mirrors: false });
      proxied = await begin(proxy, Number(new URL(server.address).port));
      alice = await Client.register(proxied.address, "alice");
    });

    afterAll(async () => {
      await alice.close();
      await proxied.close();
      await server.close();
      expect(server.errors).toEqual([]);
    });

    test("operations, and streams over WebSockets as they come", async () => {
      const room = await alice.createRoom();
      const follow = await alice.follow();
      await follow.sees(await alice.send(room, "by a proxy"));
      follow.stop();
    });

    test("server-sent events, none held back", async () => {
      const room = await alice.createRoom();
      const ending = new AbortController();
      const response = await fetch(`${proxied.address}/graphql`, {
        method: "POST",
        signal: ending.signal,
        headers: {
          ...{ accept: "text/event-stream", "content-type": "application/json" },
          authorization: `Bearer ${alice.token}`,
        },
        body: JSON.stringify({ query: "subscription { eventStream { stream events { id } } }" }),
      });
      let text = "";
      const reading = (async () => {
        for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) text += chunk;
      })().catch(() => undefined);
      await until(() => text.includes('"stream"'));
      const eventId = await alice.send(room, "at once");
      await until(() => text.includes(eventId));
      ending.abort();
      await reading;
    });

    test("files that are larger than proxies take by themselves", async () => {
      const body = Buffer.alloc(5_000_000, "x");
      const headers = { authorization: `Bearer ${alice.token}`, "content-type": "application/octet-stream" };
      const upload = await fetch(`${proxied.address}/_matrix/media/v3/upload`, { method: "POST", headers, body });
      const { content_uri: mxc } = (await upload.json()) as { content_uri: string };
      const download = await fetch(`${proxied.address}/_matrix/media/v3/download/${mxc.slice("mxc://".length)}`);
      expect(Buffer.from(await download.arrayBuffer()).equals(body)).toBe(true);
    });

    test("no figures", async () => {
      for (const path of ["/metrics", "/metrics/", "/metrics?a=b"]) {
        expect((await fetch(proxied.address + path)).status).toBe(404);
      }
    });
  });

  test.skipIf(missing)("logs no token of an address, also when nobody is there to take it", async () => {
    const proxied = await begin(proxy, await freePort());
    const answer = await fetch(`${proxied.address}/_matrix/client/v3/sync?access_token=hearth_SECRET`);
    expect(answer.status).toBe(502);
    await proxied.close();
    expect(proxied.said()).not.toContain("SECRET");
  });

  test.skipIf(missing)("tells the server where requests come from, whatever they say themselves", async () => {
    const seen: IncomingHttpHeaders[] = [];
    const upstream = createServer((req, res) => void (seen.push(req.headers), res.end()));
    upstream.listen(0, "127.0.0.1");
    await once(upstream, "listening");
    const proxied = await begin(proxy, (upstream.address() as AddressInfo).port);
    seen.length = 0;
    await fetch(`${proxied.address}/`, { headers: { "x-forwarded-for": "203.0.113.7" } });
    await proxied.close();
    upstream.closeAllConnections();
    upstream.close();
    expect(seen.map((headers) => headers["x-forwarded-for"])).toEqual(["127.0.0.1"]);
    expect(seen[0]!.host).toBe(new URL(proxied.address).host);
  });
});
