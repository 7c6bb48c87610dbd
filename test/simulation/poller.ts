import type { Domain } from "../../src/domain/domain.ts";
import type { Requester } from "../../src/model/requester.ts";
import { expectAgreement } from "../kit/mirror/differences.ts";
import { ClientModel } from "../kit/mirror/model.ts";
import { takeSnapshot, type Snapshot } from "../kit/mirror/snapshot.ts";

/** A client that never streams: all that it knows, it has from the differences between its syncs. [SYN-2, SYN-11] */
export class Poller {
  readonly #requester: Requester;
  readonly #model: ClientModel;
  readonly #limit: number;
  #stream: string | null = null;

  constructor(userId: string, limit: number) {
    this.#requester = { userId, deviceId: "poller", admin: false, tokenId: "poller" };
    this.#model = new ClientModel(userId);
    this.#limit = limit;
  }

  async poll(domain: Domain): Promise<void> {
    const snapshot = await takeSnapshot(domain, this.#requester, { stream: this.#stream, limit: this.#limit });
    const repeated = this.#model.takeSnapshot(snapshot);
    if (repeated.length > 0) throw new Error(`[SYN-2] a difference repeats ${repeated.join()}`);
    this.#stream = snapshot.stream;
  }

  /** Polls once more and expects to agree with a fresh sync. */
  async check(domain: Domain, fresh: Snapshot): Promise<void> {
    await this.poll(domain);
    expectAgreement(`the poller of ${this.#requester.userId}`, fresh, this.#model);
  }
}
