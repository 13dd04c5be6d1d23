/** An answer whose tokens are made ahead of whoever asks for them (`platform/ffi/token-loop.ts`). What nobody asked for is dropped again at its end. */
import type { Token } from "node-llama-cpp";
import type { TokenLoop } from "../ffi/token-loop.ts";
import type { SamplerChain } from "../ffi/sampler-chain.ts";
import type { Generation, RunAhead, Step, TokenThreads } from "./raw.ts";

/** What the decoder lends for one answer. */
export interface AheadParts {
  readonly loop: TokenLoop;
  readonly sampler: SamplerChain;
  readonly ahead: RunAhead;
  /** Tokens whose state is held. */
  readonly held: Token[];
  /** Evaluates, with logits of the last one. False where it was interrupted. */
  decode(tokens: readonly Token[], threads: number): Promise<boolean>;
  /** Threads for what the loop decodes from now on, and how long several of them may take for a token. */
  use(threads: number, patience: number): void;
  /** It has as many by itself. */
  settled(threads: number): void;
  /** Whether the caller's signal has fired. */
  interrupted(): boolean;
  /** Interrupts what is decoded now, or lets the next ones pass. */
  interrupt(wanted: boolean): void;
  /** Drops the state of what stands after the tokens that are held, up to a place. */
  drop(end: number): void;
  /** Drops the state of everything. */
  forget(): void;
  /** Its threads may sleep. */
  rest(): void;
}

/** Results of `llama_decode`. */
const FINE = 0;
const NO_ROOM = 1;
const INTERRUPTED = 2;

export class AheadGeneration implements Generation {
  readonly ahead = true;
  readonly #parts: AheadParts;
  /** The token that was given out last, which the loop goes on from. */
  #last: Token | null = null;
  #given = 0;

  constructor(parts: AheadParts) {
    this.#parts = parts;
  }

  async next(tokens: readonly Token[], threads: number, after: TokenThreads = { threads, patience: 0 }): Promise<Step | null> {
    const { held, loop } = this.#parts;
    if (this.#last !== null && tokens.length === 1 && tokens[0] === this.#last) {
      this.#parts.use(threads, after.patience);
      const step = await this.#take();
      if (step !== null) {
        held.push(this.#last);
        return this.#give(step);
      }
    }
    // Interrupted, failed, beyond the end that it was told, or asked for something else than what it made. In the last case random numbers were drawn for
    // what is dropped: it goes on, but not with those that step by step would draw. No answer does that.
    const result = await this.#halt();
    if (this.#parts.interrupted()) return null;
    if (result !== FINE && result !== INTERRUPTED) throw new Error(failure(result));
    const before = performance.now();
    if (!(await this.#parts.decode(tokens, threads))) return null;
    // The addon's words here too.
    if (!loop.hasLogits()) throw new Error("This model does not support token generation");
    const { sampler, ahead } = this.#parts;
    // A prompt may want others than what follows it.
    const { patience } = after;
    this.#parts.use(after.threads, patience);
    loop.begin({
      sampler,
      position: held.length,
      left: Math.max(1, ahead.limit - this.#given),
      end: ahead.end ?? -1,
      threads: after.threads,
      patience,
    });
    // The tokens are held now: whatever was interrupted since, this one is given out.
    const step = await loop.next();
    if (step === null) throw new Error("llama.cpp found no token to sample");
    return this.#give({ token: step.token as Token, ms: performance.now() - before, threads });
  }

  async close(): Promise<void> {
    await this.#halt();
    this.#parts.sampler[Symbol.dispose]();
    this.#parts.rest();
  }

  async #take(): Promise<Step | null> {
    if (this.#parts.interrupted()) return null;
    const step = await this.#parts.loop.next();
    if (step?.late === true) this.#parts.settled(1);
    return step === null || this.#parts.interrupted() ? null : { ...step, token: step.token as Token };
  }

  #give(step: Step): Step {
    this.#last = step.token;
    this.#given++;
    return step;
  }

  /** Waits until nothing is decoded any more; then just what is held is held. Returns what the last decode returned. */
  async #halt(): Promise<number> {
    const { loop, held } = this.#parts;
    this.#last = null;
    if (!loop.running) return FINE;
    this.#parts.interrupt(true);
    const { position, result, threads } = await loop.stop();
    this.#parts.settled(threads);
    this.#parts.interrupt(this.#parts.interrupted());
    // A state nobody knows is no state.
    if (result !== FINE && result !== INTERRUPTED) this.#parts.forget();
    // llama.cpp forgets a token that was interrupted by itself; not to rest on that costs nothing.
    else if (result === INTERRUPTED || position > held.length) this.#parts.drop(position + 1);
    return result;
  }
}

/** In the addon's words. */
const failure = (result: number): string =>
  result === NO_ROOM
    ? "could not find a KV slot for the batch (try reducing the size of the batch or increase the context)"
    : "Eval has failed";
