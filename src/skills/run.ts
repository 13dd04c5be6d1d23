import * as v from "valibot";
import { err, ok, type Result } from "../lib/result.ts";
import type { PreparedCall, SkillRefusal } from "../bark/call.ts";
import { commandPlan } from "../bark/cage/plan.ts";
import type { CagePlan, Mount } from "../bark/cage/types.ts";
import { gitWouldRun } from "../bark/policy/git-settings.ts";
import { type CommandRuling, judgeCommand, judgePath } from "../bark/policy/judge.ts";
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

const CommandSchema = v.strictObject({ command: v.pipe(v.string(), v.minLength(1), v.maxLength(8000)) });
const CodeSchema = v.strictObject({
  language: v.picklist(["bash", "python3", "node", "bun"]),
  code: v.pipe(v.string(), v.minLength(1), v.maxLength(200_000)),
});

/** A command line: unasked where every part of it is on the list, and then with a workspace that it can only read. */
export function shell(deps: RunDeps): Skill<typeof CommandSchema> {
  return {
    name: "shell",
    description: "Runs a command line in a cage: the workspace, no network, nothing else of this computer.",
    arguments: CommandSchema,
    tier: 2,
    prepare({ command }, { workspace }) {
      const { rule, outcome, reason, tier } = judged(deps, command, workspace);
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
    description: "Runs a program in bash, python3, node or bun, where this computer has them, in a cage.",
    arguments: CodeSchema,
    tier: 3,
    prepare({ language, code }, { workspace }) {
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
}

function running({ policy, reader, env }: RunDeps, call: Running): Result<PreparedCall, SkillRefusal> {
  const { skill, kind, name, tier, argv, workspace, writes, stdin, ruled, argument } = call;
  const secrets = reader(workspace).secrets((path) => judgePath(policy, "read", path).outcome !== "allow");
  if (secrets === null)
    return err({
      kind: "too-large",
      detail: `There is too much in ${short(workspace)} to look for passwords and keys that a command must not read. Use a smaller workspace.`,
    });
  const limits = policy.skills[skill]?.limits;
  if (limits === undefined) return err({ kind: "unavailable", detail: `The policy has no limits for ${skill}.` });
  const masks = secrets.map(({ path, folder }): Mount => ({ kind: "mask", to: path, folder }));
  const git = reader(workspace).git();
  const base = commandPlan({ profile: skill, tier, argv, workspace, writes, network: { kind: "none" }, limits, env, git });
  const plan: CagePlan = { ...base, mounts: [...base.mounts, ...masks] };
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
    sink: null,
    arguments: [{ name: argument.name, role: "control", value: argument.value, required: tier > 2 ? 2 : 0 }],
    ruled,
    effect: {
      kind: "process",
      plan,
      stdin,
      read: git.refused === null || !/\bgit\b/.test(name) ? (out) => out : (out) => `${out}(${git.refused})\n`,
    },
    resultLabel: { c: 1, k: ["files"], i: 0, p: [skill] },
  });
}
