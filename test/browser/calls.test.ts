import { existsSync } from "node:fs";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { callOf, roomOfTwo } from "../kit/calls.ts";
import { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";

// Real calls: browsers with a made-up camera and microphone, each with a client of its own (callPage.js), and hearth between.

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const flags = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync"],
  ...["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  // There is no network but this machine.
  ...["--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns"],
];
const installed = existsSync(executablePath);

/** What callPage.js puts into the page. */
interface CallPage {
  status: string;
  callId: string;
  followSignals(): Promise<void>;
  followEvents(): Promise<void>;
  place(roomId: string): Promise<void>;
  accept(): Promise<void>;
  hangUp(): Promise<void>;
  received(): Promise<{ audio: number; video: number; frames: number }>;
}

let server: TestApp;
let browser: Browser;
let alice: Client;
let bob: Client;
let laptop: Client;
const failures: string[] = [];

beforeAll(async () => {
  if (!installed) return;
  server = await startApp();
  alice = await server.user("alice", "phone");
  bob = await server.user("bob", "mobile");
  laptop = await Client.login(server.address, "bob", "laptop");
  browser = await chromium.launch({ executablePath, args: flags });
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

/** A page in a browser profile of its own, signed in as this device. */
class Device {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  static async open({ token, userId, deviceId }: Client): Promise<Device> {
    const page = await (await browser.newContext()).newPage();
    page.on("pageerror", (error) => void failures.push(error.message));
    // Any page of the server's, so that it is its origin.
    await page.goto(`${server.address}/nothing`);
    await page.addScriptTag({ path: "test/browser/callPage.js" });
    await page.evaluate(`globalThis.call = new CallPage(${JSON.stringify({ token, userId, deviceId })})`);
    return new Device(page);
  }

  do<Result>(act: (call: CallPage) => Result | Promise<Result>): Promise<Result> {
    return this.#page.evaluate(`(${String(act)})(globalThis.call)`);
  }

  place(roomId: string): Promise<void> {
    return this.#page.evaluate(`globalThis.call.place(${JSON.stringify(roomId)})`);
  }

  async untilIs(status: string): Promise<void> {
    let last = "";
    await until(
      async () => (last = await this.do((call) => call.status)) === status,
      () => `it is ${last}`,
      20_000,
    );
  }

  /** Until sound and moving pictures have come from the other side. */
  async untilReceives(): Promise<void> {
    let last = {};
    await until(
      async () => {
        const { audio, video, frames } = (last = await this.do((call) => call.received()));
        return audio > 1000 && video > 1000 && frames >= 5;
      },
      () => `it received ${JSON.stringify(last)}`,
      20_000,
    );
  }

  close(): Promise<void> {
    return this.#page.context().close();
  }
}

describe.skipIf(!installed)(`calls between browsers${installed ? "" : " (skipped: needs Chromium)"}`, () => {
  test("[VOIP-1] [VOIP-2] [VOIP-4] ring on all devices, one answers, media flow both ways, the other learns that it was taken", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const [phone, mobile, other] = await Promise.all([alice, bob, laptop].map((client) => Device.open(client)));
    // One of them knows nothing of calls but what the event stream brings.
    await Promise.all([
      phone!.do((call) => call.followEvents()),
      mobile!.do((call) => call.followSignals()),
      other!.do((call) => call.followSignals()),
    ]);
    await phone!.place(roomId);
    await Promise.all([mobile!.untilIs("ringing"), other!.untilIs("ringing")]);
    await mobile!.do((call) => call.accept());
    await other!.untilIs("taken elsewhere");
    await Promise.all([phone!.untilIs("connected"), mobile!.untilIs("connected")]);
    await Promise.all([phone!.untilReceives(), mobile!.untilReceives()]);
    const callId = await phone!.do((call) => call.callId);
    expect(await callOf(alice, callId)).toMatchObject({ state: "CONNECTED", acceptedBy: { deviceId: "mobile" } });
    await mobile!.do((call) => call.hangUp());
    await phone!.untilIs("ended: hangup");
    expect(await callOf(alice, callId)).toMatchObject({ state: "ENDED", endedReason: "HANGUP" });
    await Promise.all([phone, mobile, other].map((device) => device!.close()));
  }, 90_000);

  test("[VOIP-1] a page that comes while it rings can still take the call", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const phone = await Device.open(alice);
    await phone.do((call) => call.followSignals());
    await phone.place(roomId);
    const late = await Device.open(laptop);
    await late.do((call) => call.followSignals());
    await late.untilIs("ringing");
    await late.do((call) => call.accept());
    await Promise.all([phone.untilIs("connected"), late.untilIs("connected")]);
    await Promise.all([phone.untilReceives(), late.untilReceives()]);
    await phone.do((call) => call.hangUp());
    await late.untilIs("ended: hangup");
    await Promise.all([phone.close(), late.close()]);
  }, 90_000);

  test("nothing in them fails", () => {
    expect(failures).toEqual([]);
    expect(server.errors).toEqual([]);
  });
});
