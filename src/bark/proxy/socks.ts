import { err, ok, type Result } from "../../lib/result.ts";
import { printIpv4, printIpv6 } from "./address.ts";
import { type Authority, parseHost } from "./host.ts";

/** SOCKS 5 (RFC 1928) with a user name and a password (RFC 1929), which is where the token stands. */

export type SocksRead<T> =
  | { readonly kind: "more" }
  /** `length`: how many bytes it took. */
  | { readonly kind: "read"; readonly value: T; readonly length: number }
  | { readonly kind: "refused"; readonly reason: string };

const MORE = { kind: "more" } as const;
const refused = (reason: string): { readonly kind: "refused"; readonly reason: string } => ({ kind: "refused", reason });

export const SOCKS5 = 5;
export const PASSWORD_METHOD = 2;

/** Whether a password is among what it offers. */
export function readGreeting(bytes: Uint8Array): SocksRead<boolean> {
  const [version, count] = bytes;
  if (version !== undefined && version !== SOCKS5) return refused("it speaks another SOCKS than 5");
  if (count === undefined || bytes.length < 2 + count) return MORE;
  return { kind: "read", value: bytes.subarray(2, 2 + count).includes(PASSWORD_METHOD), length: 2 + count };
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export function readCredentials(bytes: Uint8Array): SocksRead<Credentials> {
  const [version, users] = bytes;
  if (version !== undefined && version !== 1) return refused("it does not say who it is as SOCKS wants it");
  if (users === undefined || bytes.length < 3 + users) return MORE;
  const passwords = bytes[2 + users] ?? 0;
  const end = 3 + users + passwords;
  if (bytes.length < end) return MORE;
  const text = (from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));
  return { kind: "read", value: { user: text(2, 2 + users), password: text(3 + users, end) }, length: end };
}

/** `to`: whom a tunnel is wanted to, or why that cannot be read; with what was written, for the log. */
export interface SocksRequest {
  readonly to: Result<Authority, string>;
  readonly written: string;
}

export function readRequest(bytes: Uint8Array): SocksRead<SocksRequest> {
  const [version, command, reserved, type, first] = bytes;
  if (version !== undefined && version !== SOCKS5) return refused("its request is none of SOCKS 5");
  if (command !== undefined && command !== CONNECT) return refused("it asks for something else than a connection");
  if (reserved !== undefined && reserved !== 0) return refused("its request is none of SOCKS 5");
  if (type !== undefined && type !== IPV4 && type !== IPV6 && type !== NAME) return refused("it names a host in no way that SOCKS has");
  if (type === undefined || first === undefined) return MORE;
  const [from, size] = type === NAME ? [5, first] : [4, type === IPV4 ? 4 : 16];
  const end = from + size + 2;
  if (bytes.length < end) return MORE;
  const address = bytes.subarray(from, from + size);
  const port = ((bytes[end - 2] ?? 0) << 8) | (bytes[end - 1] ?? 0);
  // A name with a NUL or a line end in it is refused here as everywhere, and not cut off there.
  const written = type === NAME ? String.fromCharCode(...address) : type === IPV4 ? printIpv4(address) : `[${printIpv6(address)}]`;
  const host = parseHost(written);
  const to = !host.ok ? host : port === 0 ? err("its port is none") : ok({ host: host.value, port });
  return { kind: "read", value: { to, written }, length: end };
}

const CONNECT = 1;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

export type SocksReply = "done" | "failed" | "refused" | "unreachable";
const REPLIES: Readonly<Record<SocksReply, number>> = { done: 0, failed: 1, refused: 2, unreachable: 4 };

/** The address in it is nobody's: what was connected to is none of a program's business. */
export const socksReply = (reply: SocksReply): Uint8Array => Uint8Array.of(SOCKS5, REPLIES[reply], 0, IPV4, 0, 0, 0, 0, 0, 0);
