import { Readable } from "node:stream";
import library from "bridge-0.1.5";
import { drive, ghostOf, textAt } from "./driver.mjs";
import { intentCommands, optionsOf, registrationOf } from "./bridge.mjs";

const { AppServiceRegistration, Bridge, ClientFactory } = library;

/** The library's own log wraps requests so that nothing can be piped into them, which is how this generation uploads. */
class QuietClientFactory extends ClientFactory {
  setLogFunction() {}
}

drive((settings, tell) => {
  const { homeserver, domain, bot, asToken } = settings;
  const intentOf = (userId) => bridge.getIntent(userId);
  const clientFactory = new QuietClientFactory({
    url: homeserver,
    token: asToken,
    appServiceUserId: `@${bot}:${domain}`,
  });
  const options = optionsOf(settings, tell, { creation: { visibility: "public" }, intentOf });
  const bridge = new Bridge({ ...options, clientFactory });
  const commands = intentCommands(settings, intentOf);
  const clientOf = (nick) => intentOf(ghostOf(settings, nick)).client;
  return {
    ...commands,
    register: () => registrationOf(AppServiceRegistration, settings).outputAsYaml(settings.registration),
    // It gives what it is given to Node, which else would listen to all the world.
    run: async () => void (await bridge.run({ port: settings.port, host: "127.0.0.1" }, {})),
    async upload({ nick, roomId, file }) {
      const answer = await clientOf(nick).uploadContent({ name: file.name, stream: Readable.from([file.text]) });
      const uri = JSON.parse(answer).content_uri;
      await commands.announce({ nick, roomId, file, uri });
      return uri;
    },
    download: ({ uri }) => textAt(bridge.getBot().getClient().mxcUrlToHttp(uri)),
    redact: async ({ nick, roomId, eventId }) => (await clientOf(nick).redactEvent(roomId, eventId)).event_id,
    async members({ roomId }) {
      const { realJoinedUsers, remoteJoinedUsers } = (await bridge.getBot().getMemberLists())[roomId];
      return [...realJoinedUsers, ...remoteJoinedUsers];
    },
  };
});
