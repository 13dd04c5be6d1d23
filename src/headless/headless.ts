import type { Span } from "../lib/message.ts";
import type { SessionPort } from "../session/port.ts";
import { ask } from "./ask.ts";
import { Commentary } from "./commentary.ts";
import type { HeadlessIo, Output, Thinking, Timers } from "./ports.ts";
import { printerFor } from "./printers.ts";
import type { Explain } from "./result-object.ts";
import { judge, type Wanted } from "./verdict.ts";

export interface HeadlessSetup extends Wanted {
  readonly output: Output;
  readonly thinking: Thinking;
  readonly verbose: boolean;
  readonly workspace: string;
  /** Milliseconds for each answer; null waits. */
  readonly timeoutMs: number | null;
  readonly io: HeadlessIo;
  readonly timers: Timers;
  readonly explain: Explain;
}

/** Asks once and prints. Answers the exit code. */
export async function answerOnce(session: SessionPort, spans: readonly Span[], setup: HeadlessSetup): Promise<number> {
  const commentary = new Commentary(setup);
  commentary.store(session.view().store);
  const printer = printerFor(setup.output, setup);
  const answer = await ask(session, spans, {
    ...setup,
    signal: setup.io.signal,
    onEvent: (event) => {
      // The loading line leaves the screen before the first word of the answer reaches it.
      commentary.onEvent(event);
      printer.onEvent(event);
    },
  });
  commentary.clear();
  const { verdict, value } = judge(answer, setup);
  printer.finish(answer, verdict, value);
  const explained = setup.explain(verdict);
  if (explained.text !== "") commentary.say(explained.text);
  return explained.code;
}
