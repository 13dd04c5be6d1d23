import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ThreadGovernor } from "../../../src/engine/thread-governor.ts";
import { candidates, capPlan, planThreads } from "../../../src/engine/thread-plan.ts";

const sample = (threads: number, prompt: number, generate: number) => ({
  threads,
  promptTokensPerSecond: prompt,
  generateTokensPerSecond: generate,
});

describe("thread plan", () => {
  test("tries doublings and all cores", () => {
    expect(candidates(1)).toEqual([1]);
    expect(candidates(2)).toEqual([1, 2]);
    expect(candidates(6)).toEqual([1, 2, 4, 6]);
    expect(candidates(8)).toEqual([1, 2, 4, 8]);
  });

  test("prompt and generation choose apart", () => {
    expect(planThreads([sample(1, 100, 137), sample(2, 190, 75)])).toMatchObject({ prompt: 2, generate: 1 });
  });

  test("more threads must pay", () => {
    expect(planThreads([sample(1, 100, 10), sample(2, 105, 10.5), sample(4, 250, 30), sample(8, 260, 20)])).toMatchObject({
      prompt: 4,
      generate: 4,
    });
  });

  test("never slower than one thread, whatever was measured", () => {
    const speed = fc.double({ min: 0.1, max: 1000, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(speed, speed), { minLength: 1, maxLength: 6 }), (speeds) => {
        const samples = speeds.map(([prompt, generate], index) => sample(2 ** index, prompt, generate));
        const plan = planThreads(samples);
        const chosen = samples.find(({ threads }) => threads === plan.generate);
        expect(chosen?.generateTokensPerSecond).toBeGreaterThanOrEqual(samples[0]?.generateTokensPerSecond ?? 0);
      }),
    );
  });

  test("a plan from a larger host is capped", () => {
    expect(capPlan({ prompt: 16, generate: 8, measured: [] }, 2)).toEqual({ prompt: 2, generate: 2, measured: [] });
  });
});

/** Plays `steps` steps whose length depends on the thread count and on time; returns the counts used and the time it took. */
function play(governor: ThreadGovernor, steps: number, length: (threads: number, now: number, step: number) => number, start = 0) {
  let now = start;
  const used: number[] = [];
  for (let step = 0; step < steps; step++) {
    const { threads } = governor;
    used.push(threads);
    const ms = length(threads, now, step);
    now += ms;
    governor.observe(ms, now);
  }
  return { used, now };
}
const share = (used: readonly number[], threads: number): number => used.filter((count) => count === threads).length / used.length;

describe("ThreadGovernor", () => {
  test("on a quiet machine the plan stands", () => {
    const { used } = play(new ThreadGovernor({ max: 4, window: 8 }), 2000, (threads, _now, step) => 40 / threads + (step % 7) * 0.2);
    expect(share(used, 4)).toBe(1);
  });

  test("a growing context is not a busy machine", () => {
    const { used } = play(new ThreadGovernor({ max: 2, window: 8 }), 4000, (threads, _now, step) => (10 + step / 100) / threads);
    expect(share(used, 2)).toBeGreaterThan(0.98);
  });

  test("a neighbour that makes spinning threads slow is answered with fewer, and more come back when it leaves", () => {
    const governor = new ThreadGovernor({ max: 2, window: 8 });
    const machine = (threads: number, now: number): number => {
      const busy = now > 2000 && now < 12_000;
      return threads === 1 ? 14 : busy ? 60 : 8;
    };
    const before = play(governor, 200, machine);
    expect(share(before.used, 2)).toBe(1);
    const during = play(governor, 600, machine, 2001);
    // Ten seconds of 14 ms steps; on two threads throughout it would have been 166 steps.
    const busySteps = during.used.slice(0, 500);
    expect(share(busySteps, 1)).toBeGreaterThan(0.8);
    const after = play(governor, 4000, machine, 13_000);
    expect(after.used.at(-1)).toBe(2);
    expect(share(after.used.slice(-1000), 2)).toBe(1);
  });

  test("one terrible step is enough", () => {
    const governor = new ThreadGovernor({ max: 4, window: 8 });
    play(governor, 16, () => 10);
    governor.observe(2700, 3000);
    expect(governor.threads).toBe(1);
  });

  test("slowness that fewer threads do not cure costs few trials", () => {
    const governor = new ThreadGovernor({ max: 4, window: 8 });
    play(governor, 100, (threads) => 40 / threads);
    const { used } = play(governor, 3000, (threads) => 100 / threads, 10_000);
    expect(share(used, 4)).toBeGreaterThan(0.95);
  });

  test("while more threads stay slow, trying them gets rarer", () => {
    const governor = new ThreadGovernor({ max: 2, window: 8 });
    play(governor, 100, (threads) => (threads === 2 ? 8 : 14));
    const { used } = play(governor, 20_000, (threads) => (threads === 2 ? 60 : 14), 10_000);
    expect(share(used, 1)).toBeGreaterThan(0.98);
  });

  test("never leaves the range from one to the plan's count, whatever happens", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 16 }),
        fc.array(fc.double({ min: 0.01, max: 5000, noNaN: true }), { maxLength: 400 }),
        (max, lengths) => {
          const { used } = play(
            new ThreadGovernor({ max, window: 4, retry: 100 }),
            lengths.length,
            (_threads, _now, step) => lengths[step] ?? 1,
          );
          expect(used.every((threads) => Number.isInteger(threads) && threads >= 1 && threads <= max)).toBe(true);
        },
      ),
    );
  });
});
