/**
 * Makes the tokens of an answer on a thread of its own, which runs ahead of JavaScript. Step by step, the core that works on a model waited between two
 * tokens for two hand-overs, a promise and whatever is done with the text: 0.15 to 0.25 ms of the starter's 7.
 */
import { dlopen, JSCallback, type Pointer, toArrayBuffer } from "bun:ffi";
import { compileC } from "./compile-c.ts";
import { type ChainSettings, openSamplers, type SamplerChain } from "./sampler-chain.ts";
import source from "./token-loop.c" with { type: "text" };

/** In C too. */
const ROOM = 16;
/** `struct step`: a double, and three numbers of four bytes. */
const STEP = { bytes: 24, token: 8, threads: 12, late: 16 } as const;
/** Milliseconds; the longest that a timer can be set to. */
const NEVER = 2 ** 31 - 1;

export interface LoopStep {
  readonly token: number;
  /** Milliseconds from the token before it to this one; of the first of a run: of its sampling alone. */
  readonly ms: number;
  /** That its decoding began on. */
  readonly threads: number;
  /** These took longer than they were given: one thread has made it, and makes those after it until `use` says otherwise. */
  readonly late: boolean;
}

export interface LoopRun {
  readonly sampler: SamplerChain;
  /** Tokens that the context holds; the last one was evaluated with logits. */
  readonly position: number;
  /** Tokens to make, at least one. It ends sooner with one that ends a turn. */
  readonly left: number;
  /** Ends a turn besides the model's own end tokens; -1 for none. */
  readonly end: number;
  /** In force now. */
  readonly threads: number;
  /** Milliseconds that several of them may take for a token; 0 for ever. */
  readonly patience: number;
}

/** One context's. Nothing else may touch that context while a run is on, from `begin` to the end of `stop`. */
export interface TokenLoop extends Disposable {
  /** `null` where llama.cpp does not make what it was asked for. */
  sampler(settings: ChainSettings): SamplerChain | null;
  /** Whether a run is on. */
  readonly running: boolean;
  /** Whether there is something to sample from; a model that only embeds has nothing, and llama.cpp aborts where that is not asked before. */
  hasLogits(): boolean;
  begin(run: LoopRun): void;
  /** For the decodes that begin from now on. `patience`: as of a run. */
  use(threads: number, pool: Pointer | null, patience: number): void;
  /** The next token; `null` when no more will come. */
  next(): Promise<LoopStep | null>;
  /** After the last decode, or as soon as it is interrupted. */
  stop(): Promise<LoopEnd>;
  /** Ends its thread. Only while no run is on. */
  [Symbol.dispose](): void;
}

export interface LoopEnd {
  /** Tokens that the context holds now, those of tokens that nobody took included. */
  readonly position: number;
  /** What `llama_decode` returned last: 0 is fine, 2 is interrupted. */
  readonly result: number;
  /** In force now: fewer than were wanted where a token was late that nobody took. */
  readonly threads: number;
}

export interface TokenLoops {
  /** `flag`: what its abort callback looks at. `null` for a model whose memory cannot be cut back to where JavaScript is, and where anything is not as expected. */
  open(context: Pointer, flag: Pointer): TokenLoop | null;
}

/** `llamaPath`: of a libllama that is loaded. `null` where it is not the one that this was made for. */
export function tokenLoops(llamaPath: string): TokenLoops | null {
  try {
    return openLoops(llamaPath);
  } catch {
    return null;
  }
}

type Compiled = ReturnType<typeof compile>;
const compile = () =>
  compileC(source, {
    noctem_loop_library: { args: ["cstring", "ptr"], returns: "u64" },
    noctem_loop_new: { args: ["u64", "ptr", "ptr", "ptr"], returns: "ptr" },
    noctem_loop_begin: { args: ["ptr", "ptr", "i32", "i32", "i32", "i32", "f64"], returns: "void" },
    noctem_loop_use: { args: ["ptr", "i32", "ptr", "f64"], returns: "void" },
    noctem_loop_take: { args: ["ptr"], returns: "i32" },
    noctem_loop_stop: { args: ["ptr"], returns: "i32" },
    noctem_loop_position: { args: ["ptr"], returns: "i32" },
    noctem_loop_threads: { args: ["ptr"], returns: "i32" },
    noctem_loop_result: { args: ["ptr"], returns: "i32" },
    noctem_loop_free: { args: ["ptr"], returns: "void" },
  });

let compiled: Compiled | undefined;

/** Who waits to be woken: one for each run at most. */
const waiting = new Set<() => void>();

/**
 * One for all loops, and never closed: a call that is on its way when its callback goes would be a call into nothing. It says no more than that somebody
 * should look. Rejected: a pipe that is read as a stream. It costs the thread the same system call (15 µs instead of 17) and JavaScript nearly twice as much.
 */
let waker: JSCallback | undefined;

function wakeAll(): void {
  for (const wake of waiting) wake();
  waiting.clear();
}

function openLoops(llamaPath: string): TokenLoops | null {
  const native = (compiled ??= compile());
  waker ??= new JSCallback(wakeAll, { args: [], returns: "void", threadsafe: true });
  const library = native.noctem_loop_library(Buffer.from(`${llamaPath}\0`), waker.ptr);
  if (library === 0n) return null;
  const samplers = openSamplers(llamaPath);
  const llama = dlopen(llamaPath, {
    llama_get_model: { args: ["ptr"], returns: "ptr" },
    llama_get_logits: { args: ["ptr"], returns: "ptr" },
    llama_model_get_vocab: { args: ["ptr"], returns: "ptr" },
    llama_model_is_recurrent: { args: ["ptr"], returns: "bool" },
    llama_model_is_hybrid: { args: ["ptr"], returns: "bool" },
    llama_model_is_diffusion: { args: ["ptr"], returns: "bool" },
    llama_model_has_encoder: { args: ["ptr"], returns: "bool" },
    llama_model_n_swa: { args: ["ptr"], returns: "i32" },
    llama_vocab_n_tokens: { args: ["ptr"], returns: "i32" },
  }).symbols;
  return {
    open(context, flag) {
      const model = llama.llama_get_model(context);
      const vocab = model === null ? null : llama.llama_model_get_vocab(model);
      if (model === null || vocab === null) return null;
      // A window that slides has lost its other end to tokens that ran ahead.
      if (llama.llama_model_n_swa(model) > 0 || llama.llama_model_is_recurrent(model) || llama.llama_model_is_hybrid(model)) return null;
      if (llama.llama_model_is_diffusion(model) || llama.llama_model_has_encoder(model)) return null;
      const loop = native.noctem_loop_new(library, context, vocab, flag);
      if (typeof loop !== "number") return null;
      const vocabulary = llama.llama_vocab_n_tokens(vocab);
      return new NativeLoop(
        native,
        loop,
        (settings) => samplers.chain(settings, vocabulary),
        () => llama.llama_get_logits(context) !== null,
      );
    },
  };
}

class NativeLoop implements TokenLoop {
  readonly sampler: TokenLoop["sampler"];
  readonly hasLogits: TokenLoop["hasLogits"];
  readonly #native: Compiled;
  readonly #loop: Pointer;
  /** Where the last step lies that was taken: memory of C's. */
  readonly #taken: DataView;
  /** Never fires. Bun does not know that somebody will call, and ends a process in which nothing else is awaited. */
  #alive: Timer | null = null;
  /** Taken in a row without a wait. */
  #ready = 0;

  constructor(native: Compiled, loop: Pointer, sampler: TokenLoop["sampler"], hasLogits: TokenLoop["hasLogits"]) {
    this.#native = native;
    this.#loop = loop;
    this.sampler = sampler;
    this.hasLogits = hasLogits;
    this.#taken = new DataView(toArrayBuffer(loop, 0, STEP.bytes));
  }

  get running(): boolean {
    return this.#alive !== null;
  }

  begin({ sampler, position, left, end, threads, patience }: LoopRun): void {
    this.#alive = setInterval(() => undefined, NEVER);
    this.#native.noctem_loop_begin(this.#loop, sampler.address, position, left, end, threads, patience);
  }

  use(threads: number, pool: Pointer | null, patience: number): void {
    this.#native.noctem_loop_use(this.#loop, threads, pool, patience);
  }

  async next(): Promise<LoopStep | null> {
    for (;;) {
      switch (this.#native.noctem_loop_take(this.#loop)) {
        case 1: {
          const step = {
            ms: this.#taken.getFloat64(0, true),
            token: this.#taken.getInt32(STEP.token, true),
            threads: this.#taken.getInt32(STEP.threads, true),
            late: this.#taken.getInt32(STEP.late, true) !== 0,
          };
          // A model that is faster than JavaScript must not keep cancels and signs of life waiting.
          if (++this.#ready >= ROOM) await this.#pause();
          return step;
        }
        case 2:
          return null;
        default:
          await this.#woken();
      }
    }
  }

  async stop(): Promise<LoopEnd> {
    while (this.#native.noctem_loop_stop(this.#loop) !== 0) await this.#woken();
    if (this.#alive !== null) clearInterval(this.#alive);
    this.#alive = null;
    return {
      position: this.#native.noctem_loop_position(this.#loop),
      result: this.#native.noctem_loop_result(this.#loop),
      threads: this.#native.noctem_loop_threads(this.#loop),
    };
  }

  [Symbol.dispose](): void {
    this.#native.noctem_loop_free(this.#loop);
  }

  async #woken(): Promise<void> {
    this.#ready = 0;
    await new Promise<void>((resolve) => waiting.add(resolve));
  }

  async #pause(): Promise<void> {
    this.#ready = 0;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
