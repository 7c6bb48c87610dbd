import { ConfigError, isForTryingOut, type Config } from "./config.ts";
import { openContentRepository } from "./contentRepository.ts";
import { createAccountData } from "./domain/accountData.ts";
import { createAccounts } from "./domain/accounts.ts";
import { createAdmin } from "./domain/admin.ts";
import { resumeDeletions } from "./domain/actions/deleteRoom.ts";
import { rejectEvent } from "./domain/actions/rejectEvent.ts";
import { endCallsOf } from "./domain/actions/endCalls.ts";
import { createServiceDelivery, type ServiceDelivery } from "./domain/appservice/delivery.ts";
import { serviceTokenId } from "./domain/appservice/acting.ts";
import { createEphemeralSource } from "./domain/appservice/ephemeral.ts";
import { createIdentity } from "./domain/appservice/identity.ts";
import { createLookups } from "./domain/appservice/lookups.ts";
import { createOperating } from "./domain/appservice/operating.ts";
import { createPing } from "./domain/appservice/ping.ts";
import { createProvision } from "./domain/appservice/provision.ts";
import { createServiceQueries, type Provision } from "./domain/appservice/queries.ts";
import { createRegistrations } from "./domain/appservice/registrations.ts";
import { createRegistry } from "./domain/appservice/registry.ts";
import { createServiceClient } from "./domain/appservice/serviceClient.ts";
import { createAuthorities } from "./domain/append/authorities.ts";
import { createWriter } from "./domain/append/writer.ts";
import { watchCallEndings } from "./domain/calls/callEndings.ts";
import type { Domain } from "./domain/domain.ts";
import { createCapabilities } from "./domain/live/capabilities.ts";
import { createAttempts } from "./domain/limits/attempts.ts";
import { createLimits } from "./domain/limits/limits.ts";
import { createPresence } from "./domain/live/presence.ts";
import { createSessions } from "./domain/live/sessions.ts";
import { TypingBoard } from "./domain/live/typing.ts";
import { readPersistedOperations } from "./persistedOperationsFile.ts";
import { readRegistrations } from "./registrationFiles.ts";
import { createExports } from "./domain/export/exports.ts";
import { createDevices } from "./domain/devices.ts";
import { deleteAccount } from "./domain/leaving/deleteAccount.ts";
import { startForgetting, type Forgetting } from "./domain/leaving/forgetting.ts";
import { createPasswords } from "./domain/passwords.ts";
import { createPolicy } from "./domain/policy/policy.ts";
import { createReview } from "./domain/policy/review.ts";
import { createProfileSpread } from "./domain/profiles/spread.ts";
import { olderFormsById } from "./domain/reading/olderForm.ts";
import { KnownViews } from "./domain/reading/views.ts";
import { createReadiness } from "./domain/readiness.ts";
import { createEventStream } from "./domain/sync/eventStream.ts";
import { createHead } from "./domain/sync/head.ts";
import { addGauges } from "./insight/gauges.ts";
import { createMetrics, type MetricsAsJson } from "./insight/metrics.ts";
import { createTraces } from "./insight/traces.ts";
import { HearthError } from "./model/errors.ts";
import { userIdOf } from "./model/ids.ts";
import { noTracer, type Clock, type Fetch, type Ids, type Log } from "./model/ports.ts";
import { createSigner } from "./model/signing.ts";
import { createTokens } from "./model/tokens.ts";
import { databaseSetting } from "./store/accounts.ts";
import type { Database } from "./store/database.ts";
import { listen } from "./store/notifications.ts";
import { createTransports } from "./transports.ts";
import { version } from "./model/version.ts";

export interface AppOptions {
  config: Config;
  /** Migrated; the caller closes it after the app. */
  database: Database;
  clock: Clock;
  ids: Ids;
  fetch: Fetch;
  /** Reaches public addresses only: for those that strangers gave. */
  publicFetch: Fetch;
  log: Log;
  /** Measure the process as well, such as its event loop: one app of a process may. */
  processMetrics?: boolean;
}

export interface App {
  domain: Domain;
  /** Reads the registration files of application services anew. [AS-1] */
  reload(): Promise<void>;
  /** Where it listens, e.g. http://127.0.0.1:8008 */
  listen(): Promise<string>;
  /** What `/metrics` answers: of this process, unless somebody puts what tells of several in its place. */
  metrics(): Promise<string>;
  /** The same of this process alone, to be put together with that of others. */
  metricsAsJson(): Promise<MetricsAsJson>;
  /** Stops accepting, ends streams, waits for what is in flight. */
  close(): Promise<void>;
}

const freshTokenMs = 30_000;
const ownNoticeMs = 250;
const deletionsMs = 10 * 60_000;
const cleaningMs = 10 * 60_000;

/** Wires the layers; nothing else does. */
export async function createApp(options: AppOptions): Promise<App> {
  const { config, database, clock, ids, fetch, publicFetch, log } = options;
  const processId = ids.opaque();
  const metrics = createMetrics({ process: options.processMetrics ?? false });
  const { meter } = metrics;
  const traces = config.traces && (await createTraces({ ...config.traces, serverName: config.serverName, log }));
  const tracer = traces ?? noTracer;
  const { reader } = database;
  const secret = await databaseSetting(reader, "token_secret", ids.secret());
  const epoch = await databaseSetting(reader, "epoch", ids.opaque());
  const named = await databaseSetting(reader, "server_name", config.serverName);
  if (named !== config.serverName) {
    throw new ConfigError(
      `This database belongs to the server ${named}; HEARTH_SERVER_NAME says ${config.serverName}.`,
    );
  }
  const tokens = createTokens(Buffer.from(secret), epoch);
  const { serverName } = config;
  // Before anything runs that would have to be ended where a file can't be used.
  const registry = await createRegistry({ connection: reader, serverName, log });
  const allowed = config.serviceRegistration;
  const registrations = createRegistrations({ database, registry, clock, ids, log, serverName, allowed });
  const persisted = readPersistedOperations(config.persistedOperations);
  await registrations.takeFiles(readRegistrations(config.serviceFiles));
  const signingSeed = await databaseSetting(reader, "signing_seed", ids.secret());
  const signer = createSigner(Buffer.from(signingSeed, "base64url"), serverName);

  const head = await createHead(database, log);
  const authorities = createAuthorities(reader);
  // Before any stream sees an event, the rules do.
  head.onPassed((events) => events.forEach((event) => authorities.apply(event)));
  const { streamReplay: replayLimit, streamBacklog: backlogLimit } = config;
  const stream = createEventStream({ reader, head, log, replayLimit, backlogLimit, freshTokenMs });
  // What a service opened ends with its registration, as a user's streams do with their token. [AS-2]
  registry.onChanged((now, before) => {
    const gone = before.services.filter(({ id }) => now.withId(id) === null);
    stream.end(
      gone.map(({ id }) => serviceTokenId(id)),
      new HearthError("UNKNOWN_TOKEN", "The application service is registered no longer."),
    );
  });
  const writer = createWriter({ database, processId, log, meter, tracer, onCommitted: (batch) => head.publish(batch) });

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
  const limits = createLimits({ rates: config.rates, registry, clock });
  const attempts = createAttempts({ rates: config.rates, connection: reader, clock });
  const common = {
    ...{ database, registry, limits, attempts, clock, ids, log, serverName },
    ...{ onRevoked, passwords, registrationTokens, admins },
  };
  const accounts = createAccounts({ ...common, registration });
  const admin = createAdmin({ ...common, tokens, onRights });
  const media = openContentRepository(config, { ...common, tokens, fetch });
  const devices = createDevices(common);
  let forgetting: Forgetting | null = null;
  let delivery: ServiceDelivery | null = null;
  const listener = await listen(
    database.url,
    {
      onStream({ process: from, to, services }) {
        if (services === null || services.length > 0) delivery?.queued(services);
        if (from !== processId) return head.notice(to);
        // Own batches come by the writer's answer, which may be under way still; the notice stands in when it is lost.
        setTimeout(() => head.notice(to), ownNoticeMs).unref();
      },
      onRevoked,
      onRights,
      onSessions({ process: from, users, set }) {
        if (from === processId) return;
        presence.notice(users, set);
        sessions.refresh(users).catch(failed("reading the sessions of another process failed"));
      },
      onTyping: (notice) => typing.notice(notice),
      onDeletion: () => forgetting?.wake(),
      onServices(serviceId) {
        if (serviceId !== null) return delivery?.wake(serviceId);
        registry.refresh().catch(failed("reading the registrations of application services failed"));
      },
      onConnected() {
        registry.refresh().catch(failed("reading the registrations of application services failed"));
        delivery?.queued(null);
        accounts.forgetAll();
        sessions.refresh(null).catch(failed("reading all sessions failed"));
        head.refresh().catch((error: unknown) => log.warn({ error }, "catching up after a reconnect failed"));
      },
    },
    log,
  );

  const policyTools = config.policy && { settings: config.policy, serverName, fetch, log };
  const policy = policyTools && createPolicy(policyTools);

  const client = createServiceClient({ fetch, publicFetch: isForTryingOut(config) ? fetch : publicFetch });
  const provision: Provision = {
    user: (...told) => provided.user(...told),
    room: (...told) => provided.room(...told),
  };
  const queries = createServiceQueries({ connection: reader, registry, client, provision, serverName, log });
  const tools = {
    ...{ database, writer, authorities, clock, ids, tokens, serverName },
    ...{ registry, queries, policy, limits, meter, tracer },
  };
  // It acts with the tools, which ask it: so it comes last.
  const provided = createProvision(tools, log);
  const ephemeral = createEphemeralSource({
    ...{ connection: reader, registry },
    isSent: (serviceId) => delivery?.isSent(serviceId) ?? false,
    onKept: (serviceIds) => delivery?.queued(serviceIds),
  });
  stream.onOffered((roomIds, event) => ephemeral.told(roomIds, event));
  head.onPassed((events) => ephemeral.passed(events));
  delivery = createServiceDelivery({
    ...{ ephemeral, database, registry, client, clock, log, processId, random: Math.random },
    render: async (events) => {
      const told = await olderFormsById(reader, events, { serverName, now: clock.now() });
      return events.map(({ eventId }) => told.get(eventId) ?? null);
    },
  });
  const domain: Domain = {
    limits,
    accounts,
    accountData: createAccountData({ database }),
    admin,
    devices,
    exports: createExports({ ...common, connection: reader, tokens, media }),
    deleteAccount: (...asked) => deleteAccount(common, ...asked),
    tools,
    head,
    stream,
    sessions,
    presence,
    typing,
    capabilities,
    profileSpread: createProfileSpread({ tools, log }),
    media,
    services: {
      ...{ registry, registrations, delivery },
      identity: createIdentity({ connection: reader, registry, accounts }),
      lookups: createLookups({ registry, client, serverName, log }),
      ping: createPing({ registry, client, delivery, clock }),
      operating: createOperating({ database, registry, admins, clock, log }),
    },
    readiness: createReadiness({ database, head, log }),
    tokens,
    signer,
    reading: { connection: reader, tokens, head, views: new KnownViews() },
    turn: config.turn,
    server: {
      name: serverName,
      version,
      // Known when it listens, unless the settings know it.
      publicUrl: config.publicUrl ?? "",
      maxUploadBytes: config.media.maxBytes,
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
  forgetting = startForgetting({ tools: domain.tools, sessions, media, log });
  const finishDeletions = (): void =>
    void resumeDeletions(domain.tools).then(
      (failed) => failed.forEach((room) => log.error(room, "deleting a room went no further")),
      (error: unknown) => log.warn({ error }, "looking for rooms to delete failed"),
    );
  finishDeletions();
  const deletions = setInterval(finishDeletions, deletionsMs);
  deletions.unref();
  const clean = async (): Promise<void> => {
    await media.clean().catch(failed("cleaning up after files failed"));
    await attempts.clean().catch(failed("forgetting old attempts failed"));
  };
  let cleaned = clean();
  const cleaning = setInterval(() => void (cleaned = clean()), cleaningMs);
  cleaning.unref();
  const transports = createTransports({
    ...{ config, domain, log, meter, tracer, persisted },
    metrics: () => app.metrics(),
    hasServices: () => registry.current().services.length > 0,
  });
  addGauges(metrics.registry, { domain, database, clients: transports.clients });

  const app: App = {
    domain,
    metrics: metrics.text,
    metricsAsJson: metrics.json,
    reload: async () => registrations.takeFiles(readRegistrations(config.serviceFiles)),
    async listen() {
      const address = await transports.listen();
      domain.server.publicUrl ||= address;
      return address;
    },
    async close() {
      domain.readiness.close();
      clearInterval(deletions);
      clearInterval(cleaning);
      await transports.close();
      await delivery?.close();
      await registrations.close();
      await review?.close();
      await forgetting?.close();
      await typing.close();
      await presence.close();
      await sessions.close();
      await callEndings.close();
      await domain.profileSpread.close();
      await cleaned;
      await writer.drain();
      await listener.close();
      head.close();
      await traces?.close();
    },
  };
  return app;
}
