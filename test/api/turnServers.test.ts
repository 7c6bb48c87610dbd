import { execFile } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { coturnInstalled, startCoturn, type Coturn } from "../kit/coturn.ts";

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

const installed = coturnInstalled;

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
  let turn: Coturn;

  beforeAll(async () => {
    turn = await startCoturn(secret);
  });
  afterAll(() => turn.close());

  /** What a client gets of the TURN server: two relays that send each other what they are sent, or a refusal. */
  function client(username: string, password: string): Promise<"relayed" | "refused" | "no answer"> {
    const args = ["-p", String(turn.port), "-u", username, "-w", password, ...["-y", "-c", "-n", "1", "127.0.0.1"]];
    return new Promise((resolve) => {
      execFile("turnutils_uclient", args, { timeout: 10_000 }, (error, output) => {
        if (error === null) resolve(/tot_recv_msgs=[1-9]/.test(output) ? "relayed" : "no answer");
        else resolve(output.includes("Cannot complete Allocation") ? "refused" : "no answer");
      });
    });
  }

  test("[VOIP-8] allocates a relay for the credentials that the server gives, and for no others", async () => {
    const uris = [`turn:127.0.0.1:${turn.port}?transport=udp`];
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
