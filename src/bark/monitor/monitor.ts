import type { CageLevel } from "../../lib/cage-level.ts";
import type { Clock } from "../../lib/ports.ts";
import type { Json } from "../../lib/canonical-json.ts";
import { Integrity, join, type Label } from "../../lib/label.ts";
import type { Result } from "../../lib/result.ts";
import type { PreparedCall } from "../call.ts";
import type { CageOutcome } from "../cage/types.ts";
import type { Executor } from "../execute.ts";
import type { NetworkReport } from "../proxy/types.ts";
import type { AccessRequest, BarkTier, Clearance, Decision, PlanDigest } from "../types.ts";
import type { GrantDesk, GrantOffer } from "../grants/desk.ts";
import { shellQuoted } from "../../lib/shell-quote.ts";
import { decide } from "./decide.ts";
import { endorse, type TypedLiteral } from "./endorse.ts";
import type { PermitDesk } from "./permit.ts";
import type { Blocked, CallStatus, Executed, Rehearsal, WorkspaceReport } from "../outcome.ts";

/** One call as it reaches the monitor: prepared by a skill, in the context that asked for it. */
export interface CallRequest {
  readonly skill: string;
  /** As they were parsed. */
  readonly args: Json;
  readonly prepared: PreparedCall;
  /** The join of everything in the window that led to the call. */
  readonly context: Label;
  /** What the person typed, for endorsing control arguments. */
  readonly said: readonly TypedLiteral[];
  /** Skills of the plan committed before anything untrusted was read. */
  readonly plan: readonly string[] | null;
  /** What the model says about the call. Shown apart, believed by nobody. */
  readonly remark: string | null;
  readonly signal: AbortSignal;
}

export interface CallReport {
  readonly status: CallStatus;
  /** For the model and for the person. */
  readonly text: string;
  /** Of `text`: the result's own, joined with the context's. */
  readonly label: Label;
  readonly decision: Decision;
  readonly blocked: readonly Blocked[];
  readonly executed: Executed | null;
}

/** What is written before and after. An entry that cannot be written is a call that does not happen. */
export interface AuditTrail {
  intent(entry: IntentEntry): Result<IntentRef, { readonly detail: string }>;
  outcome(ref: IntentRef, entry: OutcomeEntry): Result<void, { readonly detail: string }>;
  /** Who answered an `ask`, and what exactly they saw. */
  approval(
    ref: IntentRef,
    entry: {
      readonly answer: Answer;
      readonly digest: PlanDigest;
      readonly by: string;
      /** Milliseconds from the question to the answer; null where nobody was asked. */
      readonly waitedMs: number | null;
      /** The question, where it waited in the heart. */
      readonly question: string | null;
    },
  ): Result<void, { readonly detail: string }>;
  /** Best effort: it is also counted in the heart. */
  incident(kind: string, detail: string): void;
}
export interface IntentRef {
  readonly session: string;
  readonly seq: number;
}
export interface IntentEntry {
  readonly skill: string;
  readonly operation: AccessRequest["operation"] | "rehearse";
  readonly object: string;
  readonly label: Label;
  readonly decision: Decision;
  readonly policy: string;
  /** Digest of the exact effect. */
  readonly effect: PlanDigest;
  readonly args: Json;
}
export interface OutcomeEntry {
  readonly status: CallStatus;
  /** One sentence. */
  readonly detail: string;
  readonly output: string;
  readonly blocked: readonly Blocked[];
  /** What it asked of the network; null when it had none. */
  readonly network: NetworkReport | null;
  /** How its process was held, or what this host had when that was too little; null where no process was to run. */
  readonly cage: CageLevel | null;
  /** How it ran, and what became of the files; null where nothing ran or nothing was to change. */
  readonly ran: Pick<CageOutcome, "level" | "view" | "code" | "signal" | "stopped" | "wallMs"> | null;
  readonly changed: WorkspaceReport | null;
}

export type Answer = "allowed" | "denied" | "unanswered";

/** An answer with all that is known of it. */
export interface Reply {
  readonly answer: Answer;
  /** For the log: "console", "parent", a grant. */
  readonly by: string;
  /** Of a no, in the person's words, for the model; null without one. */
  readonly reason: string | null;
  /** The person wants the grant that was offered with the question. */
  readonly always: boolean;
  /** The question, where it waited in the heart; its answer is spent by now. */
  readonly question: string | null;
}

/** Puts an `ask` before the person. It never takes a yes from anywhere else. */
export interface ApprovalDesk {
  /** Who is asked, for the log: "console". */
  readonly who: string;
  /** `rehearse` only where the question says that it may be. A word alone where no more is known. */
  ask(question: ApprovalQuestion, signal: AbortSignal): Promise<Answer | "rehearse" | Reply>;
}
export interface ApprovalQuestion {
  readonly skill: string;
  readonly prepared: PreparedCall;
  readonly decision: Decision;
  readonly context: Label;
  readonly effect: PlanDigest;
  readonly policy: string;
  /** Where the call stands in the log. */
  readonly intent: IntentRef;
  readonly remark: string | null;
  readonly mayRehearse: boolean;
  /** The grant that a person may make of it; null where it may not be granted for good. */
  readonly offer: GrantOffer | null;
  /** What the last rehearsal of this question showed; null before one. */
  readonly rehearsal: Rehearsal | null;
}

/** Of one question: each is a run of its own, and a question is no place to live in. */
const MOST_REHEARSALS = 5;

/** Times that a call may lead to a next one. */
const MOST_STEPS = 5;

export interface MonitorPorts {
  readonly clearanceOf: (skill: string) => Clearance;
  /** The least that any call of this skill is: a parent may have raised it. */
  readonly tierOf: (skill: string) => BarkTier;
  readonly policy: string;
  readonly audit: AuditTrail;
  /** Null where nobody can be asked. */
  readonly approvals: ApprovalDesk | null;
  /** Standing permissions; none where there is no desk for them. */
  readonly grants?: GrantDesk;
  readonly permits: PermitDesk;
  readonly executor: Executor;
  readonly clock: Clock;
}

/**
 * The reference monitor: every call passes here, is judged, written down, perhaps asked about, and only then done. The model, the skills and
 * whoever wrote what they read stand on the other side of it.
 */
export class ReferenceMonitor {
  readonly #ports: MonitorPorts;

  constructor(ports: MonitorPorts) {
    this.#ports = ports;
  }

  /** What would be decided, with nothing written and nothing done. */
  judge(request: Omit<CallRequest, "signal" | "remark">): Decision {
    return decide(accessOf(request, this.#ports.clearanceOf(request.skill), this.#ports.tierOf(request.skill)));
  }

  /** A skill would not even prepare it, because it lies beyond where any skill reaches. Nothing is done; but somebody tried, and it is written down. */
  reachedOutside(skill: string, detail: string): void {
    this.#ports.audit.incident("bark.outside", `${skill}: ${detail}`);
  }

  /** A call and what it leads to: each step of the way is a call of its own, judged, written down, asked about and permitted like the first. */
  async call(request: CallRequest): Promise<CallReport> {
    let step = request;
    for (let left = MOST_STEPS; ; left--) {
      const report = await this.#step(step);
      const next = report.executed === null ? null : (step.prepared.follow?.(report.executed) ?? null);
      if (next === null) return report;
      if (!next.ok) return { ...report, status: "denied", text: `${report.text}\n${next.error.detail}` };
      if (left === 0)
        return { ...report, status: "failed", text: `${report.text}\nThat is once too often: ${MOST_STEPS} times are followed.` };
      // Where it leads was said by what has just been read, which is in the context of the next step by that.
      step = { ...step, ...next.value, context: report.label };
    }
  }

  async #step(request: CallRequest): Promise<CallReport> {
    const { audit, policy, executor, permits } = this.#ports;
    const { skill, prepared, context, args } = request;
    const decision = this.judge(request);
    const effect = permits.digest(executor.describe(prepared.effect));
    const { operation, object } = prepared;
    const intent = audit.intent({ skill, operation, object: object.name, label: context, decision, policy, effect, args });
    if (!intent.ok)
      return refusal(request, decision, "denied", `Nothing was done, because it could not be written to the log: ${intent.error.detail}`);
    const close = (report: CallReport): CallReport => this.#close(intent.value, report);
    if (decision.incident) audit.incident(`bark.${decision.rule}`, `${skill}: ${decision.reason}`);
    if (decision.outcome === "deny") return close(refusal(request, decision, "denied", decision.reason));
    if (decision.outcome === "ask") {
      const asked = this.#ports.clock.monotonic();
      const granted = this.#ports.grants?.use({ skill, args, prepared, decision, context }) ?? null;
      const reply = granted ?? (await this.#ask(request, decision, effect, intent.value));
      const { answer, by, reason, question } = reply;
      const waitedMs = granted !== null || this.#ports.approvals === null ? null : Math.round(this.#ports.clock.monotonic() - asked);
      const noted = audit.approval(intent.value, { answer, digest: effect, by, waitedMs, question });
      if (!noted.ok)
        return refusal(
          request,
          decision,
          "denied",
          `Nothing was done, because the answer could not be written to the log: ${noted.error.detail}`,
        );
      if (answer === "denied")
        return close(
          refusal(request, decision, "denied", `${decision.reason} ${reason === null ? "You said no." : `The answer was no: ${reason}`}`),
        );
      if (answer === "unanswered") return close(this.#unanswered(request, decision, reason));
      if (reply.always) this.#ports.grants?.make({ skill, args, prepared, decision, context }, by);
    }
    // Minted after the answer and spent at once: what was shown is what is done.
    const permit = permits.mint(executor.describe(prepared.effect), this.#ports.clock.now());
    if (permit.digest !== effect) return close(refusal(request, decision, "denied", "What was to be done changed while it was judged."));
    const executed = await executor.execute(permit, prepared, join(prepared.resultLabel, context), request.signal);
    return close({
      status: executed.status,
      text: executed.text,
      label: join(prepared.resultLabel, context),
      decision,
      blocked: executed.blocked,
      executed,
    });
  }

  /** Names what would have allowed it, for whoever runs this from a script. */
  #unanswered(request: CallRequest, decision: Decision, reason: string | null): CallReport {
    const { skill, args, prepared, context } = request;
    const offer = this.#ports.grants?.offer({ skill, args, prepared, decision, context }) ?? null;
    const report = refusal(request, decision, "unanswered", `${decision.reason} ${reason ?? "Nobody answered, which is a no."}`);
    if (offer === null) return report;
    const instead = `This would allow it: --allow ${shellQuoted(offer.pattern)}`;
    return { ...report, blocked: report.blocked.map((blocked) => ({ ...blocked, instead })) };
  }

  async #ask(request: CallRequest, decision: Decision, effect: PlanDigest, intent: IntentRef): Promise<Reply> {
    const { approvals, grants, policy } = this.#ports;
    const bare = (answer: Answer, by: string): Reply => ({ answer, by, reason: null, always: false, question: null });
    if (approvals === null) return bare("unanswered", "nobody");
    const { skill, args, prepared, context, remark, signal } = request;
    const offer = grants?.offer({ skill, args, prepared, decision, context }) ?? null;
    let rehearsal: Rehearsal | null = null;
    for (let left = MOST_REHEARSALS; ; left--) {
      // Without a workspace there is nothing that a rehearsal could show.
      const mayRehearse = left > 0 && prepared.effect.kind === "process" && prepared.effect.plan.workspace !== null;
      const question = { skill, prepared, decision, context, effect, policy, intent, remark, mayRehearse, offer, rehearsal };
      const answer = await approvals.ask(question, signal);
      if (answer !== "rehearse") return typeof answer === "string" ? bare(answer, approvals.who) : answer;
      // A desk that says so where it may not has no answer.
      if (!mayRehearse) return bare("unanswered", approvals.who);
      rehearsal = await this.#rehearse(request, decision);
    }
  }

  /** A run of its own: written down like any other, by a permit for exactly this. Nobody approved it, and nothing of it is kept. */
  async #rehearse({ skill, prepared, context, args, signal }: CallRequest, decision: Decision): Promise<Rehearsal> {
    const { audit, policy, executor, permits, clock } = this.#ports;
    const rehearsed = executor.rehearsed(prepared.effect);
    const effect = permits.digest(executor.describe(rehearsed));
    const intent = audit.intent({
      skill,
      operation: "rehearse",
      object: prepared.object.name,
      label: context,
      decision,
      policy,
      effect,
      args,
    });
    if (!intent.ok) return { status: "failed", cage: null, lines: [`It could not be written to the log: ${intent.error.detail}`] };
    const seen = await executor.rehearse(permits.mint(executor.describe(rehearsed), clock.now()), rehearsed, signal);
    const written = audit.outcome(intent.value, {
      status: seen.status,
      detail: "",
      output: seen.lines.join("\n"),
      blocked: [],
      network: null,
      cage: seen.cage,
      ran: null,
      changed: null,
    });
    return written.ok ? seen : { ...seen, lines: [...seen.lines, `(This could not be written to the log: ${written.error.detail})`] };
  }

  /** The effect is there by now; what cannot be written about it is said. */
  #close(ref: IntentRef, report: CallReport): CallReport {
    const { status, text, blocked } = report;
    const detail = blocked[0]?.reason ?? "";
    const ran = report.executed?.cage ?? null;
    const changed = report.executed?.workspace ?? null;
    const written = this.#ports.audit.outcome(ref, {
      status,
      detail,
      output: text,
      blocked,
      network: ran?.network ?? null,
      cage: report.executed?.level ?? null,
      ran,
      changed,
    });
    for (const { rule, reason } of report.executed?.incidents ?? []) this.#ports.audit.incident(`bark.${rule}`, reason);
    if (written.ok) return report;
    return { ...report, text: `${text}\n(How this ended could not be written to the log: ${written.error.detail})` };
  }
}

/** Everything that enters the decision. */
export function accessOf(request: Omit<CallRequest, "signal" | "remark">, clearance: Clearance, least: BarkTier): AccessRequest {
  const { skill, prepared, context, plan, said } = request;
  const untrusted = context.i === Integrity.UNTRUSTED ? (prepared.tierUntrusted ?? 0) : 0;
  const tier = Math.max(prepared.tier, least, untrusted) as BarkTier;
  const { operation, changesState, object, declassifiable, sink, ruled } = prepared;
  const args = prepared.arguments.map((argument) => endorse({ ...argument, label: context }, literalsFor(argument.name), said));
  return { skill, tier, operation, changesState, context, clearance, object, declassifiable, sink, arguments: args, plan, ruled };
}

/** What kind of thing a person types to name such an argument. */
function literalsFor(argument: string): readonly TypedLiteral["type"][] {
  switch (argument) {
    case "path":
    case "to":
      return ["path", "quoted", "word"];
    case "url":
      return ["url", "quoted"];
    case "command":
    case "code":
      return ["quoted"];
    default:
      return ["quoted", "word", "number"];
  }
}

function refusal(request: CallRequest, decision: Decision, status: CallStatus, reason: string): CallReport {
  const { skill, prepared, context } = request;
  const instead = decision.outcome === "ask" ? `Approve it: noctem bark run ${skill} asks on the terminal.` : null;
  return {
    status,
    text: `${skill} was not done. ${reason}`,
    // A refusal says nothing that the context does not know.
    label: context,
    decision,
    blocked: [{ what: prepared.object.name, rule: decision.rule, reason, instead }],
    executed: null,
  };
}
