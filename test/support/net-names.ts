/** Names and addresses of the stage of network tests (net-stage.ts), and how scenarios travel to it. */
import type { NetworkReport, Reachable, ReachLimits } from "../../src/bark/proxy/types.ts";

/** Whoever listens there. Documentation addresses count as public; the rest are what nothing in a cage may reach. */
export const TARGETS: readonly { readonly address: string; readonly ports: readonly number[] }[] = [
  { address: "192.0.2.10", ports: [80, 443, 8080] },
  { address: "198.51.100.20", ports: [80, 443] },
  { address: "2001:db8::10", ports: [80, 443] },
  { address: "10.20.30.40", ports: [80, 443] },
  { address: "169.254.169.254", ports: [80] },
  { address: "100.64.1.1", ports: [80] },
  { address: "127.0.0.1", ports: [80, 443] },
  { address: "fd00::10", ports: [80] },
];

/** `answers`: one list for each time that it is asked, the last again and again. `"silent"`: the resolver says nothing. */
export interface Named {
  readonly name: string;
  readonly answers: readonly (readonly string[])[] | "silent";
}
export const NAMES: readonly Named[] = [
  { name: "allowed.example", answers: [["192.0.2.10"]] },
  { name: "other.example", answers: [["198.51.100.20"]] },
  { name: "six.example", answers: [["2001:db8::10"]] },
  { name: "private.example", answers: [["10.20.30.40"]] },
  { name: "metadata.example", answers: [["169.254.169.254"]] },
  { name: "carrier.example", answers: [["100.64.1.1"]] },
  { name: "loop.example", answers: [["127.0.0.1"]] },
  { name: "loop6.example", answers: [["::1"]] },
  { name: "mapped.example", answers: [["::ffff:10.20.30.40"]] },
  { name: "nat64.example", answers: [["64:ff9b::10.20.30.40"]] },
  { name: "unique.example", answers: [["fd00::10"]] },
  { name: "mixed.example", answers: [["192.0.2.10", "10.20.30.40"]] },
  { name: "rebind.example", answers: [["192.0.2.10"], ["10.20.30.40"]] },
  // A name that the policy of the build opens for programs.
  { name: "docs.rs", answers: [["192.0.2.10"]] },
  { name: "dead.example", answers: [["192.0.2.99"]] },
  { name: "silent.example", answers: "silent" },
];

export interface Scenario {
  readonly script: string;
  readonly language?: "sh" | "python3";
  readonly hosts: readonly Omit<Reachable, "rule">[];
  readonly limits?: Partial<ReachLimits>;
}

/** A person at a terminal in that network: starts the executable in the stage's workspace and answers its question. */
export interface PersonScenario {
  readonly program: string;
  readonly args: readonly string[];
  readonly answer: "yes" | "no" | null;
}

export interface StageResult {
  readonly error: string | null;
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  readonly network: NetworkReport | null;
  /** "ADDRESS PORT" → what was heard there, of those that had a connection. */
  readonly heard: Readonly<Record<string, string>>;
  /** Names that the resolver was asked for. */
  readonly asked: readonly string[];
}
