import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { RegistrationFile } from "./domain/appservice/registrations.ts";

/** A registration file can't be used; the message names it and is meant for the person who starts the server. */
export class RegistrationFileError extends Error {
  override readonly name = "RegistrationFileError";
}

const maxBytes = 1_000_000;

/** Reads registration files of application services, in YAML, as bridges write them. [AS-1] */
export function readRegistrations(paths: readonly string[]): RegistrationFile[] {
  return paths.map((path) => {
    try {
      const text = readFileSync(path, "utf8");
      if (text.length > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
      return { name: path, content: parse(text, { maxAliasCount: 100 }) as unknown };
    } catch (error) {
      throw new RegistrationFileError(`The registration ${path} can't be read: ${(error as Error).message}`);
    }
  });
}
