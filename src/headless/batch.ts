import * as v from "valibot";
import { err, ok, type Result } from "../lib/result.ts";
import type { SessionPort } from "../session/port.ts";
import { ask } from "./ask.ts";
import { Commentary } from "./commentary.ts";
import type { HeadlessSetup } from "./headless.ts";
import type { PipedError } from "./piped-text.ts";
import { type PromptError, promptSpans } from "./prompt.ts";
import { resultObject } from "./result-object.ts";
import { judge } from "./verdict.ts";

const NUL = "has a NUL character, so it is not text";
const textSchema = v.pipe(
  v.string(),
  v.check((text) => !text.includes("\0"), NUL),
);
const lineSchema = v.strictObject({
  id: v.optional(v.union([v.string(), v.number()])),
  prompt: textSchema,
  /** Data beside the prompt, like standard input beside `-p`. */
  input: v.optional(textSchema),
});
type BatchLine = v.InferOutput<typeof lineSchema>;

export type BatchLineError =
  | { readonly kind: "not-json" }
  /** One clause of what is wrong with the object. */
  | { readonly kind: "bad-line"; readonly problem: string }
  | PromptError
  | PipedError;

export interface BatchSetup extends HeadlessSetup {
  /** Whether answers are kept, each as a conversation of its own. */
  readonly ephemeral: boolean;
  readonly explainLine: (error: BatchLineError) => { readonly text: string; readonly code: number };
}

/**
 * Answers JSON lines with JSON lines: the same order, one for each, whatever is wrong with it. Every line is a conversation
 * of its own in the one session, so that the model is loaded once and no line sees another. The exit code is 0 only when
 * all succeeded, else that of the first failure.
 */
export async function answerBatch(
  session: SessionPort,
  lines: AsyncIterable<Result<string, PipedError>>,
  setup: BatchSetup,
): Promise<number> {
  const { io } = setup;
  const commentary = new Commentary(setup);
  let code = 0;
  let number = 0;
  const put = (id: unknown, rest: Record<string, unknown>) => io.out(`${JSON.stringify({ id, line: number, ...rest })}\n`);
  const refuse = (id: unknown, error: BatchLineError) => {
    const explained = setup.explainLine(error);
    code ||= explained.code;
    put(id, { error: { kind: error.kind, message: explained.text, code: explained.code } });
    commentary.say(`Line ${number}: ${explained.text}`);
  };
  for await (const line of lines) {
    if (line.ok && line.value.trim() === "") continue;
    number++;
    if (!line.ok) {
      refuse(null, line.error);
      // A line that is no text is one bad line; an input that went silent or grows for ever is the end.
      if (line.error.kind === "binary" || line.error.kind === "not-utf8") continue;
      return code;
    }
    const parsed = parseLine(line.value);
    if (!parsed.ok) {
      refuse(parsed.error.id, parsed.error.error);
      continue;
    }
    const { id = null, prompt, input = null } = parsed.value;
    const spans = promptSpans(prompt, input);
    if (!spans.ok) {
      refuse(id, spans.error);
      continue;
    }
    session.dispatch({ type: "new-session", ephemeral: setup.ephemeral });
    const answer = await ask(session, spans.value, { ...setup, signal: io.signal, onEvent: (event) => commentary.onEvent(event) });
    commentary.clear();
    const { verdict, value } = judge(answer, setup);
    const explained = setup.explain(verdict);
    code ||= explained.code;
    put(id, resultObject(answer, verdict, value, setup.explain));
    if (explained.text !== "") commentary.say(`Line ${number}: ${explained.text}`);
    if (io.signal.aborted) break;
  }
  return code;
}

function parseLine(text: string): Result<BatchLine, { readonly id: unknown; readonly error: BatchLineError }> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return err({ id: null, error: { kind: "not-json" } });
  }
  const parsed = v.safeParse(lineSchema, value);
  if (parsed.success) return ok(parsed.output);
  const [issue] = parsed.issues;
  const given = typeof value === "object" && value !== null && "id" in value ? value.id : null;
  const id = typeof given === "string" || typeof given === "number" ? given : null;
  return err({ id, error: { kind: "bad-line", problem: problemOf(issue) } });
}

function problemOf(issue: v.BaseIssue<unknown>): string {
  const key = v.getDotPath(issue);
  if (issue.type === "strict_object" && key !== null && issue.expected === "never") return `it has "${key}", which is not known here`;
  if (issue.message === NUL) return `"${key ?? ""}" ${NUL}`;
  return key === null ? "it is not an object" : `"${key}" is ${issue.received === "undefined" ? "missing" : "not of the right type"}`;
}
