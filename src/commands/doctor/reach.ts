import type { Config } from "../../config.ts";
import { ok, problem, short, warning, type Finding } from "./finding.ts";

const timeoutMs = 5_000;

/** The policy hook: that something answers there. It is asked nothing, so any answer will do. */
export async function* checkPolicy({ policy }: Config): AsyncGenerator<Finding> {
  if (policy === null) return;
  const about = "policy hook";
  try {
    const { status } = await ask(policy.url, policy.token);
    if (status === 401 || status === 403)
      yield problem(about, "it refuses the token", "set HEARTH_POLICY_TOKEN to what it expects");
    else if (status >= 500) yield warning(about, `it answers with status ${status}`, "see its log");
    else yield ok(about, "it is there");
  } catch (error) {
    const meanwhile = policy.failure === "refuse" ? "nothing can be sent" : "everything passes unseen";
    yield problem(
      about,
      `it isn't reached, so that ${meanwhile}: ${short(error)}`,
      "start it, or correct HEARTH_POLICY_URL",
    );
  }
}

/** The server itself, if it runs, and the address that clients know. */
export async function* checkServer({ host, port, publicUrl }: Config): AsyncGenerator<Finding> {
  const about = "server";
  const local = { "0.0.0.0": "127.0.0.1", "::": "[::1]" }[host] ?? (host.includes(":") ? `[${host}]` : host);
  let runs = false;
  try {
    const { status } = await ask(`http://${local}:${port}/health`, null);
    runs = status === 200;
    if (runs) yield ok(about, `it runs at ${local}:${port}, and is well`);
    else
      yield warning(
        about,
        `what runs at ${local}:${port} answers with status ${status}`,
        "see whether it is hearth, and its log",
      );
  } catch {
    yield ok(about, `none runs at ${local}:${port}`);
  }
  if (!runs || publicUrl === null) return;
  try {
    const { status } = await ask(`${publicUrl}/health`, null);
    if (status < 500) yield ok(about, `${publicUrl} answers`);
    else
      yield warning(about, `${publicUrl} answers with status ${status}`, "see whether the proxy leads to the server");
  } catch (error) {
    yield warning(
      about,
      `${publicUrl} isn't reached from here: ${short(error)}`,
      "see the proxy and the name's address",
    );
  }
}

async function ask(url: string, token: string | null): Promise<Response> {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(url, { headers, redirect: "manual", signal: AbortSignal.timeout(timeoutMs) });
  await response.body?.cancel();
  return response;
}
