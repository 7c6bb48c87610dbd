import { GraphQLError, type ExecutionResult } from "graphql";
import { expect, test } from "vitest";
import { persistently } from "../../../src/transport/live/persistently.ts";

const away = (): ExecutionResult => ({
  data: { events: null },
  errors: [new GraphQLError("away", { extensions: { code: "OVERLOADED" } })],
});
const same = (error: unknown): GraphQLError => error as GraphQLError;

test("[EVS-3] what can't be rendered now is rendered again until it can, and with it comes no error of the tries before", async () => {
  const answers = [away(), away(), { data: { events: ["one"] } }];
  expect(
    await persistently(
      () => answers.shift()!,
      same,
      () => false,
    ),
  ).toEqual({ data: { events: ["one"] } });
  expect(answers).toEqual([]);
});

test("[EVS-3] an error that stays an error is told at once, beside what could be rendered", async () => {
  const gone = new GraphQLError("gone", { extensions: { code: "NOT_FOUND" } });
  let rendered = 0;
  const render = (): ExecutionResult => {
    rendered++;
    return { data: { events: null }, errors: [gone] };
  };
  expect(await persistently(render, same, () => false)).toEqual({ data: { events: null }, errors: [gone] });
  expect(rendered).toBe(1);
});

test("[EVS-3] nothing is rendered any more for a client who left", async () => {
  let rendered = 0;
  const render = (): ExecutionResult => {
    rendered++;
    return away();
  };
  expect(await persistently(render, same, () => rendered === 2)).toBeNull();
  expect(rendered).toBe(2);
});
