import { setTimeout as delay } from "node:timers/promises";
import { HttpClient } from "../../http.ts";
import { marksIn } from "../marks.ts";
import type { Follower, FollowerEvents } from "../peer.ts";

/** How long the server may hold a poll when there is no news. */
const timeout = "30000";

/** Follows by long polls, one after the other, over one kept connection; live when the first is under way. */
export function poll(
  { address, authorization, filter }: { address: string; authorization: string; filter: string },
  on: FollowerEvents,
  since: string,
): Follower {
  const http = new HttpClient(address, authorization);
  let closing = false;
  let place = since;
  const once = async (): Promise<void> => {
    const query = new URLSearchParams({ filter, timeout, since: place });
    const text = (await http.ask({ method: "GET", path: `/_matrix/client/v3/sync?${query}` })).text();
    place = /"next_batch":"([^"]+)"/.exec(text)![1]!;
    for (const mark of marksIn(text)) on.delivered(mark);
    if (text.includes('"limited":true')) on.limited();
  };
  const follow = async (): Promise<void> => {
    while (!closing) {
      try {
        await once();
      } catch (error) {
        if (closing) return;
        on.failed(error as Error);
        await delay(100);
      }
    }
  };
  void follow();
  return {
    place: () => place,
    close() {
      closing = true;
      http.close();
    },
  };
}
