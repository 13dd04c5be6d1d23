import * as v from "valibot";
import { err, ok, type Result } from "../lib/result.ts";
import type { PreparedCall, SkillRefusal } from "../bark/call.ts";
import { READ_BY_NAME } from "../bark/cage/inputs.ts";
import { commandPlan } from "../bark/cage/plan.ts";
import type { CageNetwork, CagePlan, Mount } from "../bark/cage/types.ts";
import { gitWouldRun } from "../bark/policy/git-settings.ts";
import { type CommandRuling, judgeCommand, judgePath } from "../bark/policy/judge.ts";
import { type Asked, askReach, MOST_HOSTS } from "../bark/proxy/ask.ts";
import { PROXY_PORT } from "../bark/proxy/types.ts";
import type { Policy } from "../bark/policy/schema.ts";
import type { AccessRequest, BarkTier } from "../bark/types.ts";
import { short } from "./place.ts";
import type { Programs, WorkspaceReader } from "./ports.ts";
import type { Skill } from "./types.ts";

export interface RunDeps {
  readonly policy: Policy;
  readonly reader: (workspace: string) => WorkspaceReader;
  readonly programs: Programs;
  /** Of the person's environment, what the policy lets through. */
  readonly env: Readonly<Record<string, string>>;
}

/** Without it there is no network. Naming one makes it a call that is asked about. */
const hosts = v.optional(v.pipe(v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(300))), v.maxLength(MOST_HOSTS)));
const CommandSchema = v.strictObject({ command: v.pipe(v.string(), v.minLength(1), v.maxLength(8000)), hosts });
const CodeSchema = v.strictObject({
  language: v.picklist(["bash", "python3", "node", "bun"]),
  code: v.pipe(v.string(), v.minLength(1), v.maxLength(200_000)),
  hosts,
});

const NETWORK = 'There is no network but to hosts that the call names, as "name:port", where the policy opens them.';

/** A command line: unasked where every part of it is on the list, and then with a workspace that it can only read. */
export function shell(deps: RunDeps): Skill<typeof CommandSchema> {
  return {
    name: "shell",
    description: `Runs a command line in a cage: the workspace, and nothing else of this computer. ${NETWORK}`,
    arguments: CommandSchema,
    tier: 2,
    prepare({ command, hosts = [] }, { workspace }) {
      const { rule, outcome, reason, tier: listed } = judged(deps, command, workspace);
      const tier = hosts.length > 0 && listed < 3 ? 3 : listed;
      const sh = deps.programs.find("sh");
      if (sh === null) return Promise.resolve(missing("sh"));
      return Promise.resolve(
        running(deps, {
          skill: "shell",
          kind: "command",
          name: command,
          tier,
          argv: [sh, "-c", command],
          workspace,
          // What is on the list reads; what was approved may write, into a view that is judged afterwards.
          writes: tier > 2,
          stdin: null,
          ruled: { rule, outcome, reason },
          argument: { name: "command", value: command },
          hosts,
        }),
      );
    },
  };
}

/** By the rules, and for git by what the repository's own settings would have it run. */
function judged({ policy, reader }: RunDeps, command: string, workspace: string): CommandRuling {
  const ruling = judgeCommand(policy, command);
  if (ruling.outcome !== "allow" || ruling.commands?.some(({ argv }) => argv[0] === "git") !== true) return ruling;
  const files = reader(workspace);
  const reason = gitWouldRun({
    look: (path) => files.look(path),
    text(path) {
      const text = files.readText(path, MOST_SETTINGS);
      return text.ok ? text.value : null;
    },
    repositories: () => files.named(".git"),
  });
  return reason === null ? ruling : { ...ruling, rule: "command.git-settings", outcome: "ask", reason, tier: 3 };
}
/** Bytes of a repository's settings. */
const MOST_SETTINGS = 256 << 10;

const RUNS: Readonly<Record<v.InferOutput<typeof CodeSchema>["language"], readonly string[]>> = {
  bash: ["-s"],
  python3: ["-"],
  node: ["-"],
  bun: ["run", "-"],
};

/** A program of the model's own. Always asked about. */
export function codeExec(deps: RunDeps): Skill<typeof CodeSchema> {
  return {
    name: "code_exec",
    description: `Runs a program in bash, python3, node or bun, where this computer has them, in a cage. ${NETWORK}`,
    arguments: CodeSchema,
    tier: 3,
    prepare({ language, code, hosts = [] }, { workspace }) {
      const program = deps.programs.find(language);
      if (program === null) return Promise.resolve(missing(language));
      return Promise.resolve(
        running(deps, {
          skill: "code_exec",
          kind: "code",
          name: `${language}: ${code}`,
          tier: 3,
          argv: [program, ...RUNS[language]],
          workspace,
          writes: true,
          stdin: new TextEncoder().encode(code),
          ruled: null,
          argument: { name: "code", value: code },
          hosts,
        }),
      );
    },
  };
}

const missing = (program: string): Result<never, SkillRefusal> => err({ kind: "unavailable", detail: `This computer has no ${program}.` });

interface Running {
  readonly skill: "shell" | "code_exec";
  readonly kind: "command" | "code";
  readonly name: string;
  readonly tier: BarkTier;
  readonly argv: readonly string[];
  readonly workspace: string;
  readonly writes: boolean;
  readonly stdin: Uint8Array | null;
  readonly ruled: AccessRequest["ruled"];
  readonly argument: { readonly name: string; readonly value: string };
  /** As the call named them. */
  readonly hosts: readonly string[];
}

function running({ policy, reader, env }: RunDeps, call: Running): Result<PreparedCall, SkillRefusal> {
  const { skill, kind, name, tier, argv, workspace, writes, stdin, argument, hosts } = call;
  const asked = hosts.length === 0 ? null : askReach(policy, skill, hosts);
  if (asked?.ok === false) return err({ kind: "bad-arguments", detail: asked.error });
  const ruled = asked === null ? call.ruled : stricter(call.ruled, asked.value.ruling);
  const look = () => reader(workspace).secrets((path) => judgePath(policy, "read", path).outcome !== "allow");
  const secrets = look();
  if (secrets === null)
    return err({
      kind: "too-large",
      detail: `${short(workspace)} cannot be looked through for passwords and keys that a command must not read: it holds too much, or is no folder any more. Use a smaller workspace.`,
    });
  const limits = policy.skills[skill]?.limits;
  if (limits === undefined) return err({ kind: "unavailable", detail: `The policy has no limits for ${skill}.` });
  const masks = secrets.map(({ path, ...hidden }): Mount => ({ kind: "mask", to: path, ...hidden }));
  const git = reader(workspace).git();
  const network = networkOf(asked?.value ?? null);
  const dbus = policy.skills[skill]?.dbus ?? [];
  const base = commandPlan({ profile: skill, tier, argv, workspace, writes, network, limits, env, git, dbus });
  // A service of the session may pass on what it is told, as a host may.
  const reached = [...hosts, ...dbus.map((service) => service.name)];
  // What is on the list starts at once; what is asked about may wait for minutes, and the world goes on.
  const inputs = tier > 2 && kind === "command" ? inputsOf(name, workspace, reader(workspace)) : [];
  const plan: CagePlan = { ...base, mounts: [...base.mounts, ...masks], ...(inputs.length === 0 ? {} : { inputs }) };
  const recheck = (): string | null =>
    JSON.stringify(look()) === JSON.stringify(secrets)
      ? null
      : "Passwords or keys came into the workspace, or left it, while this was asked about. Ask again.";
  return ok({
    tier,
    operation: "run",
    changesState: writes,
    object: {
      kind,
      name,
      label: { c: 1, k: ["files"], i: 0, p: [] },
      reserved: ruled?.rule === "command.noctem" || ruled?.rule === "path.noctem",
    },
    declassifiable: true,
    // What a program sends inside TLS nobody reads: it may be all that the conversation and the workspace hold.
    sink: reached.length === 0 ? null : { name: reached.join(", "), external: true, maxC: 0, listed: false },
    arguments: [
      { name: argument.name, role: "control", value: argument.value, required: tier > 2 ? 2 : 0 },
      ...hosts.map((host) => ({ name: "hosts", role: "control" as const, value: host, required: 2 as const })),
    ],
    ruled,
    effect: {
      kind: "process",
      plan,
      stdin,
      read: git.refused === null || !/\bgit\b/.test(name) ? ok : (out) => ok(`${out}(${git.refused})\n`),
      ...(tier > 2 ? { recheck } : {}),
    },
    resultLabel: { c: 1, k: hosts.length === 0 ? ["files"] : ["files", "web"], i: 0, p: [skill] },
  });
}

/** What is denied is not even planned. */
const networkOf = (asked: Asked | null): CageNetwork =>
  asked === null || asked.ruling.outcome === "deny" ? { kind: "none" } : { kind: "proxy", port: PROXY_PORT, reach: asked.reach };

const stricter = (command: AccessRequest["ruled"], host: Asked["ruling"]): AccessRequest["ruled"] =>
  command === null || (command.outcome !== "deny" && host.outcome === "deny") || (command.outcome === "allow" && host.outcome !== "allow")
    ? host
    : command;

/** Words of a command that are looked at, and bytes of a file that is bound. */
const MOST_WORDS = 200;
const MOST_INPUT = 16 << 20;
/** The files of the workspace that a command names, with their hashes: a script that is changed after the yes is another script. A word too many binds one file too many. */
function inputsOf(command: string, workspace: string, files: WorkspaceReader): NonNullable<CagePlan["inputs"]> {
  const words = command.split(/[\s'"`;|&<>()=]+/u).slice(0, MOST_WORDS);
  const names = new Set([
    ...words.map((word) => (word.startsWith(`${workspace}/`) ? word.slice(workspace.length + 1) : word).replace(/^(?:\.\/+)+/, "")),
    ...READ_BY_NAME,
  ]);
  return [...names].flatMap((path) => {
    if (!isPlainPath(path)) return [];
    const { kind, bytes } = files.look(path);
    if (kind !== "file" || bytes > MOST_INPUT) return [];
    const found = files.before(path);
    return found.kind === "file" ? [{ path, sha256: found.sha256 }] : [];
  });
}

const isPlainPath = (path: string): boolean =>
  path !== "" && !path.includes("\0") && path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
