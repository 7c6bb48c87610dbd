import { MessageChannel } from "node:worker_threads";

const nowhere = new MessageChannel().port1;
nowhere.close();

/**
 * Frees the memory of bytes that nobody looks at any more: they are transferred to a port that is closed. The pieces of a
 * large file would be left to the garbage collector, which doesn't see how much lies behind such small objects and comes
 * after tens of megabytes. Pieces that share their memory with others are left to it all the same.
 */
export function letGo(piece: Uint8Array): void {
  const { buffer, byteLength } = piece;
  if (buffer.byteLength !== byteLength || !(buffer instanceof ArrayBuffer)) return;
  try {
    nowhere.postMessage(null, [buffer]);
  } catch {
    // It mustn't be transferred, and then it needn't be.
  }
}
