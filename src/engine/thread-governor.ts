import { upperMedian } from "./median.ts";

/**
 * Keeps the thread count right while a model works. ggml's threads wait for each other by spinning, so one thread that another program pushed off its core
 * stalls all of them: 64 tokens that take 0.5 s alone took 12 s with two neighbours.
 *
 * It compares counts with each other, by trying them, and never with a fixed speed: steps also get slower as the context fills, and fewer threads would not
 * help there. A count is on trial against fewer when work begins after a pause (the machine may be another one by now) and when steps get slow; more are
 * tried again later, and more rarely the more often that was in vain.
 */
export interface GovernorOptions {
  /** Most threads; the plan's count. */
  readonly max: number;
  /** Steps whose median is one measurement in normal work. */
  readonly window: number;
  /** Steps of each side of a trial. */
  readonly trial: number;
  /** Milliseconds until more threads are tried; each vain try doubles it, up to `maxRetry`. */
  readonly retry?: number;
  readonly maxRetry?: number;
  /** Milliseconds of a step at `max` as they were measured once; without it nothing is known before the first steps. */
  readonly usual?: number;
}

/** Slower than the best median at the same count by this much: something is wrong. */
const SLOW = 1.5;
/** A single step this much slower: wrong enough to act on it alone. */
const STALL = 8;
/** A step shorter than this is never called a stall. Milliseconds. */
const STALL_MS = 100;
/** More threads on trial may take this much longer for a step than fewer did, and never less than so many milliseconds. */
const VAIN = 3;
const SHORT_MS = 30;
/** Another count must be this much faster to be kept; fewer threads may even be this much slower, they leave room for others. */
const BETTER = 1.08;
/** A step of a trial that is slower than before by this much; two end the trial. */
const HOPELESS = 2;
/** The remembered best fades by this much each window, so that a growing context does not look like a busy machine forever. */
const FADE = 1.02;
/** Milliseconds without work after which a count has to prove itself again. */
const PAUSE = 10_000;

interface Trial {
  readonly from: number;
  readonly before: number;
  hopeless: number;
}

export class ThreadGovernor {
  readonly #options: Required<GovernorOptions>;
  /** Of a step at some count, the last that is known. */
  #usual: number;
  #threads: number;
  #steps: number[] = [];
  #trial: Trial | null = null;
  /** Best median at this count; infinite until it has been measured. */
  #best = Infinity;
  /** Whether this count won against fewer threads lately. */
  #proven = false;
  #nextUp = Infinity;
  #retry: number;
  #last = -Infinity;

  constructor(options: GovernorOptions) {
    this.#options = { retry: 3000, maxRetry: 60_000, usual: Infinity, ...options };
    this.#usual = this.#options.usual;
    this.#threads = options.max;
    this.#retry = this.#options.retry;
  }

  /** Threads for the next step. */
  get threads(): number {
    return this.#threads;
  }

  /**
   * Milliseconds after which the next step on several threads is not worth its end and can be made on one instead; 0 where there is nothing to say. A stall of
   * seconds is found out in a tenth of one by it.
   */
  get patience(): number {
    // More of them that are to prove that they are faster are not given the time of a stall.
    if (this.#trial !== null && this.#threads > this.#trial.from) return Math.max(SHORT_MS, this.#trial.before * VAIN);
    const usual = this.#trial?.before ?? (this.#best === Infinity ? this.#usual : this.#best);
    return this.#threads === 1 || usual === Infinity ? 0 : Math.max(STALL_MS, usual * STALL);
  }

  /** Threads for a step that will not be observed, such as one of an odd size: what is settled, or the plan's count when that was long ago. */
  unobserved(now: number): number {
    return now - this.#last > PAUSE ? this.#options.max : (this.#trial?.from ?? this.#threads);
  }

  /** Tells how long the step took that just ended, in milliseconds (of a batch: a token's share), and the time. */
  observe(ms: number, now: number): void {
    if (this.#options.max === 1) return;
    if (now - this.#last - ms > PAUSE) this.#distrust();
    this.#last = now;
    const trial = this.#trial;
    if (trial && ms > trial.before * HOPELESS && ++trial.hopeless === 2) return this.#judge(trial, ms, now);
    if (!trial && this.#threads > 1 && ms > STALL_MS && ms > this.#best * STALL) return this.#settle(1, Infinity, now);
    this.#steps.push(ms);
    if (this.#steps.length < (trial || !this.#proven ? this.#options.trial : this.#options.window)) return;
    const median = upperMedian(this.#steps);
    this.#steps = [];
    if (trial) this.#judge(trial, median, now);
    else this.#consider(median, now);
  }

  #consider(median: number, now: number): void {
    const slow = median > this.#best * SLOW;
    this.#best = Math.min(this.#best * FADE, median);
    this.#usual = this.#best;
    if (this.#threads > 1 && (slow || !this.#proven)) this.#try(this.#threads >> 1, median);
    else if (this.#threads < this.#options.max && now >= this.#nextUp) this.#try(Math.min(this.#options.max, this.#threads * 2), median);
    else this.#proven = true;
  }

  #try(threads: number, before: number): void {
    this.#trial = { from: this.#threads, before, hopeless: 0 };
    this.#threads = threads;
  }

  #judge({ from, before }: Trial, median: number, now: number): void {
    const down = this.#threads < from;
    if (down) {
      // Lost: this slowness is what the count's best is now, so it is not tried again and again.
      return median <= before * BETTER ? this.#settle(this.#threads, median, now) : this.#settle(from, before, now, true);
    }
    const won = median * BETTER < before;
    this.#retry = won ? this.#options.retry : Math.min(this.#retry * 2, this.#options.maxRetry);
    return won ? this.#settle(this.#threads, median, now, true) : this.#settle(from, before, now, true);
  }

  /** Goes on with `threads`; unproven, it is tried against still fewer next. */
  #settle(threads: number, best: number, now: number, proven = threads === 1): void {
    this.#trial = null;
    this.#steps = [];
    this.#threads = threads;
    this.#best = best;
    if (best !== Infinity) this.#usual = best;
    this.#proven = proven;
    this.#nextUp = threads < this.#options.max ? now + this.#retry : Infinity;
  }

  /** After a pause nothing that was learned is sure, not even that more threads are slow. */
  #distrust(): void {
    this.#trial = null;
    this.#steps = [];
    this.#best = Infinity;
    this.#proven = this.#threads === 1;
    this.#retry = this.#options.retry;
    if (this.#nextUp !== Infinity) this.#nextUp = -Infinity;
  }
}
