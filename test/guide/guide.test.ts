import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { startService, takesAll, type Script, type ScriptedService } from "../kit/scriptedService.ts";
import { Walk } from "./support/walk.ts";

// Every document of the guide is run, and every answer is compared. docs/guide/README.md says how the pages are written.

const folder = "docs/guide/";
const pages = readdirSync(folder);
const textOf = (page: string): string => readFileSync(`${folder}${page}`, "utf8");

/** The bridge of bridges.md: it describes the rooms and people that it is asked for. */
const bridgeScript: Script = (asked, res) => {
  if (asked.path.endsWith("#irc_#hearth:localhost")) {
    const name = {
      type: "m.room.name",
      state_key: "",
      content: { name: "#hearth on IRC" },
      sender: "@ircbot:localhost",
    };
    return [200, { state: [name] }];
  }
  if (asked.path.endsWith("@irc_carol:localhost")) return [200, { profile: { display_name: "Carol on IRC" } }];
  return takesAll(asked, res);
};
const bridgeNamespaces = {
  users: ["@irc_.*", "@irc\\.example\\.org/.*"],
  aliases: ["#irc_.*", "#irc\\.example\\.org/.*"],
};

describe("the pages say what the server does", () => {
  let server: TestApp;
  let walk: Walk;
  let bridge: ScriptedService;
  beforeAll(async () => {
    bridge = await startService(bridgeScript);
  });
  afterAll(() => bridge.close());
  // Each page begins on a server with nothing but the people of the first one.
  beforeEach(async ({ task }) => {
    // syncing.md shows what happens when more is missed than the server replays.
    const services = task.name.endsWith("bridges.md") ? [bridge.registration({ namespaces: bridgeNamespaces })] : [];
    const presence = task.name.endsWith("live.md");
    const rates = task.name.endsWith("limits.md") ? { requests: 50, actions: 10, logins: 10 } : null;
    server = await startApp({ services, config: { streamReplay: 10, presence, rates } });
    walk = new Walk(server);
    expect(await walk.read(textOf("README.md"), "README.md")).toBe(2);
  });
  afterEach(async () => {
    expect(server.errors).toEqual([]);
    await walk.close();
    await server.close();
  });

  test("[FIL-1] [STR-1] [STR-4] [SCR-1] [SCR-2] [SCR-5] [CTX-1] [OVR-1] [REL-1] [REL-2] [EV-6] reading.md", async () => {
    expect(await walk.read(textOf("reading.md"), "reading.md")).toBe(documentsIn("reading.md"));
  });

  test("[SYN-1] [SYN-2] [SYN-6] [SYN-8] [SYN-9] [EVS-2] [EVS-3] [EVS-9] syncing.md", async () => {
    expect(await walk.read(textOf("syncing.md"), "syncing.md")).toBe(documentsIn("syncing.md"));
  });

  test("[SYN-1] [SYN-2] [FIL-7] [STR-1] [UPD-3] recipes.md", async () => {
    expect(await walk.read(textOf("recipes.md"), "recipes.md")).toBe(documentsIn("recipes.md"));
  });

  test("[ACT-1] [ACT-2] [ACT-15] [EV-9] [EVS-8] actions.md", async () => {
    expect(await walk.read(textOf("actions.md"), "actions.md")).toBe(documentsIn("actions.md"));
  });

  test("[ACC-1] limits.md", async () => {
    expect(await walk.read(textOf("limits.md"), "limits.md")).toBe(documentsIn("limits.md"));
  });

  test("[ACC-1] [ACC-2] [ACC-3] [ACC-5] accounts.md", async () => {
    expect(await walk.read(textOf("accounts.md"), "accounts.md")).toBe(documentsIn("accounts.md"));
  });

  test("[CRE-1] [JOI-1] [JOI-2] [JOI-4] [EVS-9] [ACT-5] [ACT-6] rooms.md", async () => {
    expect(await walk.read(textOf("rooms.md"), "rooms.md")).toBe(documentsIn("rooms.md"));
  });

  test("[DIR-1] [DIR-2] [DIR-3] [DIR-4] directory.md", async () => {
    expect(await walk.read(textOf("directory.md"), "directory.md")).toBe(documentsIn("directory.md"));
  });

  test("[ACT-3] [ACT-4] [ACT-5] members.md", async () => {
    expect(await walk.read(textOf("members.md"), "members.md")).toBe(documentsIn("members.md"));
  });

  test("[ACT-8] [ACT-12] [ACT-14] [REL-1] [REL-4] [UPD-2] [EV-8] messages.md", async () => {
    expect(await walk.read(textOf("messages.md"), "messages.md")).toBe(documentsIn("messages.md"));
  });

  test("[ACT-7] [ACT-9] [ACT-10] [EV-1] [EV-2] [EV-3] [EV-9] state.md", async () => {
    expect(await walk.read(textOf("state.md"), "state.md")).toBe(documentsIn("state.md"));
  });

  test("[ACT-11] [EVS-10] markers.md", async () => {
    expect(await walk.read(textOf("markers.md"), "markers.md")).toBe(documentsIn("markers.md"));
  });

  test("[ACT-13] signing.md", async () => {
    expect(await walk.read(textOf("signing.md"), "signing.md")).toBe(documentsIn("signing.md"));
  });

  test("[SES-1] [SES-3] [PRE-1] [PRE-2] [PRE-4] [TYP-1] [CAP-1] [CAP-3] [CAP-4] live.md", async () => {
    expect(await walk.read(textOf("live.md"), "live.md")).toBe(documentsIn("live.md"));
  });

  test("[VOIP-1] [VOIP-2] [VOIP-6] calls.md", async () => {
    expect(await walk.read(textOf("calls.md"), "calls.md")).toBe(documentsIn("calls.md"));
  });

  test("[AS-14] media.md", async () => {
    expect(await walk.read(textOf("media.md"), "media.md")).toBe(documentsIn("media.md"));
  });

  test("[ACC-5] [EVS-7] admin.md", async () => {
    expect(await walk.read(textOf("admin.md"), "admin.md")).toBe(documentsIn("admin.md"));
  });

  test("[AS-3] [AS-4] [AS-8] [AS-12] bridges.md", async () => {
    expect(await walk.read(textOf("bridges.md"), "bridges.md")).toBe(documentsIn("bridges.md"));
  });

  test("[PRO-1] [PRO-2] [PRO-3] [PRO-4] profiles.md", async () => {
    expect(await walk.read(textOf("profiles.md"), "profiles.md")).toBe(documentsIn("profiles.md"));
  });

  test("no other page", () => {
    expect(pages.sort()).toEqual([
      "README.md",
      "accounts.md",
      "actions.md",
      "admin.md",
      "bridges.md",
      "calls.md",
      "directory.md",
      "limits.md",
      "live.md",
      "markers.md",
      "media.md",
      "members.md",
      "messages.md",
      "profiles.md",
      "reading.md",
      "recipes.md",
      "rooms.md",
      "signing.md",
      "state.md",
      "syncing.md",
    ]);
  });

  function documentsIn(page: string): number {
    return textOf(page).match(/```graphql/g)!.length;
  }
});

describe("a page that lies is found out", () => {
  let server: TestApp;
  let walk: Walk;
  const viewer = "{ viewer { user { id } device { deviceId } rooms { nodes { id } } } }";
  const answer = `{
    "viewer": { "user": { "id": "@alice:localhost" }, "device": { "deviceId": "browser" }, "rooms": { "nodes": [] } }
  }`;
  const page = `Who am I?\n\n<!-- as alice -->\n\`\`\`graphql\n${viewer}\n\`\`\`\n\n\`\`\`json\n${answer}\n\`\`\`\n`;
  const nodeOfUnknown = 'query ($id: ID!) { node(id: $id) { id } }\n```\n\n```json\n{ "id": "$unknown" }\n```';
  beforeAll(async () => {
    server = await startApp();
    walk = new Walk(server);
    await walk.read(textOf("README.md"), "README.md");
  });
  afterAll(async () => {
    await walk.close();
    await server.close();
  });

  test("unlike one that doesn't", async () => {
    expect(await walk.read(page, "page.md")).toBe(1);
  });

  test.each([
    ["another value", "@alice", "@bob", "page.md:4: data.viewer.user.id: the page shows"],
    ["no value", '"browser"', "null", "data.viewer.device.deviceId"],
    ["a key that isn't there", '{ "deviceId"', '{ "name": "…", "deviceId"', "data.viewer.device"],
    ["without a key that is there", '"id": "@alice:localhost"', "", "data.viewer.user"],
    ["an entry too many", "[]", '["… 1 more"]', "data.viewer.rooms.nodes"],
    ["one name for two values", /"@alice:localhost"|"browser"/g, '"$name"', "data.viewer.device.deviceId"],
    ["a refusal that doesn't come", '"viewer": {', '"errors": {', "page.md:4: data"],
    ["a name that no answer has given", `${viewer}\n\`\`\``, nodeOfUnknown, "no answer before this gives $unknown"],
    [
      "variables that are missing",
      viewer,
      "query ($id: ID!) { node(id: $id) { id } }",
      "a json block is missing after it",
    ],
    ["a document that nobody runs", "<!-- as alice -->", "", "page.md:4: nobody is said to run this"],
    ["a document without an answer", /```json.*```/gs, "", "a json block is missing after it"],
    ["an answer that is no JSON", "[]", "[,]", "page.md:8: SyntaxError"],
  ])("%s", async (_lie, truth, lie, complaint) => {
    const text = page.replaceAll(truth, lie);
    expect(text).not.toBe(page);
    await expect(walk.read(text, "page.md")).rejects.toThrow(complaint);
  });

  const command =
    "<!-- on the server -->\n```sh\nnpx hearth admin make-admin bob\n```\n\n```text\n@bob:localhost is an admin now.\n```\n";

  test.each([
    ["other words of a command", "bob:localhost is", "alice:localhost is", "page.md:2: the command.output"],
    ["a command that fails", "make-admin bob", "make-admin nobody", "There is no user @nobody:localhost"],
    ["a command that isn't known", "hearth admin make-admin bob", "hearth start", "npx hearth start isn't for here"],
  ])("%s", async (_lie, truth, lie, complaint) => {
    const text = command.replaceAll(truth, lie);
    expect(text).not.toBe(command);
    await expect(walk.read(text, "page.md")).rejects.toThrow(complaint);
  });

  test("a function that gives something else", async () => {
    const called = page
      .replaceAll("{ viewer {", "query ($id: ID!) { node(id: $id) { id } viewer {")
      .replace("```json", '```json\n{ "id": "user()" }\n```\n\n```json')
      .replace('{\n    "viewer"', '{\n    "node": { "id": "@alice:localhost" }, "viewer"');
    const code = (name: string): string => `\n\`\`\`js\nexport const user = () => "@${name}:localhost";\n\`\`\`\n`;
    expect(await walk.read(called + code("alice"), "page.md")).toBe(1);
    await expect(walk.read(called + code("bob"), "page.md")).rejects.toThrow("data.node.id");
  });
});

test.each(pages)("%s links to pages and headings that exist", (page) => {
  for (const [, path, anchor] of textOf(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)) {
    const target = path ? `${folder}${path}` : `${folder}${page}`;
    expect(existsSync(target), target).toBe(true);
    if (anchor) expect(headingsOf(readFileSync(target, "utf8"))).toContain(anchor);
  }
});

test.each(pages)("what has a name in %s is used again", (page) => {
  const answers = [...textOf(page).matchAll(/^```json\n(.*?)^```$/gms)].map(([, text]) => text).join("");
  const names = [...answers.matchAll(/"(\$\w+)"/g)].map(([, name]) => name);
  expect(names.filter((name) => names.indexOf(name) === names.lastIndexOf(name))).toEqual([]);
});

/** The headings of a page, as links name them. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .replaceAll(" ", "-"),
  );
}
