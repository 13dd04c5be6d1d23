/** Finds how many threads this model wants on this host, by trying them. */
import type { ThreadPlan, ThreadSample } from "../../engine/port.ts";
import { upperMedian } from "../../engine/median.ts";
import { candidates, planThreads } from "../../engine/thread-plan.ts";
import type { Token } from "node-llama-cpp";
import type { Decoder } from "./raw.ts";

export interface MeasureOptions {
  readonly decoder: Decoder;
  readonly cores: number;
  /** Any tokens of the model's vocabulary; they are repeated as needed. */
  readonly sample: readonly Token[];
  readonly contextSize: number;
  readonly monotonic: () => number;
  readonly onCount: (threads: number) => void;
  readonly signal: AbortSignal;
}

/** Milliseconds. With a large model a single step may take longer than a share of it; it then counts alone. */
const BUDGET = 3000;
const BATCH = 64;
/** Steps of one token whose median is a sample. */
const STEPS = 12;
const GREEDY = { temperature: 0, topP: 1, topK: 1, minP: 0, seed: 0, grammar: null } as const;

/**
 * Rounds over all counts instead of one count after the other: a neighbour that wakes up for a second then disturbs all of them alike. Ends with an empty
 * sequence.
 */
export async function measureThreads(options: MeasureOptions): Promise<ThreadPlan> {
  const { decoder, cores, monotonic, signal } = options;
  const batchSize = Math.min(BATCH, options.contextSize >> 2);
  const batch = Array.from({ length: batchSize }, (_, index) => options.sample[index % options.sample.length] ?? (0 as Token));
  const times = new Map(candidates(cores).map((threads) => [threads, { batch: [] as number[], step: [] as number[] }]));

  // The first touch of the weights brings pages in and builds caches; it says nothing about threads.
  const before = monotonic();
  await decoder.feed(batch.slice(0, 16), cores);
  const start = monotonic();
  const slow = start - before > BUDGET / 10;
  const rounds = slow ? 1 : 3;
  const steps = slow ? 2 : STEPS / rounds;
  const tokens = slow ? batch.slice(0, 16) : batch;
  for (let round = 0; round < rounds && !signal.aborted; round++) {
    for (const [threads, sample] of times) {
      // More threads are tried first to last; once the time is up the counts that were not reached simply have no sample.
      if (signal.aborted || (monotonic() - start > BUDGET && sample.batch.length === 0 && threads > 2)) break;
      options.onCount(threads);
      await decoder.keep(0);
      // As answers are made, logits and sampling included: what happens between two steps decides whether spinning threads help.
      const answer = decoder.open({ ...GREEDY, ahead: { limit: steps + 1, end: null } });
      try {
        let step = await answer.next(tokens, threads);
        if (step !== null) sample.batch.push(step.ms / tokens.length);
        for (let left = steps; left > 0 && step !== null && !signal.aborted; left--) {
          step = await answer.next([step.token], threads);
          if (step !== null) sample.step.push(step.ms);
        }
      } finally {
        await answer.close();
      }
    }
    if (monotonic() - start > BUDGET) break;
  }
  await decoder.keep(0);
  const samples = [...times].flatMap(([threads, { batch, step }]): ThreadSample[] =>
    batch.length === 0 || step.length === 0 ? [] : [{ threads, promptTokensPerSecond: rate(batch), generateTokensPerSecond: rate(step) }],
  );
  return planThreads(samples);
}

/** Tokens a second at the median time a token, to a tenth. */
function rate(times: readonly number[]): number {
  const median = upperMedian(times);
  return median > 0 ? Math.round(10_000 / median) / 10 : 0;
}
