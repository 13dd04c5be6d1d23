/**
 * Addresses as bytes: read, written, and sorted into those of the internet at large and all others. Ranges are those of IANA's special-purpose registries
 * (RFC 6890 and what came after it).
 */

/** Four decimal numbers without leading zeros, which some read as octal; null for anything else. */
export function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return null;
  return Uint8Array.from(parts, Number);
}

/** RFC 4291, with at most one "::" and perhaps an IPv4 address at the end; null for anything else. */
export function parseIpv6(text: string): Uint8Array | null {
  if (!/^[0-9a-fA-F:.]{2,45}$/.test(text)) return null;
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const front = groupsOf(head ?? [], halves.length === 1);
  const back = tail === undefined ? [] : groupsOf(tail, true);
  if (front === null || back === null) return null;
  const missing = 8 - front.length - back.length;
  // "::" stands for at least one group.
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...front, ...Array.from({ length: missing }, () => 0), ...back];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

function groupsOf(parts: readonly string[], mayEndInIpv4: boolean): readonly number[] | null {
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else {
      const v4 = mayEndInIpv4 && index === parts.length - 1 ? parseIpv4(part) : null;
      if (v4 === null) return null;
      const [a = 0, b = 0, c = 0, d = 0] = v4;
      groups.push((a << 8) | b, (c << 8) | d);
    }
  }
  return groups;
}

/** RFC 5952: lower case, no leading zeros, the first longest run of at least two zero groups as "::". */
export function printIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) => ((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0));
  let [at, length] = [0, 0];
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && groups[to] === 0) to++;
    if (to - from > length) [at, length] = [from, to - from];
  }
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  return length < 2 ? text(groups) : `${text(groups.slice(0, at))}::${text(groups.slice(at + length))}`;
}

export const printIpv4 = (bytes: Uint8Array): string => bytes.join(".");

/** What kind of address it is when it is none of the internet at large, as it follows "It is"; null when it is one. */
export function notPublic(bytes: Uint8Array): string | null {
  return bytes.length === 4 ? kindOf(bytes, IPV4) : notPublic6(bytes);
}

interface Range {
  readonly prefix: readonly number[];
  readonly bits: number;
  readonly what: string;
}

/** TEST-NET-1 to 3 (192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24) belong to nobody, and tests stand there as everybody else. */
const IPV4: readonly Range[] = [
  { prefix: [0], bits: 8, what: "this computer" },
  { prefix: [10], bits: 8, what: "a private network" },
  { prefix: [100, 64], bits: 10, what: "a provider's own network" },
  { prefix: [127], bits: 8, what: "this computer" },
  { prefix: [169, 254], bits: 16, what: "the local link, where a cloud's own services answer too" },
  { prefix: [172, 16], bits: 12, what: "a private network" },
  { prefix: [192, 0, 0], bits: 24, what: "reserved" },
  { prefix: [192, 88, 99], bits: 24, what: "a way around (6to4)" },
  { prefix: [192, 168], bits: 16, what: "a private network" },
  { prefix: [198, 18], bits: 15, what: "a network for measurements" },
  { prefix: [224], bits: 4, what: "a group of computers" },
  { prefix: [240], bits: 4, what: "reserved" },
];

/** Of what lies in 2000::/3, which alone is given out. 2001:db8::/32, for documents, belongs to nobody. */
const IPV6: readonly Range[] = [
  { prefix: [0x20, 0x01, 0x00], bits: 23, what: "a way around (Teredo), or reserved" },
  { prefix: [0x20, 0x02], bits: 16, what: "a way around (6to4)" },
];

const NAMED6: readonly Range[] = [
  { prefix: [0xfc], bits: 7, what: "a private network" },
  { prefix: [0xfe, 0x80], bits: 10, what: "the local link" },
  { prefix: [0xff], bits: 8, what: "a group of computers" },
  { prefix: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], bits: 96, what: "an IPv4 address in disguise" },
  { prefix: [0x00, 0x64, 0xff, 0x9b], bits: 32, what: "an IPv4 address in disguise (NAT64)" },
  { prefix: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], bits: 120, what: "this computer" },
];

function notPublic6(bytes: Uint8Array): string | null {
  if (((bytes[0] ?? 0) & 0xe0) !== 0x20) return kindOf(bytes, NAMED6) ?? "reserved";
  // ISATAP: the last half says "and in truth I am this IPv4 address".
  if (((bytes[8] ?? 0) & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe)
    return "an IPv4 address in disguise (ISATAP)";
  return kindOf(bytes, IPV6);
}

const kindOf = (bytes: Uint8Array, ranges: readonly Range[]): string | null =>
  ranges.find(({ prefix, bits }) => isWithin(bytes, prefix, bits))?.what ?? null;

function isWithin(bytes: Uint8Array, prefix: readonly number[], bits: number): boolean {
  for (let at = 0; at * 8 < bits; at++) {
    const mask = bits - at * 8 >= 8 ? 0xff : (0xff << (8 - (bits - at * 8))) & 0xff;
    if (((bytes[at] ?? 0) & mask) !== ((prefix[at] ?? 0) & mask)) return false;
  }
  return true;
}
