import ipaddr from "ipaddr.js";

/** Addresses that begin with the same bits. */
type Range = [from: ipaddr.IPv4 | ipaddr.IPv6, bits: number];

/** Bits of an address of IPv6 before one of IPv4 that it stands for. */
const mappedBits = 96;

/** A range as a setting has it; null for what is none. Those of IPv4 in the form of IPv6 are those of IPv4. */
function rangeOf(text: string): Range | null {
  const [address = "", bits] = text.split("/");
  const valid = address.includes(":") ? ipaddr.IPv6.isValid(address) : ipaddr.IPv4.isValidFourPartDecimal(address);
  const cidr = bits === undefined ? `${address}/${address.includes(":") ? 128 : 32}` : text;
  if (!valid || !ipaddr.isValidCIDR(cidr)) return null;
  const [from, length] = ipaddr.parseCIDR(cidr);
  const isMapped = from instanceof ipaddr.IPv6 && from.isIPv4MappedAddress() && length >= mappedBits;
  return isMapped ? [from.toIPv4Address(), length - mappedBits] : [from, length];
}

/** Whether a text is an address or a CIDR range, of IPv4 or IPv6. */
export function isRange(text: string): boolean {
  return rangeOf(text) !== null;
}

/** Whether an address lies in one of these ranges; a single address is a range of one. */
export function rangeTest(ranges: readonly string[]): (address: string) => boolean {
  const parsed = ranges.flatMap((range) => {
    const read = rangeOf(range);
    return read === null ? [] : [read];
  });
  return (text) => {
    const address = ipaddr.process(text);
    return parsed.some(([from, bits]) => address.kind() === from.kind() && address.match([from, bits] as never));
  };
}

/**
 * An address in the one form that it is shown and compared in: IPv4 without IPv6 around it, IPv6 without a zone, written
 * short. Null for what is none. A port behind it is let go of, as some proxies write it.
 */
export function plainAddress(text: string): string | null {
  const [, bracketed, withPort] = /^\[([^\]]*)\](?::\d+)?$|^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text) ?? [];
  const address = (bracketed ?? withPort ?? text).replace(/%.*$/, "");
  // Other ways of writing IPv4, such as 127.1, are nothing that a proxy would write.
  return ipaddr.IPv6.isValid(address) || ipaddr.IPv4.isValidFourPartDecimal(address)
    ? ipaddr.process(address).toString()
    : null;
}

/**
 * What an address is counted by. Who has an address of IPv6 has 2^64 of them as a rule, so that these count as one: by the half
 * that the network gave.
 */
export function networkOf(address: string): string {
  return address.includes(":") ? ipaddr.IPv6.parse(address).parts.slice(0, 4).join(":") : address;
}
