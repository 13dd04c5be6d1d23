import { expect, test } from "bun:test";
import { StepClock } from "../../../src/platform/llama/step-clock.ts";

test("what runs between steps is not idle, and each step begins to count anew", async () => {
  let now = 100;
  const clock = new StepClock(() => now);
  expect([clock.idle, clock.stalledMs()]).toEqual([true, 0]);
  {
    using _running = clock.begin();
    now += 7;
    expect([clock.idle, clock.stalledMs()]).toEqual([false, 7]);
    const { promise, resolve } = Promise.withResolvers<string>();
    const step = clock.step(promise);
    expect(clock.stalledMs()).toBe(0);
    now += 50;
    expect(clock.stalledMs()).toBe(50);
    resolve("token");
    expect(await step).toBe("token");
    expect([clock.idle, clock.stalledMs()]).toEqual([false, 0]);
  }
  now += 9;
  expect([clock.idle, clock.stalledMs()]).toEqual([true, 0]);
  const failed = await clock.step(Promise.reject(new Error("no"))).catch((error: Error) => error.message);
  expect([failed, clock.idle]).toEqual(["no", true]);
});
