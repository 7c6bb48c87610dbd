import fc from "fast-check";
import { expect, test } from "vitest";
import { createTokens } from "../../src/model/tokens.ts";

const tokens = createTokens(Buffer.from("a secret"), "epoch");
const alice = { userId: "@alice:localhost", deviceId: "phone" };
const stream = tokens.stream({ ...alice, rooms: ["!a:localhost"], users: null, position: 42 });
const chunk = tokens.chunk("room", "!a:localhost", [42, ""]);
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

test("[FIL-6] whatever is changed in a token makes it BAD_TOKEN", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(stream, chunk),
      fc.nat(),
      fc.string({ minLength: 1, maxLength: 3 }),
      (token, at, put) => {
        const start = at % token.length;
        const altered = token.slice(0, start) + put + token.slice(start + put.length);
        fc.pre(altered !== token);
        const read = () =>
          token === stream ? tokens.readStream(altered, alice) : tokens.readChunk(altered, "room", "!a:localhost");
        expect(read).toThrow(badToken);
      },
    ),
  );
});

test("[FIL-6] a token of another database is BAD_TOKEN", () => {
  const other = createTokens(Buffer.from("a secret"), "another epoch");
  expect(() => other.readStream(stream, alice)).toThrow(badToken);
});
