import { maxIdBytes } from "../../model/ids.ts";

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const parameter = `[ \\t]*;[ \\t]*${token}=(?:${token}|"[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]*")`;
const mediaType = new RegExp(`^${token}/${token}(?:${parameter})*$`);
const unknownType = "application/octet-stream";
// C0 and C1 controls, and what turns the direction of a text around so that it reads as another name.
const misleading = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * What a client says that its file is, if that is a media type at all. It is never believed: browsers are told not to
 * guess, and nothing is served in a way that lets it run.
 */
export function mediaTypeOf(claim: string | null): string {
  const claimed = claim?.trim() ?? "";
  return claimed.length <= maxIdBytes && mediaType.test(claimed) ? claimed : unknownType;
}

/** The name that a file is to be saved under: the last part of a path, without what misleads, at most 255 bytes; null for none. */
export function fileNameOf(given: string | null): string | null {
  const name = (given ?? "").toWellFormed().replace(misleading, "").split(/[/\\]/).at(-1)!.trim();
  if (name === "" || /^\.+$/.test(name)) return null;
  if (Buffer.byteLength(name) <= maxIdBytes) return name;
  // Cut in front, since the end says what kind of file it is.
  let cut = [...name].slice(-maxIdBytes);
  while (Buffer.byteLength(cut.join("")) > maxIdBytes) cut = cut.slice(1);
  return cut.join("");
}
