import ipaddr from "ipaddr.js";

/** Whether a text is an address or a CIDR range, of IPv4 or IPv6. */
export function isRange(text: string): boolean {
  return ipaddr.isValid(text) || ipaddr.isValidCIDR(text);
}

/** Whether an address lies in one of these ranges; a single address is a range of one. */
export function rangeTest(ranges: readonly string[]): (address: string) => boolean {
  const parsed = ranges.map((range) =>
    ipaddr.isValidCIDR(range)
      ? ipaddr.parseCIDR(range)
      : ipaddr.parseCIDR(`${range}/${range.includes(":") ? 128 : 32}`),
  );
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
