import type { Appservice, Intent, MatrixClient } from "matrix-bot-sdk";
import type { Channel } from "./channels.ts";
import type { Incoming } from "./memory.ts";
import type { Names } from "./names.ts";
import { insist } from "./retry.ts";

/** People on IRC as users of the homeserver. What is asked of it is asked until it answers. */
export class Ghosts {
  readonly #service: Appservice;
  readonly #names: Names;
  /** How the ghosts that have been seen are called. */
  readonly #called = new Map<string, string>();

  constructor(service: Appservice, names: Names) {
    this.#service = service;
    this.#names = names;
  }

  idOf(nick: string): string {
    return this.#service.getUserIdForSuffix(this.#names.suffixOfNick(nick));
  }

  /** The folded nick of a ghost; null for everybody else. */
  nickOf(userId: string): string | null {
    const suffix = this.#service.getSuffixForUserId(userId);
    return suffix ? this.#names.nickOfSuffix(suffix) : null;
  }

  /** How a ghost is called, as far as that is known by now; null for everybody else. */
  nameOf(userId: string): string | null {
    return this.#called.get(userId) ?? this.nickOf(userId);
  }

  clientOf(nick: string): MatrixClient {
    return this.#service.getIntentForUserId(this.idOf(nick)).underlyingClient;
  }

  /** Says something that was said on IRC. The homeserver knows it by its id, should it come twice. */
  async say(room: string, { id, nick, at, content }: Incoming): Promise<void> {
    const intent = await this.#intentOf(nick);
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/send/m.room.message/${encodeURIComponent(id)}`;
    const send = () =>
      insist(async () => {
        await intent.ensureJoined(room);
        await intent.underlyingClient.doRequest("PUT", path, { ts: at }, content);
      });
    try {
      await send();
    } catch (error) {
      // They may have been put out of the room since they came in.
      if ((error as { statusCode?: number }).statusCode !== 403) throw error;
      await insist(() => intent.refreshJoinedRooms());
      await send();
    }
  }

  /** Lets the room show whether someone is on the channel at this moment. */
  async settle(channel: Channel, nick: string): Promise<void> {
    const id = this.idOf(nick);
    const spelling = channel.present.get(this.#names.fold(nick));
    if (spelling !== undefined) await this.#intentOf(spelling);
    if ((spelling !== undefined) === channel.ghosts.has(id)) return;
    const intent = this.#service.getIntentForUserId(id);
    if (spelling !== undefined) {
      await insist(() => intent.joinRoom(channel.room));
      channel.ghosts.add(id);
    } else {
      channel.ghosts.delete(id);
      await insist(() => intent.leaveRoom(channel.room));
    }
  }

  /** Makes a room for what someone on IRC has to say to a user, and invites the user. */
  async inviteToTalk(nick: string, user: string): Promise<string> {
    const intent = await this.#intentOf(nick);
    return insist(() =>
      intent.underlyingClient.createRoom({ preset: "trusted_private_chat", is_direct: true, invite: [user] }),
    );
  }

  async join(userId: string, room: string): Promise<void> {
    await insist(() => this.#service.getIntentForUserId(userId).joinRoom(room));
  }

  async leave(userId: string, room: string): Promise<void> {
    await insist(() => this.#service.getIntentForUserId(userId).leaveRoom(room));
  }

  async notice(userId: string, room: string, text: string): Promise<void> {
    await insist(() => this.#service.getIntentForUserId(userId).sendText(room, text, "m.notice"));
  }

  /** The ghost, called as the nick is spelled now. */
  async #intentOf(nick: string): Promise<Intent> {
    const intent = this.#service.getIntentForUserId(this.idOf(nick));
    await insist(() => intent.ensureRegistered());
    if (this.#called.get(intent.userId) !== nick) {
      await insist(async () => {
        const { displayname } = await intent.underlyingClient.getUserProfile(intent.userId);
        if (displayname !== nick) await intent.underlyingClient.setDisplayName(nick);
      });
      this.#called.set(intent.userId, nick);
    }
    return intent;
  }
}
