import { HttpClient, type Answer } from "../../http.ts";
import { found, occurrences } from "../answers.ts";
import { benchPassword, type Client, type Page } from "../peer.ts";
import { poll } from "./poll.ts";

const api = "/_matrix/client/v3";
let transactions = 0;

/** A user of Synapse. Answers are searched rather than parsed: the load generator shares the machine with the server. */
export function synapseClient(address: string, userId: string, accessToken: string): Client {
  const authorization = `Bearer ${accessToken}`;
  const http = new HttpClient(address, authorization);
  const ask = async (method: "GET" | "POST" | "PUT", path: string, body?: object): Promise<string> =>
    (await http.ask({ method, path: `${api}${path}`, ...(body && { body: JSON.stringify(body) }) })).text();
  const event = async (roomId: string, type: string, content: object): Promise<string> => {
    const path = `/rooms/${encodeURIComponent(roomId)}/send/${type}/bench${transactions++}`;
    return found(await ask("PUT", path, content), /"event_id":"([^"]+)"/);
  };
  const filters = new Map<number, Promise<string>>();
  /** The id of the filter that asks for so many events of each room, stored by the first who needs it. */
  const filterOf = (limit: number): Promise<string> => {
    const known = filters.get(limit) ?? addFilter(limit);
    filters.set(limit, known);
    return known;
  };
  const addFilter = async (limit: number): Promise<string> => {
    const definition = { presence: { types: [] }, room: { timeline: { limit } } };
    return found(await ask("POST", `/user/${encodeURIComponent(userId)}/filter`, definition), /"filter_id":"([^"]+)"/);
  };
  const sync = async (since: string | null, limit: number): Promise<Answer> => {
    const query = new URLSearchParams({ filter: await filterOf(limit), timeout: "0", ...(since && { since }) });
    return http.ask({ method: "GET", path: `${api}/sync?${query}` });
  };

  return {
    userId,
    send: (roomId, body) => event(roomId, "m.room.message", { msgtype: "m.text", body }),
    sendBySocket: null,
    async react(roomId, eventId, key) {
      await event(roomId, "m.reaction", { "m.relates_to": { rel_type: "m.annotation", event_id: eventId, key } });
    },
    async edit(roomId, eventId, body) {
      const content = { msgtype: "m.text", body };
      const relation = { rel_type: "m.replace", event_id: eventId };
      await event(roomId, "m.room.message", { ...content, "m.new_content": content, "m.relates_to": relation });
    },
    async markRead(roomId, eventId) {
      const place = `${encodeURIComponent(roomId)}/receipt/m.read/${encodeURIComponent(eventId)}`;
      await ask("POST", `/rooms/${place}`, {});
    },
    async page(roomId, size, before) {
      const query = new URLSearchParams({ dir: "b", limit: String(size), ...(before && { from: before }) });
      const path = `${api}/rooms/${encodeURIComponent(roomId)}/messages?${query}`;
      const answer = await http.ask({ method: "GET", path });
      return { ...answer, ...readPage(answer.text()) };
    },
    // The API has no search among members: clients get the list and look for themselves.
    async findMember(roomId) {
      const path = `/rooms/${encodeURIComponent(roomId)}/members?membership=join`;
      return occurrences(await ask("GET", path), '"membership":"join"');
    },
    async sync(since, limit) {
      const answer = await sync(since, limit);
      const text = answer.text();
      return { ...answer, rooms: occurrences(text, '"timeline":'), next: nextIn(text) };
    },
    async follow(on, since) {
      // An event of no room but the newest: where following begins isn't what is measured.
      return poll(
        { address, authorization, filter: await filterOf(1000) },
        on,
        since ?? nextIn((await sync(null, 1)).text()),
      );
    },
    async logIn(deviceId) {
      const signedOut = new HttpClient(address, null);
      const identifier = { type: "m.id.user", user: userId };
      const body = JSON.stringify({
        ...{ type: "m.login.password", identifier, password: benchPassword, device_id: deviceId },
      });
      const answer = await signedOut.ask({ method: "POST", path: `${api}/login`, body });
      signedOut.close();
      return synapseClient(address, userId, found(answer.text(), /"access_token":"([^"]+)"/));
    },
    close: () => http.close(),
  };
}

/** Parsed, since ids of other events are nested in an event's content and in what is bundled with it. */
function readPage(text: string): Pick<Page, "eventIds" | "before"> {
  const { chunk, end = null } = JSON.parse(text) as { chunk: { event_id: string }[]; end?: string };
  return { eventIds: chunk.map(({ event_id: id }) => id).reverse(), before: end };
}

function nextIn(text: string): string {
  return found(text, /"next_batch":"([^"]+)"/);
}
