import type { SessionId } from "../lib/brand.ts";
import { reasoningText, type ReplyFacts, type Span, type StopReason, visibleText } from "../lib/message.ts";
import type { SessionEvent, ShownMessage, TurnFailure } from "../session/event.ts";
import type { SessionPort } from "../session/port.ts";
import type { Timers } from "./ports.ts";

export interface AskOptions {
  /** Milliseconds until the answer is cut off with the stop reason `timeout`; null waits. */
  readonly timeoutMs: number | null;
  readonly signal: AbortSignal;
  readonly timers: Timers;
  /** Every event from the prompt to the end of the answer, in order. */
  readonly onEvent: (event: SessionEvent) => void;
}

/** All that is known of one answer, whole or not. */
export interface Answer {
  /** As stored: the repeats of a loop are cut off. */
  readonly text: string;
  readonly reasoning: string;
  readonly stop: StopReason;
  readonly reply: ReplyFacts | null;
  /** Null when the answer came, whole or cut short. */
  readonly failure: TurnFailure | null;
  /** Where it is kept; null when nothing was stored. */
  readonly session: SessionId | null;
  readonly context: { readonly used: number; readonly size: number };
}

/** How long a cancelled answer may take to be stored. Milliseconds. Beyond it the edge stops waiting: a stuck engine must not hold a script. */
const CANCEL_GRACE = 5000;

/** Sends one prompt and waits for its answer. Always resolves. */
export async function ask(session: SessionPort, spans: readonly Span[], options: AskOptions): Promise<Answer> {
  const { timers, signal } = options;
  const ended = Promise.withResolvers<Answer>();
  const stops: (() => void)[] = [];
  let text = "";
  let reasoning = "";
  let because: StopReason | null = null;

  const finish = (stop: StopReason, shown: ShownMessage | null, reply: ReplyFacts | null, failure: TurnFailure | null): void => {
    const { session: open, store, context } = session.view();
    ended.resolve({
      text: shown ? visibleText(shown.message.spans) : text,
      reasoning: shown ? reasoningText(shown.message.spans) : reasoning,
      stop,
      reply: reply ?? shown?.message.reply ?? null,
      failure,
      session: store.kind === "stored" && open !== null && !open.ephemeral ? open.id : null,
      context,
    });
  };
  const cancel = (why: "timeout" | "cancelled"): void => {
    if (because !== null) return;
    because = why;
    session.dispatch(why === "timeout" ? { type: "cancel", because: "timeout" } : { type: "cancel" });
    stops.push(timers.after(CANCEL_GRACE, () => finish(why, null, null, null)));
  };

  stops.push(
    session.subscribe((event) => {
      if (event.type === "turn-text") text += event.text;
      else if (event.type === "turn-reasoning") reasoning += event.text;
      options.onEvent(event);
      if (event.type === "turn-ended") finish(event.stop, event.shown, event.reply, null);
      else if (event.type === "turn-failed") finish(because ?? "error", event.shown, null, event.failure);
    }),
  );
  try {
    session.dispatch({ type: "prompt", spans });
    if (options.timeoutMs !== null) stops.push(timers.after(options.timeoutMs, () => cancel("timeout")));
    const interrupted = () => cancel("cancelled");
    signal.addEventListener("abort", interrupted, { once: true });
    stops.push(() => signal.removeEventListener("abort", interrupted));
    if (signal.aborted) interrupted();
    // A session that settles without a word about the turn has dropped it; waiting on would be for ever.
    void session.settled().then(() => finish(because ?? "error", null, null, null));
    return await ended.promise;
  } finally {
    for (const stop of stops) stop();
  }
}
