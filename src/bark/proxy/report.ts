import type { Json } from "../../lib/canonical-json.ts";
import type { NetworkReport, ProxyRequest, Reach } from "./types.ts";
import type { Blocked } from "../outcome.ts";

const placeOf = ({ host, port }: Pick<ProxyRequest, "host" | "port">): string =>
  port === 0 ? host : `${host.includes(":") ? `[${host}]` : host}:${port}`;

/** What was refused, once each: a tool that tries a hundred times was kept from one thing. */
export function refusedOf(network: NetworkReport | null): readonly Blocked[] {
  const found = new Map<string, Blocked>();
  for (const request of network?.requests ?? []) {
    if (request.verdict !== "refused") continue;
    const what = placeOf(request) || "the network";
    const { rule, reason, instead } = request;
    found.set(`${what} ${rule} ${reason}`, { what, rule, reason, instead });
  }
  return [...found.values()];
}

/** As it stands in the log beside what came out. */
export const networkJson = ({ requests, unlisted, up, down }: NetworkReport): Json => ({
  requests: requests.map(({ kind, host, port, verdict, rule, up, down, ms }) => ({ kind, host, port, verdict, rule, up, down, ms })),
  unlisted,
  up,
  down,
});

/** What may be reached, for a person who is asked, or who looks. */
export function reachLines({ hosts, limits }: Reach): readonly string[] {
  return [
    "It can reach these hosts and no others:",
    ...hosts.map(
      ({ host, port, scheme, rule }) =>
        `  ${placeOf({ host, port })} by ${scheme === "https" ? "HTTPS, unread" : "HTTP, in the open"} (${rule})`,
    ),
    `Whatever it can read it may send there, at most ${sized(limits.upBytes)}; it can take ${sized(limits.downBytes)}.`,
  ];
}

const sized = (bytes: number): string => (bytes >= 2 ** 20 ? `${Math.round(bytes / 2 ** 20)} MB` : `${Math.ceil(bytes / 1024)} kB`);
