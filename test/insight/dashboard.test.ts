import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { startApp, type TestApp } from "../kit/app.ts";
import { sql } from "../kit/database.ts";
import { startService, type ScriptedService } from "../kit/scriptedService.ts";
import { samplesOf, valueOf, type Sample } from "./support/metrics.ts";
import { namesIn } from "./support/promql.ts";

interface Panel {
  title: string;
  type: string;
  targets?: { expr: string; legendFormat?: string }[];
}
interface Rule {
  alert: string;
  expr: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
const dashboard = JSON.parse(read("deploy/grafana/hearth.json")) as {
  panels: Panel[];
  templating: { list: { query: string }[] };
};
const rules = (parse(read("deploy/alerts.yml")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const panels = dashboard.panels.filter(({ type }) => type !== "row");

/** What Prometheus adds to all that it scrapes. */
const added = ["instance", "job"];
/** What no panel shows, since others tell the same or nobody asked yet. */
const unshown = [
  ...["hearth_process_start_time_seconds", "hearth_nodejs_active_resources_total"],
  ...["hearth_nodejs_active_handles", "hearth_nodejs_active_handles_total", "hearth_nodejs_active_requests"],
  ...["hearth_nodejs_active_requests_total", "hearth_nodejs_active_resources", "hearth_nodejs_version_info"],
  ...["hearth_nodejs_eventloop_lag_min_seconds", "hearth_nodejs_eventloop_lag_seconds"],
  ...["hearth_nodejs_eventloop_lag_stddev_seconds", "hearth_nodejs_eventloop_lag_p90_seconds"],
  ...["hearth_nodejs_heap_space_size_available_bytes", "hearth_nodejs_heap_space_size_total_bytes"],
  ...["hearth_nodejs_heap_space_size_used_bytes", "hearth_process_virtual_memory_bytes", "hearth_process_heap_bytes"],
];

let server: TestApp;
let service: ScriptedService;
let text: string;
let samples: Sample[];
/** Types and what they are about, by name. */
const types = new Map<string, { type: string; help: string }>();
/** The values of each label of each name that can be asked for. */
const labels = new Map<string, Map<string, Set<string>>>();

beforeAll(async () => {
  service = await startService();
  const services = [service.registration()];
  server = await startApp({ mirrors: false, processMetrics: true, services });
  const alice = await server.user("alice");
  const roomId = await alice.createRoom();
  await alice.send(roomId, "hello");
  await fetch(`${server.address}/_matrix/client/versions`);
  for await (const _result of alice.socket.iterate({ query: "{ viewer { user { id } } }" }));
  await alice.close();
  await alice.code(`mutation { joinRoom(input: { target: { roomId: "!none:localhost" } }) { event { id } } }`);
  await sql(server.databaseUrl, "ALTER TABLE event ADD CONSTRAINT no_more CHECK (false) NOT VALID");
  expect(
    await alice.code(`mutation ($roomId: ID!) { leaveRoom(input: { roomId: $roomId }) { event { id } } }`, { roomId }),
  ).toBe("INTERNAL");
  globalThis.gc?.();
  text = await (await fetch(`${server.address}/metrics`)).text();
  samples = samplesOf(text);
  for (const [, name, help] of text.matchAll(/^# HELP (\S+) (.*)$/gm)) types.set(name!, { type: "", help: help! });
  for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) types.get(name!)!.type = type!;
  for (const sample of samples) {
    const known = labels.get(sample.name) ?? new Map<string, Set<string>>();
    labels.set(sample.name, known);
    for (const [label, value] of Object.entries(sample.labels))
      known.set(label, (known.get(label) ?? new Set()).add(value));
  }
  // A process may not have collected garbage yet.
  if (!labels.has("hearth_nodejs_gc_duration_seconds_sum")) {
    for (const part of ["sum", "count"])
      labels.set(`hearth_nodejs_gc_duration_seconds_${part}`, new Map([["kind", new Set()]]));
  }
});

afterAll(async () => {
  await server.close();
  await service.close();
  expect(server.errors.map(({ message }) => message)).toEqual(["the store refused a unit", "an operation failed"]);
});

/** What is wrong with what an expression names. */
function faultsOf(expression: string): string[] {
  const { selected, grouped } = namesIn(expression);
  const faults: string[] = [];
  if (selected.length === 0) faults.push(`names no metric: ${expression}`);
  for (const { name, matchers } of selected) {
    const known = labels.get(name);
    if (known === undefined) {
      faults.push(`${name} isn't exposed`);
      continue;
    }
    for (const { label, value } of matchers) {
      const values = known.get(label);
      if (values === undefined && !added.includes(label)) faults.push(`${name} has no label ${label}`);
      if (value !== null && values !== undefined && !values.has(value))
        faults.push(`${name}: ${label} is never ${value}`);
    }
  }
  for (const { labels: by, of } of grouped) {
    for (const label of by) {
      const found = added.includes(label) || of.every((name) => labels.get(name)?.has(label));
      if (!found) faults.push(`${of.join(", ")}: nothing to group by ${label}`);
    }
  }
  return faults;
}

/** The name that a metric is declared by, of one that can be asked for. */
function declared(name: string): string {
  const base = name.replace(/_(bucket|sum|count)$/, "");
  return types.get(base)?.type === "histogram" ? base : name;
}

describe("what the checks find", () => {
  test.each([
    ["hearth_nothing", "hearth_nothing isn't exposed"],
    ['hearth_requests_total{method="GET"}', "hearth_requests_total has no label method"],
    ['hearth_actions_total{code="FINE"}', "hearth_actions_total: code is never FINE"],
    ["sum by (user) (rate(hearth_requests_total[5m]))", "hearth_requests_total: nothing to group by user"],
    ["time()", "names no metric: time()"],
  ])("%s", (expression, fault) => {
    expect(faultsOf(expression)).toEqual([fault]);
  });

  test("what is no PromQL at all", () => {
    expect(() => namesIn("sum(rate(hearth_requests_total[5m])")).toThrow("no PromQL");
  });
});

test.each(panels.map((panel) => [panel.title, panel] as const))("the panel %s shows what there is", (_title, panel) => {
  expect(panel.targets!.length).toBeGreaterThan(0);
  expect(panel.targets!.flatMap(({ expr }) => faultsOf(expr))).toEqual([]);
  // What a legend shows has to come out of the expression.
  for (const { expr, legendFormat = "" } of panel.targets!) {
    for (const [, label] of legendFormat.matchAll(/{{(\w+)}}/g)) {
      const { selected, grouped } = namesIn(expr);
      const outermost = grouped[0]?.labels ?? selected.flatMap(({ name }) => [...added, ...labels.get(name)!.keys()]);
      expect(outermost, `${expr} shows no ${label}`).toContain(label);
    }
  }
});

test("every metric is on a panel, or is left out on purpose", () => {
  const shown = new Set(
    panels
      .flatMap(({ targets }) => targets!.flatMap(({ expr }) => namesIn(expr).selected))
      .map(({ name }) => declared(name)),
  );
  const missing = [...types.keys()].filter((name) => !shown.has(name) && !unshown.includes(name));
  expect(missing).toEqual([]);
  expect(unshown.filter((name) => shown.has(name))).toEqual([]);
});

test.each(rules.map((rule) => [rule.alert, rule] as const))("the alert %s is about what there is", (_name, rule) => {
  expect(faultsOf(rule.expr)).toEqual([]);
  expect(rule.labels["severity"]).toMatch(/^(critical|warning)$/);
  expect(rule.annotations["summary"]).toBeTruthy();
});

test("all names begin with hearth_, and nothing fails while the server is well", () => {
  expect([...types.keys()].filter((name) => !name.startsWith("hearth_"))).toEqual([]);
  expect(valueOf(samples, "hearth_append_failures_total", { kind: "refused" })).toBe(1);
});

test("docs/insight.md lists what is exposed", () => {
  const listed = [...read("docs/insight.md").matchAll(/^\| `(hearth_\w+)` \| (\w+) \| (.*?) \| (.*) \|$/gm)].map(
    ([, name, type, labelled, help]) => ({ name, type, labels: labelled!.replaceAll("`", ""), help }),
  );
  // Those of the process are the library's, which describes them.
  const ours = [...types].filter(([name]) => !/^hearth_(nodejs|process)_/.test(name));
  const exposed = ours.map(([name, { type, help }]) => {
    const own = samples.filter((sample) => declared(sample.name) === name);
    const known = new Set(own.flatMap((sample) => Object.keys(sample.labels)).filter((label) => label !== "le"));
    return { name, type, labels: [...known].join(", "), help };
  });
  expect(listed).toEqual(exposed);
});

test("the example of Prometheus asks as /metrics wants to be asked", () => {
  const { scrape_configs: scraped, rule_files: files } = parse(read("deploy/prometheus.yml")) as {
    scrape_configs: Record<string, unknown>[];
    rule_files: string[];
  };
  expect(scraped).toMatchObject([{ job_name: "hearth", authorization: { type: "Bearer" } }]);
  expect(scraped[0]!["metrics_path"] ?? "/metrics").toBe("/metrics");
  expect(files).toEqual(["alerts.yml"]);
});
