import type { ServerShape } from "../model/server.ts";
import type { Signer } from "../model/signing.ts";
import type { Tokens } from "../model/tokens.ts";
import type { Accounts } from "./accounts.ts";
import type { ActionTools } from "./actions/act.ts";
import type { Admin } from "./admin.ts";
import type { Capabilities } from "./live/capabilities.ts";
import type { Presence } from "./live/presence.ts";
import type { Sessions } from "./live/sessions.ts";
import type { Typing } from "./live/typing.ts";
import type { TurnSettings } from "./calls/turn.ts";
import type { Reading } from "./reading/reading.ts";
import type { EventStream } from "./sync/eventStream.ts";
import type { Head } from "./sync/head.ts";

/** What the transports reach the homeserver by: the parts, not a layer of its own. */
export interface Domain {
  accounts: Accounts;
  admin: Admin;
  /** The first argument of every action. */
  tools: ActionTools;
  head: Head;
  stream: EventStream;
  sessions: Sessions;
  presence: Presence;
  typing: Typing;
  capabilities: Capabilities;
  tokens: Tokens;
  /** Signs events in federation form. [EV-6] */
  signer: Signer;
  reading: Reading;
  /** Null without TURN servers. [VOIP-8] */
  turn: TurnSettings | null;
  server: ServerShape;
}
