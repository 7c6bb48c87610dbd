import { setTimeout as delay } from "node:timers/promises";

type Undo = () => void | Promise<void>;

/** How long what is starting while the bench is told to end may take to find that out. */
const graceMs = 5000;

const undos: Undo[] = [];
let running: Promise<void> | null = null;
let ending = false;

/**
 * Has something undone at the end, whatever that end is: success, failure or Ctrl-C. The newest goes first. Throws when
 * the end has come already: nothing more shall be started.
 */
export function onEnd(undo: Undo): void {
  undos.push(undo);
  if (ending) throw new Error("the bench was told to end");
}

/** Whether the bench was told to end: what fails from now on fails because of that. */
export function isEnding(): boolean {
  return ending;
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

/** Cleans up on what would otherwise leave servers and data behind: signals, faults, and nobody reading the output. */
export function cleanUpWhenStopped(work: Promise<unknown>): void {
  const end = async (code: number): Promise<void> => {
    if (ending) return;
    ending = true;
    await cleanUp();
    // What was starting has found out by then, and has left what there is to undo.
    await Promise.race([work.catch(() => undefined), delay(graceMs)]);
    await undoAll();
    process.exit(code);
  };
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.on(signal, () => void end(code));
  }
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => void end(141));
  process.on("uncaughtException", (error) => {
    process.stderr.write(`${error.stack}\n`);
    void end(1);
  });
}
