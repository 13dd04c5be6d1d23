import type { ChatMessage, EngineError, GenerateChunk, LoadedModel, ModelEngine } from "../engine/port.ts";
import { join, type Label } from "../lib/label.ts";
import { type Message, type ReplyFacts, type Span, visibleText } from "../lib/message.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { answerReserve, fitContext } from "./context.ts";
import type { Route } from "./route.ts";

export interface TurnRequest {
  readonly route: Route;
  readonly loaded: LoadedModel;
  /** System prompt; empty sends none. */
  readonly system: string;
  /** The shown path, oldest first; the last one is the message to answer. */
  readonly history: readonly Message[];
  readonly sampling: Sampling;
  readonly cacheKey: string;
}

export interface Sampling {
  readonly maxTokens: number | null;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly seed: number;
  readonly jsonSchema: unknown;
}

export interface TurnResult {
  readonly reply: ReplyFacts;
  readonly spans: readonly Span[];
  /** Join of the labels of everything the model saw; its own words are never more trusted than that. */
  readonly label: Label;
  readonly contextUsed: number;
}

export interface TurnFailed {
  readonly error: EngineError;
  /** What was generated before the failure; may be empty. */
  readonly spans: readonly Span[];
  readonly reply: ReplyFacts;
  readonly label: Label;
}

export interface TurnListener {
  trimmed(dropped: number, contextSize: number): void;
  chunk(chunk: GenerateChunk): void;
}

const NO_TOKENS = { prompt: 0, cached: 0, completion: 0, reasoning: 0 } as const;
const NO_TIME = { firstTokenMs: 0, promptMs: 0, generateMs: 0, tokensPerSecond: 0 } as const;

/** One model reply: fit the history into the context, generate, and account for what the model saw. */
export async function runTurn(
  engine: ModelEngine,
  request: TurnRequest,
  listener: TurnListener,
  signal: AbortSignal,
): Promise<Result<TurnResult, TurnFailed>> {
  const facts = (stop: ReplyFacts["stop"]): ReplyFacts => ({
    model: request.route.model.name,
    tier: request.route.tier,
    reason: request.route.reason,
    stop,
    seed: request.sampling.seed,
    tokens: NO_TOKENS,
    timings: NO_TIME,
    ...(request.loaded.cage && { cage: request.loaded.cage.level }),
  });
  const spans = new SpanCollector();
  const fail = (error: EngineError, label: Label): Result<never, TurnFailed> =>
    err({ error, spans: spans.take(), reply: facts(error.kind === "cancelled" ? "cancelled" : "error"), label });

  const told = request.history.filter((message) => !message.redacted && message.role !== "system");
  const messages: ChatMessage[] = told.map((message) => ({ role: message.role, text: visibleText(message.spans) }));
  if (request.system !== "") messages.unshift({ role: "system", text: request.system });
  const everything = contextLabel(told);

  const costs = await engine.count(request.loaded.handle, messages);
  if (!costs.ok) return fail(costs.error, everything);
  const { contextSize } = request.loaded;
  const fitted = fitContext(messages, costs.value, contextSize, answerReserve(contextSize, request.sampling.maxTokens));
  if ("kind" in fitted) return fail(fitted, everything);
  if (fitted.dropped > 0) listener.trimmed(fitted.dropped, contextSize);
  const label = contextLabel(told.slice(fitted.dropped));

  const outcome = await engine.generate(
    {
      model: request.loaded.handle,
      messages: fitted.kept.flatMap((index) => messages[index] ?? []),
      cacheKey: request.cacheKey,
      ...request.sampling,
    },
    (chunk) => {
      spans.add(chunk);
      listener.chunk(chunk);
    },
    signal,
  );
  if (!outcome.ok) return fail(outcome.error, label);
  const { stop, tokens, timings, contextUsed, repeated } = outcome.value;
  if (stop === "loop") spans.foldRepeats(repeated);
  return ok({ reply: { ...facts(stop), tokens, timings }, spans: spans.take(), label, contextUsed });
}

/** A model's words are at most SELF-from-trusted (2), and never more trusted than the least trusted message it saw. */
function contextLabel(seen: readonly Message[]): Label {
  const own: Label = { c: 0, k: [], i: 2, p: [] };
  return seen.reduce((label, message) => join(label, message.label), own);
}

/** Collects streamed chunks as spans: neighbours of one kind become one span. */
class SpanCollector {
  #spans: Span[] = [];

  add(chunk: GenerateChunk): void {
    if (chunk.type === "prompt" || chunk.text === "") return;
    const kind = chunk.type === "text" ? "model" : "reasoning";
    const last = this.#spans.at(-1);
    if (last?.kind === kind) this.#spans[this.#spans.length - 1] = { kind, text: last.text + chunk.text };
    else this.#spans.push({ kind, text: chunk.text });
  }

  /** Cuts the repeats off the end: a reader and the next turn are better off without them. */
  foldRepeats(units: number): void {
    const last = this.#spans.at(-1);
    if (last && units > 0) this.#spans[this.#spans.length - 1] = { ...last, text: last.text.slice(0, -units) };
  }

  take(): readonly Span[] {
    return this.#spans.filter((span) => span.text !== "");
  }
}
