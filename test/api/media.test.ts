import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, readlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import * as kit from "../kit/media.ts";
import { Wire } from "../kit/wire.ts";
import { until } from "../kit/until.ts";

const { bytesOf, download, filesIn, pathOf, rest, sha256, tryUpload, upload, uploadHead } = kit;

const maxBytes = 1_000_000;
let server: TestApp;
let alice: Client;
let bob: Client;

beforeAll(async () => {
  server = await startApp({ mirrors: false, config: { media: { maxBytes, quotaBytes: 0, s3: null } } });
  [alice, bob] = [await server.user("alice"), await server.user("bob")];
});

afterAll(async () => {
  await server.close();
  expect(server.errors).toEqual([]);
});

/** What there is of files anywhere: rows, places, and files on disk. */
async function everything(): Promise<object> {
  const [counts] = await sql<object>(
    server.databaseUrl,
    `SELECT (SELECT count(*)::int FROM media) AS media, (SELECT count(*)::int FROM media_blob) AS blobs,
       (SELECT count(*)::int FROM media_reservation) AS reserved, (SELECT sum(bytes)::text FROM media_usage) AS bytes`,
  );
  const [files, spool] = [await filesIn(server.dataDir, "files"), await filesIn(server.dataDir, "spool")];
  return { ...counts, files: files.length, spool: spool.length };
}

describe("[AS-14] what was uploaded", () => {
  test("comes back byte for byte, by all old versions of the API and the current one", async () => {
    const bytes = randomBytes(300_000);
    const mxc = await upload(alice, bytes, { type: "image/png", name: "fire.png" });
    expect(mxc).toMatch(/^mxc:\/\/localhost\/[\w-]{22}$/);
    const path = pathOf(mxc);
    for (const version of ["v3", "r0", "v1"]) {
      const open = await fetch(`${server.address}/_matrix/media/${version}/download/${path}`);
      expect(open.status).toBe(200);
      expect(sha256(await bytesOf(open))).toBe(sha256(bytes));
      expect(open.headers.get("content-type")).toBe("image/png");
      expect(open.headers.get("content-disposition")).toBe("inline; filename=fire.png");
      expect(open.headers.get("cache-control")).toMatch(/^public, immutable, max-age=\d+$/);
    }
    const current = `${server.address}/_matrix/client/v1/media/download/${path}`;
    const refused = await fetch(current);
    expect([refused.status, await refused.json()]).toMatchObject([401, { errcode: "M_MISSING_TOKEN" }]);
    const asBob = await fetch(current, { headers: { authorization: `Bearer ${bob.token}` } });
    expect(sha256(await bytesOf(asBob))).toBe(sha256(bytes));
    expect(asBob.headers.get("cache-control")).toMatch(/^private, /);
  });

  test("has a name for saving it: the uploader's, or that of the address", async () => {
    const mxc = await upload(alice, "x", { type: "text/plain", name: "../../etc/naïve €.txt" });
    const named = await download(alice, mxc);
    expect(named.headers.get("content-disposition")).toContain("filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt");
    const other = await fetch(`${server.address}/_matrix/media/v3/download/${pathOf(mxc)}/a%22b%0d%0ax%3a%20y.txt`);
    expect(other.headers.get("content-disposition")).toBe('inline; filename="a\\"bx: y.txt"');
    expect(other.headers.get("x")).toBeNull();
    const long = await upload(alice, "x", { name: `${"é".repeat(1000)}.png` });
    expect((await download(alice, long)).headers.get("content-disposition")).toMatch(/\.png/);
  });

  test("may be empty, or come in chunks without a length", async () => {
    const empty = await download(alice, await upload(alice, ""));
    expect([empty.status, (await bytesOf(empty)).length, empty.headers.get("content-length")]).toEqual([200, 0, "0"]);
    const bytes = randomBytes(200_000);
    const mxc = await upload(alice, new Blob([bytes]).stream());
    expect(sha256(await bytesOf(await download(alice, mxc)))).toBe(sha256(bytes));
  });

  test("is kept once, however often it comes", async () => {
    const bytes = randomBytes(1000);
    const before = (await filesIn(server.dataDir, "files")).length;
    const uris = await Promise.all(Array.from({ length: 8 }, () => upload(alice, bytes)));
    uris.push(await upload(bob, bytes));
    expect(new Set(uris).size).toBe(9);
    expect((await filesIn(server.dataDir, "files")).length).toBe(before + 1);
    for (const mxc of uris) expect(sha256(await bytesOf(await download(alice, mxc)))).toBe(sha256(bytes));
    const [file] = (await filesIn(server.dataDir, "files")).filter((path) => path.includes(sha256(bytes)));
    expect(sha256(await readFile(file!))).toBe(sha256(bytes));
  });
});

describe("[AS-14] what a client says that a file is", () => {
  test.each([
    ["text/html", "attachment", "text/html"],
    ["image/svg+xml", "attachment", "image/svg+xml"],
    ["application/xhtml+xml; charset=utf-8", "attachment", "application/xhtml+xml; charset=utf-8"],
    ["text/javascript", "attachment", "application/octet-stream"],
    ["application/wasm", "attachment", "application/octet-stream"],
    ["TEXT/PLAIN; charset=utf-8", "inline", "TEXT/PLAIN; charset=utf-8"],
    ["image/jpeg", "inline", "image/jpeg"],
    ["application/pdf", "attachment", "application/pdf"],
    ["no media type", "attachment", "application/octet-stream"],
    ['text/plain; a="b', "attachment", "application/octet-stream"],
    [`text/${"x".repeat(300)}`, "attachment", "application/octet-stream"],
  ])("%s is served so that nothing in it runs", async (type, disposition, served) => {
    const mxc = await upload(alice, "<script>alert(1)</script>", { type });
    for (const response of [
      await download(alice, mxc),
      await fetch(`${server.address}/_matrix/media/v3/download/${pathOf(mxc)}`, { method: "HEAD" }),
    ]) {
      const { headers } = response;
      await response.text();
      expect(headers.get("content-type")).toBe(served);
      expect(headers.get("content-disposition")).toMatch(new RegExp(`^${disposition}`));
      expect(headers.get("content-security-policy")).toMatch(/^sandbox; default-src 'none'; script-src 'none';/);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cross-origin-resource-policy")).toBe("cross-origin");
      expect(headers.get("access-control-allow-origin")).toBe("*");
    }
  });
});

describe("[AS-14] downloads", () => {
  const bytes = Buffer.from("0123456789abcdef");
  let mxc: string;
  beforeAll(async () => {
    mxc = await upload(alice, bytes, { type: "text/plain" });
  });

  test.each([
    ["bytes=0-0", 206, "0", "bytes 0-0/16"],
    ["bytes=4-", 206, "456789abcdef", "bytes 4-15/16"],
    ["bytes=-3", 206, "def", "bytes 13-15/16"],
    ["bytes=-99", 206, "0123456789abcdef", "bytes 0-15/16"],
    ["bytes=10-999", 206, "abcdef", "bytes 10-15/16"],
    ["bytes=16-", 416, null, "bytes */16"],
    ["bytes=-0", 416, null, "bytes */16"],
    ["bytes=5-4", 200, "0123456789abcdef", null],
    ["bytes=0-1,3-4", 200, "0123456789abcdef", null],
    ["bytes=-", 200, "0123456789abcdef", null],
    ["items=0-1", 200, "0123456789abcdef", null],
    ["bytes=99999999999999999999-", 200, "0123456789abcdef", null],
  ])("give the range %s", async (range, status, text, contentRange) => {
    const response = await download(alice, mxc, { range });
    const got = await response.text();
    expect([response.status, response.headers.get("content-range")]).toEqual([status, contentRange]);
    if (text !== null) expect([got, response.headers.get("content-length")]).toEqual([text, String(text.length)]);
    else expect(JSON.parse(got)).toMatchObject({ errcode: "M_UNKNOWN" });
  });

  test("need no bytes for who has them, or asks for the headers alone", async () => {
    const first = await download(alice, mxc);
    await first.text();
    const etag = first.headers.get("etag")!;
    expect(etag).toBe(`"${sha256(bytes)}"`);
    for (const value of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const again = await download(alice, mxc, { "if-none-match": value });
      expect([again.status, await again.text()]).toEqual([304, ""]);
    }
    expect((await download(alice, mxc, { "if-none-match": '"other"' })).status).toBe(200);
    expect((await download(alice, mxc, { range: "bytes=0-1", "if-range": etag })).status).toBe(206);
    expect((await download(alice, mxc, { range: "bytes=0-1", "if-range": '"other"' })).status).toBe(200);
    const head = await fetch(`${server.address}/_matrix/media/v3/download/${pathOf(mxc)}`, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "16", ""]);
  });

  test.each([
    ["a foreign server", "/download/elsewhere.example/abc"],
    ["an unknown id", "/download/localhost/abc"],
    ["a path", "/download/localhost/..%2f..%2f..%2fetc%2fpasswd"],
    ["a path in the server", "/download/..%2f..%2f/passwd"],
    ["dots", "/download/localhost/..%2e"],
    ["a NUL", "/download/localhost/a%00b"],
    ["broken percent-encoding", "/download/localhost/%ff%zz"],
    ["a very long id", `/download/localhost/${"a".repeat(4000)}`],
    ["a parent directory", "/download/localhost/../../../../etc/passwd"],
  ])("of %s are 404", async (_what, path) => {
    const wire = new Wire(server.address);
    wire.write(`GET /_matrix/media/v3${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    await wire.ends();
    expect(wire.received).toMatch(/^HTTP\/1.1 404 /);
    expect(wire.received).toMatch(/"errcode":"M_(NOT_FOUND|UNRECOGNIZED)"|"code":"NOT_FOUND"/);
  });

  test("that their client leaves do no harm", async () => {
    const large = await upload(alice, randomBytes(maxBytes));
    for (let n = 0; n < 5; n++) {
      const wire = new Wire(server.address);
      wire.write(`GET /_matrix/media/v3/download/${pathOf(large)} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      await wire.gets("200 OK");
      wire.socket.destroy();
    }
    expect((await download(alice, large)).status).toBe(200);
  });
});

/** Files of the server's that this process has open. */
async function openFiles(): Promise<number> {
  const names = await readdir("/proc/self/fd");
  const paths = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => "")));
  return paths.filter((path) => path.startsWith(join(server.dataDir, "media"))).length;
}

test.runIf(process.platform === "linux")(
  "[AS-14] downloads that one connection asks for at once open one file at a time, and none when it is gone",
  async () => {
    const large = await upload(alice, randomBytes(maxBytes));
    const wire = new Wire(server.address);
    wire.socket.pause();
    wire.write(`GET /_matrix/media/v3/download/${pathOf(large)} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(100));
    await until(async () => (await openFiles()) > 0);
    // Where the connection takes no more, the file may be read to its end already.
    for (let n = 0; n < 30; n++) {
      expect(await openFiles()).toBeLessThan(2);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    wire.socket.destroy();
    await until(async () => (await openFiles()) === 0);
  },
);

describe("[AS-14] an upload keeps nothing", () => {
  const over = randomBytes(maxBytes + 1);
  const chunk = (bytes: Uint8Array) =>
    Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);

  test("when it says that it is too large: it is refused before it comes", async () => {
    const before = await everything();
    const wire = new Wire(server.address).write(uploadHead(alice, { "Content-Length": maxBytes + 1 }));
    await wire.gets('"errcode":"M_TOO_LARGE"');
    expect(wire.received).toMatch(/^HTTP\/1.1 413 /);
    wire.socket.destroy();
    expect(await everything()).toEqual(before);
  });

  test("when it turns out to be too large, and is told so at once", async () => {
    const before = await everything();
    expect(await tryUpload(alice, over)).toMatchObject({ status: 413, body: { errcode: "M_TOO_LARGE", maxBytes } });
    const wire = new Wire(server.address).write(uploadHead(alice, { "Transfer-Encoding": "chunked" }));
    // The end of it never comes.
    wire.write(chunk(over));
    await wire.gets('"errcode":"M_TOO_LARGE"');
    expect(wire.received).toMatch(/^HTTP\/1.1 413 /);
    await wire.ends();
    await until(async () => (await filesIn(server.dataDir, "spool")).length === 0);
    expect(await everything()).toEqual(before);
  });

  test("when its client goes away in the middle", async () => {
    const before = await everything();
    const lengths: Record<string, string | number>[] = [
      { "Content-Length": 500_000 },
      { "Transfer-Encoding": "chunked" },
    ];
    for (const headers of lengths) {
      for (const end of ["destroy", "end"] as const) {
        const wire = new Wire(server.address).write(uploadHead(alice, headers));
        const part = randomBytes(400_000);
        wire.write("Content-Length" in headers ? part : chunk(part));
        await until(async () => (await filesIn(server.dataDir, "spool")).length === 1);
        wire.socket[end]();
        await wire.ends();
        await until(async () => (await filesIn(server.dataDir, "spool")).length === 0);
      }
    }
    expect(await everything()).toEqual(before);
  });

  test("when nobody is signed in, or the token is none", async () => {
    const before = await everything();
    expect(await tryUpload(server.stranger(), "x")).toMatchObject({
      status: 401,
      body: { errcode: "M_MISSING_TOKEN" },
    });
    const query = await fetch(`${server.address}/_matrix/media/r0/upload?access_token=nonsense`, { method: "POST" });
    expect(query.status).toBe(401);
    expect(await everything()).toEqual(before);
    const byAddress = `${server.address}/_matrix/media/r0/upload?access_token=${alice.token}`;
    expect((await fetch(byAddress, { method: "POST", body: "x" })).status).toBe(200);
  });

  test("when its account is shut meanwhile", async () => {
    const carol = await server.user("carol");
    const before = await everything();
    const wire = new Wire(server.address).write(uploadHead(carol, { "Content-Length": 6 })).write("abc");
    await until(async () => (await filesIn(server.dataDir, "spool")).length === 1);
    await sql(server.databaseUrl, "UPDATE account SET deactivated_at = now() WHERE user_id = $1", [carol.userId]);
    wire.write("def");
    await wire.gets("M_UNKNOWN_TOKEN");
    wire.socket.destroy();
    expect(await everything()).toEqual(before);
  });

  test("when its token is revoked meanwhile", async () => {
    const erin = await server.user("erin");
    const before = await everything();
    const wire = new Wire(server.address).write(uploadHead(erin, { "Content-Length": 6 })).write("abc");
    await until(async () => (await filesIn(server.dataDir, "spool")).length === 1);
    await erin.do("mutation { logout { deviceId } }");
    wire.write("def");
    await wire.gets("M_UNKNOWN_TOKEN");
    wire.socket.destroy();
    await until(async () => (await filesIn(server.dataDir, "spool")).length === 0);
    expect(await everything()).toEqual(before);
  });

  test("[AS-6] when its application service is registered no longer", async () => {
    const { takeFiles } = server.app.domain.services.registrations;
    const asToken = "as-token-of-a-bridge";
    const content = { id: "bridge", as_token: asToken, hs_token: "hs-token-of-a-bridge", sender_localpart: "bridge" };
    await takeFiles([{ name: "bridge.yaml", content }]);
    const bridge = new Client(server.address, asToken, "@bridge:localhost", "");
    expect(await tryUpload(bridge, "x")).toMatchObject({ status: 200 });
    const before = await everything();
    const wire = new Wire(server.address).write(uploadHead(bridge, { "Content-Length": 6 })).write("abc");
    await until(async () => (await filesIn(server.dataDir, "spool")).length === 1);
    await takeFiles([]);
    wire.write("def");
    await wire.gets("M_UNKNOWN_TOKEN");
    wire.socket.destroy();
    await until(async () => (await filesIn(server.dataDir, "spool")).length === 0);
    expect(await everything()).toEqual(before);
  });

  test("when a process that is no more has left it", async () => {
    const spool = join(server.dataDir, "media", "spool");
    await mkdir(spool, { recursive: true });
    const mine = await tryUpload(alice, "x");
    expect(mine.status).toBe(200);
    const wire = new Wire(server.address).write(uploadHead(alice, { "Content-Length": 6 })).write("abc");
    await until(async () => (await filesIn(server.dataDir, "spool")).length === 1);
    const [running] = await filesIn(server.dataDir, "spool");
    const machine = running!.split("/").at(-1)!.split(".")[0];
    const names = {
      dead: `${machine}.${2 ** 22 + 1}.x`,
      old: `elsewhere.1.old`,
      fresh: `elsewhere.1.fresh`,
    };
    for (const name of Object.values(names)) await writeFile(join(spool, name), "left");
    const hoursAgo = new Date(Date.now() - 3 * 60 * 60_000);
    await utimes(join(spool, names.old), hoursAgo, hoursAgo);
    await server.app.domain.media.clean();
    expect((await filesIn(server.dataDir, "spool")).sort()).toEqual([running, join(spool, names.fresh)].sort());
    wire.write("def");
    await wire.gets("content_uri");
    wire.socket.destroy();
  });
});

describe("[AS-14] an id that was given away before its content", () => {
  const create = (client: Client) => rest(client, "/_matrix/media/v1/create", { method: "POST" });
  const put = (client: Client, mxc: string, body: string) =>
    rest(client, `/_matrix/media/v3/upload/${pathOf(mxc)}`, { method: "PUT", body });
  const reserved = async (client: Client) => (await create(client)).body["content_uri"] as string;

  test("takes it once, from who has it", async () => {
    const created = await create(alice);
    expect(created).toMatchObject({ status: 200, body: { unused_expires_at: expect.any(Number) } });
    const mxc = created.body["content_uri"] as string;
    expect(await put(bob, mxc, "stolen")).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
    expect(await put(alice, mxc, "first")).toMatchObject({ status: 200, body: {} });
    const second = { status: 409, body: { errcode: "M_CANNOT_OVERWRITE_MEDIA" } };
    expect(await put(alice, mxc, "second")).toMatchObject(second);
    expect(await put(bob, mxc, "second")).toMatchObject(second);
    expect(await (await download(alice, mxc)).text()).toBe("first");
    const unknown = { status: 404, body: { errcode: "M_NOT_FOUND" } };
    expect(await put(alice, "mxc://localhost/unknown", "x")).toMatchObject(unknown);
    expect(await put(alice, "mxc://elsewhere.example/x", "x")).toMatchObject(unknown);
  });

  test("takes one of several that come at once", async () => {
    const mxc = await reserved(alice);
    const answers = await Promise.all(["a", "b", "c", "d", "e", "f"].map((body) => put(alice, mxc, body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409, 409]);
  });

  test("is waited for by who downloads it, for as long as they say", async () => {
    const mxc = await reserved(alice);
    const get = (timeout: number) =>
      fetch(`${server.address}/_matrix/media/v3/download/${pathOf(mxc)}?timeout_ms=${timeout}`);
    const early = await get(300);
    expect([early.status, await early.json()]).toMatchObject([504, { errcode: "M_NOT_YET_UPLOADED" }]);
    const patient = get(20_000);
    await put(alice, mxc, "at last");
    expect(await (await patient).text()).toBe("at last");
  });

  test("is waited for no longer than its client is there", async () => {
    const mxc = await reserved(alice);
    const wire = new Wire(server.address);
    const before = server.database.statements();
    wire.write(`GET /_matrix/media/v3/download/${pathOf(mxc)}?timeout_ms=20000 HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await until(() => server.database.statements() > before + 4);
    wire.socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 600));
    const gone = server.database.statements();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    // Eight, were it looked for on; others come now and then.
    expect(server.database.statements() - gone).toBeLessThan(4);
  });

  test("ends by itself, and nobody has many", async () => {
    const dora = await server.user("dora");
    const answers = await Promise.all(Array.from({ length: 80 }, () => create(dora)));
    const uris = answers.filter(({ status }) => status === 200).map(({ body }) => body["content_uri"] as string);
    expect(uris).toHaveLength(50);
    expect(await create(dora)).toMatchObject({ status: 429, body: { errcode: "M_LIMIT_EXCEEDED" } });
    await sql(
      server.databaseUrl,
      "UPDATE media_reservation SET expires_at = now() - interval '1 s' WHERE user_id = $1",
      [dora.userId],
    );
    expect(await put(dora, uris[0]!, "late")).toMatchObject({ status: 404 });
    expect((await download(dora, uris[1]!)).status).toBe(404);
    await server.app.domain.media.clean();
    const left = await sql(server.databaseUrl, "SELECT FROM media_reservation WHERE user_id = $1", [dora.userId]);
    expect(left).toEqual([]);
    expect((await create(dora)).status).toBe(200);
  });
});

test("[AS-14] clients learn how large a file may be, and that there is a content repository [CAP-1]", async () => {
  for (const path of ["/_matrix/media/v3/config", "/_matrix/client/v1/media/config"]) {
    expect(await rest(alice, path)).toMatchObject({ status: 200, body: { "m.upload.size": maxBytes } });
    expect(await rest(server.stranger(), path)).toMatchObject({ status: 401 });
  }
  const { server: own } = await alice.do<{ server: { capabilitiesHash: string } }>("{ server { capabilitiesHash } }");
  const { capabilities } = await alice.do<{ capabilities: { set: object } }>(
    "query ($hash: String!) { capabilities(hash: $hash) { set } }",
    { hash: own.capabilitiesHash },
  );
  expect(capabilities.set).toHaveProperty(["m.cap.contentrepo.v1"]);
});
