/**
 * What a cage may reach, as plain data. It stands in the plan and so in the digest of the permit: which names, by which port, in which way. Socket and
 * token belong to one run, are made when it starts, and are in no plan.
 */

/** How a host is spoken to. `https`: anything inside TLS whose server name is the host; `http`: plain requests, each of them read. */
export type Scheme = "https" | "http";

/** One name, exactly. Patterns are for the policy; a call names what it wants, so that a person can read it. */
export interface Reachable {
  /** Canonical (host.ts): lower case, no trailing dot, an address in its one spelling. */
  readonly host: string;
  readonly port: number;
  readonly scheme: Scheme;
  /** The rule of the policy that opened it. */
  readonly rule: string;
}

/** All of one run together, but for the times. */
export interface ReachLimits {
  /** Bytes that may leave, and that may come. */
  readonly upBytes: number;
  readonly downBytes: number;
  /** At one time; the next has to wait for one to end, and is refused. */
  readonly connections: number;
  readonly requests: number;
  /** Milliseconds until a request has said what it wants: whom it asks for, and inside TLS under which name. */
  readonly headMs: number;
  /** Milliseconds for the name's addresses and the connection to one of them. */
  readonly connectMs: number;
  /** Milliseconds without a byte in either direction. */
  readonly idleMs: number;
}

export interface Reach {
  readonly hosts: readonly Reachable[];
  readonly limits: ReachLimits;
}

/** How a request came: a tunnel, a plain request, a SOCKS tunnel; `unread` when it was none of these. */
export type RequestKind = "connect" | "http" | "socks" | "unread";

export type RequestVerdict =
  | "allowed"
  | "refused"
  /** Allowed, and the host could not be reached. */
  | "failed"
  /** Without the run's token: not one of its requests, or a tool that asks first and says who it is when told to. */
  | "unauthenticated";

/** One request, as it stands in the log. Text in it is short and well-formed, and comes from the program: it is shown spelled out. */
export interface ProxyRequest {
  readonly kind: RequestKind;
  /** As far as it could be read; "" where it could not. */
  readonly host: string;
  readonly port: number;
  readonly verdict: RequestVerdict;
  readonly rule: string;
  /** One sentence. */
  readonly reason: string;
  /** What would allow it; null when nothing would. */
  readonly instead: string | null;
  /** Bytes that left and that came, without what the proxy itself said. */
  readonly up: number;
  readonly down: number;
  readonly ms: number;
}

/** What a run asked of the network. */
export interface NetworkReport {
  /** The first of them, in the order in which they ended. */
  readonly requests: readonly ProxyRequest[];
  /** How many more there were. */
  readonly unlisted: number;
  /** Bytes: all that the program said to the proxy, and all that hosts said. */
  readonly up: number;
  readonly down: number;
}

/** The user name that goes with the token. */
export const PROXY_USER = "noctem";

/**
 * Every name by which tools look for a proxy. All of them are its HTTP form: a SOCKS address in ALL_PROXY makes some libraries fail before they ask for anything, and
 * what speaks SOCKS finds it at the same port. NO_PROXY is empty, so that nothing is tried directly, where there is nothing.
 */
export function proxyVariables(port: number, token: string): Readonly<Record<string, string>> {
  const address = `http://${PROXY_USER}:${token}@127.0.0.1:${port}`;
  return Object.fromEntries(PROXY_NAMES.map((name) => [name, name.toLowerCase() === "no_proxy" ? "" : address]));
}

export const PROXY_NAMES: readonly string[] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/** Inside a cage: where the relay listens, and what it leads to. */
export const PROXY_PORT = 3128;
export const PROXY_SOCKET = "/run/noctem/proxy";
