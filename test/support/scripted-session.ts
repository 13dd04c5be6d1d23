import type { MessageId, Millis, SessionId } from "../../src/lib/brand.ts";
import type { Message, ReplyFacts, Span, StopReason } from "../../src/lib/message.ts";
import type { SessionCommand } from "../../src/session/command.ts";
import type { SessionEvent, ShownMessage, TurnFailure } from "../../src/session/event.ts";
import type { SessionPort } from "../../src/session/port.ts";
import { INITIAL_VIEW, reduce, type ViewState } from "../../src/session/view.ts";

/** What one prompt is answered with. */
export interface ScriptedAnswer {
  readonly reasoning?: string;
  readonly text?: readonly string[];
  readonly stop?: StopReason;
  /** Tokens that were generated; the number of pieces unless given. */
  readonly completion?: number;
  readonly failure?: TurnFailure;
  /** Waits for a cancel after the text and then stops with its reason. */
  readonly hangs?: true;
  /** Ignores the cancel too. */
  readonly deaf?: true;
  /** Events between the start and the first word. */
  readonly before?: readonly SessionEvent[];
  /** Ends the turn without a word about it. */
  readonly forgets?: true;
}

export const SCRIPTED_SESSION = "5e55105e55105e55105e55105e55105e" as SessionId;

/** A session port that answers from a script, one entry a prompt, and keeps what it was asked. */
export class ScriptedSession implements SessionPort {
  readonly commands: SessionCommand[] = [];
  readonly prompts: (readonly Span[])[] = [];
  readonly #answers: ScriptedAnswer[];
  readonly #listeners = new Set<(event: SessionEvent) => void>();
  #view: ViewState;
  #running: Promise<void> = Promise.resolve();
  #cancel: ((stop: StopReason) => void) | null = null;
  #turn = 0;

  constructor(answers: readonly ScriptedAnswer[], { stored = true }: { readonly stored?: boolean } = {}) {
    this.#answers = [...answers];
    this.#view = {
      ...INITIAL_VIEW,
      store: { kind: stored ? "stored" : "memory", warning: null },
      session: { id: SCRIPTED_SESSION, title: "", at: 0, messages: 0, ephemeral: !stored },
      context: { used: 0, size: 2048 },
    };
  }

  view = (): ViewState => this.#view;
  settled = (): Promise<void> => this.#running;

  subscribe(listener: (event: SessionEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  dispatch(command: SessionCommand): void {
    this.commands.push(command);
    if (command.type === "cancel") this.#cancel?.(command.because ?? "cancelled");
    if (command.type !== "prompt") return;
    this.prompts.push(command.spans);
    this.#running = this.#answer(this.#answers.shift() ?? { text: ["(no script)"] });
  }

  async #answer(script: ScriptedAnswer): Promise<void> {
    await Promise.resolve();
    const turn = ++this.#turn;
    this.#emit({ type: "turn-started", turn, tier: "quick", model: "scripted", reason: "a short question" });
    for (const event of script.before ?? []) this.#emit(event);
    this.#emit({ type: "turn-prompt", turn, tokens: 12, cached: 4 });
    if (script.reasoning) this.#emit({ type: "turn-reasoning", turn, text: script.reasoning, tokens: 1 });
    for (const text of script.text ?? []) {
      await Promise.resolve();
      this.#emit({ type: "turn-text", turn, text, tokens: 1 });
    }
    if (script.forgets) return;
    let stop = script.stop ?? "end";
    if (script.hangs || script.deaf)
      stop = await new Promise<StopReason>((resolve) => {
        if (script.hangs) this.#cancel = resolve;
      });
    if (script.failure) return this.#emit({ type: "turn-failed", turn, failure: script.failure, shown: null });
    const reply = this.#reply(script, stop);
    this.#emit({ type: "turn-ended", turn, stop, reply, shown: this.#shown(script, reply), contextUsed: 20 });
  }

  #reply(script: ScriptedAnswer, stop: StopReason): ReplyFacts {
    const completion = script.completion ?? script.text?.length ?? 0;
    return {
      model: "scripted",
      tier: "quick",
      reason: "a short question",
      stop,
      seed: 7,
      tokens: { prompt: 12, cached: 4, completion, reasoning: script.reasoning ? 1 : 0 },
      timings: { firstTokenMs: 5, promptMs: 4, generateMs: 10, tokensPerSecond: 100 },
    };
  }

  #shown(script: ScriptedAnswer, reply: ReplyFacts): ShownMessage | null {
    const spans: Span[] = [];
    if (script.reasoning) spans.push({ kind: "reasoning", text: script.reasoning });
    if (script.text) spans.push({ kind: "model", text: script.text.join("") });
    if (spans.length === 0) return null;
    const message: Message = {
      id: `answer-${this.#turn}` as MessageId,
      session: SCRIPTED_SESSION,
      parent: null,
      role: "assistant",
      spans,
      label: { c: 2, k: [], i: 2, p: [] },
      origin: "agent",
      at: 0 as Millis,
      reply,
      redacted: false,
    };
    return { message, take: 1, takes: 1, siblings: [message.id] };
  }

  #emit(event: SessionEvent): void {
    this.#view = reduce(this.#view, event);
    for (const listener of this.#listeners) listener(event);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Timers that stand still until told: a test of half a minute takes none. */
export class ManualTimers {
  #now = 0;
  #waiting: { at: number; every: number | null; readonly callback: () => void }[] = [];

  after = (ms: number, callback: () => void): (() => void) => this.#add(ms, null, callback);
  every = (ms: number, callback: () => void): (() => void) => this.#add(ms, ms, callback);
  monotonic = (): number => this.#now;
  get pending(): number {
    return this.#waiting.length;
  }

  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const next = this.#waiting.filter((timer) => timer.at <= until).toSorted((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#now = next.at;
      if (next.every === null) this.#waiting = this.#waiting.filter((timer) => timer !== next);
      else next.at += next.every;
      next.callback();
    }
    this.#now = until;
  }

  #add(ms: number, every: number | null, callback: () => void): () => void {
    const timer = { at: this.#now + ms, every, callback };
    this.#waiting.push(timer);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== timer);
    };
  }
}
