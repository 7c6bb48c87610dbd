/**
 * What the drivers share. A driver is a small bridge, written on one library as the users of that library write theirs; the other
 * network is the test. It runs in a process of its own, has its settings as JSON in its first argument, and talks with the
 * test in messages: it tells `{told, …}`, and answers `{id, command, input}` with `{id, result}` or `{id, error}`.
 *
 * Settings: `homeserver` (URL), `domain`, `url` and `port` (where the bridge listens), `prefix` (what its ghosts and aliases
 * begin with), `bot` (the local part of its own user), `asToken`, `hsToken`, `registration` (where its file goes), `directory`
 * (for what it keeps).
 *
 * Commands: `register` writes the registration file, `run` begins to listen; then `say`, `upload`, `download`, `rename`,
 * `topic`, `redact`, `part`, `chat`, `members`: what happens on the other network.
 */
export function drive(bridgeOf) {
  const settings = JSON.parse(process.argv[2]);
  const tell = (told, facts = {}) => process.send({ told, ...facts });
  const commands = bridgeOf(settings, tell);
  process.on("message", async ({ id, command, input }) => {
    try {
      process.send({ id, result: (await commands[command](input)) ?? null });
    } catch (error) {
      process.send({ id, error: nameOf(error) });
    }
  });
  process.on("disconnect", () => process.exit());
}

/** Some of the libraries throw objects that are no errors. */
function nameOf(error) {
  const code = error?.errcode ?? error?.body?.errcode ?? "";
  return `${code} ${error?.stack ?? error?.message ?? JSON.stringify(error)}`.trim();
}

/** The ghost of somebody on the other network. */
export function ghostOf({ prefix, domain }, nick) {
  return `@${prefix}${nick}:${domain}`;
}

/** A ghost that an event invites, else undefined. */
export function invitedGhost({ prefix }, event) {
  const invites = event.type === "m.room.member" && event.content.membership === "invite";
  return invites && event.state_key.startsWith(`@${prefix}`) ? event.state_key : undefined;
}

/** Nobody and no channel of this name is on the other network. */
export function isThere(name) {
  return !name.includes("nowhere");
}

/** What a file is announced by. */
export function fileMessage({ name, type, text }, uri) {
  return { msgtype: "m.file", body: name, url: uri, info: { mimetype: type, size: Buffer.byteLength(text) } };
}

/** The text of a file at an address of the server. */
export async function textAt(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${response.status} for ${address}`);
  return response.text();
}
