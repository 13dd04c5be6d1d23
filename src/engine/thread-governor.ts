/**
 * Keeps the thread count right while a model works. ggml's threads wait for each other by spinning, so one thread that another program pushed off its core
 * stalls all of them: 64 tokens that take 0.5 s alone took 12 s with two neighbours. When steps get slow the governor tries fewer threads and keeps what is
 * faster; later it tries more again.
 *
 * It compares counts with each other and never with a fixed speed: steps also get slower as the context fills, and fewer threads would not help there.
 */
export interface GovernorOptions {
  /** Most threads; the plan's count. */
  readonly max: number;
  /** Steps whose median is one measurement. */
  readonly window: number;
  /** Milliseconds until the first try of more threads; each vain try doubles it. */
  readonly retry?: number;
  readonly maxRetry?: number;
}

/** Slower than the best median at the same count by this much: something is wrong. */
const SLOW = 1.5;
/** A single step this much slower: wrong enough to act without waiting for the window. */
const STALL = 8;
/** A step shorter than this is never called a stall. Milliseconds. */
const STALL_MS = 100;
/** Another count must be this much faster to be kept. */
const BETTER = 1.08;
/** The remembered best fades by this much each window, so that a growing context does not look like a slow machine forever. */
const FADE = 1.02;

type Trial = { readonly from: number; readonly medianBefore: number } | null;

export class ThreadGovernor {
  readonly #options: Required<GovernorOptions>;
  #threads: number;
  #steps: number[] = [];
  #best = Infinity;
  #trial: Trial = null;
  /** Down-trials that did not help wait as well: a slow phase that fewer threads cannot cure must not cost a trial every window. */
  #nextDown = 0;
  #nextUp = Infinity;
  #retry: number;
  #downRetry: number;

  constructor(options: GovernorOptions) {
    this.#options = { retry: 3000, maxRetry: 60_000, ...options };
    this.#threads = options.max;
    this.#retry = this.#options.retry;
    this.#downRetry = this.#options.retry;
  }

  /** Threads for the next step. */
  get threads(): number {
    return this.#threads;
  }

  /** Tells how long a step with `threads` took, in milliseconds (for batches: a token's share), and when it ended. */
  observe(ms: number, now: number): void {
    if (this.#options.max === 1) return;
    if (!this.#trial && this.#threads > 1 && ms > STALL_MS && ms > this.#best * STALL) {
      this.#settle(1, now);
      this.#nextUp = now + this.#retry;
      return;
    }
    this.#steps.push(ms);
    if (this.#steps.length < this.#options.window) return;
    const median = middle(this.#steps);
    this.#steps = [];
    if (this.#trial) this.#judge(this.#trial, median, now);
    else this.#consider(median, now);
  }

  #consider(median: number, now: number): void {
    const slow = median > this.#best * SLOW;
    this.#best = Math.min(this.#best * FADE, median);
    if (slow && this.#threads > 1 && now >= this.#nextDown) this.#try(Math.max(1, this.#threads >> 1), median);
    else if (this.#threads < this.#options.max && now >= this.#nextUp) this.#try(Math.min(this.#options.max, this.#threads * 2), median);
  }

  #try(threads: number, medianBefore: number): void {
    this.#trial = { from: this.#threads, medianBefore };
    this.#threads = threads;
  }

  #judge({ from, medianBefore }: NonNullable<Trial>, median: number, now: number): void {
    this.#trial = null;
    const lower = this.#threads < from;
    // Fewer threads win a draw: they leave room for whoever made the steps slow.
    const keep = lower ? median <= medianBefore * BETTER : median * BETTER < medianBefore;
    if (keep) {
      if (lower) this.#downRetry = this.#options.retry;
      else this.#retry = this.#options.retry;
      this.#settle(this.#threads, now);
      this.#best = median;
    } else {
      if (lower) {
        this.#nextDown = now + this.#downRetry;
        this.#downRetry = Math.min(this.#downRetry * 2, this.#options.maxRetry);
      } else this.#retry = Math.min(this.#retry * 2, this.#options.maxRetry);
      this.#settle(from, now);
      this.#best = medianBefore;
    }
  }

  #settle(threads: number, now: number): void {
    this.#threads = threads;
    this.#steps = [];
    this.#best = Infinity;
    this.#nextUp = threads < this.#options.max ? now + this.#retry : Infinity;
  }
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
