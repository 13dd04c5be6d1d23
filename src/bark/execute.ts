import type { Json } from "../lib/canonical-json.ts";
import type { Label } from "../lib/label.ts";
import type { Result } from "../lib/result.ts";
import type { Effect, PreparedCall, SkillRefusal } from "./call.ts";
import { describeRun } from "./cage/describe.ts";
import type { Cage, CageError, CageLevel, CageOutcome, CagePlan, RunView } from "./cage/types.ts";
import { refusedOf } from "./proxy/report.ts";
import type { PermitDesk } from "./monitor/permit.ts";
import type { Permit } from "./types.ts";
import { type Change, type JudgedChange, shownPath } from "./workspace/types.ts";
import type { Clock } from "../lib/ports.ts";
import type { Blocked, CallStatus, Executed, Rehearsal, WorkspaceReport } from "./outcome.ts";

/** Applies changes to a workspace: judged, journalled, and so that they can be taken back. */
export interface WorkspaceWriter {
  /** Changes that a call names itself, such as an edit. The person saw their diff. */
  apply(permit: Permit, workspace: string, changes: readonly Change[]): Promise<WorkspaceReport>;
  /** What a program left in the upper layer of a view. */
  applyView(view: RunView): Promise<WorkspaceReport>;
  /** The same difference judged and shown, as at most `lines` lines of a diff; nothing is written. */
  previewView(view: RunView, lines: number): readonly string[];
}

export interface Executor {
  /** The effect as it enters the digest of a permit: nothing that matters may be missing. */
  describe(effect: Effect): Json;
  execute(permit: Permit, prepared: PreparedCall, label: Label, signal: AbortSignal): Promise<Executed>;
  /** The effect as it is rehearsed: without a network, and never mistaken for the thing itself. */
  rehearsed(effect: Effect): Effect;
  rehearse(permit: Permit, effect: Effect, signal: AbortSignal): Promise<Rehearsal>;
}

export interface ExecutorPorts {
  readonly permits: PermitDesk;
  readonly cage: Cage;
  readonly writer: WorkspaceWriter;
  readonly clock: Clock;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly workspace: string;
}

/** The one place where a skill's effect happens. Every branch spends the permit before it does anything. */
export function executor(ports: ExecutorPorts): Executor {
  const describe = (effect: Effect): Json => describeEffect(effect, ports);
  const spend = (permit: Permit, effect: Effect): Executed | null => {
    const fault = ports.permits.spend(permit, describe(effect), ports.clock.now());
    return fault === null ? null : failed("denied", `The permit for this is ${FAULTS[fault]}.`);
  };
  return {
    describe,
    async execute(permit, { effect }, label, signal) {
      switch (effect.kind) {
        case "process":
          return await runProcess(ports, permit, effect, signal);
        case "changes": {
          const fault = spend(permit, effect);
          if (fault !== null) return fault;
          return ofWorkspace(await ports.writer.apply(permit, ports.workspace, effect.changes), effect.answer);
        }
        case "store": {
          const fault = spend(permit, effect);
          if (fault !== null) return fault;
          const written = effect.write(label);
          return written.ok ? done(written.value) : failed("failed", written.error.detail);
        }
        case "answer": {
          const fault = spend(permit, effect);
          if (fault !== null) return fault;
          const answer = await effect.read();
          return answer.ok ? done(answer.value) : failed("failed", answer.error.detail);
        }
      }
    },
    rehearsed: (effect) => (effect.kind === "process" ? { ...effect, plan: rehearsalPlan(effect.plan) } : effect),
    rehearse: async (permit, effect, signal) =>
      effect.kind === "process"
        ? await rehearse(ports, permit, effect, signal)
        : { status: "failed", cage: null, lines: ["Only a program can be rehearsed."] },
  };
}

/** Its profile's name is another, so that a permit for a rehearsal is none for the run. */
const rehearsalPlan = (plan: CagePlan): CagePlan => ({
  ...plan,
  profile: `${plan.profile}:rehearsal`,
  network: { kind: "none" },
  dbus: [],
});

/** Lines of a rehearsal: of the diff, and of what the program printed. */
const MOST_DIFF = 150;
const MOST_PRINTED = 40;

async function rehearse(ports: ExecutorPorts, permit: Permit, effect: ProcessEffect, signal: AbortSignal): Promise<Rehearsal> {
  let diff: readonly string[] = [];
  const ran = await ports.cage.run(permit, effect.plan, {
    stdin: effect.stdin,
    signal,
    onView: (view) => {
      diff = ports.writer.previewView(view, MOST_DIFF);
      return Promise.resolve();
    },
  });
  if (!ran.ok) {
    const detail = ran.error.kind === "no-permit" ? ran.error.fault : ran.error.detail;
    return {
      status: ran.error.kind === "no-cage" ? "no-cage" : "failed",
      cage: levelOf(ran.error),
      lines: [`It could not be rehearsed: ${detail}`],
    };
  }
  const printed = processText(ran.value, effect.read(textOf(ran.value.stdout)))
    .replace(/\n$/u, "")
    .split("\n");
  const more = printed.length - MOST_PRINTED;
  return {
    status: ran.value.code === 0 ? "done" : "failed",
    cage: ran.value.level,
    lines: [
      ...(printed.join("") === ""
        ? ["It printed nothing."]
        : ["It printed:", ...printed.slice(0, MOST_PRINTED).map((line) => `  ${line}`)]),
      ...(more > 0 ? [`  (and ${more} more lines, which are not shown)`] : []),
      ...(diff.length === 0 ? ["It changed nothing."] : ["It would change:", ...diff.map((line) => `  ${line}`)]),
    ],
  };
}

const levelOf = (error: CageError): CageLevel | null => (error.kind === "no-cage" ? error.level : null);

const FAULTS = {
  unknown: "none of this monitor's",
  spent: "spent already",
  expired: "too old",
  "other-plan": "for something else",
} as const;

type ProcessEffect = Extract<Effect, { kind: "process" }>;

/** The cage spends the permit itself, on the plan and the input that it is about to run (`describeRun`). */
async function runProcess(ports: ExecutorPorts, permit: Permit, effect: ProcessEffect, signal: AbortSignal): Promise<Executed> {
  const changed = effect.recheck?.() ?? null;
  if (changed !== null) return failed("denied", changed);
  let workspace: WorkspaceReport | null = null;
  const ran = await ports.cage.run(permit, effect.plan, {
    stdin: effect.stdin,
    signal,
    onView: async (view) => void (workspace = await ports.writer.applyView(view)),
  });
  if (!ran.ok) {
    switch (ran.error.kind) {
      case "no-permit":
        return failed("denied", `The permit for this is ${ran.error.fault}.`);
      case "no-cage":
        return { ...failed("no-cage", `${ran.error.detail} ${ran.error.fix}`), level: levelOf(ran.error) };
      case "refused":
        return failed("denied", ran.error.detail);
      case "failed":
        return failed("failed", ran.error.detail);
    }
  }
  const { value } = ran;
  const read = effect.read(textOf(value.stdout));
  const text = processText(value, read);
  const ended = value.stopped === null && value.code === 0 && read.ok;
  const { blocked, incidents } = workspace === null ? NOTHING : ofReport(workspace);
  const unreached = refusedOf(value.network);
  return {
    status: ended ? "done" : "failed",
    text,
    blocked: [...blocked, ...unreached],
    incidents,
    cage: value,
    level: value.level,
    workspace,
  };
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function processText({ stderr, code, signal, stopped }: CageOutcome, read: Result<string, SkillRefusal>): string {
  // What was stopped had no time to say what its answer is.
  const answer = read.ok ? read.value : stopped === null ? read.error.detail : "";
  const said = [answer, textOf(stderr)].filter((part) => part.trim() !== "");
  if (stopped !== null) said.push(`(${STOPPED[stopped]})`);
  else if (signal !== null) said.push(`(It was ended by ${signal}.)`);
  else if (code !== 0) said.push(`(It ended with code ${code}.)`);
  return said.join("\n");
}

const STOPPED = {
  time: "It was stopped: it took longer than it may.",
  memory: "It was stopped: it used more memory than it may.",
  processes: "It was stopped: it made more processes than it may.",
  output: "It was stopped: it printed more than it may.",
  disk: "It was stopped: it wrote more than it may.",
  cancelled: "It was cancelled.",
} as const;

function ofWorkspace(report: WorkspaceReport, answer: string): Executed {
  const { blocked, incidents } = ofReport(report);
  const whole = report.refused.length === 0 && report.conflicts.length === 0 && report.pending.length === 0;
  const text = whole ? answer : blocked.map(({ what, reason }) => `${what}: ${reason}`).join("\n");
  return { status: whole ? "done" : "failed", text, blocked, incidents, cage: null, level: null, workspace: report };
}

function ofReport({ leftOut, pending, waiting, refused, conflicts }: WorkspaceReport): Pick<Executed, "blocked" | "incidents"> {
  const of = ({ change, rule, reason }: JudgedChange, instead: string | null): Blocked => ({
    what: shownPath(change),
    rule,
    reason,
    instead,
  });
  return {
    blocked: [
      ...refused.map((judged) => of(judged, null)),
      ...pending.map((judged) => of(judged, waiting === null ? null : `It waits for you: noctem bark pending show ${waiting}`)),
      ...conflicts.map((what) => ({
        what,
        rule: "conflict",
        reason: "It changed on this computer while the call ran, and was left as it is.",
        instead: "Run it again.",
      })),
      ...leftOut.map((judged) => of(judged, "It was left out; the rest was written.")),
    ],
    incidents: refused
      .filter(({ incident }) => incident)
      .map(({ change, rule, reason }) => ({ rule, reason: `${shownPath(change)}: ${reason}` })),
  };
}

const NOTHING: Pick<Executed, "blocked" | "incidents"> = { blocked: [], incidents: [] };
const done = (text: string): Executed => ({ status: "done", text, ...NOTHING, cage: null, level: null, workspace: null });
const failed = (status: CallStatus, text: string): Executed => ({ status, text, ...NOTHING, cage: null, level: null, workspace: null });

/** Paths are those of a workspace, and the same names lie in another: a question that waited in the heart may be asked anew elsewhere. */
function describeEffect(effect: Effect, { sha256, workspace }: Pick<ExecutorPorts, "sha256" | "workspace">): Json {
  const hash = (text: string): string => sha256(new TextEncoder().encode(text)).toHex();
  switch (effect.kind) {
    case "process":
      return describeRun(effect.plan, effect.stdin, sha256);
    case "changes":
      // With the diff: it is what the person saw.
      return { kind: "changes", workspace, changes: effect.changes as unknown as Json, diff: hash(effect.diff) };
    case "store":
      return { kind: "store", text: hash(effect.text) };
    case "answer":
      return { kind: "answer", workspace, skill: effect.of.skill, asked: effect.of.asked };
  }
}
