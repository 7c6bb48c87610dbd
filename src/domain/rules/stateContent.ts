import { check } from "../../model/check.ts";
import { stateContents } from "../../model/content/typed.ts";

/** Throws `BAD_INPUT` for state of a well-known type whose content isn't as that type wants it. `field` leads to it. */
export function checkStateContent(type: string, content: Record<string, unknown>, field: string): void {
  if (Object.hasOwn(stateContents, type)) check(stateContents[type]!, content, field);
}
