import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** An event as the hook is shown it. */
export interface ShownEvent {
  event_id?: string;
  type: string;
  state_key?: string;
  sender: string;
  room_id: string;
  content?: Record<string, unknown>;
  relates_to?: unknown;
  updates?: string;
  redacts?: string;
}

export interface Asked {
  phase: "before" | "after";
  action?: string;
  room_id?: string;
  sender?: string;
  device_id?: string;
  events: ShownEvent[];
}

/** What the hook answers: JSON, or a function that writes the response itself. */
export type HookAnswer = object | ((response: ServerResponse) => void);

/** A policy hook on a real socket, whose answers the test scripts. */
export interface PolicyHook {
  url: string;
  /** What it was asked so far, in order of arrival. */
  asked: Asked[];
  headers: IncomingHttpHeaders[];
  /** May be replaced at any time. */
  answer: (asked: Asked) => HookAnswer | Promise<HookAnswer>;
  close(): Promise<void>;
}

export const accept = { decision: "accept" };

export async function startHook(answer: PolicyHook["answer"] = () => accept): Promise<PolicyHook> {
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      const asked = JSON.parse(body) as Asked;
      hook.asked.push(asked);
      hook.headers.push(request.headers);
      void Promise.resolve(hook.answer(asked)).then((given) => {
        if (typeof given === "function") return given(response);
        response.setHeader("content-type", "application/json").end(JSON.stringify(given));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const hook: PolicyHook = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    asked: [],
    headers: [],
    answer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return hook;
}
