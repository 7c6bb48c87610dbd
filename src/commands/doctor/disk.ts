import { constants } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Config } from "../../config.ts";
import { ok, problem, short, warning, type Finding } from "./finding.ts";

const about = "data directory";
const mebibyte = 2 ** 20;
const fewBytes = 1024 * mebibyte;
const tooFewBytes = 200 * mebibyte;

/** The directory for files, and for the embedded PostgreSQL: there, ours, and with room. */
export async function* checkDataDirectory(config: Config): AsyncGenerator<Finding> {
  const path = resolve(config.dataDir);
  let found = path;
  while (!(await isThere(found)) && found !== dirname(found)) found = dirname(found);
  try {
    await access(found, constants.W_OK | constants.X_OK);
  } catch (error) {
    const todo = "give it to the account that runs hearth, run this as that account, or set HEARTH_DATA_DIR";
    return yield problem(about, `${found} can't be written: ${short(error)}`, todo);
  }
  const { uid } = await stat(found);
  const own = process.getuid?.() ?? uid;
  if (found === path && own !== 0 && uid !== own) {
    yield warning(about, `${path} belongs to another account (${uid})`, "run this, and hearth, as that account");
  }
  const { bavail, bsize } = await statfs(found);
  const free = bavail * bsize;
  const room = `${path}${found === path ? "" : ", made at the first start,"} has ${Math.floor(free / mebibyte)} MB free`;
  if (free < tooFewBytes) yield problem(about, room, "make room: without it nothing can be stored");
  else if (free < fewBytes) yield warning(about, room, "make room before it is used up");
  else yield ok(about, room);
}

async function isThere(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}
