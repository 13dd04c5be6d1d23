/** Asks a person on the terminal, key by key. Nobody else's bytes reach it: standard input has to be a terminal. */
import { type AnswerState, answerKey, newAnswer } from "../bark/approvals.ts";
import type { Answer } from "../bark/monitor/monitor.ts";

/** Milliseconds that a question stays open. */
const EXPIRES = 10 * 60_000;

export interface TerminalAnswer {
  readonly answer: Answer | "rehearse" | "always";
  /** What was said with a no. */
  readonly reason: string | null;
}

export async function askOnTerminal(
  lines: readonly string[],
  { mayRehearse, mayAlways }: { readonly mayRehearse: boolean; readonly mayAlways: boolean },
  out: (text: string) => void,
  signal: AbortSignal,
): Promise<TerminalAnswer> {
  const { stdin } = process;
  const nothing: TerminalAnswer = { answer: "unanswered", reason: null };
  if (!stdin.isTTY || signal.aborted) return nothing;
  stdin.setRawMode(true);
  const more = [...(mayRehearse ? ["r to try it on a copy first"] : []), ...(mayAlways ? ["always"] : [])];
  const prompt = `Type yes or no${more.map((word, at) => `${at === more.length - 1 ? ", or" : ","} ${word}`).join("")}, and Enter: `;
  out(`${lines.join("\r\n")}\r\n\r\n${prompt}`);
  let state: AnswerState = newAnswer(performance.now(), mayRehearse, mayAlways);
  try {
    return await new Promise<TerminalAnswer>((resolve) => {
      const expire = setTimeout(() => resolve(nothing), EXPIRES);
      const done = (answer: TerminalAnswer): void => {
        clearTimeout(expire);
        stdin.off("data", onData);
        stdin.off("end", onEnd);
        signal.removeEventListener("abort", onEnd);
        resolve(answer);
      };
      const onEnd = (): void => done(nothing);
      const onData = (bytes: Uint8Array): void => {
        const before = state;
        for (const key of keysOf(new TextDecoder().decode(bytes))) state = answerKey(state, key, performance.now());
        if (state.answer !== null) done({ answer: state.answer, reason: state.reason });
        else if (state.puzzled && !before.puzzled) out(`\r\nOnly the whole word counts. ${prompt}`);
        else if (state.listening) out(`\r\u001b[K${prompt}${state.typed}`);
      };
      stdin.on("data", onData);
      stdin.once("end", onEnd);
      signal.addEventListener("abort", onEnd, { once: true });
      stdin.resume();
    });
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    out("\r\n");
  }
}

/** A paste is no answer: it comes as one chunk, and only its single characters would spell a word. */
function keysOf(text: string): readonly string[] {
  if (text.length > 1 && text !== "\r\n") return "\u0003\u0004\u001b".includes(text[0] ?? " ") ? ["cancel"] : [];
  switch (text) {
    case "\r":
    case "\n":
    case "\r\n":
      return ["enter"];
    case "\u007f":
    case "\b":
      return ["backspace"];
    case "\u0003":
    case "\u0004":
    case "\u001b":
      return ["cancel"];
    default:
      return /^[ -~]$/.test(text) ? [text] : [];
  }
}
