import type { ThreadPlan, ThreadSample } from "./port.ts";

/** More threads must be this much faster to be worth it: they cost power, heat and the host's other work, and a plan is kept for long. */
const WORTH_IT = 1.1;

/** Counts to measure: 1, 2, 4 … and all cores. */
export function candidates(cores: number): readonly number[] {
  const counts: number[] = [];
  for (let count = 1; count < cores; count *= 2) counts.push(count);
  counts.push(cores);
  return counts;
}

/** The fewest threads that nothing beats clearly, for each kind of work. Generation is never planned slower than on one thread. */
export function planThreads(samples: readonly ThreadSample[]): ThreadPlan {
  return {
    prompt: pick(samples, (sample) => sample.promptTokensPerSecond),
    generate: pick(samples, (sample) => sample.generateTokensPerSecond),
    measured: samples,
  };
}

/** A plan from another run may name more threads than this host has cores today. */
export function capPlan(plan: ThreadPlan, cores: number): ThreadPlan {
  const cap = (threads: number): number => Math.max(1, Math.min(threads, cores));
  return { ...plan, prompt: cap(plan.prompt), generate: cap(plan.generate) };
}

function pick(samples: readonly ThreadSample[], speed: (sample: ThreadSample) => number): number {
  const ordered = [...samples].sort((a, b) => a.threads - b.threads);
  let best = ordered[0];
  for (const sample of ordered) if (best === undefined || speed(sample) > speed(best) * WORTH_IT) best = sample;
  return best?.threads ?? 1;
}
