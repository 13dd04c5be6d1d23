import type { BarkTier } from "../types.ts";
import { HOME } from "./argv.ts";
import type { CageNetwork, CagePlan, Limits, WorkspaceView } from "./types.ts";

/** What a command needs beside the base. */
export interface CommandOptions {
  readonly profile: string;
  readonly tier: BarkTier;
  /** The program as an absolute path, then its arguments. */
  readonly argv: readonly string[];
  /** Resolved, free of links. */
  readonly workspace: string;
  readonly writes: boolean;
  readonly network: CageNetwork;
  readonly limits: Limits;
  /** Variables that the policy lets through. */
  readonly env: Readonly<Record<string, string>>;
}

/** Programs are looked for here and never in the workspace. */
export const SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/** Without a network a package manager tries again for minutes; with this a refusal ends in seconds. */
const NO_RETRIES = { PIP_RETRIES: "0", npm_config_fetch_retries: "0", CARGO_NET_RETRY: "0", CARGO_NET_OFFLINE: "true" } as const;

/** A command or a piece of code over the workspace. */
export function commandPlan(options: CommandOptions): CagePlan {
  const { profile, tier, argv, workspace, writes, network, limits, env } = options;
  const view: WorkspaceView = { host: workspace, inside: workspace, mode: writes ? "copy-on-write" : "read" };
  return {
    profile,
    tier,
    argv,
    cwd: workspace,
    env: {
      PATH: SEARCH_PATH,
      HOME,
      TMPDIR: "/tmp",
      LANG: "C.UTF-8",
      TERM: "dumb",
      USER: "noctem",
      ...(network.kind === "none" ? NO_RETRIES : {}),
      ...env,
    },
    mounts: [],
    workspace: view,
    seccomp: tier >= 2 ? "deny+allow" : "deny",
    network,
    limits,
    floor: "namespaces",
  };
}
