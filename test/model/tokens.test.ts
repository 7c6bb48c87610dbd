import fc from "fast-check";
import { expect, test } from "vitest";
import { createTokens } from "../../src/model/tokens.ts";

const tokens = createTokens(Buffer.from("a secret"), "epoch");
const alice = { userId: "@alice:localhost", deviceId: "phone" };
const stream = tokens.stream({ ...alice, rooms: ["!a:localhost"], users: null, position: 42 });
const chunk = tokens.chunk("room", "!a:localhost", [42, ""]);
const prepared = {
  ...{ ...alice, roomId: "!a:localhost", expiresAt: 42 },
  draft: {
    ...{ eventId: "$e", sentAt: 41, type: "m.room.message", sender: alice.userId, updatesId: "$p" },
    ...{
      content: '{"10":"a","2":"b","__proto__":{"body":"\\"\ud83d\ude00"}}',
      relatesTo: [{ type: "t", eventId: "$q", key: null }],
    },
  },
};
const waiting = tokens.prepared(prepared);
const badToken = expect.objectContaining({ code: "BAD_TOKEN" }) as Error;

test("[STR-1] a stream token says what it was made from", () => {
  expect(tokens.readStream(stream, alice)).toEqual({ ...alice, rooms: ["!a:localhost"], users: null, position: 42 });
  const unused = tokens.stream({ ...alice, rooms: null, users: [], position: null });
  expect(tokens.readStream(unused, alice)).toEqual({ ...alice, rooms: null, users: [], position: null });
});

test("[STR-2] anyone else's stream token is BAD_TOKEN", () => {
  expect(() => tokens.readStream(stream, { ...alice, deviceId: "tablet" })).toThrow(badToken);
  expect(() => tokens.readStream(stream, { ...alice, userId: "@bob:localhost" })).toThrow(badToken);
});

test("[STR-4] a chunk token of another family or room is BAD_TOKEN", () => {
  expect(tokens.readChunk(chunk, "room", "!a:localhost")).toEqual([42, ""]);
  expect(() => tokens.readChunk(chunk, "state", "!a:localhost")).toThrow(badToken);
  expect(() => tokens.readChunk(chunk, "room", "!b:localhost")).toThrow(badToken);
  expect(() => tokens.readChunk(stream, "room", "!a:localhost")).toThrow(badToken);
  expect(() => tokens.readStream(chunk, alice)).toThrow(badToken);
});

test("[ACT-13] a prepared message comes back as it was, the content's bytes too, to its own device alone", () => {
  expect(tokens.readPrepared(waiting, alice)).toEqual(prepared);
  expect(() => tokens.readPrepared(waiting, { ...alice, deviceId: "tablet" })).toThrow(badToken);
  expect(() => tokens.readPrepared(waiting, { ...alice, userId: "@bob:localhost" })).toThrow(badToken);
  expect(() => tokens.readPrepared(stream, alice)).toThrow(badToken);
  expect(() => tokens.readFilter(waiting)).toThrow(badToken);
});

test("[FIL-6] whatever is changed in a token makes it BAD_TOKEN", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(stream, chunk, waiting),
      fc.nat(),
      fc.string({ minLength: 1, maxLength: 3 }),
      (token, at, put) => {
        const start = at % token.length;
        const altered = token.slice(0, start) + put + token.slice(start + put.length);
        fc.pre(altered !== token);
        const read = {
          [stream]: () => tokens.readStream(altered, alice),
          [chunk]: () => tokens.readChunk(altered, "room", "!a:localhost"),
          [waiting]: () => tokens.readPrepared(altered, alice),
        };
        expect(read[token]).toThrow(badToken);
      },
    ),
  );
});

test("[FIL-6] a token of another database is BAD_TOKEN", () => {
  const other = createTokens(Buffer.from("a secret"), "another epoch");
  expect(() => other.readStream(stream, alice)).toThrow(badToken);
  expect(() => other.readPrepared(waiting, alice)).toThrow(badToken);
});
