import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Where the migrations of this release are: beside the sources, or three levels up from the compiled file. */
export function migrationsDir(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return resolve(here, here.endsWith("dist/src/commands") ? "../../../prisma/migrations" : "../../prisma/migrations");
}
