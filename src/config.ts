import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { Rates } from "./model/rates.ts";
import { settings, type Settings } from "./settings.ts";

export interface Config {
  serverName: string;
  host: string;
  port: number;
  publicUrl: string | null;
  /** Processes that serve together. */
  workers: number;
  /** Under way at once, in each process. */
  maxOperations: number;
  dataDir: string;
  databaseUrl: string | null;
  /** For reading, of each process. */
  databaseConnections: number;
  registration: "open" | "token" | "closed";
  registrationTokens: string[];
  admins: string[];
  allowedOrigins: string[];
  trustedProxies: string[];
  /** Null: nothing is limited. */
  rates: Rates | null;
  /** Null: clients send what they ask for. */
  persistedOperations: { file: string; only: boolean } | null;
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
  media: {
    maxBytes: number;
    quotaBytes: number;
    /** Null: files lie in the data directory. */
    s3: { endpoint: string; bucket: string; region: string; accessKey: string; secretKey: string } | null;
  };
  /** Paths of registration files. */
  serviceFiles: string[];
  /** Who may register application services over REST: nobody, holders of these tokens, anybody. */
  serviceRegistration: "off" | "open" | string[];
  /** By which /metrics is shown; null: on the machine itself. */
  metricsToken: string | null;
  /** Where traces are sent, and of which part of the requests. */
  traces: { endpoint: string; sample: number } | null;
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
    publicUrl: given.HEARTH_PUBLIC_URL ?? null,
    workers: given.HEARTH_WORKERS,
    maxOperations: given.HEARTH_MAX_OPERATIONS,
    dataDir: given.HEARTH_DATA_DIR,
    databaseUrl: given.DATABASE_URL ?? null,
    databaseConnections: given.HEARTH_DATABASE_CONNECTIONS,
    registration: given.HEARTH_REGISTRATION,
    registrationTokens: given.HEARTH_REGISTRATION_TOKENS,
    admins: given.HEARTH_ADMINS,
    allowedOrigins: given.HEARTH_ALLOWED_ORIGINS,
    trustedProxies: given.HEARTH_TRUSTED_PROXIES,
    rates: ratesOf(given),
    persistedOperations: persistedOperationsOf(given),
    streamReplay: given.HEARTH_STREAM_REPLAY,
    streamBacklog: given.HEARTH_STREAM_BACKLOG,
    sessionTimeoutMs: given.HEARTH_SESSION_TIMEOUT_MS,
    presence: given.HEARTH_PRESENCE === "on",
    presenceRoomSize: given.HEARTH_PRESENCE_ROOM_SIZE,
    policy: policyOf(given),
    turn: turnOf(given),
    media: {
      maxBytes: given.HEARTH_MEDIA_MAX_BYTES,
      quotaBytes: given.HEARTH_MEDIA_QUOTA_BYTES,
      s3: s3Of(given),
    },
    serviceFiles: given.HEARTH_APPSERVICES,
    serviceRegistration: serviceRegistrationOf(given.HEARTH_AS_REGISTRATION),
    metricsToken: given.HEARTH_METRICS_TOKEN ?? null,
    traces: tracesOf(given),
    logLevel: given.HEARTH_LOG_LEVEL,
  };
}

function persistedOperationsOf(given: Settings): Config["persistedOperations"] {
  const { HEARTH_PERSISTED_OPERATIONS: mode, HEARTH_PERSISTED_OPERATIONS_FILE: file } = given;
  if (mode === "off") return null;
  if (file === undefined) {
    throw new ConfigError("HEARTH_PERSISTED_OPERATIONS: needs HEARTH_PERSISTED_OPERATIONS_FILE, which is not set");
  }
  return { file, only: mode === "only" };
}

function ratesOf(given: Settings): Rates | null {
  if (given.HEARTH_RATE_LIMIT === "off") return null;
  return {
    requests: given.HEARTH_RATE_REQUESTS,
    actions: given.HEARTH_RATE_ACTIONS,
    logins: given.HEARTH_RATE_LOGINS,
  };
}

function policyOf(given: Settings): Config["policy"] {
  const { HEARTH_POLICY_URL: url, HEARTH_POLICY_TOKEN: token = null, HEARTH_POLICY_FAILURE: failure } = given;
  const review = given.HEARTH_POLICY_REVIEW === "on";
  if (url !== undefined) return { url, token, timeoutMs: given.HEARTH_POLICY_TIMEOUT_MS, failure, review };
  if (review) throw new ConfigError("HEARTH_POLICY_REVIEW: needs HEARTH_POLICY_URL, which is not set");
  return null;
}

function tracesOf({ HEARTH_OTLP_ENDPOINT: endpoint, HEARTH_TRACE_SAMPLE: sample }: Settings): Config["traces"] {
  return endpoint === undefined ? null : { endpoint, sample };
}

function serviceRegistrationOf(given: string[]): Config["serviceRegistration"] {
  const [word] = given;
  if (given.length <= 1 && (word === undefined || word === "off")) return "off";
  if (given.length === 1 && word === "open") return "open";
  if (given.includes("off") || given.includes("open")) {
    throw new ConfigError("HEARTH_AS_REGISTRATION: is off, or open, or a list of tokens, and not several of these");
  }
  return given;
}

function turnOf(given: Settings): Config["turn"] {
  const { HEARTH_TURN_URIS: uris, HEARTH_TURN_SECRET: secret } = given;
  if (uris.length === 0 && secret === undefined) return null;
  if (secret === undefined) throw new ConfigError("HEARTH_TURN_URIS: needs HEARTH_TURN_SECRET, which is not set");
  if (uris.length === 0) throw new ConfigError("HEARTH_TURN_SECRET: needs HEARTH_TURN_URIS, which is not set");
  return { uris, secret };
}

function s3Of(given: Settings): Config["media"]["s3"] {
  const needed = {
    HEARTH_MEDIA_S3_ENDPOINT: given.HEARTH_MEDIA_S3_ENDPOINT,
    HEARTH_MEDIA_S3_BUCKET: given.HEARTH_MEDIA_S3_BUCKET,
    HEARTH_MEDIA_S3_ACCESS_KEY: given.HEARTH_MEDIA_S3_ACCESS_KEY,
    HEARTH_MEDIA_S3_SECRET_KEY: given.HEARTH_MEDIA_S3_SECRET_KEY,
  };
  const missing = Object.entries(needed).find(([, value]) => value === undefined)?.[0];
  const present = Object.entries(needed).find(([, value]) => value !== undefined)?.[0];
  if (present === undefined) return null;
  if (missing !== undefined) throw new ConfigError(`${present}: needs ${missing}, which is not set`);
  return {
    endpoint: needed.HEARTH_MEDIA_S3_ENDPOINT!,
    bucket: needed.HEARTH_MEDIA_S3_BUCKET!,
    region: given.HEARTH_MEDIA_S3_REGION,
    accessKey: needed.HEARTH_MEDIA_S3_ACCESS_KEY!,
    secretKey: needed.HEARTH_MEDIA_S3_SECRET_KEY!,
  };
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

/**
 * Whether nobody but who sits at the machine reaches the server. Behind a proxy it listens to its own machine as well, and
 * has an address by which all others come.
 */
export function isForTryingOut({ host, publicUrl }: Pick<Config, "host" | "publicUrl">): boolean {
  return isLoopback(host) && (publicUrl === null || isLoopback(new URL(publicUrl).hostname.replace(/^\[|\]$/g, "")));
}
