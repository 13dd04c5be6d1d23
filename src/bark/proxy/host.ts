import { err, ok, type Result } from "../../lib/result.ts";
import { parseIpv4, parseIpv6, printIpv6 } from "./address.ts";

/** Who is asked for, in the one spelling that everything here compares. */
export interface Host {
  readonly kind: "name" | "v4" | "v6";
  /** Lower case; an IPv6 address as RFC 5952 writes it, without brackets. */
  readonly text: string;
  /** Of an address; null for a name, which the host's resolver is asked about. */
  readonly bytes: Uint8Array | null;
}

/** RFC 1035. */
const LONGEST_NAME = 253;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * A host as a program wrote it, or why it is none. Whatever two readers could take for two things is refused rather than mended: what the policy
 * judged, what the resolver is asked and what the server is told must be one name. A URL parser would make 127.0.0.1 of "0x7f.1".
 */
export function parseHost(text: string): Result<Host, string> {
  if (text.startsWith("[") || text.includes(":")) return parseBracketed(text);
  if (!/^[\x21-\x7e]+$/.test(text)) return err(text === "" ? "it is empty" : "it has characters that no host name has");
  const name = text.toLowerCase();
  if (name.includes("%")) return err("it is written with escapes");
  if (name.includes("@")) return err("a user name stands before it");
  if (name.endsWith(".")) return err("it ends in a dot");
  if (name.length > LONGEST_NAME) return err("it is longer than a name may be");
  const labels = name.split(".");
  // Readers of addresses take "0x7f.1", "017700000001" and "2130706433" for one, by the last part.
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "")) {
    const bytes = parseIpv4(name);
    return bytes === null ? err("it is an odd way to write an address") : ok({ kind: "v4", text: name, bytes });
  }
  if (!labels.every((label) => LABEL.test(label))) return err("it is no host name");
  // The resolver would try it below domains of the host's own.
  if (labels.length < 2) return err("it has no dot, so that it means something else on every network");
  return ok({ kind: "name", text: name, bytes: null });
}

function parseBracketed(text: string): Result<Host, string> {
  const inner = /^\[([^[\]]*)\]$/.exec(text)?.[1];
  if (inner === undefined) return err("an IPv6 address stands in brackets");
  return ofIpv6(inner);
}

/** Without brackets. */
export function ofIpv6(text: string): Result<Host, string> {
  // A zone names an interface of this computer.
  if (text.includes("%")) return err("it names one of this computer's interfaces");
  const bytes = parseIpv6(text);
  return bytes === null ? err("it is no IPv6 address") : ok({ kind: "v6", text: printIpv6(bytes), bytes });
}

export interface Authority {
  readonly host: Host;
  readonly port: number;
}

/** `host:port`, or `host` where a port goes without saying. */
export function parseAuthority(text: string, defaultPort: number | null): Result<Authority, string> {
  if (text.includes("@")) return err("a user name stands before it");
  const [, name = "", port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(text) ?? [];
  if (port === undefined && defaultPort === null) return err("it has no port");
  const number = port === undefined ? defaultPort : parsePort(port);
  if (number === null) return err("its port is none");
  const host = parseHost(name);
  return host.ok ? ok({ host: host.value, port: number }) : host;
}

function parsePort(text: string): number | null {
  const port = Number(text);
  return /^[1-9]\d{0,4}$/.test(text) && port <= 65535 ? port : null;
}

/** As it stands in a Host header and an address. */
export const inUrl = ({ kind, text }: Host): string => (kind === "v6" ? `[${text}]` : text);

const LONGEST_SHOWN = 100;
/** What a program wrote where a host was wanted, for the log: short, and with nothing that a terminal would act on. */
export function spelled(text: string): string {
  const plain = text
    .slice(0, LONGEST_SHOWN)
    .toWellFormed()
    .replaceAll(/[^\x21-\x7e]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
  return plain.length <= LONGEST_SHOWN ? plain : `${plain.slice(0, LONGEST_SHOWN - 1)}…`;
}
