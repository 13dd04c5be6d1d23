import type { Span } from "../lib/message.ts";
import { err, ok, type Result } from "../lib/result.ts";

export type PromptError =
  | { readonly kind: "empty" }
  /** A slash command: those exist in the chat only. */
  | { readonly kind: "slash-command"; readonly name: string };

/**
 * The message that typed words and piped text make. Text beside typed words is data and comes after them; alone it is the
 * prompt. The session labels them by kind.
 */
export function promptSpans(typed: string | null, piped: string | null): Result<readonly Span[], PromptError> {
  const data = piped === null || piped.trim() === "" ? null : piped;
  const prompt = typed ?? data ?? "";
  if (prompt.trim() === "") return err({ kind: "empty" });
  const slash = /^\/([a-z][a-z-]*)([ \t][^\n]*)?\n?$/u.exec(prompt);
  if (slash) return err({ kind: "slash-command", name: `/${slash[1]}` });
  if (typed === null) return ok([{ kind: "piped", text: prompt }]);
  return ok(
    data === null
      ? [{ kind: "typed", text: typed }]
      : [
          { kind: "typed", text: typed },
          { kind: "piped", text: `\n\n${data}` },
        ],
  );
}
