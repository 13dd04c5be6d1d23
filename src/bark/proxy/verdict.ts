import { type Authority, type Host, inUrl } from "./host.ts";
import type { Reach, Scheme } from "./types.ts";

export interface ReachVerdict {
  readonly allowed: boolean;
  readonly rule: string;
  readonly reason: string;
  readonly instead: string | null;
}

/** Names of the proxy's own refusals, as they stand in `blocked` and in the log. */
export const PROXY_RULES = {
  unnamed: "proxy.unnamed",
  malformed: "proxy.malformed",
  token: "proxy.token",
  inner: "proxy.inner-host",
  address: "proxy.address",
  limit: "proxy.limit",
  second: "proxy.second-request",
} as const;

/** Whether a run may speak to a host in this way; `null`: in any way, which is what a tunnel asks before it says how. */
export function judgeReach({ hosts }: Reach, { host, port }: Authority, scheme: Scheme | null): ReachVerdict {
  const named = hosts.filter((entry) => entry.host === host.text);
  const found = named.find((entry) => entry.port === port && (scheme === null || entry.scheme === scheme));
  if (found !== undefined) return { allowed: true, rule: found.rule, reason: "", instead: null };
  const where = `${inUrl(host)}:${port}`;
  const [other] = named;
  const reason =
    other === undefined
      ? `${where} is none of the hosts that this call may reach.`
      : `${where} may be reached as ${other.scheme}://${inUrl(host)}:${other.port} alone.`;
  return { allowed: false, rule: PROXY_RULES.unnamed, reason, instead: insteadOf(host) };
}

const insteadOf = ({ text }: Host): string => `Name ${text} in the call's hosts; the policy then says whether it may.`;
