import { err, ok, type Result } from "../../lib/result.ts";
import { judgeHost, type Ruling } from "../policy/judge.ts";
import type { Policy } from "../policy/schema.ts";
import { inUrl, parseAuthority, spelled } from "./host.ts";
import type { Reach, Reachable, ReachLimits, Scheme } from "./types.ts";

/** Hosts that one call may name. */
export const MOST_HOSTS = 8;

export interface Asked {
  /** For the plan, where the ruling is no denial. */
  readonly reach: Reach;
  /** The strictest of what the policy says about the hosts. */
  readonly ruling: Ruling;
}

const PORTS: Readonly<Record<Scheme, number>> = { https: 443, http: 80 };

/**
 * What a call named: "host", "host:port", "http://host" or "https://host". Each is judged by the policy's rules over hosts; a program that may read the workspace reaches only
 * what its skill's own list of rules opens, because inside TLS nobody sees what it sends there. The error is a sentence.
 */
export function askReach(policy: Policy, skill: string, words: readonly string[]): Result<Asked, string> {
  const network = policy.skills[skill]?.network;
  if (network === undefined) return err(`The policy gives ${skill} no network.`);
  const { rules, ...limits } = network;
  const hosts: Reachable[] = [];
  const rulings: Ruling[] = [];
  for (const word of words) {
    const [, scheme = "https", authority = ""] = /^(?:(https?):\/\/)?(.*?)\/?$/is.exec(word) ?? [];
    const plain = scheme.toLowerCase() as Scheme;
    const to = parseAuthority(authority, PORTS[plain]);
    if (!to.ok) return err(`"${spelled(word)}" names no host: ${to.error}.`);
    const { host, port } = to.value;
    const said = judgeHost(policy, host.text, port, plain);
    const ruling =
      rules === undefined || said.outcome === "deny" || rules.includes(said.rule) ? said : unlisted(skill, `${inUrl(host)}:${port}`);
    rulings.push(ruling);
    hosts.push({ host: host.text, port, scheme: plain, rule: ruling.rule });
  }
  const [first] = [...rulings].sort((a, b) => STRICTNESS[b.outcome] - STRICTNESS[a.outcome]);
  if (first === undefined) return err("No host is named.");
  return ok({ reach: { hosts, limits: limits satisfies ReachLimits }, ruling: first });
}

const STRICTNESS = { allow: 0, ask: 1, deny: 2 } as const;

const unlisted = (skill: string, where: string): Ruling => ({
  rule: "host.unlisted",
  outcome: "deny",
  reason: `The policy opens ${where} for no program of ${skill}: a program that reads your files could send them there.`,
});
