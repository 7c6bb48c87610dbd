import type { ServerShape } from "../model/server.ts";
import type { Requester } from "../model/requester.ts";
import type { Signer } from "../model/signing.ts";
import type { Tokens } from "../model/tokens.ts";
import type { AccountData } from "./accountData.ts";
import type { Accounts, Origin } from "./accounts.ts";
import type { ActionTools } from "./actions/act.ts";
import type { AppServices } from "./appservice/appServices.ts";
import type { Admin } from "./admin.ts";
import type { Devices } from "./devices.ts";
import type { Exports } from "./export/exports.ts";
import type { Capabilities } from "./live/capabilities.ts";
import type { ProfileSpread } from "./profiles/spread.ts";
import type { Limits } from "./limits/limits.ts";
import type { Presence } from "./live/presence.ts";
import type { Sessions } from "./live/sessions.ts";
import type { Typing } from "./live/typing.ts";
import type { TurnSettings } from "./calls/turn.ts";
import type { MediaRepository } from "./media/media.ts";
import type { Reading } from "./reading/reading.ts";
import type { Readiness } from "./readiness.ts";
import type { EventStream } from "./sync/eventStream.ts";
import type { Head } from "./sync/head.ts";

/** What the transports reach the homeserver by: the parts, not a layer of its own. */
export interface Domain {
  /** How often anybody may ask. */
  limits: Limits;
  accounts: Accounts;
  accountData: AccountData;
  admin: Admin;
  devices: Devices;
  exports: Exports;
  /** Deletes an account for good; gives its user's id. [ACC-3] */
  deleteAccount(requester: Requester, input: unknown, origin: Origin): Promise<string>;
  /** The first argument of every action. */
  tools: ActionTools;
  head: Head;
  stream: EventStream;
  sessions: Sessions;
  presence: Presence;
  typing: Typing;
  capabilities: Capabilities;
  profileSpread: ProfileSpread;
  media: MediaRepository;
  services: AppServices;
  tokens: Tokens;
  /** Signs events in federation form. [EV-6] */
  signer: Signer;
  reading: Reading;
  readiness: Readiness;
  /** Null without TURN servers. [VOIP-8] */
  turn: TurnSettings | null;
  server: ServerShape;
}
