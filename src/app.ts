import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { isLoopback, type Config } from "./config.ts";
import { createAccounts } from "./domain/accounts.ts";
import { createAdmin } from "./domain/admin.ts";
import { resumeDeletions } from "./domain/actions/deleteRoom.ts";
import { rejectEvent } from "./domain/actions/rejectEvent.ts";
import { endCallsOf } from "./domain/actions/endCalls.ts";
import { createAuthorities } from "./domain/append/authorities.ts";
import { createWriter } from "./domain/append/writer.ts";
import { watchCallEndings } from "./domain/calls/callEndings.ts";
import type { Domain } from "./domain/domain.ts";
import { createCapabilities } from "./domain/live/capabilities.ts";
import { createPresence } from "./domain/live/presence.ts";
import { createSessions } from "./domain/live/sessions.ts";
import { TypingBoard } from "./domain/live/typing.ts";
import { createPasswords } from "./domain/passwords.ts";
import { createPolicy } from "./domain/policy/policy.ts";
import { createReview } from "./domain/policy/review.ts";
import { KnownViews } from "./domain/reading/views.ts";
import { createEventStream } from "./domain/sync/eventStream.ts";
import { createHead } from "./domain/sync/head.ts";
import { HearthError } from "./model/errors.ts";
import { userIdOf } from "./model/ids.ts";
import type { Clock, Fetch, Ids, Log } from "./model/ports.ts";
import { createSigner } from "./model/signing.ts";
import { createTokens } from "./model/tokens.ts";
import { databaseSetting } from "./store/accounts.ts";
import type { Database } from "./store/database.ts";
import { listen } from "./store/notifications.ts";
import { createGraphQL } from "./transport/graphql.ts";
import { createLive } from "./transport/live/live.ts";
import { createHttpServer } from "./transport/http.ts";
import { createLean } from "./transport/lean.ts";
import { createOperations } from "./transport/operations.ts";
import { serveWebSockets } from "./transport/websocket.ts";
import { version } from "./model/version.ts";

export interface AppOptions {
  config: Config;
  /** Migrated; the caller closes it after the app. */
  database: Database;
  clock: Clock;
  ids: Ids;
  fetch: Fetch;
  log: Log;
}

export interface App {
  domain: Domain;
  /** Where it listens, e.g. http://127.0.0.1:8008 */
  listen(): Promise<string>;
  /** Stops accepting, ends streams, waits for what is in flight. */
  close(): Promise<void>;
}

const graphqlPath = "/graphql";
const freshTokenMs = 30_000;
const ownNoticeMs = 250;
const deletionsMs = 10 * 60_000;

/** Wires the layers; nothing else does. */
export async function createApp({ config, database, clock, ids, fetch, log }: AppOptions): Promise<App> {
  const processId = ids.opaque();
  const { reader } = database;
  const secret = await databaseSetting(reader, "token_secret", ids.secret());
  const epoch = await databaseSetting(reader, "epoch", ids.opaque());
  const named = await databaseSetting(reader, "server_name", config.serverName);
  if (named !== config.serverName) {
    throw new Error(`This database belongs to the server ${named}; HEARTH_SERVER_NAME says ${config.serverName}.`);
  }
  const tokens = createTokens(Buffer.from(secret), epoch);
  const { serverName } = config;
  const signingSeed = await databaseSetting(reader, "signing_seed", ids.secret());
  const signer = createSigner(Buffer.from(signingSeed, "base64url"), serverName);

  const head = await createHead(database, log);
  const authorities = createAuthorities(reader);
  // Before any stream sees an event, the rules do.
  head.onPassed((events) => events.forEach((event) => authorities.apply(event)));
  const { streamReplay: replayLimit, streamBacklog: backlogLimit } = config;
  const stream = createEventStream({ reader, head, log, replayLimit, backlogLimit, freshTokenMs });
  const writer = createWriter({ database, processId, log, onCommitted: (batch) => head.publish(batch) });

  const connection = reader;
  const { sessionTimeoutMs: timeoutMs } = config;
  const sessions = await createSessions({ connection, processId, clock, ids, log, timeoutMs });
  const { presence: told, presenceRoomSize: largestRoom } = config;
  const presence = createPresence({ connection, sessions, stream, clock, log, told, largestRoom });
  const typing = new TypingBoard({ connection, processId, serverName, sessions, stream, clock, log });
  const capabilities = createCapabilities({ connection, sessions, presence, can: { turn: config.turn !== null } });
  head.onPassed((events) => events.forEach((event) => typing.passed(event)));
  const failed = (what: string) => (error: unknown) => log.warn({ error }, what);

  const onRevoked = (tokenIds: string[]): void => {
    accounts.forget(tokenIds);
    sessions.endWith(tokenIds).catch(failed("ending the sessions of revoked tokens failed"));
    stream.end(tokenIds, new HearthError("UNKNOWN_TOKEN", "The access token was revoked."));
  };
  const onRights = (userIds: string[]): void => accounts.forgetRights(userIds);
  const admins = new Set(config.admins.map((name) => userIdOf(name, serverName)));
  const { registration, registrationTokens } = config;
  const passwords = createPasswords();
  const common = { database, clock, ids, log, serverName, onRevoked, passwords, registrationTokens, admins };
  const accounts = createAccounts({ ...common, registration });
  const admin = createAdmin({ ...common, tokens, onRights });
  const listener = await listen(
    database.url,
    {
      onStream({ process: from, to }) {
        if (from !== processId) return head.notice(to);
        // Own batches come by the writer's answer, which may be under way still; the notice stands in when it is lost.
        setTimeout(() => head.notice(to), ownNoticeMs).unref();
      },
      onRevoked,
      onRights,
      onSessions({ process: from, users }) {
        if (from === processId) return;
        presence.expectChange(users);
        sessions.refresh(users).catch(failed("reading the sessions of another process failed"));
      },
      onTyping: (notice) => typing.notice(notice),
      onConnected() {
        accounts.forgetAll();
        sessions.refresh(null).catch(failed("reading all sessions failed"));
        head.refresh().catch((error: unknown) => log.warn({ error }, "catching up after a reconnect failed"));
      },
    },
    log,
  );

  const policyTools = config.policy && { settings: config.policy, serverName, fetch, log };
  const policy = policyTools && createPolicy(policyTools);

  const domain: Domain = {
    accounts,
    admin,
    tools: { database, writer, authorities, clock, ids, tokens, serverName, policy },
    head,
    stream,
    sessions,
    presence,
    typing,
    capabilities,
    tokens,
    signer,
    reading: { connection: reader, tokens, head, views: new KnownViews() },
    turn: config.turn,
    server: {
      name: serverName,
      version,
      registration: config.registration,
      signingKeys: [{ keyId: signer.keyId, publicKey: signer.publicKey }],
    },
  };
  const reject = async (eventId: string, reason: string | null): Promise<void> => {
    const server = { userId: serverName, deviceId: "policy", admin: true, tokenId: "policy" };
    await rejectEvent(domain.tools, server, { eventId, reason });
  };
  const review =
    policyTools && config.policy?.review
      ? await createReview({ ...policyTools, database, head, processId, reject })
      : null;
  const callEndings = watchCallEndings(domain.tools, head, log);
  sessions.onEnded(({ userId, deviceId }) => {
    endCallsOf(domain.tools, userId, deviceId).catch(failed("ending the calls of a session failed"));
  });
  const finishDeletions = (): void =>
    void resumeDeletions(domain.tools).then(
      (failed) => failed.forEach((room) => log.error(room, "deleting a room went no further")),
      (error: unknown) => log.warn({ error }, "looking for rooms to delete failed"),
    );
  finishDeletions();
  const deletions = setInterval(finishDeletions, deletionsMs);
  deletions.unref();
  const origins = { loopback: isLoopback(config.host), serverName, allowedOrigins: config.allowedOrigins };
  const operations = createOperations(domain, log);
  const graphql = createGraphQL(operations, log, graphqlPath);
  const live = createLive(domain);
  const lean = createLean(operations, live, log);
  const place = { path: graphqlPath, origins };
  const server = createHttpServer({ lean, graphql }, log, place);
  const webSockets = serveWebSockets(server, { operations, live }, domain, log, place);

  return {
    domain,
    listen: () => listenOn(server, config),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      clearInterval(deletions);
      stream.shutDown();
      await webSockets.close();
      server.closeIdleConnections();
      const deadline = setTimeout(() => server.closeAllConnections(), 5000);
      await closed;
      clearTimeout(deadline);
      await review?.close();
      await typing.close();
      await presence.close();
      await sessions.close();
      await callEndings.close();
      await writer.drain();
      await listener.close();
      head.close();
    },
  };
}

function listenOn(server: Server, { host, port }: Config): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.removeListener("error", reject);
      const address = server.address() as AddressInfo;
      resolve(`http://${host.includes(":") ? `[${host}]` : host}:${address.port}`);
    });
  });
}
