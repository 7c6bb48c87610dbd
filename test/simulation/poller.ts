import type { Domain } from "../../src/domain/domain.ts";
import type { StoredEvent } from "../../src/model/event.ts";
import type { Requester } from "../../src/model/requester.ts";
import { expectAgreement } from "../kit/mirror/differences.ts";
import { ClientModel } from "../kit/mirror/model.ts";
import { takeSnapshot, type Snapshot } from "../kit/mirror/snapshot.ts";
import { isMarker } from "./markers.ts";

/** A client that never streams: all that it knows, it has from the differences between its syncs. [SYN-2, SYN-11] */
export class Poller {
  readonly #requester: Requester;
  readonly #model: ClientModel;
  readonly #limit: number;
  #stream: string | null = null;
  /** The positions that its syncs stood at. */
  readonly #positions: number[] = [];
  /** The markers that its syncs showed, one after the other. */
  readonly markers: StoredEvent[] = [];

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
    this.#positions.push(domain.tokens.readStream(snapshot.stream, this.#requester).position!);
    for (const { state } of snapshot.rooms) this.markers.push(...state.filter(isMarker));
  }

  /** The differences that it took: after one position, up to another. */
  get differences(): { after: number; to: number }[] {
    return this.#positions.slice(1).map((to, index) => ({ after: this.#positions[index]!, to }));
  }

  /** Expects to agree with a fresh sync, but for events that it may hold or not. */
  check(fresh: Snapshot, disputed: ReadonlySet<string>): void {
    expectAgreement(`the poller of ${this.#requester.userId}`, fresh, this.#model, disputed);
  }
}
