/** What can't be an upper case letter's lower case in ASCII, but is on most IRC networks. */
const lowerCase = new Map(["[{", "]}", "\\|", "~^"].map(([upper, lower]) => [upper, lower]));

/** What a network says of its upper and lower case. Networks that say nothing, or something newer, do as RFC 1459 has it. */
export type CaseMapping = "ascii" | "strict-rfc1459" | "rfc1459";

/** Whether the name can be a channel's: no blanks, commas or control characters, and at most 200 bytes. */
export function isChannel(name: string): boolean {
  return /^[#&+!][^\s,\u0000-\u001f\u007f]*$/u.test(name) && Buffer.byteLength(name) <= 200;
}

function isNick(name: string): boolean {
  return /^[A-Za-z[\]\\`_^{|}~][A-Za-z0-9[\]\\`_^{|}~-]*$/.test(name);
}

const plainInUserIds = /[a-z0-9._-]/;
// An alias ends at its first colon.
const plainInAliases = /[^:=]/;

/**
 * How people and channels of a network are called on Matrix, and the other way round.
 *
 * IRC doesn't tell upper from lower case, so ids are made of folded names: `Bob` and `BOB` are one ghost. What an id
 * can't hold, or what stands for something there, is written as `=` and the two hexadecimal digits of each byte.
 */
export class Names {
  caseMapping: CaseMapping = "rfc1459";

  /** In lower case, as the network has it. */
  fold(name: string): string {
    return name.replace(/[A-Z[\]\\~]/g, (letter) => {
      const isLetter = letter >= "A" && letter <= "Z";
      if (isLetter) return letter.toLowerCase();
      const isCase = this.caseMapping === "rfc1459" || (this.caseMapping === "strict-rfc1459" && letter !== "~");
      return isCase ? lowerCase.get(letter)! : letter;
    });
  }

  /** Whether two names are one on IRC. */
  isSame(one: string, other: string): boolean {
    return this.fold(one) === this.fold(other);
  }

  /** The part of a ghost's user id that names the nick. */
  suffixOfNick(nick: string): string {
    return encode(this.fold(nick), plainInUserIds);
  }

  /** The folded nick that a ghost's user id names; null when the bridge would never make such an id. */
  nickOfSuffix(suffix: string): string | null {
    const nick = decode(suffix);
    return isNick(nick) && this.suffixOfNick(nick) === suffix ? nick : null;
  }

  /** The part of an alias that names the channel. */
  suffixOfChannel(channel: string): string {
    return encode(this.fold(channel), plainInAliases);
  }

  /** The folded channel that an alias names; null when the bridge would never make such an alias. */
  channelOfSuffix(suffix: string): string | null {
    const channel = decode(suffix);
    return isChannel(channel) && this.suffixOfChannel(channel) === suffix ? channel : null;
  }
}

function encode(name: string, plain: RegExp): string {
  const bytes = (letter: string) => [...Buffer.from(letter)].map((byte) => `=${byte.toString(16).padStart(2, "0")}`);
  return [...name].map((letter) => (plain.test(letter) ? letter : bytes(letter).join(""))).join("");
}

function decode(text: string): string {
  return text.replace(/(?:=[0-9a-f]{2})+/g, (bytes) => Buffer.from(bytes.replaceAll("=", ""), "hex").toString());
}

/**
 * Nicks for someone who is called `name` on Matrix, the best first and never ending: `alice[m]`, `alice1[m]`, …
 * None is longer than what the network allows.
 */
export function* nicksFor(name: string, suffix: string, longest: number): Generator<string, never> {
  const base = name.replace(/[^A-Za-z0-9_`^{|}-]/g, "_").replace(/^(?![A-Za-z_`^{|}])/, "_");
  for (let number = 0; ; number++) {
    const end = `${number === 0 ? "" : number}${suffix}`;
    // Where a network's nicks are so short that nothing else fits, the number is what tells them apart.
    yield end.length < longest ? base.slice(0, longest - end.length) + end : `_${number}`;
  }
}
