import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { z } from "zod";
import { isServerName } from "./model/ids.ts";

const list = z.preprocess(
  (value) =>
    typeof value === "string"
      ? value
          .split(",")
          .map((item) => item.trim())
          .filter(Boolean)
      : value,
  z.array(z.string()),
);
const whole = z.coerce.number().int();

/**
 * Every setting. Each is read from the environment under its name here, else from the file, else it has the default.
 * Lists are separated by commas in the environment.
 */
const settings = z.strictObject({
  /** The part of ids after the colon. It can't be changed later. */
  HEARTH_SERVER_NAME: z.string().refine(isServerName, "is no server name").default("localhost"),
  HEARTH_HOST: z.string().default("127.0.0.1"),
  /** 0 takes any free port. */
  HEARTH_PORT: whole.min(0).max(65535).default(8008),
  HEARTH_DATA_DIR: z.string().min(1).default("./data"),
  /** A PostgreSQL server of your own, version 15 or later; without it, hearth runs its own in the data directory. */
  DATABASE_URL: z.string().optional(),
  /** Who may register: anyone, holders of a registration token, nobody. [ACC-5] */
  HEARTH_REGISTRATION: z.enum(["open", "token", "closed"]).default("open"),
  HEARTH_REGISTRATION_TOKENS: list.default([]),
  /** User ids or names of the server's admins. */
  HEARTH_ADMINS: list.default([]),
  /** Origins of web pages, besides the server's own, whose scripts may call the API; `*` for all. */
  HEARTH_ALLOWED_ORIGINS: list.default([]),
  /** Events that the event stream replays after a token. [EVS-2] */
  HEARTH_STREAM_REPLAY: whole.min(0).max(100_000).default(1000),
  /** Events that may wait for one slow consumer. [EVS-13] */
  HEARTH_STREAM_BACKLOG: whole.min(1).max(100_000).default(1000),
  /** Milliseconds without a request after which a device's session ends. [SES-1] */
  HEARTH_SESSION_TIMEOUT_MS: whole.min(1000).max(86_400_000).default(60_000),
  /** Whether users learn of each other's presence; what devices say is kept for their own user either way. [PRE] */
  HEARTH_PRESENCE: z.enum(["on", "off"]).default("on"),
  /**
   * In rooms in which more users are connected than this, streams don't bring their presence: everybody would be told of
   * everybody. Whoever asks is shown it all the same.
   */
  HEARTH_PRESENCE_ROOM_SIZE: whole.min(0).max(100_000).default(1000),
  /** The policy hook, that may refuse, change or reject events: an http or https address. docs/policy.md describes it. */
  HEARTH_POLICY_URL: z
    .url({ protocol: /^https?$/, error: "is no http or https address" })
    .refine((url) => new URL(url).username === "" && new URL(url).password === "", "holds credentials")
    .optional(),
  /** Sent to the hook as `Authorization: Bearer`. */
  HEARTH_POLICY_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]+$/, "holds characters that no token may have")
    .optional(),
  /** Milliseconds that the hook has for an answer. */
  HEARTH_POLICY_TIMEOUT_MS: whole.min(1).max(60_000).default(1000),
  /** What becomes of events when the hook can't be reached, is late or answers nonsense. */
  HEARTH_POLICY_FAILURE: z.enum(["refuse", "accept"]).default("refuse"),
  /** Whether the hook sees events once more after they were stored, and may have them rejected. [EVS-7] */
  HEARTH_POLICY_REVIEW: z.enum(["on", "off"]).default("off"),
  /** Where clients relay the media of calls: turn:, turns:, stun: and stuns: addresses. [VOIP-8] */
  HEARTH_TURN_URIS: list
    .refine((uris) => uris.every((uri) => /^(turns?|stuns?):[^\s/]/.test(uri)), "holds what is no TURN or STUN address")
    .default([]),
  /** Shared with the TURN servers, such as coturn's `static-auth-secret`. */
  HEARTH_TURN_SECRET: z.string().min(1).optional(),
  HEARTH_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
});

export interface Config {
  serverName: string;
  host: string;
  port: number;
  dataDir: string;
  databaseUrl: string | null;
  registration: "open" | "token" | "closed";
  registrationTokens: string[];
  admins: string[];
  allowedOrigins: string[];
  streamReplay: number;
  streamBacklog: number;
  sessionTimeoutMs: number;
  presence: boolean;
  presenceRoomSize: number;
  policy: {
    url: string;
    token: string | null;
    timeoutMs: number;
    failure: "refuse" | "accept";
    review: boolean;
  } | null;
  turn: { uris: string[]; secret: string } | null;
  logLevel: "trace" | "debug" | "info" | "warn" | "error" | "silent";
}

/** A setting is wrong; the message names it and is meant for the person who starts the server. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

const defaultFile = "hearth.config.json";

/** Reads the settings from the environment and from a JSON file: the one named, else hearth.config.json if there is one. */
export function readConfig(environment: Record<string, string | undefined>, file: string | null): Config {
  const fromFile = readFile(file);
  const known = Object.keys(settings.shape);
  const fromEnvironment = known.flatMap((name) => (environment[name] ? [[name, environment[name]]] : []));
  const parsed = settings.safeParse({ ...fromFile, ...Object.fromEntries(fromEnvironment) });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new ConfigError(`${issue?.path.join(".") || "The settings"}: ${issue?.message}`);
  }
  const given = parsed.data;
  return {
    serverName: given.HEARTH_SERVER_NAME,
    host: given.HEARTH_HOST,
    port: given.HEARTH_PORT,
    dataDir: given.HEARTH_DATA_DIR,
    databaseUrl: given.DATABASE_URL ?? null,
    registration: given.HEARTH_REGISTRATION,
    registrationTokens: given.HEARTH_REGISTRATION_TOKENS,
    admins: given.HEARTH_ADMINS,
    allowedOrigins: given.HEARTH_ALLOWED_ORIGINS,
    streamReplay: given.HEARTH_STREAM_REPLAY,
    streamBacklog: given.HEARTH_STREAM_BACKLOG,
    sessionTimeoutMs: given.HEARTH_SESSION_TIMEOUT_MS,
    presence: given.HEARTH_PRESENCE === "on",
    presenceRoomSize: given.HEARTH_PRESENCE_ROOM_SIZE,
    policy: policyOf(given),
    turn: turnOf(given),
    logLevel: given.HEARTH_LOG_LEVEL,
  };
}

function policyOf(given: z.output<typeof settings>): Config["policy"] {
  const { HEARTH_POLICY_URL: url, HEARTH_POLICY_TOKEN: token = null, HEARTH_POLICY_FAILURE: failure } = given;
  const review = given.HEARTH_POLICY_REVIEW === "on";
  if (url !== undefined) return { url, token, timeoutMs: given.HEARTH_POLICY_TIMEOUT_MS, failure, review };
  if (review) throw new ConfigError("HEARTH_POLICY_REVIEW: needs HEARTH_POLICY_URL, which is not set");
  return null;
}

function turnOf(given: z.output<typeof settings>): Config["turn"] {
  const { HEARTH_TURN_URIS: uris, HEARTH_TURN_SECRET: secret } = given;
  if (uris.length === 0 && secret === undefined) return null;
  if (secret === undefined) throw new ConfigError("HEARTH_TURN_URIS: needs HEARTH_TURN_SECRET, which is not set");
  if (uris.length === 0) throw new ConfigError("HEARTH_TURN_SECRET: needs HEARTH_TURN_URIS, which is not set");
  return { uris, secret };
}

/** Variables that look like settings of this release and are none: misspelt ones, or those of another release. */
export function unknownSettings(environment: Record<string, string | undefined>): string[] {
  // HEARTH_CHAT_… are the terminal client's.
  return Object.keys(environment).filter((name) => /^HEARTH_(?!CHAT_)/.test(name) && !(name in settings.shape));
}

function readFile(file: string | null): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file ?? defaultFile, "utf8");
  } catch (error) {
    if (file === null && (error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new ConfigError(`The settings file can't be read: ${(error as Error).message}`);
  }
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new ConfigError(`${file ?? defaultFile} is no JSON: ${(error as Error).message}`);
  }
}

/** Whether the server listens only to its own machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
