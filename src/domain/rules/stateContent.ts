import { stateContents } from "../../model/content/typed.ts";
import { badInput } from "../../model/errors.ts";

/** Throws `BAD_INPUT` for state of a well-known type whose content isn't as that type wants it. `field` leads to it. */
export function checkStateContent(type: string, content: Record<string, unknown>, field: string): void {
  const valid = Object.hasOwn(stateContents, type) ? stateContents[type]?.safeParse(content) : undefined;
  if (valid?.success === false) {
    const issue = valid.error.issues[0];
    throw badInput([field, ...(issue?.path ?? [])].join("."), issue?.message ?? `is not valid for ${type}`);
  }
}
