import { join } from "node:path";
import { fileMessage, ghostOf, invitedGhost, isThere } from "./driver.mjs";

/** What all generations of matrix-appservice-bridge have alike. */

/** The file that a bridge of the time writes when it is told to generate its registration. */
export function registrationOf(AppServiceRegistration, { url, prefix, bot, domain, asToken, hsToken }) {
  const registration = new AppServiceRegistration(url);
  registration.setAppServiceToken(asToken);
  registration.setHomeserverToken(hsToken);
  registration.setSenderLocalpart(bot);
  registration.addRegexPattern("users", `@${prefix}.*:${domain}`, true);
  registration.addRegexPattern("aliases", `#${prefix}.*:${domain}`, true);
  return registration;
}

/** The options of a bridge; `creation` is what a room for an alias is made with besides its names. */
export function optionsOf(settings, tell, { creation, intentOf }) {
  const { homeserver, domain, directory, registration } = settings;
  return {
    homeserverUrl: homeserver,
    domain,
    registration,
    userStore: join(directory, "users.db"),
    userActivityStore: join(directory, "activity.db"),
    roomStore: join(directory, "rooms.db"),
    controller: {
      onUserQuery(user) {
        tell("user asked", { userId: user.getId() });
        return isThere(user.getId()) ? { name: `${user.localpart} over there` } : null;
      },
      onAliasQuery(alias, localpart) {
        tell("alias asked", { alias });
        if (!isThere(alias)) return null;
        return { creationOpts: { room_alias_name: localpart, name: localpart, topic: "bridged", ...creation } };
      },
      onEvent(request) {
        const event = request.getData();
        tell("event", { event });
        const ghost = invitedGhost(settings, event);
        if (ghost !== undefined) intentOf(ghost).join(event.room_id);
        request.resolve();
      },
      onLog: (line) => console.log(line),
    },
  };
}

/** The commands that are an intent's in all generations. `getEventId`: what a sent message is known by. */
export function intentCommands(settings, intentOf) {
  const speaking = (nick) => intentOf(ghostOf(settings, nick));
  return {
    async say({ nick, roomId, text }) {
      return (await speaking(nick).sendText(roomId, text)).event_id;
    },
    announce: ({ nick, roomId, file, uri }) => speaking(nick).sendMessage(roomId, fileMessage(file, uri)),
    rename: async ({ nick, name }) => void (await speaking(nick).setDisplayName(name)),
    topic: async ({ nick, roomId, topic }) => void (await speaking(nick).setRoomTopic(roomId, topic)),
    part: async ({ nick, roomId }) => void (await speaking(nick).leave(roomId)),
    async chat({ nick, userId }) {
      const options = { preset: "trusted_private_chat", is_direct: true, invite: [userId] };
      const { room_id } = await speaking(nick).createRoom({ createAsClient: true, options });
      return room_id;
    },
  };
}
