import { writeSync } from "node:fs";
import type { DestinationStream } from "pino";

/** Bytes that wait while whoever reads the log can't follow. */
const maxWaiting = 1024 * 1024;
const againMs = 100;

/** Something that is being written. */
interface Piece {
  bytes: Buffer;
  /** Lines that are lost with it. */
  lines: number;
  /** Some of it is written. */
  begun: boolean;
}

/**
 * Where lines of the log go. That nobody can take them, on a full disk or a terminal that was closed, must neither end nor
 * hold up a server: lines that can't be written are lost, and a line says how many when there is one to read it again.
 */
export function logOutput(
  fileDescriptor: number,
  write: (fileDescriptor: number, bytes: Buffer) => number = writeSync,
): DestinationStream {
  const waiting: string[] = [];
  let charactersWaiting = 0;
  let current: Piece | null = null;
  let lost = 0;
  /** Half a line stands at the end of what was written. */
  let torn = false;

  /** The next line, behind what is to be said of those that were lost before it. */
  function next(): Piece | null {
    const line = waiting.shift();
    if (line === undefined) return null;
    charactersWaiting -= line.length;
    const piece = { bytes: Buffer.from((torn ? "\n" : "") + noteOf(lost) + line), lines: lost + 1, begun: false };
    lost = 0;
    return piece;
  }

  function goOn(): void {
    for (let piece = (current ??= next()); piece !== null; piece = current ??= next()) {
      try {
        const written = write(fileDescriptor, piece.bytes);
        torn = false;
        const left = piece.bytes.subarray(written);
        current = left.length === 0 ? null : { ...piece, bytes: left, begun: true };
      } catch (error) {
        // A pipe that is full for the moment.
        if ((error as NodeJS.ErrnoException).code === "EAGAIN") return void setTimeout(goOn, againMs).unref();
        lost += piece.lines;
        torn ||= piece.begun;
        current = null;
      }
    }
  }

  return {
    write(line) {
      const follows = current !== null;
      if (charactersWaiting > maxWaiting) return void lost++;
      waiting.push(line);
      charactersWaiting += line.length;
      if (!follows) goOn();
    },
  };
}

function noteOf(lost: number): string {
  const told = { level: 40, time: Date.now(), lost, msg: "lines of the log were lost, since they couldn't be written" };
  return lost === 0 ? "" : `${JSON.stringify(told)}\n`;
}
