/** One loaded model: its context, its template, its thread counts; one request at a time. */
import type { LlamaContext, LlamaEmbeddingContext, LlamaGrammar, LlamaModel, Token } from "node-llama-cpp";
import { CoreSeat } from "../../engine/core-seat.ts";
import { grammarSchema } from "../../engine/json-schema.ts";
import { LoopGuard } from "../../engine/loop-guard.ts";
import type {
  ChatMessage,
  EngineError,
  GenerateChunk,
  GenerateOutcome,
  GenerateRequest,
  MessageCosts,
  ThreadPlan,
  TokenProbability,
} from "../../engine/port.ts";
import { REASONING_TAGS, type ReplyFormat, type ReplyPiece, ReplySplitter } from "../../engine/reply-splitter.ts";
import type { ChatTemplate, PromptPiece } from "../../engine/template.ts";
import { ThreadGovernor } from "../../engine/thread-governor.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { CoreBinding } from "../ffi/core-binding.ts";
import type { Decoder, Generation } from "./raw.ts";
import type { StepClock } from "./step-clock.ts";
import { TextEncoding, TokenText } from "./tokens.ts";

/** Batches below this are single steps to ggml: they use the generation count. */
const PROMPT_BATCH = 16;
/** Up to as many, one thread loses less than several lose where another program stalls them: tenths of a second against seconds. */
const SHORT_PROMPT = 64;
const MIN_BATCH = 32;
const MAX_BATCH = 512;
/**
 * Milliseconds that one batch of a prompt should take at most. Where it can be interrupted, that is how often thread counts are compared; where not, a
 * cancel is heard between batches only. The starter on one thread, over llama-bench: 0.985 with the former, 0.963 with the latter (21 and 41 rounds).
 */
const BATCH_MS = { controlled: 6000, alone: 1500 } as const;
/** What node-llama-cpp's JSON grammars end with. */
const JSON_END = "\n\n\n\n";

export interface ModelParts {
  readonly path: string;
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly decoder: Decoder;
  readonly template: ChatTemplate;
  readonly templateSource: string | null;
  readonly threads: ThreadPlan;
  readonly clock: StepClock;
  /** Of this process; `null` where cores are not for us to choose. */
  readonly cores: CoreBinding | null;
}

type Listener = (chunk: GenerateChunk) => void;

export class LoadedLlama {
  readonly #parts: ModelParts;
  readonly #encoding: TextEncoding;
  readonly #promptThreads: ThreadGovernor;
  readonly #generateThreads: ThreadGovernor;
  readonly #seat = new CoreSeat();
  readonly #tags: ReplyFormat["reasoning"];
  readonly #shown: ReadonlyMap<Token, string>;
  readonly #turnEnd: { readonly token: Token | null; readonly text: string | null };
  #embedding: LlamaEmbeddingContext | null = null;
  /** Prompt speed seen last, tokens per millisecond; sizes batches. */
  #promptSpeed: number;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(parts: ModelParts) {
    this.#parts = parts;
    const { model, threads, template } = parts;
    this.#encoding = new TextEncoding(model);
    this.#promptThreads = new ThreadGovernor({ max: threads.prompt, window: 2, trial: 1 });
    const speed = threads.measured.find((sample) => sample.threads === threads.generate)?.generateTokensPerSecond;
    this.#generateThreads = new ThreadGovernor({ max: threads.generate, window: 8, trial: 3, ...(speed && { usual: 1000 / speed }) });
    const planned = threads.measured.find((sample) => sample.threads === threads.prompt)?.promptTokensPerSecond;
    this.#promptSpeed = (planned ?? MIN_BATCH) / 1000;
    this.#tags = reasoningTags(model, parts.templateSource);
    this.#shown = shownTokens(model, this.#tags);
    this.#turnEnd = turnEnd(model, template.turnEnd);
  }

  get contextSize(): number {
    return this.#parts.context.contextSize;
  }

  get contextUsed(): number {
    return this.#parts.decoder.held.length;
  }

  get gpuBytes(): number {
    return this.#parts.model.memoryUsage.vram + this.#parts.context.memoryUsage.vram;
  }

  async generate(request: GenerateRequest, emit: Listener, signal: AbortSignal): Promise<Result<GenerateOutcome, EngineError>> {
    const start = this.#parts.clock.now();
    const grammar = await this.#grammar(request.jsonSchema);
    if (!grammar.ok) return grammar;
    const pieces = this.#render(request.messages);
    if (!pieces.ok) return pieces;
    return await this.#alone(async () => {
      if (signal.aborted) return err({ kind: "cancelled" });
      const prompt = await this.#encoding.prompt(pieces.value, Infinity);
      // One place must be left for an answer, and an empty prompt has nothing to continue.
      if (prompt.length >= this.contextSize)
        return err({ kind: "prompt-too-long", promptTokens: prompt.length, contextSize: this.contextSize });
      if (prompt.length === 0) return err({ kind: "prompt-too-long", promptTokens: 0, contextSize: this.contextSize });
      using _interrupted = this.#parts.decoder.heed(signal);
      const ahead = { limit: Math.min(request.maxTokens ?? Infinity, this.contextSize - prompt.length), end: this.#turnEnd.token };
      const generation = this.#parts.decoder.open({ ...request, grammar: grammar.value, ahead });
      using _running = generation.ahead ? this.#parts.clock.begin() : null;
      try {
        return await this.#run({ request, prompt, pieces: pieces.value, generation, emit, signal, start, json: grammar.value !== null });
      } finally {
        this.#parts.cores?.set(false);
        await generation.close();
      }
    });
  }

  async count(messages: readonly ChatMessage[]): Promise<Result<MessageCosts, EngineError>> {
    const pieces = this.#render(messages);
    if (!pieces.ok) return pieces;
    const costs = messages.map(() => 0);
    let frame = this.#encoding.bos === null ? 0 : 1;
    let between = 0;
    for (const [index, piece] of pieces.value.entries()) {
      const tokens = (await this.#encoding.piece(piece, index === 0)).length;
      if (piece.kind === "template") between += tokens;
      else {
        // What stands before a message opens it and closes the one before; each message but the first pays for that once.
        costs[piece.message] = (costs[piece.message] ?? 0) + tokens + between;
        between = 0;
      }
    }
    frame += between;
    return ok({ messages: costs, frame });
  }

  async embed(texts: readonly string[]): Promise<Result<readonly Float32Array[], EngineError>> {
    return await this.#alone(async () => {
      const { model, threads, clock, cores } = this.#parts;
      cores?.set(false);
      this.#embedding ??= await model.createEmbeddingContext({
        contextSize: Math.min(this.contextSize, model.trainContextSize),
        threads: threads.prompt,
      });
      const vectors: Float32Array[] = [];
      for (const text of texts) {
        const tokens = this.#embedding.calculateInputLength(text);
        if (tokens >= this.contextSize) return err({ kind: "prompt-too-long", promptTokens: tokens, contextSize: this.contextSize });
        const { vector } = await clock.step(this.#embedding.getEmbeddingFor(text));
        vectors.push(unit(vector));
      }
      return ok(vectors);
    });
  }

  async probabilities(text: string, top: number): Promise<Result<readonly TokenProbability[], EngineError>> {
    return await this.#alone(async () => {
      const tokens = await this.#encoding.prompt([{ kind: "content", text, message: 0 }], Infinity);
      const { decoder, model, cores } = this.#parts;
      cores?.set(false);
      if (tokens.length === 0 && model.tokens.bos !== null) tokens.push(model.tokens.bos);
      if (tokens.length === 0 || tokens.length >= this.contextSize)
        return err({ kind: "prompt-too-long", promptTokens: tokens.length, contextSize: this.contextSize });
      await this.#prepare(tokens, () => false);
      const rest = tokens.slice(decoder.held.length);
      const distribution = await this.#parts.clock.step(decoder.distribution(rest, this.#threadsFor(rest.length)));
      const likeliest = [...distribution].sort(([, a], [, b]) => b - a).slice(0, top);
      return ok(
        likeliest.flatMap(([token, probability]) =>
          probability > 0 ? [{ token, text: model.detokenize([token], true), logProbability: Math.log(probability) }] : [],
        ),
      );
    });
  }

  async dispose(): Promise<void> {
    await this.#alone(async () => {
      await this.#embedding?.dispose();
      await this.#parts.context.dispose();
      this.#parts.decoder[Symbol.dispose]();
      await this.#parts.model.dispose();
    });
  }

  async #run(run: Run): Promise<Result<GenerateOutcome, EngineError>> {
    const { request, prompt, generation, emit, signal, start } = run;
    const { decoder, clock } = this.#parts;
    const cached = await this.#prepare(prompt, () => signal.aborted);
    if (signal.aborted) return err({ kind: "cancelled" });
    const reply = new Reply(this.#format(run), new TokenText(this.#parts.model, this.#shown), emit);
    const limit = request.maxTokens ?? Infinity;
    let stop: GenerateOutcome["stop"] = "length";
    let input: readonly Token[] = prompt.slice(decoder.held.length);
    let promptEnd = 0;
    let last = 0;
    for (;;) {
      const threads = this.#threadsFor(input.length);
      const seated = this.#takeSeat(input.length, threads, generation);
      const step = await clock.step(generation.next(input, threads, this.#generateThreads));
      const now = clock.now();
      if (step === null) {
        if (promptEnd === 0) return err({ kind: "cancelled" });
        stop = "cancelled";
        break;
      }
      const { token, ms } = step;
      // Only single tokens are alike enough to be compared, and one that was made ahead may be of the count before.
      if (input.length === 1 && step.threads === threads) this.#generateThreads.observe(ms, now);
      if (seated) this.#seat.observe(ms, now);
      if (promptEnd === 0) {
        promptEnd = now;
        emit({ type: "prompt", tokens: prompt.length, cached, ms: Math.round(now - start) });
      }
      last = now;
      if (this.#endsTurn(token)) stop = "end";
      else {
        stop = reply.push(token) ?? "length";
        // `length` here means: nothing stopped it so far.
        if (stop === "length" && reply.tokens < limit && decoder.held.length + 1 < this.contextSize && !signal.aborted) {
          input = [token];
          continue;
        }
        if (stop === "length" && signal.aborted) stop = "cancelled";
      }
      break;
    }
    reply.end();
    const generateMs = last - promptEnd;
    return ok({
      stop,
      tokens: { prompt: prompt.length, cached, completion: reply.tokens, reasoning: reply.reasoningTokens },
      timings: {
        firstTokenMs: round(promptEnd - start),
        promptMs: round(promptEnd - start),
        generateMs: round(generateMs),
        tokensPerSecond: reply.tokens > 1 && generateMs > 0 ? round((reply.tokens - 1) / (generateMs / 1000)) : 0,
      },
      threads: { prompt: this.#promptThreads.unobserved(last), generate: this.#generateThreads.threads },
      repeated: reply.repeated,
      contextUsed: decoder.held.length,
    });
  }

  /** Reuses the common beginning and evaluates the rest but for one last batch, which the caller samples from. Returns how many tokens were reused. */
  async #prepare(prompt: readonly Token[], cancelled: () => boolean): Promise<number> {
    const { decoder, clock } = this.#parts;
    const { held } = decoder;
    let common = 0;
    // The last token is always evaluated: its logits are what the first word is sampled from.
    while (common < prompt.length - 1 && common < held.length && held[common] === prompt[common]) common++;
    const cached = await decoder.keep(common);
    let size = this.#batchSize();
    for (;;) {
      const from = decoder.held.length;
      if (prompt.length - from <= size || cancelled()) return cached;
      const before = clock.now();
      this.#parts.cores?.set(false);
      if (!(await clock.step(decoder.feed(prompt.slice(from, from + size), this.#promptThreads.threads)))) return cached;
      const now = clock.now();
      this.#promptThreads.observe((now - before) / size, now);
      this.#promptSpeed = size / Math.max(1, now - before);
      // Batches of one prompt are of one size, so that their speeds can be compared; only a much too long one is corrected.
      if (now - before > 3 * this.#batchMs) size = this.#batchSize();
    }
  }

  get #batchMs(): number {
    return this.#parts.decoder.controlled ? BATCH_MS.controlled : BATCH_MS.alone;
  }

  #batchSize(): number {
    return Math.min(MAX_BATCH, Math.max(MIN_BATCH, Math.floor((this.#promptSpeed * this.#batchMs) / MIN_BATCH) * MIN_BATCH));
  }

  /** The governor of prompts learns from the full batches of long ones alone; the last batch of a prompt is one of a kind. */
  #threadsFor(tokens: number): number {
    if (tokens < PROMPT_BATCH) return this.#generateThreads.threads;
    const now = this.#parts.clock.now();
    const [prompt, generate] = [this.#promptThreads.unobserved(now), this.#generateThreads.unobserved(now)];
    // Where answers do with fewer than planned, other work may hold the cores. Or fewer are just as good for answers, which says nothing of a long prompt.
    return tokens <= SHORT_PROMPT && generate < this.#parts.threads.generate ? Math.min(prompt, generate) : prompt;
  }

  /** Takes one core, or lets go of it, for the step that comes. Returns whether that step tells the one from the other. */
  #takeSeat(tokens: number, threads: number, { ahead }: Generation): boolean {
    const { cores, clock, decoder } = this.#parts;
    // A core is not shared with another model's step, which may have more threads; nor with those that a context has where their number cannot be changed:
    // two that wait for each other on one core took two seconds for a token. And one thread that makes all the tokens itself has nobody to wait for.
    const alone = !ahead && tokens === 1 && threads === 1 && clock.idle && decoder.kind === "native";
    cores?.set(alone && this.#seat.bound);
    return alone && cores !== null;
  }

  #render(messages: readonly ChatMessage[]): Result<readonly PromptPiece[], EngineError> {
    const pieces = this.#parts.template.render(messages);
    return pieces.ok ? pieces : err({ kind: "template-broken", path: this.#parts.path, detail: pieces.error });
  }

  async #grammar(schema: unknown): Promise<Result<LlamaGrammar | null, EngineError>> {
    if (schema === null || schema === undefined) return ok(null);
    const converted = grammarSchema(schema);
    if (!converted.ok) return err({ kind: "schema-unsupported", detail: converted.error });
    try {
      return ok(await this.#parts.model.llama.createGrammarForJsonSchema(converted.value as never));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return err({ kind: "schema-unsupported", detail: message.split("\n", 1)[0] ?? "" });
    }
  }

  #format({ json, pieces }: Run): ReplyFormat {
    // A grammar leaves no room for reasoning, and its own end mark is the only stop.
    if (json) return { reasoning: null, startsInReasoning: false, stops: [JSON_END] };
    const opening = pieces.at(-1);
    const startsInReasoning =
      this.#tags !== null && opening?.kind === "template" && opening.text.trimEnd().endsWith(this.#tags.open.trimEnd());
    return { reasoning: this.#tags, startsInReasoning, stops: this.#turnEnd.text === null ? [] : [this.#turnEnd.text] };
  }

  #endsTurn(token: Token): boolean {
    return token === this.#turnEnd.token || this.#parts.model.isEogToken(token);
  }

  /** Runs after everything that was asked before. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return await turn;
  }
}

interface Run {
  readonly request: GenerateRequest;
  readonly prompt: readonly Token[];
  readonly pieces: readonly PromptPiece[];
  readonly generation: Generation;
  readonly emit: Listener;
  readonly signal: AbortSignal;
  readonly start: number;
  readonly json: boolean;
}

/** Tokens on their way to chunks. */
class Reply {
  tokens = 0;
  reasoningTokens = 0;
  repeated = 0;
  readonly #splitter: ReplySplitter;
  readonly #text: TokenText;
  readonly #emit: Listener;
  readonly #guard = new LoopGuard();
  readonly #json: boolean;
  /** Tokens whose text is held back; they are counted with the chunk that carries it. */
  #unsent = 0;

  constructor(format: ReplyFormat, text: TokenText, emit: Listener) {
    this.#splitter = new ReplySplitter(format);
    this.#json = format.stops.includes(JSON_END);
    this.#text = text;
    this.#emit = emit;
  }

  /** Returns why to stop, or null to go on. */
  push(token: Token): "end" | "loop" | null {
    this.tokens++;
    this.#unsent++;
    if (this.#splitter.reasoning) this.reasoningTokens++;
    this.#send(this.#splitter.push(this.#text.push(token)));
    if (this.#splitter.stopped) return "end";
    return this.repeated > 0 ? "loop" : null;
  }

  end(): void {
    if (this.#splitter.stopped) return;
    this.#send(this.#splitter.push(this.#text.end()));
    this.#send(this.#splitter.end().map((piece) => (this.#json ? { ...piece, text: piece.text.trimEnd() } : piece)));
  }

  #send(pieces: readonly ReplyPiece[]): void {
    for (const piece of pieces) {
      if (piece.text === "") continue;
      this.#emit({ ...piece, tokens: this.#unsent });
      this.#unsent = 0;
      this.repeated ||= this.#guard.push(piece.text);
    }
  }
}

function reasoningTags(model: LlamaModel, source: string | null): ReplyFormat["reasoning"] {
  if (source === null) return null;
  return (
    REASONING_TAGS.find(({ open, close }) => source.includes(close) || (single(model, open) !== null && single(model, close) !== null)) ??
    null
  );
}

/** The tags may be special tokens, which are silent otherwise. */
function shownTokens(model: LlamaModel, tags: ReplyFormat["reasoning"]): ReadonlyMap<Token, string> {
  const shown = new Map<Token, string>();
  for (const text of tags ? [tags.open, tags.close] : []) {
    const token = single(model, text);
    if (token !== null) shown.set(token, text);
  }
  return shown;
}

function turnEnd(model: LlamaModel, text: string): { token: Token | null; text: string | null } {
  const [first] = model.tokenize(text, true);
  if (first !== undefined && model.isSpecialToken(first)) return { token: first, text: null };
  // A template without tokens of its own writes something like "\n\n### User:\n"; less than four characters would stop honest text.
  const mark = text.trim();
  return { token: null, text: mark.length >= 4 ? mark : null };
}

function single(model: LlamaModel, text: string): Token | null {
  const [token, ...more] = model.tokenize(text, true);
  return token !== undefined && more.length === 0 ? token : null;
}

function unit(vector: readonly number[]): Float32Array {
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => (length > 0 ? value / length : 0));
}

/** To a hundredth: more digits say nothing and make lines longer. */
const round = (value: number): number => Math.round(value * 100) / 100;
