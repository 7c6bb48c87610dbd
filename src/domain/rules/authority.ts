import type { JoinRule, Membership } from "../../model/content/typed.ts";
import { emptyStateKey, type EventDraft } from "../../model/event.ts";
import { levelFor, levelOf, powerLevels, type PowerLevels } from "../../model/power.ts";
import type { RoomRules } from "../../model/room.ts";

/** What a room's state says about who may do what, at one moment; changes as events of a unit are applied to it. [EV-9] */
export class RoomAuthority {
  readonly roomId: string;
  readonly creator: string;
  /** The auth version that this was read at; null for a room that is being created. */
  readonly version: number | null;
  power: PowerLevels;
  joinRule: JoinRule;
  visibility: string;
  readonly #memberships: Map<string, Membership | null>;
  readonly #read: ConstructorParameters<typeof RoomAuthority>;

  /** `memberships` holds every user that will be asked about; null for those without any. */
  constructor(
    rules: Omit<RoomRules, "version"> & { version: number | null },
    memberships: Map<string, Membership | null>,
  ) {
    this.roomId = rules.roomId;
    this.creator = rules.creator;
    this.version = rules.version;
    this.power = powerLevels(rules.powerContent, rules.creator);
    this.joinRule = rules.joinRule;
    this.visibility = rules.visibility;
    this.#memberships = new Map(memberships);
    this.#read = [rules, memberships];
  }

  /** The room as it was read, before any event was applied to it. */
  asRead(): RoomAuthority {
    return new RoomAuthority(...this.#read);
  }

  membership(userId: string): Membership | null {
    return this.#memberships.get(userId) ?? null;
  }

  level(userId: string): number {
    return levelOf(this.power, userId);
  }

  levelFor(type: string, isState: boolean): number {
    return levelFor(this.power, type, isState);
  }

  /** An operator is whoever may kick. [EV-2] */
  isOperator(userId: string): boolean {
    return this.membership(userId) === "join" && this.level(userId) >= this.power.kick;
  }

  /** Takes in what an event of the same unit changes, so that the next one is judged after it. */
  apply(event: EventDraft): void {
    if (event.stateKey === undefined) return;
    const content = event.content === null ? null : (JSON.parse(event.content) as Record<string, unknown>);
    if (event.type === "m.room.member") {
      this.#memberships.set(event.stateKey, (content?.["membership"] as Membership | undefined) ?? null);
    } else if (event.stateKey !== emptyStateKey) {
      return;
    } else if (event.type === "m.room.power_levels") {
      this.power = powerLevels(content, this.creator);
    } else if (event.type === "m.room.join_rules") {
      this.joinRule = (content?.["join_rule"] as JoinRule | undefined) ?? "invite";
    } else if (event.type === "m.room.history_visibility") {
      this.visibility = (content?.["history_visibility"] as string | undefined) ?? "shared";
    }
  }
}
