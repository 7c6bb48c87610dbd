/** How what is said on one side reads on the other. */

/** What somebody says. */
export interface Said {
  /** How it is said on IRC. */
  how: "message" | "action" | "notice";
  /** May have several lines. */
  text: string;
}

/** What a reply answers to. */
export interface Quoted {
  /** As the other side calls them. */
  nick: string;
  text: string;
}

/** The content of an `m.room.message`, or of what a client may send as one: nothing in it can be relied on. */
export type Content = Record<string, unknown>;

const longestQuote = 60;

/**
 * What a Matrix message is on IRC; null when there is nothing to say. `addressOf` gives the address at which everybody can
 * fetch a file, by its `mxc:` address and its name.
 */
export function toIrc(
  content: Content,
  quoted: Quoted | null,
  addressOf: (mxc: string, name: string) => string,
): Said | null {
  const edited = content["m.new_content"];
  if (relationOf(content)["rel_type"] === "m.replace" && isContent(edited)) {
    const said = toIrc(edited, null, addressOf);
    return said && { ...said, text: `* ${said.text}` };
  }
  const body = clean(typeof content["body"] === "string" ? content["body"] : "");
  const { url } = content;
  if (typeof url === "string" && /^mxc:\/\/[^/]+\/[^/]+$/.test(url)) return sentFile(content, body, addressOf, url);
  const text = repliedTo(content) === null ? body : withoutFallback(body);
  if (text.trim() === "") return null;
  const how = content["msgtype"] === "m.emote" ? "action" : content["msgtype"] === "m.notice" ? "notice" : "message";
  return { how, text: quoted ? `${quoted.nick}: "${shortened(quoted.text, longestQuote)}" ${text}` : text };
}

function sentFile(content: Content, body: string, addressOf: (mxc: string, name: string) => string, mxc: string): Said {
  const name = clean(typeof content["filename"] === "string" ? content["filename"] : body) || "file";
  const info = isContent(content["info"]) ? content["info"] : {};
  const size = typeof info["size"] === "number" ? ` (${sizeOf(info["size"])})` : "";
  const caption = body === name || body === "" ? "" : `\n${body}`;
  return { how: "action", text: `sent ${name}${size}: ${addressOf(mxc, name)}${caption}` };
}

function sizeOf(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB"];
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), 3);
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

/** The event that the message answers to, if it does. */
export function repliedTo(content: Content): string | null {
  const reply = relationOf(content)["m.in_reply_to"];
  const eventId = isContent(reply) ? reply["event_id"] : null;
  return typeof eventId === "string" ? eventId : null;
}

/** The words of a message, to quote them. */
export function quotable(content: Content): string {
  const body = clean(typeof content["body"] === "string" ? content["body"] : "");
  return repliedTo(content) === null ? body : withoutFallback(body);
}

function relationOf(content: Content): Content {
  const relation = content["m.relates_to"];
  return isContent(relation) ? relation : {};
}

function isContent(value: unknown): value is Content {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Replies begin with what they answer to, as lines that begin with `>`, and an empty line. */
function withoutFallback(body: string): string {
  return body.replace(/^(?:>.*\n)+\n?/, "");
}

/** The beginning of a text, in one line. */
export function shortened(text: string, longest: number): string {
  const line = text.trim().replace(/\s+/g, " ");
  const letters = [...graphemes.segment(line.slice(0, longest * 10))].map(({ segment }) => segment);
  return letters.length <= longest ? line : `${letters.slice(0, longest - 1).join("")}…`;
}

/** Whether a text would be more lines on IRC than one may send there at once. */
export function isLong(text: string, maxLines: number): boolean {
  return split(text, 350).length > maxLines;
}

/** Without control characters, which IRC reads as commands and formats. Lines stay. */
export function clean(text: string): string {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/\t/g, " ")
    .replace(/[\u0000-\u0009\u000b-\u001f\u007f]/g, "");
}

/** The text of an IRC message without its colours and formats. */
export function plainText(text: string): string {
  return text
    .replace(/\u0003(?:\d{1,2}(?:,\d{1,2})?)?|\u0004(?:[0-9A-Fa-f]{6}(?:,[0-9A-Fa-f]{6})?)?/g, "")
    .replace(/[\u0000-\u0008\u000a-\u001f\u007f]/g, "");
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * Cuts a text into pieces of at most so many bytes: between lines, else between words, else between what people see as
 * letters, and only in a letter that is longer than a piece between its code points. No byte of UTF-8 is ever torn off, and
 * nothing but the line or the blank at which it is cut is left out.
 */
export function split(text: string, bytes: number): string[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .flatMap((line) => splitLine(line, bytes));
}

function splitLine(line: string, bytes: number): string[] {
  const pieces: string[] = [];
  let piece = "";
  for (const word of line.match(/ *[^ ]+ *$| *[^ ]+/g) ?? []) {
    if (fits(piece + word, bytes)) {
      piece += word;
      continue;
    }
    if (piece !== "") pieces.push(piece);
    piece = piece === "" ? word : word.replace(/^ /, "");
    const parts = chop(piece, bytes);
    pieces.push(...parts.slice(0, -1));
    piece = parts.at(-1) ?? "";
  }
  if (piece !== "") pieces.push(piece);
  return pieces;
}

function chop(word: string, bytes: number): string[] {
  const pieces = [""];
  const letters = [...graphemes.segment(word)].flatMap(({ segment }) =>
    fits(segment, bytes) ? segment : [...segment],
  );
  for (const letter of letters) {
    const longer = `${pieces.at(-1)}${letter}`;
    if (fits(longer, bytes)) pieces[pieces.length - 1] = longer;
    else pieces.push(letter);
  }
  return pieces;
}

function fits(text: string, bytes: number): boolean {
  return Buffer.byteLength(text) <= bytes;
}
