import type { TurnFailure } from "../session/event.ts";
import type { Answer } from "./ask.ts";
import type { AnswerSchema } from "./json-schema.ts";

/** What came of one prompt, as facts. Whoever runs headless says it in words and as an exit code. */
export type Verdict =
  | { readonly kind: "done" }
  /** Done, and no word of an answer. */
  | { readonly kind: "silent" }
  /** The context was full before the answer ended. Tokens. */
  | { readonly kind: "context-full"; readonly contextSize: number }
  | { readonly kind: "loop" }
  | { readonly kind: "only-reasoning" }
  /** The answer does not follow the schema; `problem` is one clause. */
  | { readonly kind: "schema"; readonly problem: string }
  /** `kept`: what there is of the answer is in the heart. */
  | { readonly kind: "timeout"; readonly kept: boolean }
  /** A signal, or nobody reads any more. */
  | { readonly kind: "interrupted"; readonly kept: boolean }
  | { readonly kind: "failed"; readonly failure: TurnFailure }
  /** The session ended the turn without saying how: a bug. */
  | { readonly kind: "lost" };

export interface Wanted {
  /** The person's own `--max-tokens`, if any. */
  readonly maxTokens: number | null;
  readonly schema: AnswerSchema | null;
}

/** The value of the answer when a schema was asked for and met, and what came of it. */
export function judge(answer: Answer, wanted: Wanted): { readonly verdict: Verdict; readonly value: unknown } {
  const early = endedEarly(answer);
  if (early) return { verdict: early, value: undefined };
  if (answer.text.trim() === "" && answer.reasoning.trim() !== "") return { verdict: { kind: "only-reasoning" }, value: undefined };
  if (wanted.schema) {
    const checked = wanted.schema.check(answer.text);
    return checked.ok
      ? { verdict: { kind: "done" }, value: checked.value }
      : { verdict: { kind: "schema", problem: checked.error }, value: undefined };
  }
  if (answer.stop === "loop") return { verdict: { kind: "loop" }, value: undefined };
  if (answer.stop === "length" && !ownLimit(answer, wanted.maxTokens))
    return { verdict: { kind: "context-full", contextSize: answer.context.size }, value: undefined };
  return { verdict: { kind: answer.text.trim() === "" ? "silent" : "done" }, value: undefined };
}

function endedEarly(answer: Answer): Verdict | null {
  const kept = answer.session !== null && answer.reply !== null && answer.text + answer.reasoning !== "";
  if (answer.stop === "timeout") return { kind: "timeout", kept };
  if (answer.stop === "cancelled") return { kind: "interrupted", kept };
  if (answer.failure) return { kind: "failed", failure: answer.failure };
  return answer.stop === "error" ? { kind: "lost" } : null;
}

/** An answer that stopped short of an own limit met the end of the context instead. */
const ownLimit = (answer: Answer, maxTokens: number | null): boolean =>
  maxTokens !== null && (answer.reply?.tokens.completion ?? 0) >= maxTokens;
