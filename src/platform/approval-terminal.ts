/** Asks a person on the terminal, key by key. Nobody else's bytes reach it: standard input has to be a terminal. */
import { type AnswerState, answerKey, newAnswer } from "../bark/approvals.ts";
import type { Answer } from "../bark/monitor/monitor.ts";

/** Milliseconds that a question stays open. */
const EXPIRES = 10 * 60_000;

export async function askOnTerminal(
  lines: readonly string[],
  mayRehearse: boolean,
  out: (text: string) => void,
  signal: AbortSignal,
): Promise<Answer | "rehearse"> {
  const { stdin } = process;
  if (!stdin.isTTY || signal.aborted) return "unanswered";
  stdin.setRawMode(true);
  const prompt = `Type yes or no${mayRehearse ? ", or r to try it on a copy first" : ""}, and Enter: `;
  out(`${lines.join("\r\n")}\r\n\r\n${prompt}`);
  let state: AnswerState = newAnswer(performance.now(), mayRehearse);
  try {
    return await new Promise<Answer | "rehearse">((resolve) => {
      const expire = setTimeout(() => resolve("unanswered"), EXPIRES);
      const done = (answer: Answer | "rehearse"): void => {
        clearTimeout(expire);
        stdin.off("data", onData);
        stdin.off("end", onEnd);
        signal.removeEventListener("abort", onEnd);
        resolve(answer);
      };
      const onEnd = (): void => done("unanswered");
      const onData = (bytes: Uint8Array): void => {
        const before = state;
        for (const key of keysOf(new TextDecoder().decode(bytes))) state = answerKey(state, key, performance.now());
        if (state.answer !== null) done(state.answer);
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
