import { existsSync } from "node:fs";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const installed = existsSync(executablePath);

let server: TestApp;
let browser: Browser;
let page: Page;
let alice: Client;
/** Whatever the page asked for over the network. */
const asked: string[] = [];
const failures: string[] = [];

beforeAll(async () => {
  if (!installed) return;
  server = await startApp();
  alice = await server.user("alice");
  browser = await chromium.launch({ executablePath, args: flags });
  const permissions = ["clipboard-read", "clipboard-write"];
  page = await browser.newPage({ viewport: { width: 1400, height: 900 }, permissions });
  page.on("request", (request) => void asked.push(request.url()));
  page.on("websocket", (socket) => void asked.push(socket.url()));
  page.on("pageerror", (error) => void failures.push(error.message));
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

/** Pastes over what is in one of GraphiQL's editors; typing would have brackets closed twice. */
async function paste(editor: string, text: string): Promise<void> {
  await page.locator(`${editor} .monaco-editor`).first().click();
  await page.keyboard.press("ControlOrMeta+A");
  await page.evaluate((copied) => navigator.clipboard.writeText(copied), text);
  await page.keyboard.press("ControlOrMeta+V");
}

/** Runs a named operation. GraphiQL reads an edited document after a while only, and then names the tab after it. */
async function run(name: string, operation: string): Promise<void> {
  await paste(".graphiql-query-editor", operation);
  await page.locator(".graphiql-tab").filter({ hasText: name }).waitFor();
  await page.locator(".graphiql-execute-button").click();
}

async function showsAnswer(text: string): Promise<void> {
  const response = page.locator(".graphiql-response .view-lines");
  // Monaco writes spaces as no-break spaces, and draws only the lines that are in sight.
  const shown = async () => (await response.innerText()).replaceAll("\u00a0", " ");
  let last = "";
  await until(
    async () => (last = await shown().catch(() => "")).includes(text),
    () => `the response pane shows ${last}`,
  );
}

describe.skipIf(!installed)(`GraphiQL${installed ? "" : " (skipped: needs Chromium)"}`, () => {
  test("opens with the default document", async () => {
    await page.goto(`${server.address}/graphql`);
    await page.locator(".graphiql-query-editor .view-lines").filter({ hasText: "Welcome" }).waitFor();
  });

  test("runs a query", async () => {
    await run("ServerName", "query ServerName { server { name } }");
    await showsAnswer('"name": "localhost"');
  });

  test("[ACC-1] sends the access token of its Headers tab", async () => {
    await page.getByRole("button", { name: "Headers", exact: true }).click();
    await paste(".graphiql-editor-tool .graphiql-editor:not(.hidden)", `{ "Authorization": "Bearer ${alice.token}" }`);
    await run("WhoIsIt", "query WhoIsIt { viewer { user { id } } }");
    await showsAnswer(alice.userId);
  });

  test("[EVS-1] follows the event stream over a WebSocket as the owner of that token", async () => {
    await run("Watch", "subscription Watch { eventStream { events { content } } }");
    await showsAnswer('"events": []');
    const bob = await server.user("bob");
    const roomId = await bob.createRoom({ joinRule: "PUBLIC" });
    await alice.join(roomId);
    await bob.send(roomId, "seen in a browser");
    await showsAnswer("seen in a browser");
    expect(asked).toContain(`${server.address.replace("http", "ws")}/graphql`);
  });

  test("asks nothing of any other server, and nothing in it fails", () => {
    const { host } = new URL(server.address);
    // A blob's address begins with the origin that made it.
    const hosts = asked.filter((url) => !url.startsWith("data:")).map((url) => new URL(url.replace(/^blob:/, "")).host);
    expect(new Set(hosts)).toEqual(new Set([host]));
    expect(failures).toEqual([]);
    expect(server.errors).toEqual([]);
  });
});
