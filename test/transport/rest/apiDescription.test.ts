import { existsSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../../kit/app.ts";

type Json = Record<string, unknown>;
interface Operation {
  operationId: string;
  parameters: { name?: string; in?: string; required?: boolean; schema?: Json; $ref?: string }[];
  requestBody?: { content: Record<string, { schema: Json }> };
  responses: Record<string, { content: Record<string, { schema: Json }> }>;
  security: object[];
}

let server: TestApp;
let paths: Record<string, Record<string, Operation>>;
let document: Json;

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const installed = existsSync(executablePath);

beforeAll(async () => {
  server = await startApp({ mirrors: false });
  document = (await (await fetch(`${server.address}/openapi.json`)).json()) as Json;
  paths = document["paths"] as typeof paths;
});

afterAll(async () => {
  await server.close();
  expect(server.errors).toEqual([]);
});

/** What bridges call, as far as it is served: below `/_matrix/client/v3` unless it says so. Names of parameters don't count. */
const called = `
POST /_matrix/appservice/v1/register
POST /_matrix/appservice/v1/unregister
POST bare:/register
POST bare:/unregister
POST /register
GET /account/whoami
GET /_matrix/client/versions
GET /capabilities
GET /joined_rooms
POST /createRoom
POST /join/{}
POST /rooms/{}/join
POST /rooms/{}/leave
POST /rooms/{}/invite
POST /rooms/{}/kick
POST /rooms/{}/ban
POST /rooms/{}/unban
PUT /rooms/{}/send/{}/{}
PUT bare:/rooms/{}/send/{}
PUT /rooms/{}/state/{}
PUT /rooms/{}/state/{}/{}
GET /rooms/{}/state/{}
GET /rooms/{}/state/{}/{}
GET /rooms/{}/state
GET /rooms/{}/joined_members
GET /rooms/{}/members
GET /rooms/{}/event/{}
GET /rooms/{}/messages
GET /rooms/{}/context/{}
PUT /rooms/{}/redact/{}/{}
POST /rooms/{}/redact/{}
PUT /rooms/{}/typing/{}
POST /rooms/{}/receipt/{}/{}
POST /rooms/{}/read_markers
GET /presence/{}/status
PUT /presence/{}/status
GET /profile/{}
GET /profile/{}/displayname
PUT /profile/{}/displayname
GET /profile/{}/avatar_url
PUT /profile/{}/avatar_url
GET /directory/room/{}
PUT /directory/room/{}
DELETE /directory/room/{}
GET /directory/list/room/{}
PUT /directory/list/room/{}
PUT /directory/list/appservice/{}/{}
DELETE /directory/list/appservice/{}/{}
GET /publicRooms
POST /publicRooms
POST /_matrix/media/v3/upload
GET /_matrix/media/v3/download/{}/{}
GET /_matrix/media/v3/download/{}/{}/{}
GET /_matrix/media/v3/thumbnail/{}/{}
GET /_matrix/media/v3/config
POST /_matrix/media/v3/create
POST /appservice/{}/ping
GET /login
POST /login
POST /logout
POST /account/deactivate
GET /user/{}/account_data/{}
PUT /user/{}/account_data/{}
GET /user/{}/rooms/{}/account_data/{}
PUT /user/{}/rooms/{}/account_data/{}
POST /user/{}/filter
GET /user/{}/filter/{}
GET /user/{}/rooms/{}/tags
PUT /user/{}/rooms/{}/tags/{}
DELETE /user/{}/rooms/{}/tags/{}
POST /rooms/{}/forget
GET /devices
GET /devices/{}
GET /thirdparty/protocols
GET /thirdparty/protocol/{}
GET /thirdparty/user/{}
GET /thirdparty/location/{}
GET /thirdparty/user
GET /thirdparty/location
GET /sync
GET /initialSync
GET /events
GET /_matrix/app/v1/user
GET /_matrix/app/v1/alias`;

test("[AS-13] the document describes every call that bridges make, and all of them are answered", async () => {
  const described = new Set(
    Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/g, "{}")}`),
    ),
  );
  const wanted = called
    .trim()
    .split("\n")
    .map((line) =>
      line.replace(/ (bare:)?(?=\/)/, (_all, bare) =>
        bare || line.includes("/_matrix/") ? " " : " /_matrix/client/v3",
      ),
    );
  expect(wanted.filter((line) => !described.has(line))).toEqual([]);
  // Nothing is described that no route is there for.
  for (const line of described) {
    const [method = "", path = ""] = line.split(" ");
    const answer = await fetch(server.address + path.replaceAll("{}", "x"), { method });
    expect([line, answer.status]).not.toEqual([line, 405]);
    const { errcode } = (await answer.json()) as Json;
    expect([line, errcode]).not.toEqual([line, "M_UNRECOGNIZED"]);
  }
});

test("the document is valid OpenAPI 3.1 with everything that it refers to", async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document));
  expect([valid, errors]).toEqual([true, undefined]);
  expect(document["openapi"]).toBe("3.1.0");
  const broken = structuredClone(document) as { paths: Record<string, Json> };
  broken.paths["/x"] = { get: { responses: 7 } };
  expect((await new Validator().validate(broken)).valid).toBe(false);
  const operations = Object.values(paths).flatMap((each) => Object.values(each));
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  const at = (pointer: string): unknown =>
    pointer
      .split("/")
      .slice(1)
      .reduce<unknown>((value, key) => (value as Json | undefined)?.[key], document);
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#([^"]+)"/g)].map(([, pointer]) => pointer!);
  expect(references.length).toBeGreaterThan(10);
  expect(references.filter((pointer) => at(pointer) === undefined)).toEqual([]);
});

test("calls say what they take and give", () => {
  const sync = paths["/_matrix/client/v3/sync"]!["get"]!;
  const timeout = sync.parameters.find(({ name }) => name === "timeout");
  expect(timeout).toMatchObject({ in: "query", required: false, schema: { type: "integer", default: 0 } });
  expect(sync.parameters).toContainEqual({ $ref: "#/components/parameters/actsAs" });
  expect(sync.security).toHaveLength(2);
  const { schema } = sync.responses["200"]!.content["application/json"]!;
  expect(schema).toMatchObject({ type: "object", required: ["next_batch", "rooms", "presence", "account_data"] });
  const register = paths["/_matrix/client/v3/register"]!["post"]!;
  expect(register.security).toEqual([]);
  expect(register.requestBody!.content["application/json"]!.schema).toMatchObject({
    properties: { username: {}, inhibit_login: {} },
  });
  const profile = paths["/_matrix/client/v3/profile/{userId}"]!["get"]!;
  expect(profile.parameters[0]).toEqual({ in: "path", name: "userId", required: true, schema: { type: "string" } });
});

test("the page of the API needs no script and nothing from elsewhere", async () => {
  const answer = await fetch(`${server.address}/api/`);
  expect(answer.headers.get("content-type")).toMatch(/^text\/html/);
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
  const text = await answer.text();
  expect(text).not.toMatch(/<script|<img|<link|https?:/);
  const shown = Object.keys(paths).filter((path) => !text.includes(path));
  // A path whose last part may be missing is shown once.
  expect(shown.every((path) => text.includes(`${path}/{`))).toBe(true);
  for (const path of ["/openapi.json", "/api"])
    expect((await fetch(server.address + path, { method: "POST" })).status).toBe(405);
});

test.skipIf(!installed)(`the page shows in a browser${installed ? "" : " (skipped: needs Chromium)"}`, async () => {
  const browser = await chromium.launch({ executablePath, args: ["--headless", "--no-sandbox", "--disable-gpu"] });
  try {
    const page = await browser.newPage();
    const asked: string[] = [];
    const failures: string[] = [];
    page.on("request", (request) => void asked.push(new URL(request.url()).host));
    page.on("console", (message) => void (message.type() === "error" && failures.push(message.text())));
    await page.goto(`${server.address}/api`);
    const entry = page.locator("details", { hasText: "/_matrix/client/v3/sync" });
    await entry.locator("summary").click();
    await entry.getByText("next_batch").first().waitFor();
    expect(
      await page
        .locator("h2")
        .first()
        .evaluate((node) => getComputedStyle(node).marginTop),
    ).toBe("40px");
    expect(new Set(asked)).toEqual(new Set([new URL(server.address).host]));
    // A browser asks for an icon by itself.
    expect(failures.filter((text) => !text.includes("404"))).toEqual([]);
  } finally {
    await browser.close();
  }
});
