import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

type Value = { stringValue?: string; intValue?: number | string; boolValue?: boolean };

/** A span as a collector is sent it. */
export interface CollectedSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  attributes: { key: string; value: Value }[];
  links?: { traceId: string; spanId: string }[];
  status?: { code?: number };
}

/** A collector of traces on a real socket. */
export interface Collector {
  url: string;
  spans: CollectedSpan[];
  /** All that it was sent, as it came. */
  text(): string;
  /** What it does with what it is sent. */
  does: "take" | "refuse" | "nothing";
  /** How often something was sent. */
  asked: number;
  close(): Promise<void>;
}

export async function startCollector(): Promise<Collector> {
  let text = "";
  const server = createServer((req, res) => {
    collector.asked++;
    let body = "";
    req.on("data", (piece) => (body += String(piece)));
    req.on("end", () => {
      if (collector.does === "nothing") return;
      if (collector.does === "refuse") return void res.writeHead(400).end("no");
      text += body;
      const sent = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: CollectedSpan[] }[] }[] };
      if (req.url === "/v1/traces")
        collector.spans.push(
          ...sent.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
        );
      res.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const collector: Collector = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    text: () => text,
    does: "take",
    asked: 0,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return collector;
}
