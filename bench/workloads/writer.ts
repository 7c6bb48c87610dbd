import { cpuColumns } from "../columns.ts";
import { addRoom, addUsers, temporaryDataDir, withDomain, type BenchUser, type Workshop } from "../data.ts";
import { sendMessage } from "../../src/domain/actions/sendMessages.ts";
import type { BatchUnit } from "../../src/store/append.ts";
import { closedLoop, percentiles } from "../load.ts";
import type { Options } from "../options.ts";
import { progress, rounded, type Report, type Row } from "../report.ts";
import { measure, type Measured } from "../usage.ts";

const callerCounts = [64, 512];

/** The path of an event without HTTP and GraphQL, in this process: the whole action, and the writer beneath it. */
export async function writer(options: Options): Promise<Report> {
  const dataDir = await temporaryDataDir();
  const rows = await withDomain(dataDir, async (workshop) => {
    const users = await addUsers(workshop, Math.max(...callerCounts));
    const roomId = await addRoom(workshop, users);
    const rows: Row[] = [];
    for (const count of callerCounts) {
      const callers = users.slice(0, count);
      rows.push(
        await run(
          "sendMessage",
          callers.map((user) => actionCaller(workshop, user, roomId)),
          workshop,
          options,
        ),
      );
      const version = (await workshop.domain.tools.authorities.load(roomId, []))!.version;
      const appending = callers.map((user) => appendCaller(workshop, user, roomId, version));
      rows.push(await run("writer.append", appending, workshop, options));
    }
    return rows;
  });
  return { server: "no server: the sources in this process", rows };
}

async function run(
  level: string,
  callers: (() => Promise<unknown>)[],
  workshop: Workshop,
  options: Options,
): Promise<Row> {
  progress(`${level}, ${callers.length} callers`);
  let stop = (): Measured => ({ seconds: 0, node: 0, postgres: 0, load: 0 });
  let measured = stop();
  const { latencies, failures } = await closedLoop(callers, options, {
    begin: () => (stop = measure(process.pid, workshop.postgresPid)),
    end: () => (measured = stop()),
  });
  const { "postgres CPU": postgres, "load CPU": node } = cpuColumns(measured);
  return {
    level,
    callers: callers.length,
    "events/s": rounded(latencies.length / measured.seconds),
    ...percentiles(latencies),
    errors: failures.count,
    "server CPU": node,
    "postgres CPU": postgres,
  };
}

function actionCaller({ domain }: Workshop, { requester }: BenchUser, roomId: string): () => Promise<unknown> {
  let sent = 0;
  return () =>
    sendMessage(domain.tools, requester, { roomId, message: { content: { text: { body: `message ${sent++}` } } } });
}

/** Hands the writer what the action would have made, authorised beforehand. */
function appendCaller(
  { domain }: Workshop,
  { requester }: BenchUser,
  roomId: string,
  version: number | null,
): () => Promise<unknown> {
  const { writer, ids, clock } = domain.tools;
  let sent = 0;
  return async () => {
    const now = clock.now();
    const event = {
      eventId: ids.eventId(now),
      type: "m.room.message",
      sender: requester.userId,
      content: `{"body":"message ${sent++}","msgtype":"m.text"}`,
      sentAt: now,
      device: requester.deviceId,
      suppressed: false,
      authVersion: null,
    };
    const unit: BatchUnit = {
      roomId,
      version,
      nextVersion: null,
      newRoom: null,
      action: null,
      answerIds: [event.eventId],
      events: [event],
    };
    const { outcome } = await writer.append(unit);
    if (outcome !== "appended") throw new Error(`the unit was ${outcome}`);
  };
}
