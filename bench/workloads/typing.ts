import { temporaryDataDir } from "../data.ts";
import type { Options } from "../options.ts";
import { progress, type Report, type Row } from "../report.ts";
import { program } from "../../scripts/program.ts";
import { startServer } from "../server.ts";
import { buildTown, liveIn, type Pastime } from "../town.ts";

const document = `mutation ($roomId: ID!, $typing: Boolean!) {
  setTyping(input: { roomId: $roomId, typing: $typing }) { room { id } }
}`;

/** Many users online while some of them begin and end to type: in rooms of 50, and in rooms of 500 people. */
export async function typing(options: Options): Promise<Report> {
  const dataDir = await temporaryDataDir();
  const town = await buildTown(dataDir, options.subscribers?.[1] ?? 5000);
  const server = await startServer(dataDir, options, { HEARTH_PRESENCE: "off" });
  const rows: Row[] = [];
  for (const size of [50, 500]) {
    progress(`typing in rooms of ${size}`);
    const rooms = town.rooms.filter(({ members }) => members.length === size);
    const changes: Pastime = {
      rate: 100,
      act(number, actors) {
        const { user, client } = actors[number % actors.length]!;
        const { roomId } = rooms.find(({ members }) => members.includes(user))!;
        const typing = Math.floor(number / actors.length) % 2 === 0;
        return client.post(JSON.stringify({ query: document, variables: { roomId, typing } }));
      },
    };
    rows.push(...(await liveIn(server, town, changes, options)).map((row) => ({ rooms: size, ...row })));
  }
  await server.stop();
  return { server: program().from, rows };
}
