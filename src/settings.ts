import { z } from "zod";
import { isRange } from "./model/addresses.ts";
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
export const settings = z.strictObject({
  /** The part of ids after the colon. It can't be changed later. */
  HEARTH_SERVER_NAME: z.string().refine(isServerName, "is no server name").default("localhost"),
  HEARTH_HOST: z.string().default("127.0.0.1"),
  /** 0 takes any free port. */
  HEARTH_PORT: whole.min(0).max(65535).default(8008),
  /** The address that clients reach the server by, such as that of a proxy; without it, the one that it listens on. */
  HEARTH_PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: "is no http or https address" })
    .refine((url) => !/[?#]/.test(url), "holds more than an address")
    .transform((url) => url.replace(/\/+$/, ""))
    .optional(),
  /** Processes that serve together on the port, for more than one core; each takes about 150 MB. */
  HEARTH_WORKERS: whole.min(1).max(64).default(1),
  HEARTH_DATA_DIR: z.string().min(1).default("./data"),
  /** A PostgreSQL server of your own, version 15 or later; without it, hearth runs its own in the data directory. */
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "is no address such as postgresql://user:password@host/database")
    .optional(),
  /** Operations that may be under way at once in each process; who comes with more is told `OVERLOADED`. */
  HEARTH_MAX_OPERATIONS: whole.min(1).max(100_000).default(1000),
  /** Connections to PostgreSQL that each process reads by; two more are for writing and listening. */
  HEARTH_DATABASE_CONNECTIONS: whole.min(2).max(1000).default(10),
  /** Who may register: anyone, holders of a registration token, nobody. [ACC-5] */
  HEARTH_REGISTRATION: z.enum(["open", "token", "closed"]).default("open"),
  HEARTH_REGISTRATION_TOKENS: list.default([]),
  /** User ids or names of the server's admins. */
  HEARTH_ADMINS: list.default([]),
  /** Origins of web pages, besides the server's own, whose scripts may call the API; `*` for all. */
  HEARTH_ALLOWED_ORIGINS: list.default([]),
  /**
   * Proxies in front of the server, as addresses and CIDR ranges. What they say of where a request came from is believed:
   * the last address of `X-Forwarded-For` that is none of theirs.
   */
  HEARTH_TRUSTED_PROXIES: list
    .refine((ranges) => ranges.every(isRange), "holds what is neither an address nor a CIDR range")
    .default([]),
  /** Whether requests are limited at all; `off` is for benchmarks. */
  HEARTH_RATE_LIMIT: z.enum(["on", "off"]).default("on"),
  /**
   * Requests a second of one device, and of one address as long as nobody has signed in there; a user may make three times
   * as many with all devices. Ten seconds' worth may come at once.
   */
  HEARTH_RATE_REQUESTS: whole.min(1).max(1_000_000).default(50),
  /** Requests a second of one user that change something, each message of a batch counted. Ten seconds' worth may come at once. */
  HEARTH_RATE_ACTIONS: whole.min(1).max(1_000_000).default(10),
  /**
   * Attempts a minute at the password of one account from one address; three times as many from one address at all accounts, ten
   * times as many at one account from all addresses. As many registrations a minute from one address.
   */
  HEARTH_RATE_LOGINS: whole.min(1).max(10_000).default(10),
  /**
   * Whether clients may name operations that the server knows by their ids instead of sending them (`on`), or have to
   * (`only`): then no document that is sent is run.
   */
  HEARTH_PERSISTED_OPERATIONS: z.enum(["off", "on", "only"]).default("off"),
  /** The operations that it knows: a JSON file of documents by their ids, as code generators write it. */
  HEARTH_PERSISTED_OPERATIONS_FILE: z.string().min(1).optional(),
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
  /** Bytes that one file of the content repository may have. [AS-14] */
  HEARTH_MEDIA_MAX_BYTES: whole
    .min(1)
    .max(2 ** 31 - 1)
    .default(50 * 2 ** 20),
  /** Bytes that the files of one user may take together; 0: any. */
  HEARTH_MEDIA_QUOTA_BYTES: whole.min(0).default(2 ** 30),
  /** An S3-compatible store for files, instead of the data directory: its address, without the bucket. */
  HEARTH_MEDIA_S3_ENDPOINT: z.url({ protocol: /^https?$/, error: "is no http or https address" }).optional(),
  HEARTH_MEDIA_S3_BUCKET: z.string().min(1).optional(),
  HEARTH_MEDIA_S3_REGION: z.string().min(1).default("us-east-1"),
  HEARTH_MEDIA_S3_ACCESS_KEY: z.string().min(1).optional(),
  HEARTH_MEDIA_S3_SECRET_KEY: z.string().min(1).optional(),
  /** Registration files of application services, in YAML, read at start and again on SIGHUP. [AS-1] */
  HEARTH_APPSERVICES: list.default([]),
  /**
   * Application services that may register themselves over REST: none (`off`), those that show one of these tokens, or any
   * (`open`), for trying out: such a one is not trusted with people's accounts. [AS-1]
   */
  HEARTH_AS_REGISTRATION: list.default(["off"]),
  /** By which `/metrics` is shown, as a Bearer token; without it, it is shown on the machine itself. */
  HEARTH_METRICS_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{16,}$/, "is too short, or holds characters that no token may have")
    .optional(),
  /** A collector of traces that takes OTLP over HTTP, such as `http://127.0.0.1:4318`; without it there are none. */
  HEARTH_OTLP_ENDPOINT: z.url({ protocol: /^https?$/, error: "is no http or https address" }).optional(),
  /** Which part of the requests is traced, from 0 to 1; those whose client has begun a trace are if that one is. */
  HEARTH_TRACE_SAMPLE: z.coerce.number().min(0).max(1).default(0.1),
  HEARTH_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
});

/** The settings as they were given, each read and checked. */
export type Settings = z.output<typeof settings>;
