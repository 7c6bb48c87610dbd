import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { filesIn, upload } from "../kit/media.ts";
import { picture } from "../kit/pictures.ts";

let server: TestApp;
let alice: Client;
let bob: Client;

beforeAll(async () => {
  server = await startApp({ mirrors: false, config: { media: { maxBytes: 100_000, quotaBytes: 50_000, s3: null } } });
  [alice, bob] = [await server.user("alice"), await server.user("bob")];
});

afterAll(async () => {
  await server.close();
  expect(server.errors).toEqual([]);
});

const deleteMedia = "mutation ($mxc: String!) { deleteMedia(input: { mxc: $mxc }) { mxc } }";

interface Own {
  viewer: {
    media: {
      totalCount: number;
      nodes: { mxc: string; url: string; contentType: string; fileName: string | null; size: number }[];
      pageInfo: { hasNextPage: boolean; endCursor: string };
    };
    mediaUsage: { bytes: number; quotaBytes: number | null };
  };
}

const own = (client: Client, after: string | null = null, first = 2) =>
  client.do<Own>(
    `query ($first: Int!, $after: ChunkToken) { viewer {
       media(first: $first, after: $after) {
         totalCount nodes { mxc url contentType fileName size } pageInfo { hasNextPage endCursor }
       }
       mediaUsage { bytes quotaBytes }
     } }`,
    { first, after },
  );

test("[AS-14] a client finds where to upload, and how much", async () => {
  const { server: told } = await server
    .stranger()
    .do<{ server: { uploadUrl: string; maxUploadBytes: number } }>("{ server { uploadUrl maxUploadBytes } }");
  expect(told.maxUploadBytes).toBe(100_000);
  const headers = { authorization: `Bearer ${alice.token}` };
  const answer = await fetch(told.uploadUrl, { method: "POST", body: "x", headers });
  expect(await answer.json()).toEqual({ content_uri: expect.stringMatching(/^mxc:/) as string });
});

test("[AS-14] users see what they hold, page by page, and free it", async () => {
  const uris: string[] = [];
  for (let n = 0; n < 5; n++) uris.push(await upload(bob, `file ${n}`, { name: `${n}.txt`, type: "text/plain" }));
  const listed: string[] = [];
  for (let after: string | null = null; ;) {
    const { media }: Own["viewer"] = (await own(bob, after)).viewer;
    expect(media.totalCount).toBe(5);
    listed.push(...media.nodes.map(({ mxc }) => mxc));
    if (!media.pageInfo.hasNextPage) break;
    after = media.pageInfo.endCursor;
  }
  expect(listed).toEqual([...uris].reverse());
  const { viewer } = await own(bob, null, 1);
  expect(viewer.mediaUsage).toEqual({ bytes: 30, quotaBytes: 50_000 });
  const [newest] = viewer.media.nodes;
  expect(newest).toMatchObject({ contentType: "text/plain", fileName: "4.txt", size: 6 });
  expect(await (await fetch(newest!.url)).text()).toBe("file 4");
  // Another's place in another's list is none.
  expect(
    await alice.code("query ($after: ChunkToken) { viewer { media(after: $after) { totalCount } } }", {
      after: viewer.media.pageInfo.endCursor,
    }),
  ).toBe("BAD_TOKEN");
  expect(await bob.do(deleteMedia, { mxc: uris[0] })).toEqual({ deleteMedia: { mxc: uris[0] } });
  expect((await own(bob)).viewer.mediaUsage.bytes).toBe(24);
  expect(await bob.code(deleteMedia, { mxc: uris[0] })).toBe("NOT_FOUND");
  expect(await alice.code(deleteMedia, { mxc: uris[1] })).toBe("FORBIDDEN");
  expect(await server.stranger().code(deleteMedia, { mxc: uris[1] })).toBe("UNAUTHENTICATED");
  for (const mxc of ["", "mxc://localhost/../../x", "x"])
    expect(await bob.code(deleteMedia, { mxc })).toBe("BAD_INPUT");
  await sql(server.databaseUrl, "UPDATE account SET admin = true WHERE user_id = $1", [alice.userId]);
  expect(await alice.code(deleteMedia, { mxc: uris[1] })).toBeNull();
  expect((await own(bob)).viewer.media.totalCount).toBe(3);
});

test("[AS-14] what names a file has its address, and that of a thumbnail", async () => {
  const mxc = await upload(alice, await picture("png"), { type: "image/png" });
  const roomId = await alice.createRoom({ state: [{ type: "m.room.avatar", content: { url: mxc } }] });
  await sql(server.databaseUrl, "INSERT INTO profile (user_id, key, value) VALUES ($1, 'avatar_url', $2)", [
    alice.userId,
    JSON.stringify(mxc),
  ]);
  const media = { msgtype: "m.image", body: "fire", mxc };
  const message = await alice.message(roomId, { content: { media } });
  const broken = await alice.message(roomId, { content: { media: { ...media, mxc: "mxc://elsewhere.example/gone" } } });
  const asked = await alice.do<Record<string, Record<string, unknown>>>(
    `query ($room: ID!, $user: ID!, $message: ID!, $broken: ID!) {
       message: event(id: $message) { typed { ... on MediaContent { url small: url(width: 90) } } }
       broken: event(id: $broken) { typed { ... on MediaContent { url } } }
       room(id: $room) {
         avatarUrl small: avatarUrl(width: 32, height: 32)
         member(userId: $user) { avatarUrl user { avatarUrl(height: 96) } }
       }
     }`,
    { room: roomId, user: alice.userId, message, broken },
  );
  const { typed } = asked["message"] as { typed: Record<string, string> };
  const room = asked["room"] as Record<string, string> & {
    member: { avatarUrl: string; user: { avatarUrl: string } };
  };
  for (const url of [typed["url"]!, room["avatarUrl"]!, room.member.avatarUrl]) {
    expect(url).toBe(`${server.address}/_matrix/media/v3/download/${mxc.slice(6)}`);
    expect((await fetch(url)).status).toBe(200);
  }
  for (const url of [typed["small"]!, room["small"]!, room.member.user.avatarUrl]) {
    expect(url).toMatch(/\/thumbnail\/.*\?width=\d+&height=\d+&method=(crop|scale)$/);
    expect((await fetch(url)).status).toBe(200);
  }
  expect(await filesIn(server.dataDir, "thumbnails")).toHaveLength(3);
  const elsewhere = (asked["broken"] as { typed: { url: string } }).typed.url;
  expect((await fetch(elsewhere)).status).toBe(404);
  expect(await alice.code("query ($id: ID!) { room(id: $id) { avatarUrl(width: 0) } }", { id: roomId })).toBe(
    "BAD_INPUT",
  );
});

test("[AS-14] addresses are below HEARTH_PUBLIC_URL", async () => {
  const behind = await startApp({ mirrors: false, config: { publicUrl: "https://chat.example/hearth" } });
  const { server: told } = await behind.stranger().do<{ server: object }>("{ server { uploadUrl } }");
  expect(told).toEqual({ uploadUrl: "https://chat.example/hearth/_matrix/media/v3/upload" });
  await behind.close();
});
