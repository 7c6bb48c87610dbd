import { progress } from "../report.ts";
import { openFilesLimit } from "../usage.ts";
import type { Plan } from "./peer.ts";

/** Files that either process needs besides the sockets of followers. */
const otherFiles = 300;

/** As many followers as wanted, or as the limit of open files lets a process have. */
export function followersPossible(wanted: number): number {
  const count = Math.max(1, Math.min(wanted, openFilesLimit() - otherFiles));
  if (count < wanted) progress(`only ${count} of ${wanted} followers: raise \`ulimit -n\` for more`);
  return count;
}

/** One room of so many users. */
export function roomOf(users: number): Plan {
  return { users, rooms: [{ members: Array.from({ length: users }, (_, number) => number), messagesEach: 0 }] };
}
