/**
 * The one place that reaches into node-llama-cpp's internals: the native context and sampler below its public classes.
 *
 * Four things need it. Thread counts: a batch of a prompt and a single token want different ones (0.43 of the speed on two cores when they share one), and
 * only `setThreads` on the native context changes them. Time: the public `evaluate()` spends 0.4 ms a token on promises and locks, 4% of the starter
 * model's speed. Stopping in the middle of a batch. And tokens made ahead of the one who reads them. `openDecoder` checks that everything needed is there and works, and falls back to the public
 * interface when an update moved it.
 */
import {
  type LlamaContext,
  type LlamaContextSequence,
  type LlamaGrammar,
  LlamaGrammarEvaluationState,
  type LlamaModel,
  type Token,
} from "node-llama-cpp";
import type { ContextControl, ContextLibraries } from "../ffi/context-control.ts";
import { AheadGeneration } from "./run-ahead.ts";

export interface Sampling {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly seed: number;
  readonly grammar: LlamaGrammar | null;
  /** Lets tokens be made before they are asked for, where that is possible; without it none is. */
  readonly ahead?: RunAhead;
}

/** Where running ahead would be in vain. Nothing is wrong with asking for more. */
export interface RunAhead {
  /** Tokens that the caller will take at most. */
  readonly limit: number;
  /** Ends a turn besides the model's own end tokens. */
  readonly end: Token | null;
}

/** One KV sequence. Callers take turns: nothing here may run at the same time as anything else of the same decoder. */
export interface Decoder extends Disposable {
  readonly kind: "native" | "public";
  /** Its threads last from one batch to the next, and a batch can be interrupted. */
  readonly controlled: boolean;
  /** Tokens whose state is held, in order. */
  readonly held: readonly Token[];
  /** Drops everything after the first `count` tokens. Returns how many remain, which is fewer where the model's memory cannot be cut (sliding windows). */
  keep(count: number): Promise<number>;
  /** Evaluates without asking for a next token. False where it was interrupted: then none of the tokens is held. */
  feed(tokens: readonly Token[], threads: number): Promise<boolean>;
  /** From now on the signal interrupts what `feed` and `next` evaluate, until disposed of. One signal at a time. */
  heed(signal: AbortSignal): Disposable;
  open(sampling: Sampling): Generation;
  /** Evaluates `tokens` (at least one) and returns the probability of every token to follow, before any sampling filter. */
  distribution(tokens: readonly Token[], threads: number): Promise<ReadonlyMap<Token, number>>;
  /** Ends its threads. Only after the context was disposed of. */
  [Symbol.dispose](): void;
}

/** Anything else makes "probabilities" mean: of those few that the filters left over. */
const UNFILTERED = { temperature: 1, topK: 0, topP: 1, minP: 0 } as const;

export interface Step {
  readonly token: Token;
  /** Milliseconds that it took to make it, and the threads that were at it: with tokens made ahead, some time ago and maybe on other ones than asked for. */
  readonly ms: number;
  readonly threads: number;
}

export interface TokenThreads {
  readonly threads: number;
  /** Milliseconds after which a token is made on one thread instead of several; 0 for never. */
  readonly patience: number;
}

export interface Generation {
  /** Tokens are made before they are asked for, on one thread alone. */
  readonly ahead: boolean;
  /**
   * Evaluates `tokens` (at least one) and samples what follows them. `after`: for those that are made ahead of being asked for; `threads` and no hurry without it. `null` where it was
   * interrupted: then none of the tokens is held.
   */
  next(tokens: readonly Token[], threads: number, after?: TokenThreads): Promise<Step | null>;
  close(): Promise<void>;
}

export function openDecoder(
  context: LlamaContext,
  {
    prefer = "native",
    libraries = null,
  }: { readonly prefer?: "native" | "public" | undefined; readonly libraries?: ContextLibraries | null } = {},
): Decoder {
  const native = prefer === "native" ? nativeParts(context) : null;
  if (native === null) return new PublicDecoder(context.getSequence());
  const facts = { contextSize: context.contextSize, threads: native.context.getThreads() };
  return new NativeDecoder(context.model, native, libraries?.attach(native.context, native.model, facts) ?? null);
}

interface NativeContext {
  initBatch(size: number): void;
  addToBatch(sequence: number, firstIndex: number, tokens: Uint32Array, logitIndexes: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  sampleToken(logitIndex: number, sampler: NativeSampler): Promise<Token | -1>;
  /** With probabilities: pairs of token and probability, flat. */
  sampleToken(
    logitIndex: number,
    sampler: NativeSampler,
    probabilities: true,
  ): Promise<readonly [Token | -1, readonly number[] | undefined]>;
  disposeSequence(sequence: number): void;
  removeTokenCellsFromSequence(sequence: number, start: number, end: number): boolean;
  getSequenceKvCacheMinPosition(sequence: number): number;
  getThreads(): number;
  setThreads(threads: number): void;
}
interface NativeSampler {
  applyConfig(config: Readonly<Record<string, unknown>>): void;
  dispose(): void;
}
interface NativeParts {
  readonly context: NativeContext;
  readonly model: object;
  newSampler(): NativeSampler;
}

const NEEDED = [
  "initBatch",
  "addToBatch",
  "decodeBatch",
  "sampleToken",
  "disposeSequence",
  "removeTokenCellsFromSequence",
  "getSequenceKvCacheMinPosition",
  "getThreads",
  "setThreads",
] as const satisfies readonly (keyof NativeContext)[];

/** The self-test: every function is there, and a thread count that is set is the one in force. */
function nativeParts(context: LlamaContext): NativeParts | null {
  const native = property<NativeContext>(context, "_ctx");
  const model = property<object>(context.model, "_model");
  const Sampler = property<new (model: object) => NativeSampler>(property(context.model.llama, "_bindings"), "AddonSampler");
  if (!native || !model || typeof Sampler !== "function" || NEEDED.some((name) => typeof native[name] !== "function")) return null;
  try {
    const before = native.getThreads();
    native.setThreads(before + 1);
    const changed = native.getThreads() === before + 1;
    native.setThreads(before);
    const sampler = new Sampler(model);
    const complete = typeof sampler.applyConfig === "function" && typeof sampler.dispose === "function";
    sampler.dispose();
    return changed && complete ? { context: native, model, newSampler: () => new Sampler(model) } : null;
  } catch {
    return null;
  }
}

// oxlint-disable-next-line no-unnecessary-type-parameters -- the one place where internals get a type; `nativeParts` checks what it can
function property<T>(owner: unknown, name: string): T | undefined {
  if (typeof owner !== "object" || owner === null) return undefined;
  return (owner as Readonly<Record<string, unknown>>)[name] as T | undefined;
}

/** The only sequence of each context. */
const SEQUENCE = 0;

class NativeDecoder implements Decoder {
  readonly kind = "native";
  readonly held: Token[] = [];
  readonly #native: NativeParts;
  readonly #model: LlamaModel;
  readonly #control: ContextControl | null;
  #signal: AbortSignal | null = null;
  /** In force, where nobody else keeps them; 0 before the first batch. */
  #threads = 0;

  constructor(model: LlamaModel, native: NativeParts, control: ContextControl | null) {
    this.#model = model;
    this.#native = native;
    this.#control = control;
  }

  get controlled(): boolean {
    return this.#control !== null;
  }

  [Symbol.dispose](): void {
    this.#control?.[Symbol.dispose]();
  }

  async keep(count: number): Promise<number> {
    if (count >= this.held.length) return this.held.length;
    if (this.#cut(count, this.held.length)) this.held.length = count;
    else this.#forget();
    return this.held.length;
  }

  async feed(tokens: readonly Token[], threads: number): Promise<boolean> {
    return (await this.#decode(tokens, threads, false)) !== null;
  }

  heed(signal: AbortSignal): Disposable {
    // Once for all steps: to listen anew for each token would cost a part in a thousand of the smallest model's speed.
    const interrupt = (): void => this.#control?.interrupt(true);
    if (signal.aborted) interrupt();
    else signal.addEventListener("abort", interrupt, { once: true });
    this.#signal = signal;
    return {
      [Symbol.dispose]: () => {
        signal.removeEventListener("abort", interrupt);
        this.#control?.interrupt(false);
        this.#signal = null;
      },
    };
  }

  open(sampling: Sampling): Generation {
    return this.#openAhead(sampling) ?? this.#openStepwise(sampling);
  }

  #openAhead({ grammar, ahead, ...settings }: Sampling): Generation | null {
    const control = this.#control;
    const loop = control?.loop;
    if (!control || !loop || !ahead || grammar !== null) return null;
    const sampler = loop.sampler(settings);
    if (sampler === null) return null;
    return new AheadGeneration({
      loop,
      sampler,
      ahead,
      held: this.held,
      decode: async (tokens, threads) => (await this.#decode(tokens, threads, true)) !== null,
      use: (threads, patience) => control.use(threads, patience),
      settled: (threads) => control.settled(threads),
      interrupted: () => this.#signal?.aborted === true,
      interrupt: (wanted) => control.interrupt(wanted),
      drop: (end) => {
        if (!this.#cut(this.held.length, end)) this.#forget();
      },
      forget: () => this.#forget(),
      rest: () => control.rest(),
    });
  }

  #openStepwise({ grammar, temperature, topK, topP, minP, seed }: Sampling): Generation {
    const sampler = this.#native.newSampler();
    const state = grammar ? new LlamaGrammarEvaluationState({ model: this.#model, grammar }) : null;
    const grammarEvaluationState = state ? property<object>(state, "_state") : undefined;
    sampler.applyConfig({ temperature, topK, topP, minP, seed, ...(grammarEvaluationState ? { grammarEvaluationState } : {}) });
    return {
      ahead: false,
      next: async (tokens, threads) => {
        const before = performance.now();
        const logits = await this.#decode(tokens, threads, true);
        if (logits === null) return null;
        const token = await this.#native.context.sampleToken(logits, sampler);
        if (token === -1) throw new Error("llama.cpp found no token to sample");
        return { token, ms: performance.now() - before, threads };
      },
      close: async () => {
        sampler.dispose();
        this.#control?.rest();
      },
    };
  }

  async distribution(tokens: readonly Token[], threads: number): Promise<ReadonlyMap<Token, number>> {
    const logits = (await this.#decode(tokens, threads, true)) ?? 0;
    const sampler = this.#native.newSampler();
    try {
      sampler.applyConfig({ ...UNFILTERED, seed: 0 });
      const [, flat = []] = await this.#native.context.sampleToken(logits, sampler, true);
      const found = new Map<Token, number>();
      for (let index = 0; index + 1 < flat.length; index += 2) found.set(flat[index] as Token, flat[index + 1] ?? 0);
      return found;
    } finally {
      sampler.dispose();
      this.#control?.rest();
    }
  }

  /** Returns the index of the last token's logits; `null` where it was interrupted. */
  async #decode(tokens: readonly Token[], threads: number, wantLogits: boolean): Promise<number | null> {
    const { context } = this.#native;
    if (this.#control !== null) this.#control.use(threads, 0);
    else if (threads !== this.#threads) context.setThreads((this.#threads = threads));
    context.initBatch(tokens.length);
    const wanted = wantLogits ? Uint32Array.of(tokens.length - 1) : new Uint32Array();
    const [logits] = context.addToBatch(SEQUENCE, this.held.length, Uint32Array.from(tokens), wanted);
    try {
      await context.decodeBatch();
    } catch (error) {
      if (this.#signal?.aborted && this.#control !== null) {
        // llama.cpp forgets the part that it was in; a batch may have several. What stood before is as it was.
        if (!context.removeTokenCellsFromSequence(SEQUENCE, this.held.length, this.held.length + tokens.length)) this.#forget();
        return null;
      }
      // Part of the batch may have been taken in; a state nobody knows is no state.
      this.#forget();
      throw error;
    }
    for (const token of tokens) this.held.push(token);
    return logits ?? 0;
  }

  /** Drops the state from `start` to `end`. False where that is not possible; then nothing of the state is usable. */
  #cut(start: number, end: number): boolean {
    const { context } = this.#native;
    // A sliding window may have forgotten what stands before the cut.
    return start > 0 && context.getSequenceKvCacheMinPosition(SEQUENCE) <= 0 && context.removeTokenCellsFromSequence(SEQUENCE, start, end);
  }

  #forget(): void {
    this.#native.context.disposeSequence(SEQUENCE);
    this.held.length = 0;
  }
}

/** Slower, and with whatever thread count the context was made with, but on documented ground. */
class PublicDecoder implements Decoder {
  readonly kind = "public";
  readonly controlled = false;
  readonly #sequence: LlamaContextSequence;

  constructor(sequence: LlamaContextSequence) {
    this.#sequence = sequence;
  }

  get held(): readonly Token[] {
    return this.#sequence.contextTokens;
  }

  [Symbol.dispose](): void {}

  async keep(count: number): Promise<number> {
    const end = this.#sequence.nextTokenIndex;
    if (count < end) await this.#sequence.eraseContextTokenRanges([{ start: count, end }]);
    return this.#sequence.nextTokenIndex;
  }

  async feed(tokens: readonly Token[]): Promise<boolean> {
    await this.#sequence.evaluateWithoutGeneratingNewTokens([...tokens]);
    return true;
  }

  heed(): Disposable {
    return { [Symbol.dispose]: () => undefined };
  }

  open({ grammar, ahead: _none, ...sampling }: Sampling): Generation {
    const sequence = this.#sequence;
    const grammarEvaluationState = grammar ? new LlamaGrammarEvaluationState({ model: sequence.model, grammar }) : undefined;
    let tokens: AsyncGenerator<Token, void, Token | Token[] | undefined> | undefined;
    return {
      ahead: false,
      async next(input, threads) {
        const before = performance.now();
        const options = { ...sampling, yieldEogToken: true, ...(grammarEvaluationState ? { grammarEvaluationState } : {}) };
        const step = tokens ? tokens.next([...input]) : (tokens = sequence.evaluate([...input], options)).next();
        const { value } = await step;
        if (value === undefined) throw new Error("llama.cpp found no token to sample");
        return { token: value, ms: performance.now() - before, threads };
      },
      async close() {
        await tokens?.return();
      },
    };
  }

  async distribution(tokens: readonly Token[]): Promise<ReadonlyMap<Token, number>> {
    const last = tokens.length - 1;
    const results = await this.#sequence.controlledEvaluate(
      tokens.map((token, index) => (index === last ? [token, { generateNext: { probabilities: true, options: UNFILTERED } }] : token)),
    );
    return results[last]?.next.probabilities ?? new Map();
  }
}
