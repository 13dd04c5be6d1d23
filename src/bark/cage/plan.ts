import type { BarkTier } from "../types.ts";
import { HOME } from "./argv.ts";
import type { DbusRule } from "./dbus.ts";
import type { CageNetwork, CagePlan, JoinedGit, Limits, WorkspaceView } from "./types.ts";

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
  /** Services of the session bus that the policy names for this profile. */
  readonly dbus?: readonly DbusRule[];
  /** Variables that the policy lets through. */
  readonly env: Readonly<Record<string, string>>;
  /** The repository that the workspace belongs to, where it lies elsewhere; and the filters that git would run. */
  readonly git?: { readonly joined: JoinedGit | null; readonly filters: readonly string[] };
}

/**
 * What git would run by itself is off: hooks, the file system monitor, filters, signing, tidying up in the background. Whatever a program does about that stays in the cage; this is
 * so that an honest `git commit` does no more than commit.
 */
function gitSettings(filters: readonly string[]): Readonly<Record<string, string>> {
  const settings: readonly (readonly [string, string])[] = [
    ["core.hooksPath", "/dev/null"],
    ["core.fsmonitor", "false"],
    ["commit.gpgSign", "false"],
    ["tag.gpgSign", "false"],
    ["gc.auto", "0"],
    ["maintenance.auto", "false"],
    // In there it is nobody's but the person's own view.
    ["safe.directory", "*"],
    ...filters.flatMap((name) => [
      [`filter.${name}.clean`, ""] as const,
      [`filter.${name}.smudge`, ""] as const,
      [`filter.${name}.process`, ""] as const,
      [`filter.${name}.required`, "false"] as const,
    ]),
  ];
  return {
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(
      settings.flatMap(([name, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, name],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
  };
}

/** Programs are looked for here and never in the workspace. */
export const SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/** Without a network a package manager tries again for minutes; with this a refusal ends in seconds. */
const NO_RETRIES = { PIP_RETRIES: "0", npm_config_fetch_retries: "0", CARGO_NET_RETRY: "0", CARGO_NET_OFFLINE: "true" } as const;

/** A command or a piece of code over the workspace. */
export function commandPlan(options: CommandOptions): CagePlan {
  const { profile, tier, argv, workspace, writes, network, limits, env, git, dbus = [] } = options;
  const mode = writes ? "copy-on-write" : "read";
  // A listed command has no business in a repository elsewhere: git's reading commands ask where there is one.
  const joined = writes ? (git?.joined ?? null) : null;
  const view: WorkspaceView = { host: workspace, inside: workspace, mode, ...(joined === null ? {} : { git: joined }) };
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
      ...gitSettings(git?.filters ?? []),
      ...env,
    },
    mounts: [],
    workspace: view,
    seccomp: tier >= 2 ? "deny+allow" : "deny",
    network,
    ...(dbus.length === 0 ? {} : { dbus }),
    limits,
    floor: "namespaces",
  };
}
