import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { ClockFault, HLC_MAX, hlcOf, millisOf, readClock, tick, type Hlc } from "../../src/heart/hlc.ts";
import type { Millis } from "../../src/lib/brand.ts";

const DAY = 86_400_000;
const EPOCH = 1_704_067_200_000;
const at = (iso: string): Millis => Date.parse(iso) as Millis;
const wall = fc.integer({ min: EPOCH, max: EPOCH + 60 * 365 * DAY }).map((ms) => ms as Millis);
const stamp = fc.integer({ min: 0, max: Number(hlcOf(at("2089-01-01"))) }).map((n) => n as Hlc);
const visible = fc.oneof(fc.constant(0 as const), stamp);

describe("hybrid logical clock", () => {
  test("a stamp is above the last one, above what was visible, and not below the wall clock", () => {
    fc.assert(
      fc.property(stamp, visible, wall, (last, seen, now) => {
        const next = tick(last, seen, now);
        expect(next.stamp).toBeGreaterThan(last);
        expect(next.stamp).toBeGreaterThan(seen);
        expect(next.stamp).toBeGreaterThanOrEqual(hlcOf(now));
        expect(next.last).toBeGreaterThan(last);
        expect(Number.isSafeInteger(next.stamp)).toBe(true);
      }),
    );
  });

  test("a visible stamp from the far future never moves the clock beyond five minutes ahead", () => {
    fc.assert(
      fc.property(stamp, stamp, wall, (last, seen, now) => {
        const limit = Math.max(hlcOf(now) + 300_000 * 4096, last + 1);
        expect(tick(last, seen, now).last).toBeLessThanOrEqual(limit);
      }),
    );
    const now = at("2026-05-01");
    const wild = hlcOf((now + 460 * DAY) as Millis);
    const fenced = tick(hlcOf(now), wild, now);
    expect(fenced.stamp).toBe((wild + 1) as Hlc);
    expect(millisOf(fenced.last)).toBe(now);
  });

  test("a visible stamp a little ahead is adopted, so that the next stamp is above it too", () => {
    const now = at("2026-05-01");
    const ahead = hlcOf((now + 60_000) as Millis);
    const next = tick(hlcOf(now), ahead, now);
    expect(next).toEqual({ stamp: (ahead + 1) as Hlc, last: (ahead + 1) as Hlc });
  });

  test("the counter carries into the milliseconds", () => {
    const now = at("2026-05-01");
    let last = hlcOf(now);
    for (let i = 0; i < 5000; i++) last = tick(last, 0, now).last;
    expect(Number(last)).toBe(Number(hlcOf(now)) + 5000);
    expect(millisOf(last)).toBe((now + 1) as Millis);
  });

  test("a cell at the largest date that a clock can give is still overwritten", () => {
    const largest = hlcOf(at("9999-12-31"));
    expect(millisOf(largest)).toBe(at("2090-01-01"));
    expect(Number(tick(0 as Hlc, largest, at("2026-05-01")).stamp)).toBe(Number(largest) + 1);
    expect(tick(HLC_MAX, HLC_MAX, at("2026-05-01")).stamp).toBe(HLC_MAX);
  });

  test("milliseconds survive the round trip", () => {
    fc.assert(fc.property(wall, (now) => expect(millisOf(hlcOf(now))).toBe(now)));
  });
});

describe("reading the host's clock", () => {
  const build = at("2026-01-01");
  const last = hlcOf(at("2026-06-01"));

  test("a sane clock is believed", () => {
    const now = at("2026-06-02");
    expect(readClock(now, last, build, null)).toEqual({ wall: now, faults: 0, leap: null });
    expect(readClock(now, 0 as Hlc, build, null).faults).toBe(0);
  });

  test("1970: time starts at the build date, and what was already later stays later", () => {
    const reading = readClock(0 as Millis, last, build, null);
    expect(reading).toEqual({ wall: build, faults: ClockFault.BEFORE_BUILD | ClockFault.BEHIND, leap: null });
    expect(Number(tick(last, 0, reading.wall).stamp)).toBe(Number(last) + 1);
    expect(millisOf(tick(0 as Hlc, 0, readClock(0 as Millis, 0 as Hlc, build, null).wall).stamp)).toBe(build);
  });

  test("behind its past by more than five minutes is a fault, by less is not", () => {
    expect(readClock(at("2026-05-31T23:54:00Z"), last, build, null).faults).toBe(ClockFault.BEHIND);
    expect(readClock(at("2026-05-31T23:56:00Z"), last, build, null).faults).toBe(0);
  });

  test("a leap of more than 90 days is followed only once a later writing session confirms it", () => {
    const now = at("2026-12-01");
    const first = readClock(now, last, build, null);
    expect(first).toEqual({ wall: at("2026-06-01"), faults: ClockFault.AHEAD, leap: now });
    expect(readClock((now + DAY) as Millis, last, build, first.leap)).toEqual({ wall: (now + DAY) as Millis, faults: 0, leap: null });
    expect(readClock((now - DAY) as Millis, last, build, first.leap).faults).toBe(ClockFault.AHEAD);
  });
});
