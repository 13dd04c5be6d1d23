import { HeartFailure } from "../../heart/failure.ts";
import type { HeartDossiers } from "../../heart/dossiers.ts";
import type { HeartError } from "../../heart/port.ts";
import type { Millis } from "../../lib/brand.ts";
import type { Clock, Random } from "../../lib/ports.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { renderApproval } from "../approvals.ts";
import type { ApprovalDesk, ApprovalQuestion, Reply } from "../monitor/monitor.ts";
import { isSame, noteText, type Pending, pendingText, plainLabel, type Question, questionOf } from "./record.ts";

export interface WaitingPorts {
  readonly heart: HeartDossiers;
  readonly clock: Clock;
  readonly random: Random;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  /** Resolves after so many milliseconds, or when the signal fires. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** A conversation's id, or "console". */
  readonly session: string;
  /** Milliseconds that a question stays open. */
  readonly waitMs: number;
  /** Says that it waits, and under which name. */
  readonly waiting: (question: Question) => void;
  readonly describe: (error: HeartError) => string;
  /** Too many questions wait already. */
  readonly flooded: () => void;
}

/** How often the heart is asked. */
const LOOK_MS = 250;
/** Questions that may wait at a time; more is a flood, which nobody reads any more. */
export const MOST_OPEN = 32;
/** A question is never older than this. */
export const LONGEST_WAIT_MS = 24 * 60 * 60_000;

/**
 * Puts a question into the heart and waits until somebody has answered it, at another terminal or in the chat. It outlives this process: who is cut off and asks the very same
 * again goes on with the question that stands. Without an answer in time it is a no.
 */
export function waitingDesk(ports: WaitingPorts): ApprovalDesk {
  const { heart, clock, random, sha256 } = ports;
  const nothing = (reason: string | null, question: string | null = null): Reply => ({
    answer: "unanswered",
    by: "nobody",
    reason,
    always: false,
    question,
  });
  const read = (id: string): Question | null => {
    const dossier = heart.get(id);
    return dossier === null ? null : questionOf(dossier, clock.now(), sha256);
  };
  const standing = (): readonly Question[] =>
    heart.recent((clock.now() - LONGEST_WAIT_MS) as Millis, 200).flatMap((dossier) => questionOf(dossier, clock.now(), sha256) ?? []);

  const opened = (pending: Pending): Result<Question, string> => {
    const all = standing();
    const same = all.find(({ pending: other, state }) => isSame(other, pending) && (state.kind === "open" || isUsable(state)));
    if (same !== undefined) return ok(same);
    if (all.filter(({ state }) => state.kind === "open").length >= MOST_OPEN) {
      ports.flooded();
      return err(`${MOST_OPEN} questions wait already, and nobody reads so many: this one was not asked.`);
    }
    const { kind: _k, version: _v, ...draft } = pending;
    const entry = heart.open(pendingText(draft), pending.context);
    if (!entry.ok) return err(`It could not be asked: ${ports.describe(entry.error)}`);
    const question = read(entry.value.id);
    return question === null ? err("It could not be asked: what was written cannot be read.") : ok(question);
  };

  /** A yes is good once: whoever notes that it is used has it. */
  const spend = (question: Question): boolean => {
    const noted = heart.note(question.id, noteText({ kind: "spent", digest: question.digest }), (dossier, at) => {
      const now = questionOf(dossier, at, sha256);
      return now !== null && now.digest === question.digest && isUsable(now.state);
    });
    return noted.ok && noted.value !== null;
  };

  const close = (question: Question): void => {
    heart.note(
      question.id,
      noteText({ kind: "decision", answer: "unanswered", digest: question.digest, by: "nobody", reason: null }),
      (dossier, at) => {
        const now = questionOf(dossier, at, sha256);
        return now?.state.kind === "open" || (now?.state.kind === "closed" && now.state.because === "expired");
      },
    );
  };

  const wait = async (first: Question, mayRehearse: boolean, signal: AbortSignal): Promise<Reply | "rehearse"> => {
    const until = clock.monotonic() + Math.min(ports.waitMs, Math.max(0, first.pending.expires - clock.now()));
    for (;;) {
      const question = read(first.id);
      // Forgotten, or no longer what was asked.
      if (question === null || question.digest !== first.digest) return nothing("The question is no longer what it was.", first.id);
      if (question.state.kind === "closed") return nothing(null, first.id);
      if (question.state.kind === "decided") {
        const { decision, spent } = question.state;
        const { answer, by, reason } = decision;
        if (answer === "unanswered") return nothing(null, first.id);
        if (answer === "denied") return { answer, by, reason, always: false, question: first.id };
        if (spent || !spend(question)) return nothing("The yes was used already, and is good once.", first.id);
        return { answer, by, reason: null, always: false, question: first.id };
      }
      if (mayRehearse && question.wishes > 0) return "rehearse";
      // By a clock that nobody can set back.
      if (signal.aborted || clock.monotonic() >= until) {
        close(question);
        if (read(first.id)?.state.kind === "decided" && !signal.aborted) continue;
        return nothing(null, first.id);
      }
      await ports.sleep(LOOK_MS, signal);
    }
  };

  let current: Question | null = null;
  return {
    who: "nobody",
    async ask(question, signal) {
      try {
        return await put(question, signal);
      } catch (error) {
        // The stick was pulled, say: nobody can answer there any more.
        if (error instanceof HeartFailure) return nothing(`The question cannot be read any more: ${ports.describe(error.error)}`);
        throw error;
      }
    },
  };

  async function put(question: ApprovalQuestion, signal: AbortSignal): Promise<Reply | "rehearse"> {
    if (question.rehearsal !== null && current !== null && current.pending.effect === question.effect) {
      heart.note(current.id, noteText({ kind: "rehearsal", lines: rehearsalLines(question) }), () => true);
      return await wait(current, question.mayRehearse, signal);
    }
    const rendered = renderApproval({ ...question, rehearsal: null });
    if (rendered.kind === "uninspectable")
      return { answer: "denied", by: "nobody", reason: `This cannot be asked about: ${rendered.reason}`, always: false, question: null };
    const made = opened(pendingOf(question, rendered.lines, ports, random.bytes(16).toHex()));
    if (!made.ok) return nothing(made.error);
    current = made.value;
    ports.waiting(current);
    return await wait(current, question.mayRehearse, signal);
  }
}

const isUsable = (state: Question["state"]): boolean => state.kind === "decided" && state.decision.answer === "allowed" && !state.spent;

const rehearsalLines = (question: ApprovalQuestion): string[] => {
  const rendered = renderApproval(question);
  const bare = renderApproval({ ...question, rehearsal: null });
  return rendered.kind === "lines" && bare.kind === "lines"
    ? rendered.lines.slice(bare.lines.length).map((line) => line.slice(0, 4000).toWellFormed())
    : [];
};

function pendingOf(question: ApprovalQuestion, lines: readonly string[], { session, clock, waitMs }: WaitingPorts, nonce: string): Pending {
  const { skill, decision, prepared, effect, policy, context, mayRehearse } = question;
  return {
    kind: "pending",
    version: 1,
    session,
    skill,
    tier: decision.tier,
    rule: decision.rule,
    object: prepared.object.name.toWellFormed().slice(0, 300).toWellFormed(),
    effect,
    policy: policy.slice(0, 100),
    context: plainLabel(context),
    intent: question.intent.session === "" ? null : { session: question.intent.session, seq: question.intent.seq },
    nonce,
    expires: clock.now() + Math.min(waitMs, LONGEST_WAIT_MS),
    mayRehearse,
    lines: [...lines],
  };
}
