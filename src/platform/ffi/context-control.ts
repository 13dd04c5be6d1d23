/**
 * Three things that llama.cpp's context can do and the addon does not let it.
 *
 * Threads that last: the addon attaches none, so ggml starts its threads anew for every token; under Bun they then land beside the addon's own
 * worker, and two threads on two cores made 0.58 of the speed that they make with a pool (0.98 of llama-bench's).
 *
 * Stopping in the middle of a batch: the addon hears nothing until a batch is over, which takes seconds on a slow computer.
 *
 * Running ahead: the addon makes one token when it is asked for one (see `token-loop.ts`).
 */
import { dlopen, type Pointer } from "bun:ffi";
import { readFileSync } from "node:fs";
import { nativeObjects } from "./native-object.ts";
import { type TokenLoop, type TokenLoops, tokenLoops } from "./token-loop.ts";

/**
 * Bytes into the addon's objects, in this very build of node-llama-cpp. Nothing rests on them alone: `attach` believes a pointer only when
 * everything around it says the same, and there is no pool otherwise. A test holds that there is one.
 */
const AT = { contextModel: 32, contextPointer: 200, modelPointer: 136 } as const;

/** `struct ggml_threadpool_params` has 528 bytes: a mask of 512 cores, then the number of threads. */
const PARAMS = 1024;
const PARAMS_THREADS = 512;

export interface ContextControl extends Disposable {
  /** `null` where there can be none; answers are then made step by step. */
  readonly loop: TokenLoop | null;
  /**
   * Lets the next batch run on as many threads, and lasting ones; 1 takes those away, because idle ones would look for work and burn a core.
   * Only while nothing is decoded, but for what the loop decodes: that goes on with them from its next token on. `patience`: milliseconds that several of them may
   * take for a token that the loop makes; 0 for ever.
   */
  use(threads: number, patience: number): void;
  /** The loop has as many by itself. */
  settled(threads: number): void;
  /**
   * After the last batch for now: its threads sleep until the next one. Without it they look for work for another 0.2 s, on a core that another
   * program could have.
   */
  rest(): void;
  /**
   * While `wanted`, what the context decodes on processors ends at the next operation of its graph, one of hundreds in a batch; its decoding then
   * fails and llama.cpp forgets the tokens of that batch. What a GPU computes ends by itself.
   */
  interrupt(wanted: boolean): void;
  /** Ends and frees all of it. Only after the context is gone: llama.cpp touches a pool once more after it was taken away. */
  [Symbol.dispose](): void;
}

/** What the addon says of its context; llama.cpp must say the same of the one that is found. */
export interface ContextFacts {
  readonly contextSize: number;
  readonly threads: number;
}

export interface ContextLibraries {
  /** `null` where this is not the build that it was made for. */
  attach(context: object, model: object, facts: ContextFacts): ContextControl | null;
}

/**
 * While the libraries' files are still there: they are opened by path, and that gives the copies that are loaded. `ahead`: whether there are to be loops;
 * they were never tried with a GPU.
 */
export function contextLibraries(ahead: boolean): ContextLibraries | null {
  try {
    const maps = readFileSync("/proc/self/maps", "utf8");
    const loaded = [...new Set([...maps.matchAll(/ (\/\S+\.so)$/gmu)].map(([, path]) => path ?? ""))];
    const only = (name: RegExp): string => {
      const found = loaded.filter((path) => name.test(path));
      if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} libraries are ${name}`);
      return found[0];
    };
    const llama = only(/\/libllama\.v[^/]*\.so$/u);
    const loops = ahead ? tokenLoops(llama) : null;
    return openLibraries(llama, only(/\/libggml-base\.so$/u), only(/\/libggml-cpu-[^/]*\.so$/u), loops);
  } catch {
    return null;
  }
}

function openLibraries(llamaPath: string, basePath: string, cpuPath: string, loops: TokenLoops | null): ContextLibraries {
  const llama = dlopen(llamaPath, {
    llama_n_ctx: { args: ["ptr"], returns: "u32" },
    llama_n_threads: { args: ["ptr"], returns: "i32" },
    llama_set_n_threads: { args: ["ptr", "i32", "i32"], returns: "void" },
    llama_attach_threadpool: { args: ["ptr", "ptr", "ptr"], returns: "void" },
    llama_detach_threadpool: { args: ["ptr"], returns: "void" },
    llama_set_abort_callback: { args: ["ptr", "ptr", "ptr"], returns: "void" },
  }).symbols;
  const base = dlopen(basePath, { ggml_threadpool_params_init: { args: ["ptr", "i32"], returns: "void" } }).symbols;
  const cpu = dlopen(cpuPath, {
    ggml_threadpool_new: { args: ["ptr"], returns: "ptr" },
    ggml_threadpool_pause: { args: ["ptr"], returns: "void" },
    ggml_threadpool_free: { args: ["ptr"], returns: "void" },
  }).symbols;

  const newPool = (threads: number): Pointer | null => {
    const params = new Uint8Array(PARAMS);
    base.ggml_threadpool_params_init(params, threads);
    const read = new DataView(params.buffer).getInt32(PARAMS_THREADS, true);
    const pool = read === threads ? cpu.ggml_threadpool_new(params) : null;
    return typeof pool === "number" ? pool : null;
  };

  return {
    attach(context, model, { contextSize, threads: inForce }) {
      const pointer = contextPointer(context, model);
      if (pointer === null || llama.llama_n_ctx(pointer) !== contextSize || llama.llama_n_threads(pointer) !== inForce) return null;
      const endWanted = nativeObjects().flag();
      llama.llama_set_abort_callback(pointer, endWanted.isSet, endWanted.address);
      const loop = loops?.open(pointer, endWanted.address) ?? null;
      const pools = new Map<number, Pointer>();
      // None of ours yet, whatever the addon has set.
      let inUse = 0;
      let given = 0;
      /** A pool of just this many: threads beyond those that work would look for work between two tokens. */
      const poolOf = (threads: number): Pointer | null => {
        const pool = threads > 1 ? (pools.get(threads) ?? newPool(threads)) : null;
        if (pool !== null) pools.set(threads, pool);
        return pool;
      };
      return {
        loop,
        use(threads, patience) {
          const isRunning = loop?.running === true;
          const isKnown = threads === inUse && (patience === given || !isRunning);
          inUse = threads;
          given = patience;
          if (isKnown) return;
          const pool = poolOf(threads);
          if (isRunning) return loop.use(threads, pool, patience);
          llama.llama_set_n_threads(pointer, threads, threads);
          if (pool === null) llama.llama_detach_threadpool(pointer);
          else llama.llama_attach_threadpool(pointer, pool, pool);
        },
        settled(threads) {
          inUse = threads;
        },
        rest() {
          // The next batch wakes it. A pool that another took the place of sleeps already: llama.cpp sees to that.
          const pool = pools.get(inUse);
          if (pool !== undefined) cpu.ggml_threadpool_pause(pool);
        },
        interrupt(wanted) {
          endWanted.set(wanted);
        },
        [Symbol.dispose]() {
          loop?.[Symbol.dispose]();
          for (const pool of pools.values()) cpu.ggml_threadpool_free(pool);
          pools.clear();
          endWanted[Symbol.dispose]();
        },
      };
    },
  };
}

/** The `llama_context` behind the addon's context, if everything around it is as it is in this build. */
function contextPointer(context: object, model: object): Pointer | null {
  try {
    const native = nativeObjects();
    const [holder, owner] = [native.addressOf(context), native.addressOf(model)];
    if (holder === 0n || owner === 0n) return null;
    // The addon's context knows the addon's model; llama.cpp's own begins with a reference to llama.cpp's.
    if (native.word(holder + BigInt(AT.contextModel)) !== owner) return null;
    const pointer = native.word(holder + BigInt(AT.contextPointer));
    const modelPointer = native.word(owner + BigInt(AT.modelPointer));
    return pointer !== 0n && modelPointer !== 0n && native.word(pointer) === modelPointer ? (Number(pointer) as Pointer) : null;
  } catch {
    return null;
  }
}
