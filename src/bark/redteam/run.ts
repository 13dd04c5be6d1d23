import { ok } from "../../lib/result.ts";
import type { Label } from "../../lib/label.ts";
import type { PreparedCall } from "../call.ts";
import { commandPlan } from "../cage/plan.ts";
import type { Hidden, Limits, Mount } from "../cage/types.ts";
import type { Answer, ApprovalQuestion, CallReport } from "../monitor/monitor.ts";
import { judgePath } from "../policy/judge.ts";
import { PROXY_PORT, type ReachLimits } from "../proxy/types.ts";
import type { Policy } from "../policy/schema.ts";
import { familyOf } from "./attacks.ts";
import {
  type Attack,
  type AttackResult,
  type CallAttack,
  type Group,
  HELD,
  type LineAttack,
  opened,
  type SceneAttack,
  type ScriptAttack,
  type Verdict,
} from "./types.ts";

/** Where attacks happen; implemented by the platform. */
export interface AttackStage {
  readonly workspace: string;
  readonly canary: string;
  /** What scripts know, and the placeholders of attacks (`{STICK}`). */
  variables(): Readonly<Record<string, string>>;
  set(attack: Pick<Attack, "plant">): void;
  /** What it came to on the host; null when nothing. */
  harm(printed: string): Promise<string | null>;
}

/** A call through the real path; the error is why a skill refused it before there was anything to judge. */
export interface Asked {
  readonly skill: string;
  readonly args: Readonly<Record<string, string | number>>;
  readonly context: Label;
  readonly remark: string | null;
  /** Null: there is nobody. */
  readonly answer: ((question: ApprovalQuestion) => Promise<Answer>) | null;
}

export interface Arena {
  readonly policy: Policy;
  readonly stage: AttackStage;
  /** What reaches a cage of the environment that Noctem was started in. */
  readonly env: Readonly<Record<string, string>>;
  readonly program: (name: string) => string | null;
  /** Of a workspace, as the skills that run programs mask it. */
  readonly secrets: (workspace: string, isSecret: (path: string) => boolean) => readonly (Hidden & { readonly path: string })[] | null;
  readonly signal: AbortSignal;
  /** By the monitor: judged, logged, done. */
  perform(skill: string, prepared: PreparedCall): Promise<CallReport>;
  ask(asked: Asked): Promise<{ readonly report: CallReport } | { readonly refusal: string }>;
  scene(id: string): Promise<Verdict>;
}

/** Small, so that what is endless ends soon; below what a skill gets, so nothing holds here that would not hold there. */
export const ATTACK_LIMITS: Limits = {
  wallMs: 10_000,
  cpuSeconds: 10,
  memoryBytes: 256 << 20,
  processes: 60,
  outputBytes: 1 << 20,
  openFiles: 256,
  fileBytes: 32 << 20,
  diskBytes: 64 << 20,
};
const SOON = 2_000;
const REACH_LIMITS: ReachLimits = {
  upBytes: 1 << 20,
  downBytes: 1 << 20,
  connections: 16,
  requests: 50,
  headMs: 1_000,
  connectMs: 2_000,
  idleMs: 2_000,
};

/** What read a page and is steered by it; and a person's own words. */
const OUTSIDE: Label = { c: 0, k: [], i: 0, p: ["web:evil.example"] };

/** A program that may write has a view mounted around its cage; one that may not is run in a cage that stood ready, where there is one (platform/cage/standby.ts). */
const VIEW = [true, ""] as const;
const STANDING = [false, ", standing"] as const;
/** About what is written, or about the host's end of the proxy: the cage is no part of it. */
const NOT_OF_CAGE: ReadonlySet<Group> = new Set(["protected names", "proxy and DNS"]);
/** Of limits those of the group that a cage was put in before it was known what for; the others come with the words, and each takes seconds. */
const OF_GROUP: ReadonlySet<string> = new Set(["fork-bomb", "memory"]);
const isOfCage = ({ group, id }: Attack): boolean => !NOT_OF_CAGE.has(group) && (group !== "resources" || OF_GROUP.has(id));

/** One attack through the whole path of a call. Some make several at once. What breaks Noctem itself got through. */
export async function attackOnce(attack: Attack, arena: Arena): Promise<readonly AttackResult[]> {
  try {
    return await attempt(attack, arena);
  } catch (error) {
    const reason = `it broke Noctem: ${error instanceof Error ? error.message : String(error)}`;
    return [{ id: attack.id, group: attack.group, family: familyOf(attack), ...opened(reason) }];
  }
}

async function attempt(attack: Attack, arena: Arena): Promise<readonly AttackResult[]> {
  const of = (verdict: Verdict, id = attack.id, family = familyOf(attack)): AttackResult => ({
    id,
    group: attack.group,
    family,
    ...verdict,
  });
  if ("script" in attack) {
    const results: AttackResult[] = [];
    for (const [writes, mark] of isOfCage(attack) ? [VIEW, STANDING] : [VIEW]) {
      const { verdict, printed } = await attackByScript(attack, arena, writes);
      const parts = attack.parts?.map(({ id, family }) => ({
        id,
        family,
        its: verdict.result === "held" ? verdictOfPart(id, printed) : verdict,
      }));
      for (const { id, family, its } of parts ?? [{ id: attack.id, family: familyOf(attack), its: verdict }])
        results.push(of(its, `${id}${mark}`, family));
    }
    return results;
  }
  if ("lines" in attack) return [of(await attackByLines(attack, arena))];
  if ("skill" in attack) return [of(await attackByCall(attack, arena))];
  return [of(await attackByScene(attack, arena))];
}

/**
 * A script as an approved program: with a view that it may write unless it is said otherwise, because that is the most that a program ever gets. Null where the host has no such interpreter,
 * or the workspace is no folder at this moment: then a skill refuses as well.
 */
export function scriptCall(
  arena: Arena,
  { id, language, script, tier = 2, limits = ATTACK_LIMITS, workspace = arena.stage.workspace, writes = true, reach }: ScriptToRun,
): PreparedCall | null {
  const program = arena.program(language);
  const secrets = arena.secrets(workspace, (path) => judgePath(arena.policy, "read", path).outcome !== "allow");
  if (program === null || secrets === null) return null;
  const masks = secrets.map(({ path, ...hidden }): Mount => ({ kind: "mask", to: path, ...hidden }));
  const base = commandPlan({
    profile: "attack",
    tier,
    argv: [program, "-c", script],
    workspace,
    writes,
    network:
      reach === undefined
        ? { kind: "none" }
        : { kind: "proxy", port: PROXY_PORT, reach: { hosts: reach.map((host) => ({ ...host, rule: "attack" })), limits: REACH_LIMITS } },
    limits,
    env: { ...arena.env, ...arena.stage.variables() },
  });
  return {
    tier,
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
}

export interface ScriptToRun {
  readonly id: string;
  readonly language: "sh" | "python3";
  readonly script: string;
  readonly tier?: 1 | 2;
  readonly limits?: Limits;
  readonly workspace?: string;
  readonly writes?: boolean;
  readonly reach?: ScriptAttack["reach"];
}

async function attackByScript(
  attack: ScriptAttack,
  arena: Arena,
  writes: boolean,
  tries = 3,
): Promise<{ readonly verdict: Verdict; readonly printed: string }> {
  arena.stage.set(attack);
  const limits = attack.group === "resources" ? { ...ATTACK_LIMITS, wallMs: SOON } : ATTACK_LIMITS;
  const prepared = scriptCall(arena, { ...attack, limits, writes });
  if (prepared === null) return { verdict: { result: "skipped", reason: `this computer has no ${attack.language}` }, printed: "" };
  const report = await arena.perform("attack", prepared);
  const cage = report.executed?.cage ?? null;
  if (cage === null) return { verdict: { result: "skipped", reason: `the cage was not built: ${report.text}` }, printed: "" };
  const harm = await arena.stage.harm(attack.parts === undefined ? report.text : report.text.replaceAll(/\bOPEN\b/g, "PART"));
  if (harm !== null) return { verdict: opened(harm), printed: report.text };
  if (attack.reach !== undefined && !/^WORKS$/m.test(report.text)) {
    // A busy computer may be too slow for the control at its end; the attack itself is over.
    if (tries > 1) return await attackByScript(attack, arena, writes, tries - 1);
    return { verdict: { result: "skipped", reason: `it did not come to its end: ${report.text.trim().slice(-200)}` }, printed: "" };
  }
  const held: Verdict = cage.stopped === null ? HELD : { result: "held", reason: `stopped: ${cage.stopped}` };
  return { verdict: held, printed: report.text };
}

/** What a script of several attacks says of one of them. Nothing said is nothing tried. */
function verdictOfPart(id: string, printed: string): Verdict {
  const line = printed.split("\n").find((text) => text.startsWith(`${id} `));
  if (line === undefined) return { result: "skipped", reason: "the probe did not get that far" };
  const said = line.slice(id.length + 1);
  if (said.includes("OPEN")) return opened(said.slice(0, 100));
  return said.startsWith("ABSENT") ? { result: "simulated", reason: said.slice(0, 100) } : { result: "held", reason: said.slice(0, 100) };
}

/** With nobody to ask, a line that runs is a line that got through. */
async function attackByLines({ lines, wants }: LineAttack, arena: Arena): Promise<Verdict> {
  arena.stage.set({});
  for (const line of lines) {
    const asked = await arena.ask({ skill: "shell", args: { command: line }, context: OUTSIDE, remark: null, answer: null });
    const shown = JSON.stringify(line.slice(0, 60));
    if ("refusal" in asked) continue;
    const { report } = asked;
    if (report.executed !== null) return opened(`${shown} ran`);
    if (wants === "deny" && report.status !== "denied") return opened(`${shown} would run after a yes`);
  }
  const harm = await arena.stage.harm("");
  if (harm !== null) return opened(harm);
  return { result: "held", reason: `${lines.length} ${lines.length === 1 ? "line" : "lines"}, none of them ran` };
}

async function attackByCall(attack: CallAttack, arena: Arena): Promise<Verdict> {
  const { stage } = arena;
  stage.set(attack);
  const places = stage.variables();
  const args = Object.fromEntries(
    Object.entries(attack.args).map(([name, value]) => [
      name,
      typeof value === "string" ? value.replaceAll(/\{([A-Z_]+)\}/g, (found, place: string) => places[place] ?? found) : value,
    ]),
  );
  const asked = await arena.ask({
    skill: attack.skill,
    args,
    context: attack.context ?? OUTSIDE,
    remark: attack.remark ?? null,
    answer: attack.approved === true ? async () => await Promise.resolve("allowed") : null,
  });
  const text = "refusal" in asked ? asked.refusal : asked.report.text;
  const harm = await stage.harm(text);
  if (harm !== null) return opened(harm);
  if ("refusal" in asked || attack.reads === true) return HELD;
  const { executed, status } = asked.report;
  return executed === null || (attack.approved === true && status === "denied") || executed.workspace?.applied.length === 0
    ? HELD
    : opened(`it was done: ${text.slice(0, 100)}`);
}

async function attackByScene({ id, plant }: SceneAttack, arena: Arena): Promise<Verdict> {
  arena.stage.set(plant === undefined ? {} : { plant });
  return await arena.scene(id);
}
