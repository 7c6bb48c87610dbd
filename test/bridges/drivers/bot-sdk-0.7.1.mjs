import { writeFileSync } from "node:fs";
import { join } from "node:path";
import library from "bot-sdk-0.7.1";
import { drive, fileMessage, ghostOf, invitedGhost, isThere } from "./driver.mjs";

const { Appservice, LogLevel, LogService, SimpleFsStorageProvider, SimpleRetryJoinStrategy } = library;

/** As the library's own example has it: it doesn't write registration files, their authors do. */
function registrationFile({ url, prefix, bot, domain, asToken, hsToken }) {
  return `# Registration of ${bot}
id: ${bot}
url: '${url}'
as_token: "${asToken}"
hs_token: "${hsToken}"
sender_localpart: ${bot}
namespaces:
  users:
    - exclusive: true
      regex: "@${prefix}.*:${domain}"
  aliases:
    - exclusive: true
      regex: "#${prefix}.*:${domain}"
  rooms: []
rate_limited: false
`;
}

drive((settings, tell) => {
  LogService.setLevel(LogLevel.WARN);
  const { homeserver, domain, directory, url, prefix, bot, asToken, hsToken } = settings;
  const appservice = new Appservice({
    port: settings.port,
    bindAddress: "127.0.0.1",
    homeserverName: domain,
    homeserverUrl: homeserver,
    storage: new SimpleFsStorageProvider(join(directory, "storage.json")),
    joinStrategy: new SimpleRetryJoinStrategy(),
    registration: {
      id: bot,
      url,
      as_token: asToken,
      hs_token: hsToken,
      sender_localpart: bot,
      namespaces: {
        users: [{ exclusive: true, regex: `@${prefix}.*:${domain}` }],
        aliases: [{ exclusive: true, regex: `#${prefix}.*:${domain}` }],
        rooms: [],
      },
    },
  });
  const intentOf = (nick) => appservice.getIntentForUserId(ghostOf(settings, nick));
  // It passes on what its own ghosts do, too.
  const isGhost = ({ sender }) => sender.startsWith(`@${prefix}`) || sender === appservice.botUserId;

  appservice.on("query.user", (userId, answer) => {
    tell("user asked", { userId });
    answer(isThere(userId) ? { display_name: `${userId.split(":")[0].slice(1)} over there` } : false);
  });
  appservice.on("query.room", (alias, answer) => {
    tell("alias asked", { alias });
    const creation = {
      name: alias.split(":")[0].slice(1),
      topic: "bridged",
      preset: "public_chat",
      visibility: "public",
    };
    answer(isThere(alias) ? creation : false);
  });
  appservice.on("room.event", (_roomId, event) => {
    if (!isGhost(event)) tell("event", { event });
  });
  appservice.on("room.invite", async (roomId, event) => {
    const ghost = invitedGhost(settings, event);
    if (ghost !== undefined) await appservice.getIntentForUserId(ghost).joinRoom(roomId);
  });

  return {
    register: () => writeFileSync(settings.registration, registrationFile(settings)),
    run: () => appservice.begin(),
    say: ({ nick, roomId, text }) => intentOf(nick).sendText(roomId, text),
    async upload({ nick, roomId, file }) {
      const intent = intentOf(nick);
      await intent.ensureRegisteredAndJoined(roomId);
      const uri = await intent.underlyingClient.uploadContent(Buffer.from(file.text), file.type, file.name);
      await intent.sendEvent(roomId, fileMessage(file, uri));
      return uri;
    },
    download: async ({ uri }) => (await appservice.botClient.downloadContent(uri)).data.toString(),
    async rename({ nick, name }) {
      await intentOf(nick).ensureRegistered();
      await intentOf(nick).underlyingClient.setDisplayName(name);
    },
    async topic({ nick, roomId, topic }) {
      const intent = intentOf(nick);
      await intent.ensureRegisteredAndJoined(roomId);
      await appservice.botClient.setUserPowerLevel(intent.userId, roomId, 50);
      await intent.underlyingClient.sendStateEvent(roomId, "m.room.topic", "", { topic });
    },
    redact: ({ nick, roomId, eventId }) => intentOf(nick).underlyingClient.redactEvent(roomId, eventId),
    part: async ({ nick, roomId }) => void (await intentOf(nick).leaveRoom(roomId)),
    async chat({ nick, userId }) {
      await intentOf(nick).ensureRegistered();
      const options = { preset: "trusted_private_chat", is_direct: true, invite: [userId] };
      return intentOf(nick).underlyingClient.createRoom(options);
    },
    async members({ roomId }) {
      return Object.keys(await appservice.botClient.getJoinedRoomMembersWithProfiles(roomId));
    },
  };
});
