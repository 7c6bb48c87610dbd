import library from "appservice-0.0.3";
import { drive, fileMessage, ghostOf, invitedGhost, isThere, textAt } from "./driver.mjs";

/** The library only listens; its bridges of 2015 asked the server by themselves, as this does. */
function clientOf({ homeserver, asToken }) {
  return async function ask(method, path, { as, query = {}, body, headers = { "content-type": "application/json" } }) {
    const parameters = new URLSearchParams({
      access_token: asToken,
      ...(as === undefined ? {} : { user_id: as }),
      ...query,
    });
    const response = await fetch(`${homeserver}/_matrix/${path}?${parameters}`, {
      method,
      ...(body === undefined ? {} : { headers, body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const answer = await response.json();
    if (!response.ok) throw Object.assign(new Error(`${response.status} ${JSON.stringify(answer)}`), answer);
    return answer;
  };
}

drive((settings, tell) => {
  const { prefix, domain } = settings;
  const ask = clientOf(settings);
  const at = (path) => `client/api/v1/${path}`;
  const room = (roomId, path) => at(`rooms/${encodeURIComponent(roomId)}/${path}`);
  const registered = new Set();
  let transactions = 0;

  async function ghost(nick) {
    const userId = ghostOf(settings, nick);
    if (!registered.has(userId)) {
      const body = { type: "m.login.application_service", user: `${prefix}${nick}` };
      await ask("POST", at("register"), { body }).catch((error) => {
        if (error.errcode !== "M_USER_IN_USE") throw error;
      });
      registered.add(userId);
    }
    return userId;
  }

  async function member(nick, roomId) {
    const as = await ghost(nick);
    await ask("POST", at(`join/${encodeURIComponent(roomId)}`), { as, body: {} });
    return as;
  }

  async function send(as, roomId, content) {
    const path = room(roomId, `send/m.room.message/${Date.now()}-${transactions++}`);
    return (await ask("PUT", path, { as, body: content })).event_id;
  }

  async function makeRoom(alias) {
    tell("alias asked", { alias });
    if (!isThere(alias)) throw new Error("no such channel");
    const name = alias.split(":")[0].slice(1);
    await ask("POST", at("createRoom"), {
      body: { visibility: "public", room_alias_name: name, name, topic: "bridged" },
    });
  }

  async function makeGhost(userId) {
    tell("user asked", { userId });
    if (!isThere(userId)) throw new Error("nobody");
    const nick = userId.split(":")[0].slice(1 + prefix.length);
    await rename({ nick, name: `${prefix}${nick} over there` });
  }

  async function rename({ nick, name }) {
    const as = await ghost(nick);
    await ask("PUT", at(`profile/${encodeURIComponent(as)}/displayname`), { as, body: { displayname: name } });
  }

  const service = {
    serviceName: settings.bot,
    register(controller) {
      controller.addRegexPattern("users", `@${prefix}.*:${domain}`, true);
      controller.addRegexPattern("aliases", `#${prefix}.*:${domain}`, true);
      // Its promises are of the time, and ended by `done`.
      const ended = (promise) => ({ done: (then, otherwise) => void promise.then(then, otherwise) });
      controller.setAliasQueryResolver((alias) => ended(makeRoom(alias)));
      controller.setUserQueryResolver((userId) => ended(makeGhost(userId)));
      controller.on("event", (event) => {
        if (event.user_id.startsWith(`@${prefix}`)) return;
        tell("event", { event });
        const invited = invitedGhost(settings, event);
        if (invited !== undefined)
          void ask("POST", at(`join/${encodeURIComponent(event.room_id)}`), { as: invited, body: {} });
      });
      controller.on("registered", ({ hsToken }) => tell("registered", { hsToken }));
    },
  };

  return {
    run() {
      const { homeserver, asToken, url } = settings;
      // It gives the port to Node, which else would listen to all the world.
      const port = { port: settings.port, host: "127.0.0.1" };
      library.registerServices([{ service, hs: homeserver, token: asToken, as: url, port }]);
      library.runForever();
    },
    say: async ({ nick, roomId, text }) => send(await member(nick, roomId), roomId, { msgtype: "m.text", body: text }),
    async upload({ nick, roomId, file }) {
      const options = { query: { filename: file.name }, body: file.text, headers: { "content-type": file.type } };
      const uri = (await ask("POST", "media/v1/upload", options)).content_uri;
      await send(await member(nick, roomId), roomId, fileMessage(file, uri));
      return uri;
    },
    download: ({ uri }) => textAt(`${settings.homeserver}/_matrix/media/v1/download/${uri.slice("mxc://".length)}`),
    rename,
    async topic({ nick, roomId, topic }) {
      const as = await member(nick, roomId);
      const levels = await ask("GET", room(roomId, "state/m.room.power_levels"), {});
      const raised = { ...levels, users: { ...levels.users, [as]: 50 } };
      await ask("PUT", room(roomId, "state/m.room.power_levels"), { body: raised });
      await ask("PUT", room(roomId, "state/m.room.topic"), { as, body: { topic } });
    },
    async redact({ nick, roomId, eventId }) {
      const path = room(roomId, `redact/${encodeURIComponent(eventId)}`);
      return (await ask("POST", path, { as: ghostOf(settings, nick), body: {} })).event_id;
    },
    part: async ({ nick, roomId }) =>
      void (await ask("POST", room(roomId, "leave"), { as: ghostOf(settings, nick), body: {} })),
    async chat({ nick, userId }) {
      const body = { preset: "private_chat", is_direct: true, invite: [userId] };
      return (await ask("POST", at("createRoom"), { as: await ghost(nick), body })).room_id;
    },
    async members({ roomId }) {
      const { chunk } = await ask("GET", room(roomId, "members"), {});
      return chunk.filter(({ content }) => content.membership === "join").map(({ state_key }) => state_key);
    },
  };
});
