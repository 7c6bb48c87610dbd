import { lookup } from "node:dns/promises";
import type { Config } from "../../config.ts";
import { turnServersFor } from "../../domain/calls/turn.ts";
import { ok, problem, short, type Finding } from "./finding.ts";
import { parseTurnUri, tryTurn } from "./turnClient.ts";

const about = "TURN";

/** Each TURN server: its name, whether it answers, and whether it relays for credentials such as clients get. [VOIP-8] */
export async function* checkTurn({ turn, serverName }: Config): AsyncGenerator<Finding> {
  const [given] = turnServersFor(turn, `@doctor:${serverName}`, Date.now());
  for (const uri of turn?.uris ?? []) yield await checkOne(uri, given!);
}

async function checkOne(uri: string, credentials: { username: string; password: string }): Promise<Finding> {
  try {
    const address = parseTurnUri(uri);
    try {
      await lookup(address.host);
    } catch (error) {
      return problem(
        about,
        `${uri}: the name leads nowhere: ${short(error)}`,
        "correct HEARTH_TURN_URIS, or the name's DNS",
      );
    }
    await tryTurn(address, credentials);
    return ok(about, `${uri} ${address.turn ? "relays for the credentials that clients get" : "answers"}`);
  } catch (error) {
    const said = short(error);
    const todo = /: 401 /.test(said)
      ? "give HEARTH_TURN_SECRET the value of the TURN server's static-auth-secret, and set its clock and this one's by NTP"
      : "see that it runs, that firewalls let its port through, and that its certificate is valid where the address has turns:";
    return problem(about, `${uri}: ${said}`, todo);
  }
}
