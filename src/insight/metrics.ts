import {
  AggregatorRegistry,
  collectDefaultMetrics,
  Registry,
  type MetricObjectWithValues,
  type MetricValue,
} from "prom-client";
import type { Meter } from "../model/ports.ts";
import { createMeter } from "./meter.ts";

/** What there is to measure of one app. */
export interface Metrics {
  meter: Meter;
  /** Where gauges are added. */
  registry: Registry;
  /** In the form that Prometheus reads. */
  text(): Promise<string>;
  /** The same as an object per metric, which says how to put it together with those of other processes. */
  json(): Promise<MetricsAsJson>;
}

/** What prom-client's `AggregatorRegistry.aggregate` takes, a list of these. */
export type MetricsAsJson = MetricObjectWithValues<MetricValue<string>>[];

/** With `process` also what there is to measure of the process: once in each, since it is measured until its end. */
export function createMetrics({ process }: { process: boolean }): Metrics {
  const registry = new Registry();
  const meter = createMeter(registry);
  if (process) collectDefaultMetrics({ register: registry, prefix: "hearth_" });
  return {
    ...{ meter, registry },
    text: () => registry.metrics(),
    json: () => registry.getMetricsAsJSON(),
  };
}

/** The metrics of several processes as those of one. */
export function joined(all: readonly MetricsAsJson[]): Promise<MetricsAsJson> {
  return AggregatorRegistry.aggregate([...all]).getMetricsAsJSON();
}

/** The same in the form that Prometheus reads. */
export function together(all: readonly MetricsAsJson[]): Promise<string> {
  return AggregatorRegistry.aggregate([...all]).metrics();
}
