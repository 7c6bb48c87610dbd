/** Work in one go before others get their turn, in milliseconds. */
const sliceMs = 2;
/** A result with more values than this is written piece by piece. */
const manyValues = 5000;
/** The items of a list at least this long are written whole, each a piece. */
const longList = 16;
/** Characters that go out in one piece. */
const pieceLength = 65_536;

/** Whether a result is so large that writing it in one go would hold up other requests; looks at no more than it must. */
export function isLarge(result: unknown): boolean {
  let seen = 0;
  const waiting: unknown[] = [result];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value !== "object" || value === null) continue;
    const values: unknown[] = Array.isArray(value) ? value : Object.values(value);
    seen += values.length;
    if (seen > manyValues) return true;
    for (const each of values) waiting.push(each);
  }
  return false;
}

/** A value's JSON as UTF-8, in pieces, between which the event loop serves whatever else waits. */
export function pacedJson(value: unknown): ReadableStream<Uint8Array> {
  const pieces = inPieces(value);
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const started = performance.now();
      let text = "";
      do {
        const { done, value } = pieces.next();
        if (done) {
          if (text !== "") controller.enqueue(encoder.encode(text));
          return controller.close();
        }
        text += value;
      } while (text.length < pieceLength && performance.now() - started < sliceMs);
      controller.enqueue(encoder.encode(text));
      await new Promise((resolve) => setImmediate(resolve));
    },
  });
}

function* inPieces(value: unknown): Generator<string, void> {
  if (typeof value !== "object" || value === null || (Array.isArray(value) && value.length === 0)) {
    yield JSON.stringify(value);
  } else if (Array.isArray(value)) {
    const list: unknown[] = value;
    for (const [index, item] of list.entries()) {
      yield index === 0 ? "[" : ",";
      if (list.length < longList) yield* inPieces(item);
      else yield JSON.stringify(item) ?? "null";
    }
    yield "]";
  } else {
    let first = true;
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined) continue;
      yield `${first ? "{" : ","}${JSON.stringify(key)}:`;
      yield* inPieces(item);
      first = false;
    }
    yield first ? "{}" : "}";
  }
}
