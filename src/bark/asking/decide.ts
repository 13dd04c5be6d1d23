import type { HeartDossiers } from "../../heart/dossiers.ts";
import type { HeartError } from "../../heart/port.ts";
import type { Millis } from "../../lib/brand.ts";
import type { Clock } from "../../lib/ports.ts";
import type { Answer } from "../monitor/monitor.ts";
import { LONGEST_WAIT_MS } from "./desk.ts";
import { noteText, type Question, questionOf } from "./record.ts";

export interface DecidingPorts {
  readonly heart: HeartDossiers;
  readonly clock: Clock;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  /** Before the answer counts. The error is a sentence. */
  readonly log: (line: AnswerLine) => { readonly ok: true } | { readonly ok: false; readonly error: string };
  readonly describe: (error: HeartError) => string;
}

export interface AnswerLine {
  /** Of the call. */
  readonly intent: NonNullable<Question["pending"]["intent"]>;
  readonly question: string;
  readonly answer: Answer;
  readonly digest: string;
  readonly by: string;
  readonly waitedMs: number;
}

export type Taken =
  | { readonly kind: "taken" }
  /** Somebody else was first, or it was too late; as it stands now. */
  | { readonly kind: "settled"; readonly question: Question }
  | { readonly kind: "gone" }
  /** It is not what was shown. */
  | { readonly kind: "other" }
  | { readonly kind: "failed"; readonly detail: string };

/** What waits, is decided, or ran out within a day; the newest first. */
export function questions({ heart, clock, sha256 }: Pick<DecidingPorts, "heart" | "clock" | "sha256">, limit: number): readonly Question[] {
  const now = clock.now();
  return heart.recent((now - LONGEST_WAIT_MS) as Millis, limit).flatMap((dossier) => questionOf(dossier, now, sha256) ?? []);
}

/**
 * Writes down a person's answer. `digest`: of the question as they saw it. The log comes first; whether the answer counts is decided in the transaction that adds it, where one that came first is seen.
 */
export function takeAnswer(
  ports: DecidingPorts,
  id: string,
  {
    answer,
    digest,
    by,
    reason,
  }: { readonly answer: Exclude<Answer, "unanswered">; readonly digest: string; readonly by: string; readonly reason: string | null },
): Taken {
  const { heart, clock, sha256 } = ports;
  const now = (): Question | null => {
    const dossier = heart.get(id);
    return dossier === null ? null : questionOf(dossier, clock.now(), sha256);
  };
  const before = now();
  if (before === null) return { kind: "gone" };
  if (before.state.kind !== "open") return { kind: "settled", question: before };
  if (before.digest !== digest) return { kind: "other" };
  const { intent } = before.pending;
  if (intent !== null) {
    const waitedMs = Math.max(0, clock.now() - before.openedAt);
    const logged = ports.log({ intent, question: id, answer, digest, by, waitedMs });
    if (!logged.ok)
      return { kind: "failed", detail: `The answer was not taken, because it could not be written to the log: ${logged.error}` };
  }
  const text = noteText({
    kind: "decision",
    answer,
    digest,
    by: by.slice(0, 100),
    reason: reason === null ? null : reason.toWellFormed().slice(0, 1000).toWellFormed(),
  });
  const noted = heart.note(id, text, (dossier, at) => {
    const question = questionOf(dossier, at, sha256);
    return question?.state.kind === "open" && question.digest === digest;
  });
  if (!noted.ok) return { kind: "failed", detail: ports.describe(noted.error) };
  if (noted.value !== null) return { kind: "taken" };
  const after = now();
  return after === null ? { kind: "gone" } : { kind: "settled", question: after };
}

/** Asks whoever waits to try it first. False where that cannot be. */
export function wishRehearsal({ heart, sha256 }: Pick<DecidingPorts, "heart" | "sha256">, id: string): boolean {
  const noted = heart.note(id, noteText({ kind: "wish" }), (dossier, at) => {
    const question = questionOf(dossier, at, sha256);
    return (
      question !== null &&
      question.state.kind === "open" &&
      question.pending.mayRehearse &&
      question.wishes === 0 &&
      question.rehearsals < 5
    );
  });
  return noted.ok && noted.value !== null;
}
