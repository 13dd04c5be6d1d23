import type { Answer } from "./ask.ts";
import type { Verdict } from "./verdict.ts";

/** A verdict in words and as the exit code. */
export interface Explained {
  /** Sentences for stderr; empty when there is nothing to say. */
  readonly text: string;
  readonly code: number;
}
export type Explain = (verdict: Verdict) => Explained;

/**
 * The one object that `--output json` prints, that ends `stream-json`, and that each line of `--batch` answers. Fields are
 * never left out, so that a script can name them; `error` alone is there only when something went wrong.
 */
export function resultObject(answer: Answer, verdict: Verdict, value: unknown, explain: Explain): Record<string, unknown> {
  const { reply } = answer;
  const explained = explain(verdict);
  return {
    answer: answer.text,
    ...(value !== undefined && { value }),
    reasoning: answer.reasoning === "" ? null : answer.reasoning,
    model: reply?.model ?? null,
    tier: reply?.tier ?? null,
    reason: reply?.reason ?? null,
    stop: answer.stop,
    denials: [],
    tokens: reply?.tokens ?? null,
    timings: reply?.timings ?? null,
    context: answer.context,
    session: answer.session,
    seed: reply?.seed ?? null,
    cage: reply?.cage ?? null,
    ...(explained.code !== 0 && { error: errorObject(verdict, explained) }),
  };
}

export function errorObject(verdict: Verdict, explained: Explained): Record<string, unknown> {
  return { kind: kindOf(verdict), message: explained.text, code: explained.code };
}

/** The most specific tag there is, for scripts that tell failures apart. */
function kindOf(verdict: Verdict): string {
  if (verdict.kind !== "failed") return verdict.kind;
  const { failure } = verdict;
  return failure.kind === "no-model" ? "no-model" : failure.error.kind;
}
