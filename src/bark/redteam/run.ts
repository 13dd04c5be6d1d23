import { ok } from "../../lib/result.ts";
import type { Label } from "../../lib/label.ts";
import type { PreparedCall } from "../call.ts";
import { commandPlan } from "../cage/plan.ts";
import type { Limits, Mount } from "../cage/types.ts";
import type { ReferenceMonitor } from "../monitor/monitor.ts";
import { judgePath } from "../policy/judge.ts";
import type { Policy } from "../policy/schema.ts";
import type { Attack, AttackResult } from "./types.ts";

/** Where attacks happen; implemented by the platform. */
export interface AttackStage {
  readonly workspace: string;
  variables(): Readonly<Record<string, string>>;
  set(attack: Attack): void;
  /** What it came to on the host; null when nothing. */
  harm(printed: string): Promise<string | null>;
}

export interface AttackDeps {
  readonly monitor: ReferenceMonitor;
  readonly policy: Policy;
  readonly stage: AttackStage;
  readonly program: (name: string) => string | null;
  /** Of the workspace, as the skills that run programs mask it. */
  readonly secrets: (isSecret: (path: string) => boolean) => readonly { readonly path: string; readonly folder: boolean }[] | null;
  readonly signal: AbortSignal;
}

/** Small, so that what is endless ends soon; below what a skill gets, so nothing holds here that would not hold there. */
const LIMITS: Limits = {
  wallMs: 10_000,
  cpuSeconds: 10,
  memoryBytes: 256 << 20,
  processes: 60,
  outputBytes: 1 << 20,
  openFiles: 256,
  fileBytes: 32 << 20,
  diskBytes: 64 << 20,
};
const SOON = 3_000;
const NOBODY: Label = { c: 0, k: [], i: 3, p: [] };

/**
 * One attack through the whole path of a call: judged, logged, caged, its difference judged. It runs as an approved program would, with a view that
 * it may write, because that is the most that a program ever gets.
 */
export async function attackOnce(attack: Attack, deps: AttackDeps): Promise<AttackResult> {
  const { id, group, language, script } = attack;
  const { monitor, policy, stage, signal } = deps;
  const program = deps.program(language);
  if (program === null) return { id, group, result: "skipped", reason: `this computer has no ${language}` };
  stage.set(attack);
  const { workspace } = stage;
  const secrets = deps.secrets((path) => judgePath(policy, "read", path).outcome !== "allow") ?? [];
  const masks = secrets.map(({ path, folder }): Mount => ({ kind: "mask", to: path, folder }));
  const limits = group === "resources" ? { ...LIMITS, wallMs: SOON } : LIMITS;
  const base = commandPlan({
    profile: "attack",
    tier: 2,
    argv: [program, "-c", script],
    workspace,
    writes: true,
    network: { kind: "none" },
    limits,
    env: stage.variables(),
  });
  const prepared: PreparedCall = {
    tier: 2,
    operation: "run",
    changesState: true,
    object: { kind: "code", name: id, label: { c: 1, k: [], i: 0, p: [] }, reserved: false },
    declassifiable: false,
    sink: null,
    arguments: [],
    ruled: null,
    effect: { kind: "process", plan: { ...base, mounts: [...base.mounts, ...masks] }, stdin: null, read: ok },
    resultLabel: { c: 1, k: [], i: 0, p: [] },
  };
  const report = await monitor.call({
    skill: "attack",
    args: { id },
    prepared,
    context: NOBODY,
    said: [],
    plan: null,
    remark: null,
    signal,
  });
  if (report.executed === null || report.executed.cage === null) return { id, group, result: "skipped", reason: report.text };
  const printed = report.text;
  const harm = await stage.harm(printed);
  if (harm !== null) return { id, group, result: "open", reason: harm };
  if (attack.mayBeAbsent === true && /^ABSENT$/m.test(printed)) return { id, group, result: "simulated", reason: "not on this processor" };
  const { stopped } = report.executed.cage;
  return { id, group, result: "held", reason: stopped === null ? "nothing changed" : `stopped: ${stopped}` };
}
