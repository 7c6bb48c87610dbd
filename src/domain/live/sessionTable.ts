import type { LiveSession } from "../../model/session.ts";

type Name = Pick<LiveSession, "userId" | "deviceId">;

/** The sessions that a process knows of, its own and others'. */
export class SessionTable {
  readonly #users = new Map<string, Map<string, LiveSession>>();
  readonly #onChanged: ((userId: string) => void)[] = [];
  readonly #onGone: ((session: LiveSession) => void)[] = [];

  static keyOf({ userId, deviceId }: Name): string {
    return JSON.stringify([userId, deviceId]);
  }

  find({ userId, deviceId }: Name): LiveSession | null {
    return this.#users.get(userId)?.get(deviceId) ?? null;
  }

  ofUser(userId: string): LiveSession[] {
    return [...(this.#users.get(userId)?.values() ?? [])];
  }

  count(): number {
    let count = 0;
    for (const devices of this.#users.values()) count += devices.size;
    return count;
  }

  users(): string[] {
    return [...this.#users.keys()];
  }

  /** Takes in a session as the store has it; gives the one that stands for it here. */
  put(session: LiveSession): LiveSession {
    const known = this.find(session);
    if (known?.sessionId === session.sessionId) {
      Object.assign(known, { tokenId: session.tokenId, expiresAt: Math.max(known.expiresAt, session.expiresAt) });
      return known;
    }
    const devices = this.#users.get(session.userId) ?? new Map<string, LiveSession>();
    this.#users.set(session.userId, devices.set(session.deviceId, session));
    this.changed(session.userId);
    return session;
  }

  remove(session: LiveSession): void {
    const devices = this.#users.get(session.userId);
    if (devices?.get(session.deviceId) !== session) return;
    devices.delete(session.deviceId);
    if (devices.size === 0) this.#users.delete(session.userId);
    for (const callback of this.#onGone) callback(session);
    this.changed(session.userId);
  }

  /** Takes in all sessions of these users, or of all; what devices said here since (`said`) isn't told yet and stays. */
  replace(userIds: readonly string[] | null, sessions: readonly LiveSession[], said: ReadonlySet<LiveSession>): void {
    const there = new Set(sessions.map(({ sessionId }) => sessionId));
    for (const userId of userIds ?? [...this.#users.keys()]) {
      for (const session of this.ofUser(userId)) if (!there.has(session.sessionId)) this.remove(session);
    }
    for (const session of sessions) {
      const known = this.put(session);
      if (known === session || said.has(known)) continue;
      const { presence, capabilities, activeAt } = session;
      Object.assign(known, { presence, capabilities, activeAt: Math.max(activeAt, known.activeAt) });
      this.changed(session.userId);
    }
  }

  changed(userId: string): void {
    for (const callback of this.#onChanged) callback(userId);
  }

  onChanged(callback: (userId: string) => void): void {
    this.#onChanged.push(callback);
  }

  onGone(callback: (session: LiveSession) => void): void {
    this.#onGone.push(callback);
  }
}
