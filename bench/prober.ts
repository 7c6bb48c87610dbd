import { setTimeout as delay } from "node:timers/promises";
import { HttpClient } from "./http.ts";
import { quantile } from "./rounds.ts";

const everyMs = 5;
const idleMs = 500;
const tiny = JSON.stringify({ query: "{ server { name } }" });

/** How long others waited while a server was at work, in milliseconds above what they wait when it is idle. */
export interface Waits {
  longest: number;
  p99: number;
}

/** Does work while another client asks for next to nothing every few milliseconds, whether it was answered or not. */
export async function waitsDuring(address: string, work: () => Promise<unknown>): Promise<Waits> {
  const client = new HttpClient(address, null);
  try {
    const idle = quantile(await probeDuring(client, () => delay(idleMs)), 0.5);
    const waits = await probeDuring(client, work);
    return { longest: quantile(waits, 1) - idle, p99: quantile(waits, 0.99) - idle };
  } finally {
    client.close();
  }
}

async function probeDuring(client: HttpClient, work: () => Promise<unknown>): Promise<number[]> {
  const waits: Promise<number>[] = [];
  const ask = async (): Promise<number> => {
    // From here on and not from when the connection is free: who waits for an earlier answer waits as well.
    const started = performance.now();
    await client.post(tiny);
    return performance.now() - started;
  };
  const timer = setInterval(() => waits.push(ask()), everyMs);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Promise.all(waits);
}
