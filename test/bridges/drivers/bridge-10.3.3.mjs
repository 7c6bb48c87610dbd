import library from "bridge-10.3.3";
import { drive, ghostOf } from "./driver.mjs";
import { intentCommands, optionsOf, registrationOf } from "./bridge.mjs";

const { AppServiceRegistration, Bridge } = library;

drive((settings, tell) => {
  const intentOf = (userId) => bridge.getIntent(userId);
  const creation = { visibility: "public", preset: "public_chat" };
  const bridge = new Bridge(optionsOf(settings, tell, { creation, intentOf }));
  const commands = intentCommands(settings, intentOf);
  const ghost = (nick) => intentOf(ghostOf(settings, nick));
  return {
    ...commands,
    register() {
      const registration = registrationOf(AppServiceRegistration, settings);
      registration.setId(settings.bot);
      registration.setRateLimited(false);
      registration.outputAsYaml(settings.registration);
    },
    run: async () => void (await bridge.run(settings.port, undefined, "127.0.0.1")),
    async upload({ nick, roomId, file }) {
      const { name, type, text } = file;
      const uri = await ghost(nick).uploadContent(Buffer.from(text), { name, type });
      await commands.announce({ nick, roomId, file, uri });
      return uri;
    },
    download: async ({ uri }) => (await bridge.getIntent().matrixClient.downloadContent(uri)).data.toString(),
    redact: ({ nick, roomId, eventId }) => ghost(nick).matrixClient.redactEvent(roomId, eventId),
    async members({ roomId }) {
      return Object.keys(await bridge.getBot().getJoinedMembers(roomId));
    },
  };
});
