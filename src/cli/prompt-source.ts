import { MAX_PIPED, type PipedError, readPiped } from "../headless/piped-text.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { stdinChunks, stdinFacts } from "../platform/stdin.ts";
import { systemTimers } from "../platform/timers.ts";
import type { CommandIo } from "./command.ts";

export type StdinRule = "auto" | "wait" | "none";

/** What came by standard input; null when there is none or it is not to be read. Interrupted reading answers null too. */
export async function pipedText(rule: StdinRule, io: CommandIo): Promise<Result<string | null, PipedError>> {
  const facts = stdinFacts();
  if (rule === "none" || facts.kind === "terminal" || facts.kind === "none") return ok(null);
  if (facts.kind === "folder") return err({ kind: "unreadable", detail: "it is a folder" });
  if (facts.size !== null && facts.size > MAX_PIPED) return err({ kind: "too-large", limit: MAX_PIPED });
  const interrupted = new Promise<null>((resolve) => {
    io.signal.addEventListener("abort", () => resolve(null), { once: true });
    if (io.signal.aborted) resolve(null);
  });
  const text = await Promise.race([readPiped(stdinChunks(), silenceRule(rule, io)), interrupted]);
  return text ?? ok(null);
}

export function silenceRule(rule: Exclude<StdinRule, "none">, io: CommandIo) {
  return {
    policy: rule,
    timers: systemTimers,
    onSilent: () =>
      io.err(
        rule === "wait"
          ? "noctem: Waiting for standard input.\n"
          : "noctem: Waiting for standard input; --stdin none does without it, --stdin wait waits as long as it takes.\n",
      ),
  };
}
