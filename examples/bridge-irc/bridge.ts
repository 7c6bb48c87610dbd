import { join } from "node:path";
import { Appservice, LogLevel, LogService, type IAppserviceStorageProvider } from "matrix-bot-sdk";
import { Channels, type Channel } from "./channels.ts";
import { FromIrc } from "./fromIrc.ts";
import { channelState, eventTypes, FromMatrix, type MatrixEvent } from "./fromMatrix.ts";
import { Ghosts } from "./ghosts.ts";
import type { Refusal } from "./ircConnection.ts";
import { Memory, type Outgoing } from "./memory.ts";
import type { Options } from "./options.ts";
import { Names } from "./names.ts";
import { Puppets } from "./puppets.ts";
import type { Registration } from "./registration.ts";
import { insist, Turns, wordsOf } from "./retry.ts";

export interface Bridge {
  /** Ends all connections to IRC; what is on its way goes on at the next start. */
  stop(): Promise<void>;
}

/** Starts a bridge. Resolves when both sides have let it in. `broken` hears of what it can't go on after. */
export async function startBridge(
  options: Options,
  registration: Registration,
  broken: (error: unknown) => void,
): Promise<Bridge> {
  const { homeserver, serverName, irc, lineIntervalMs } = options;
  LogService.setLevel(LogLevel.ERROR);
  // Of what it couldn't do, it tells by throwing, too.
  LogService.muteModule("MatrixHttpClient");
  // That ghosts exist isn't a mistake.
  LogService.muteModule("Appservice");
  const failed = (error: unknown) => console.error("!!", wordsOf(error));

  const memory = new Memory(join(options.data, "memory.json"), broken);
  const { hostname, port } = new URL(registration.url);
  const service = new Appservice({
    homeserverName: serverName,
    homeserverUrl: homeserver,
    bindAddress: hostname,
    port: Number(port),
    registration,
    storage: storageOn(memory),
  });
  const names = new Names();
  const channels = new Channels(names);
  const ghosts = new Ghosts(service, names);
  const turns = new Turns(failed);
  const network = { ...irc, lineIntervalMs, longestNick: 9, names };
  const puppets = new Puppets(network, options.nickSuffix, memory, {
    spoken: (...spoken) => fromIrc.spoken(...spoken),
    refused: (outgoing, refusals) => report(outgoing, refusals),
    kicked: (user, channel, reason) => kick(user, channels.named(channel), reason),
  });
  const parts = { service, names, channels, ghosts, puppets, memory, turns };

  /** Tells the user what IRC didn't do. */
  function report({ user, room, target, how }: Outgoing, refusals: Refusal[]): void {
    const channel = channels.in(room);
    const text = `IRC refused ${how === "join" ? `${user} in ${target}` : `a ${how} of ${user}`}: ${refusals.join("; ")}`;
    const from = channel ? service.botUserId : ghosts.idOf(target);
    void turns.take(room, () => ghosts.notice(from, room, text));
    if (channel && how === "topic") fromIrc.describe(channel);
  }

  function kick(user: string, channel: Channel | undefined, reason: string): void {
    if (channel)
      void turns.take(channel.name, () => insist(() => service.botClient.kickUser(user, channel.room, reason)));
  }

  await insist(() => service.botIntent.ensureRegistered());
  const placed = await findRooms(service, channels);
  const fromIrc = new FromIrc(parts, network, options.nick);
  const follow = (channel: Channel) => void turns.take(channel.name, () => fromIrc.follow(channel));
  const fromMatrix = new FromMatrix(parts, follow, options, failed);

  service.addPreprocessor({
    getSupportedEventTypes: () => eventTypes,
    async processEvent(event: MatrixEvent) {
      await fromMatrix.take(event);
      // The library would ask the homeserver for the rooms of every ghost that moves, and never come back to the
      // transaction if it got no answer. It leaves alone what it doesn't know.
      event.type = `taken.${event.type}`;
    },
  });
  service.on("query.room", (alias: string, answer: (room: object | false) => unknown) => {
    answer(fromMatrix.roomFor(alias));
  });
  service.on("query.user", (userId: string, answer: (user: object | false) => unknown) => {
    answer(fromMatrix.ghostFor(userId));
  });

  // Nobody waits for what the library does with these answers. When it fails the homeserver asks again.
  process.on("unhandledRejection", failed);

  await fromIrc.ready();
  for (const [user, theirs] of placed) puppets.place(user, theirs);
  for (const user of [...memory.senders, ...memory.talkers]) puppets.wake(user);
  service.expressAppInstance.post("/_matrix/app/v1/ping", (_request, response) => void response.json({}));
  await service.begin();
  await sayHello(service, registration);
  await insist(() => service.botClient.setDisplayName(`IRC bridge (${irc.host})`));
  return {
    async stop() {
      service.stop();
      await Promise.all([puppets.stop("the bridge stops"), fromIrc.stop("the bridge stops")]);
      await memory.saved();
    },
  };
}

/**
 * Tells the homeserver that the bridge is back, so that it sends what waits at once and not at its next try. Those that know
 * no such call do it then.
 */
async function sayHello({ botClient }: Appservice, { id = "irc" }: Registration): Promise<void> {
  await botClient
    .doRequest("POST", `/_matrix/client/v1/appservice/${encodeURIComponent(id)}/ping`, null, {})
    .catch(() => {
      // It isn't needed.
    });
}

/** Finds the rooms of channels, and whoever is in them on Matrix: the channels of each user. */
async function findRooms(service: Appservice, channels: Channels): Promise<Map<string, string[]>> {
  const placed = new Map<string, string[]>();
  for (const room of await insist(() => service.botClient.getJoinedRooms())) {
    const state = await insist(() => service.botClient.getRoomState(room));
    const name: unknown = state.find(({ type, sender }) => type === channelState && sender === service.botUserId)
      ?.content.channel;
    const channel = typeof name === "string" ? channels.add(name, room) : null;
    if (!channel) continue;
    for (const { type, state_key: user, content } of state) {
      if (type !== "m.room.member" || content.membership !== "join" || user === service.botUserId) continue;
      if (service.isNamespacedUser(user)) channel.ghosts.add(user);
      else placed.set(user, [...(placed.get(user) ?? []), channel.name]);
    }
  }
  return placed;
}

/** What the library asks to be remembered for it. */
function storageOn(memory: Memory): IAppserviceStorageProvider {
  const registered = new Set<string>();
  return {
    addRegisteredUser: (userId) => void registered.add(userId),
    isUserRegistered: (userId) => registered.has(userId),
    // Events are told apart one by one.
    isTransactionCompleted: () => false,
    // The homeserver has its answer after this: no event is gone from there before it is remembered here.
    setTransactionCompleted: () => memory.saved(),
  };
}
