import library from "bridge-1.4.0";
import { drive, ghostOf, textAt } from "./driver.mjs";
import { intentCommands, optionsOf, registrationOf } from "./bridge.mjs";

const { AppServiceRegistration, Bridge } = library;

drive((settings, tell) => {
  const intentOf = (userId) => bridge.getIntent(userId);
  const bridge = new Bridge(optionsOf(settings, tell, { creation: { visibility: "public" }, intentOf }));
  const commands = intentCommands(settings, intentOf);
  const clientOf = (nick) => intentOf(ghostOf(settings, nick)).getClient();
  return {
    ...commands,
    register() {
      const registration = registrationOf(AppServiceRegistration, settings);
      registration.setId(settings.bot);
      registration.setRateLimited(false);
      registration.outputAsYaml(settings.registration);
    },
    // It gives what it is given to Node, which else would listen to all the world.
    run: async () => void (await bridge.run({ port: settings.port, host: "127.0.0.1" }, {})),
    async upload({ nick, roomId, file }) {
      const options = { name: file.name, type: file.type, rawResponse: false, onlyContentUri: true };
      const uri = await clientOf(nick).uploadContent(Buffer.from(file.text), options);
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
