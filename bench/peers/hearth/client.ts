import { HttpClient } from "../../http.ts";
import { subscribe } from "../../subscriber.ts";
import { found, occurrences } from "../answers.ts";
import { benchPassword, type Client } from "../peer.ts";
import * as documents from "./documents.ts";
import { openRequestSocket, type RequestSocket } from "./socket.ts";

/** A user of hearth. Answers are searched rather than parsed: the load generator shares the machine with the server. */
export function hearthClient(address: string, userId: string, authorization: string): Client {
  const http = new HttpClient(address, authorization);
  let socket: Promise<RequestSocket> | null = null;
  const ask = (query: string, variables: object): Promise<string> => http.post(JSON.stringify({ query, variables }));
  const message = async (roomId: string, given: object): Promise<string> =>
    idIn(await ask(documents.send, { input: { roomId, message: given } }));

  return {
    userId,
    send: (roomId, body, actionId) => message(roomId, { content: { text: { body } }, actionId }),
    async sendBySocket(roomId, body) {
      socket ??= openRequestSocket(address, authorization);
      const variables = { input: { roomId, message: { content: { text: { body } } } } };
      return idIn(await (await socket).ask({ query: documents.send, variables }));
    },
    async react(roomId, eventId, reaction) {
      await message(roomId, { content: { reaction }, relatesTo: [{ type: "m.annotation", eventId }] });
    },
    async edit(roomId, eventId, body) {
      await message(roomId, { content: { text: { body } }, updates: eventId });
    },
    async markRead(_roomId, eventId) {
      await ask(documents.markRead, { input: { eventId, kind: "READ" } });
    },
    async page(roomId, last, before) {
      const answer = await http.timed(JSON.stringify({ query: documents.page, variables: { roomId, last, before } }));
      const text = answer.text();
      return {
        ...answer,
        eventIds: [...text.matchAll(/"id":"(\$[^"]+)"/g)].map(([, id]) => id!),
        before: text.includes('"hasPreviousPage":true') ? found(text, /"startCursor":"([^"]+)"/) : null,
      };
    },
    async findMember(roomId, search) {
      return occurrences(await ask(documents.findMember, { roomId, search }), '"displayName":');
    },
    async sync(stream, limit) {
      const answer = await http.timed(JSON.stringify({ query: documents.sync, variables: { stream, limit } }));
      const text = answer.text();
      return {
        ...answer,
        rooms: occurrences(text, '"memberCount":'),
        next: found(text, /"stream":"([^"]+)"/),
      };
    },
    follow: (on, since) => subscribe(address, authorization, on, since),
    async logIn(deviceId) {
      const username = userId.slice(1, userId.indexOf(":"));
      const signedOut = new HttpClient(address, null);
      const input = { username, deviceId, password: benchPassword };
      const answer = await signedOut.post(JSON.stringify({ query: documents.logIn, variables: { input } }));
      signedOut.close();
      return hearthClient(address, userId, `Bearer ${found(answer, /"accessToken":"([^"]+)"/)}`);
    },
    close() {
      http.close();
      socket?.then(
        (opened) => opened.close(),
        () => undefined,
      );
    },
  };
}

function idIn(text: string): string {
  return found(text, /"id":"(\$[^"]+)"/);
}
