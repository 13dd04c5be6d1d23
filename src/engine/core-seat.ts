/**
 * Decides whether a model that works on one thread is bound to one core while it answers step by step: with a grammar, or where tokens cannot be made
 * ahead. Each token is then worked on by two of the runtime's threads, one after the other; where the second one's core has gone to sleep, which on a
 * virtual machine it leaves to its host, waking it cost up to a sixth of a small model's speed. On the core that the first one has just left nothing has
 * to wake.
 *
 * Bound is not better everywhere: another program may be bound to the same core, or it may be a slow one of several kinds. So both ways are tried against
 * each other when work begins after a pause, and again when steps get slow, and free it is where that is clearly faster.
 */
import { upperMedian } from "./median.ts";

/** Steps in a row of the one way and then of the other, and how often: what a neighbour does meanwhile then hits both. */
const BLOCK = 4;
const BLOCKS = 4;
/** Free must be this much faster than bound to be kept: medians of so few steps differ by a few parts in a hundred alone. */
const CLEARLY = 1.04;
/** Steps of normal work whose median is one measurement. */
const WINDOW = 16;
/** Slower than the best median while bound by this much: the core may be somebody else's too. */
const SLOW = 1.2;
/** The remembered best fades by this much each window, because a growing context makes steps slower too. */
const FADE = 1.02;
/** Milliseconds. What is to be gained is a millisecond or two a token; with longer steps that is not worth any risk. */
const WORTH_IT_MS = 60;
/** Milliseconds without work after which everything has to be found out again. */
const PAUSE = 10_000;
/** Milliseconds until binding is tried again after it lost; each vain try doubles them. */
const RETRY = 3000;
const MAX_RETRY = 60_000;

interface Trial {
  readonly bound: number[];
  readonly free: number[];
  steps: number;
}

export class CoreSeat {
  #bound = true;
  #trial: Trial | null = newTrial();
  #steps: number[] = [];
  /** Best median as it is now; infinite until there is one. */
  #best = Infinity;
  #next = Infinity;
  #retry = RETRY;
  #last = -Infinity;

  /** Whether the next step on one thread runs bound to one core. */
  get bound(): boolean {
    return this.#trial === null ? this.#bound : (this.#trial.steps / BLOCK) % 2 < 1;
  }

  /** Tells how long a step on one thread took that ran as `bound` said, in milliseconds, and the time. */
  observe(ms: number, now: number): void {
    if (now - this.#last - ms > PAUSE) this.#distrust();
    this.#last = now;
    const trial = this.#trial;
    if (trial === null) return this.#watch(ms, now);
    (this.bound ? trial.bound : trial.free).push(ms);
    if (++trial.steps === 2 * BLOCK * BLOCKS) this.#judge(trial, now);
  }

  #watch(ms: number, now: number): void {
    this.#steps.push(ms);
    if (this.#steps.length < WINDOW) return;
    const median = upperMedian(this.#steps);
    this.#steps = [];
    const slow = median > this.#best * SLOW;
    this.#best = Math.min(this.#best * FADE, median);
    if (this.#bound ? slow : now >= this.#next) this.#trial = newTrial();
  }

  #judge({ bound, free }: Trial, now: number): void {
    const [boundMs, freeMs] = [upperMedian(bound), upperMedian(free)];
    this.#trial = null;
    this.#steps = [];
    this.#bound = boundMs < freeMs * CLEARLY && freeMs < WORTH_IT_MS;
    this.#best = this.#bound ? boundMs : freeMs;
    if (this.#bound) {
      this.#retry = RETRY;
      return;
    }
    if (freeMs >= WORTH_IT_MS) this.#retry = MAX_RETRY;
    this.#next = now + this.#retry;
    this.#retry = Math.min(this.#retry * 2, MAX_RETRY);
  }

  /** After a pause the machine may be another one. */
  #distrust(): void {
    this.#trial = newTrial();
    this.#steps = [];
    this.#retry = RETRY;
  }
}

const newTrial = (): Trial => ({ bound: [], free: [], steps: 0 });
