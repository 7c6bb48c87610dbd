type Undo = () => void | Promise<void>;

const undos: Undo[] = [];
let running: Promise<void> | null = null;

/** Has something undone at the end, whatever that end is: success, failure or Ctrl-C. The newest goes first. */
export function onEnd(undo: Undo): void {
  undos.push(undo);
}

/** Undoes everything. Safe to call twice: a Ctrl-C during the normal end waits for that end. */
export function cleanUp(): Promise<void> {
  running ??= undoAll();
  return running;
}

/** Undoes what is to be undone so far, at the end of a part. */
export async function undoAll(): Promise<void> {
  for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
    try {
      await undo();
    } catch (error) {
      process.stderr.write(`cleaning up: ${String(error)}\n`);
    }
  }
}

/** Cleans up on the signals that would otherwise leave servers and data behind. */
export function cleanUpOnSignals(): void {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.on(signal, () => void cleanUp().finally(() => process.exit(code)));
  }
}
