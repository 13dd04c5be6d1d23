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

const generation = (max: number) => new ThreadGovernor({ max, window: 8, trial: 3 });

describe("ThreadGovernor", () => {
  test("on a quiet machine the plan stands, after one short proof", () => {
    const { used } = play(generation(4), 2000, (threads, _now, step) => 40 / threads + (step % 7) * 0.2);
    const others = used.filter((threads) => threads !== 4);
    expect(new Set(others)).toEqual(new Set([2]));
    expect(others.length).toBeLessThanOrEqual(3);
  });

  test("one thread is never tried against anything", () => {
    const { used } = play(generation(1), 100, (_threads, _now, step) => step * 10);
    expect(share(used, 1)).toBe(1);
  });

  test("a growing context is not a busy machine", () => {
    const { used } = play(generation(2), 4000, (threads, _now, step) => (10 + step / 100) / threads);
    expect(share(used, 2)).toBeGreaterThan(0.98);
  });

  test("work that begins on a busy machine is on one thread within a few steps", () => {
    const { used } = play(generation(2), 200, (threads) => (threads === 1 ? 14 : 60));
    expect(used.slice(0, 3)).toEqual([2, 2, 2]);
    expect(share(used.slice(3), 1)).toBeGreaterThan(0.95);
    const many = play(generation(16), 200, (threads) => 14 * threads);
    expect(share(many.used.slice(16), 1)).toBeGreaterThan(0.9);
  });

  test("a neighbour that comes is answered with fewer threads, and more come back when it leaves", () => {
    const governor = generation(2);
    const machine = (threads: number, now: number): number => {
      const busy = now > 2000 && now < 12_000;
      return threads === 1 ? 14 : busy ? 60 : 8;
    };
    const before = play(governor, 200, machine);
    expect(share(before.used, 2)).toBeGreaterThan(0.98);
    const during = play(governor, 600, machine, 2001);
    expect(share(during.used.slice(0, 500), 1)).toBeGreaterThan(0.9);
    const after = play(governor, 4000, machine, 13_000);
    expect(share(after.used.slice(-1000), 2)).toBe(1);
  });

  test("with a neighbour all the time it costs less than a tenth against one thread, and less the longer it stays", () => {
    const busy = (threads: number): number => (threads === 1 ? 14 : 120);
    expect(play(generation(2), 150, busy).now / (150 * 14)).toBeLessThan(1.25);
    expect(play(generation(2), 2000, busy).now / (2000 * 14)).toBeLessThan(1.1);
  });

  test("one terrible step is enough", () => {
    const governor = generation(4);
    play(governor, 16, (threads) => 40 / threads);
    expect(governor.threads).toBe(4);
    governor.observe(2700, 3000);
    expect(governor.threads).toBe(1);
  });

  test("slowness that fewer threads do not cure costs few trials", () => {
    const governor = generation(4);
    const { now } = play(governor, 100, (threads) => 40 / threads);
    const { used } = play(governor, 3000, (threads) => 100 / threads, now);
    expect(share(used, 4)).toBeGreaterThan(0.98);
  });

  test("after a pause it looks again, whatever it believed", () => {
    const governor = generation(2);
    const { now } = play(governor, 3000, (threads) => (threads === 1 ? 14 : 60));
    expect(governor.threads).toBe(1);
    const { used } = play(governor, 50, (threads) => (threads === 1 ? 14 : 8), now + 60_000);
    expect(share(used.slice(-30), 2)).toBe(1);
  });

  test("a step that is not observed gets what is settled, and the plan's count when that was long ago", () => {
    const governor = generation(2);
    for (let step = 0; step < 3; step++) governor.observe(60, step * 60);
    expect(governor.threads).toBe(1);
    expect(governor.unobserved(200)).toBe(2);
    for (let step = 0; step < 3; step++) governor.observe(14, 200 + step * 14);
    expect(governor.unobserved(300)).toBe(1);
    expect(governor.unobserved(60_000)).toBe(2);
  });

  test("never leaves the range from one to the plan's count, whatever happens", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 16 }),
        fc.array(fc.double({ min: 0.01, max: 5000, noNaN: true }), { maxLength: 400 }),
        (max, lengths) => {
          const { used } = play(
            new ThreadGovernor({ max, window: 4, trial: 2, retry: 100 }),
            lengths.length,
            (_threads, _now, step) => lengths[step] ?? 1,
          );
          expect(used.every((threads) => Number.isInteger(threads) && threads >= 1 && threads <= max)).toBe(true);
        },
      ),
    );
  });
});

describe("how long several threads are waited for", () => {
  test("one thread has all the time; several have what is known, eight times over and never less than a stall", () => {
    expect(new ThreadGovernor({ max: 1, window: 8, trial: 3, usual: 10 }).patience).toBe(0);
    expect(new ThreadGovernor({ max: 2, window: 8, trial: 3 }).patience).toBe(0);
    expect(new ThreadGovernor({ max: 2, window: 8, trial: 3, usual: 10 }).patience).toBe(100);
    expect(new ThreadGovernor({ max: 4, window: 8, trial: 3, usual: 200 }).patience).toBe(1600);
  });

  test("a machine that got busy costs a tenth of a second for each look, also after a pause", () => {
    const governor = new ThreadGovernor({ max: 2, window: 8, trial: 3, usual: 8 });
    // As the loop does it: what takes two threads longer than they are given, one makes after all.
    const busy = (threads: number): number =>
      threads === 1 ? 13 : governor.patience === 0 ? 2000 : Math.min(2000, governor.patience + 13);
    const quiet = play(governor, 100, (threads) => (threads === 1 ? 13 : 8));
    expect(quiet.used.at(-1)).toBe(2);
    const first = play(governor, 64, busy, quiet.now);
    expect(first.used.at(-1)).toBe(1);
    expect(first.now - quiet.now).toBeLessThan(64 * 13 + 600);
    // More of them are tried again meanwhile, and more rarely each time.
    const long = play(governor, 640, busy, first.now);
    expect(long.used.filter((threads) => threads > 1).length).toBeGreaterThanOrEqual(2);
    expect(long.now - first.now).toBeLessThan(640 * 13 + 300);
    const later = play(governor, 64, busy, long.now + 60_000);
    expect(later.used.at(-1)).toBe(1);
    expect(later.now - long.now - 60_000).toBeLessThan(64 * 13 + 600);
  });
});
