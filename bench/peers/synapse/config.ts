import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Lets everything through. */
const none = { per_second: 1_000_000, burst_count: 1_000_000 };

/** Every limit of rates that Synapse has for clients. */
const rateLimits = {
  rc_message: none,
  rc_registration: none,
  rc_registration_token_validity: none,
  rc_login: { address: none, account: none, failed_attempts: none },
  rc_admin_redaction: none,
  rc_joins: { local: none, remote: none },
  rc_joins_per_room: none,
  rc_3pid_validation: none,
  rc_invites: { per_room: none, per_user: none, per_issuer: none },
  rc_third_party_invite: none,
  rc_media_create: none,
  rc_presence: { per_user: none },
  rc_delayed_event_mgmt: none,
  rc_room_creation: none,
  rc_reports: none,
  rc_user_directory: none,
  rc_profile: none,
};

/** Where Synapse stores: in a file of its own, or in a PostgreSQL. */
export type Storage =
  | { kind: "sqlite" }
  | { kind: "postgres"; host: string; port: number; user: string; password: string; database: string };

/**
 * Writes the settings of a Synapse as a small team would run it: one process, caches as they come, neither federation nor
 * presence, and logging warnings only. Rate limits are off, and passwords are hashed as cheaply as can be.
 * @returns the file's path. It is JSON, which is YAML, too.
 */
export function writeConfig(
  directory: string,
  given: { port: number; serverName: string; sharedSecret: string; storage: Storage },
): string {
  const logging = join(directory, "logging.json");
  writeFileSync(logging, JSON.stringify(loggingConfig));
  const settings = {
    server_name: given.serverName,
    report_stats: false,
    data_dir: directory,
    pid_file: join(directory, "homeserver.pid"),
    signing_key_path: join(directory, "signing.key"),
    media_store_path: join(directory, "media"),
    log_config: logging,
    listeners: [
      {
        port: given.port,
        bind_addresses: ["127.0.0.1"],
        type: "http",
        tls: false,
        resources: [{ names: ["client"] }],
      },
    ],
    database: databaseConfig(directory, given.storage),
    registration_shared_secret: given.sharedSecret,
    macaroon_secret_key: given.sharedSecret,
    form_secret: given.sharedSecret,
    bcrypt_rounds: 4,
    trusted_key_servers: [],
    federation_domain_whitelist: [],
    presence: { enabled: false },
    ...rateLimits,
  };
  const path = join(directory, "homeserver.yaml");
  writeFileSync(path, JSON.stringify(settings, null, 2));
  return path;
}

function databaseConfig(directory: string, storage: Storage): object {
  if (storage.kind === "sqlite") return { name: "sqlite3", args: { database: join(directory, "homeserver.db") } };
  const { host, port, user, password, database } = storage;
  // The numbers of connections are those that Synapse's manual gives.
  return { name: "psycopg2", args: { host, port, user, password, dbname: database, cp_min: 5, cp_max: 10 } };
}

const loggingConfig = {
  version: 1,
  formatters: { plain: { format: "%(levelname)s %(name)s: %(message)s" } },
  handlers: { console: { class: "logging.StreamHandler", formatter: "plain" } },
  // The one greets whoever starts it by a warning, the other warns of each poll that its client has given up.
  loggers: { "synapse.config.logger": { level: "ERROR" }, "synapse.http.server": { level: "ERROR" } },
  root: { level: "WARNING", handlers: ["console"] },
  disable_existing_loggers: false,
};
