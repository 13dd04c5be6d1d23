import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CoreSeat } from "../../../src/engine/core-seat.ts";

/** Plays `steps` steps whose length depends on the seat; returns how each of them ran and the time after them. */
function play(seat: CoreSeat, steps: number, length: (bound: boolean, now: number, step: number) => number, start = 0) {
  let now = start;
  const used: boolean[] = [];
  for (let step = 0; step < steps; step++) {
    const { bound } = seat;
    used.push(bound);
    const ms = length(bound, now, step);
    now += ms;
    seat.observe(ms, now);
  }
  return { used, now, freeShare: used.filter((bound) => !bound).length / steps };
}

const TRIAL = 32;
const virtual = (bound: boolean): number => (bound ? 12 : 14);

describe("one core for one thread", () => {
  test("both ways are tried in turn, and the faster one is kept", () => {
    const seat = new CoreSeat();
    const first = play(seat, TRIAL, virtual);
    expect(first.freeShare).toBe(0.5);
    expect(play(seat, 500, virtual, first.now).freeShare).toBe(0);
  });

  test("no difference keeps it bound: free has to be clearly faster", () => {
    const seat = new CoreSeat();
    const { now } = play(seat, TRIAL, () => 12);
    expect(play(seat, 100, () => 12, now).freeShare).toBe(0);
  });

  test("a slow core is left, and tried again ever more rarely", () => {
    const seat = new CoreSeat();
    const { used } = play(seat, 20_000, (bound) => (bound ? 20 : 12));
    const bound = used.flatMap((on, step) => (on ? [step] : []));
    // 20,000 steps are four minutes: at 3, 9, 21, 45, 93 s and each minute after, 16 steps each.
    expect(bound.length).toBeLessThanOrEqual(9 * (TRIAL / 2));
    expect(bound.length).toBeGreaterThanOrEqual(5 * (TRIAL / 2));
    expect(used.slice(TRIAL, TRIAL + 240).every((on) => !on)).toBe(true);
  });

  test("a neighbour bound to the same core is noticed within two windows and a trial, and given way to", () => {
    const seat = new CoreSeat();
    const { now } = play(seat, 200, virtual);
    const crowded = play(seat, 80, (bound) => (bound ? 24 : 14), now);
    expect(crowded.used.slice(2 * 16 + TRIAL).every((on) => !on)).toBe(true);
    const alone = play(seat, 600, virtual, crowded.now);
    expect(alone.used.slice(-200).every(Boolean)).toBe(true);
  });

  test("what the first step after each change pays for the way there decides nothing", () => {
    const seat = new CoreSeat();
    const { now } = play(seat, TRIAL, (bound, _, step) => virtual(bound) + (step % 4 === 0 ? 50 : 0));
    expect(play(seat, 100, virtual, now).freeShare).toBe(0);
  });

  test("slower steps of a growing context are no neighbour", () => {
    const seat = new CoreSeat();
    const { now } = play(seat, TRIAL, virtual);
    expect(play(seat, 2000, (bound, _, step) => virtual(bound) * (1 + step / 1000), now).freeShare).toBe(0);
  });

  test("a disturbance of a few steps decides nothing", () => {
    const seat = new CoreSeat();
    const { now } = play(seat, TRIAL, (bound, _, step) => (step % 11 === 3 ? 90 : virtual(bound)));
    expect(play(seat, 300, (bound, _, step) => (step % 11 === 3 ? 90 : virtual(bound)), now).freeShare).toBe(0);
  });

  test("a large model is not bound: there is next to nothing to gain", () => {
    const seat = new CoreSeat();
    const { now } = play(seat, TRIAL, () => 300);
    expect(play(seat, 200, () => 300, now).freeShare).toBeGreaterThan(0.8);
  });

  test("after a pause both ways are tried anew", () => {
    const seat = new CoreSeat();
    const { now } = play(seat, 100, (bound) => (bound ? 20 : 12));
    expect(seat.bound).toBe(false);
    const later = play(seat, TRIAL + 1, virtual, now + 11_000);
    expect(play(seat, 100, virtual, later.now).freeShare).toBe(0);
  });

  test("whatever the steps, trials are few once the machine is steady", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 200 }), (bound, free) => {
        const seat = new CoreSeat();
        const { used } = play(seat, 3000, (on) => (on ? bound : free));
        const kept = used.at(-1) ?? false;
        const others = used.filter((on) => on !== kept).length;
        expect(others / used.length).toBeLessThan(0.1);
        if (bound < free && free < 60) expect(kept).toBe(true);
        if (bound > free * 1.05) expect(used.filter(Boolean).length / used.length).toBeLessThan(0.1);
      }),
    );
  });
});
