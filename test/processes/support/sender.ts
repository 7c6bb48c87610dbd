import { Client } from "../../kit/client.ts";

export interface SenderOptions {
  user: Client;
  /** Part of every body and action id, so that each exists once in the whole test. */
  name: string;
  roomIds: readonly string[];
  /** Where to send next; waits while there is nobody to send to. */
  address(): Promise<string>;
  /** Without action ids nothing is tried again, since nobody could tell a second try from a second message. */
  withActionIds?: boolean;
}

const mutation = `mutation ($roomId: ID!, $body: String!, $actionId: String) {
  sendMessage(input: { roomId: $roomId, message: { content: { text: { body: $body } }, actionId: $actionId } }) { event { id } }
}`;

/** Sends one message after the other, each until it is acknowledged. */
export class Sender {
  /** Event ids by body, as the server answered. */
  readonly acknowledged = new Map<string, string>();
  /** Every body that was sent, acknowledged or not. */
  readonly sent = new Set<string>();
  /** Codes of the answers that were no acknowledgement. */
  readonly refusals: string[] = [];
  /** Requests that got no answer at all. */
  unanswered = 0;
  readonly #options: SenderOptions;
  #stopped = false;
  #number = 0;
  #running: Promise<void> | null = null;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Begins to send, or goes on. */
  start(): void {
    this.#stopped = false;
    this.#running = this.#run();
  }

  /** Sends no new message, and waits until the last one is acknowledged. */
  async finish(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const { name, roomIds, withActionIds = true } = this.#options;
    while (!this.#stopped) {
      const number = this.#number++;
      const body = `${name}-${number}`;
      const roomId = roomIds[number % roomIds.length]!;
      this.sent.add(body);
      let eventId: string | null;
      do eventId = await this.#try(roomId, body, withActionIds ? body : null);
      while (eventId === null && withActionIds);
      if (eventId !== null) this.acknowledged.set(body, eventId);
    }
  }

  async #try(roomId: string, body: string, actionId: string | null): Promise<string | null> {
    const { user, address } = this.#options;
    const client = new Client(await address(), user.token, user.userId, user.deviceId);
    try {
      const { data, errors } = await client.ask(mutation, { roomId, body, actionId });
      if (data && !errors) return (data["sendMessage"] as { event: { id: string } }).event.id;
      this.refusals.push(String(errors?.[0]?.extensions?.["code"]));
    } catch {
      this.unanswered++;
    }
    return null;
  }
}

/** How many messages were acknowledged to all of them. */
export function acknowledgedBy(senders: readonly Sender[]): number {
  return senders.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
}
