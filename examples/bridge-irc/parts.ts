import type { Appservice } from "matrix-bot-sdk";
import type { Channels } from "./channels.ts";
import type { Ghosts } from "./ghosts.ts";
import type { Memory } from "./memory.ts";
import type { Names } from "./names.ts";
import type { Puppets } from "./puppets.ts";
import type { Turns } from "./retry.ts";

/** What both directions of the bridge share. */
export interface Parts {
  service: Appservice;
  names: Names;
  channels: Channels;
  ghosts: Ghosts;
  puppets: Puppets;
  memory: Memory;
  turns: Turns;
}
