import type { Brand, Millis } from "../lib/brand.ts";

/**
 * Hybrid logical clock in 53 bits, exact in JavaScript: 41 bits of milliseconds since 2024-01-01 and 12 bits of counter.
 * The counter carries into the milliseconds, so a stamp never runs out within one.
 *
 * Everything here is pure: the caller persists `last` in the transaction of the write that used the stamp.
 */
export type Hlc = Brand<number, "Hlc">;

/** 2024-01-01T00:00:00Z. */
const EPOCH = 1_704_067_200_000;
const COUNTER = 4096;
const FIVE_MINUTES = 5 * 60_000;
const NINETY_DAYS = 90 * 86_400_000;

/** 2^53 - 1: in the year 2093. */
export const HLC_MAX = Number.MAX_SAFE_INTEGER as Hlc;
/**
 * 2090-01-01T00:00:00Z: no wall clock yields a stamp beyond it. Only an overwrite of a cell that stands at it goes on
 * above, one step each, and there is room for 4e14 of them: that is how a cell at the largest date can still be overwritten.
 */
const WALL_MAX = 3_786_912_000_000;

/** The stamp of a wall-clock time with counter 0, clamped to the years that stamps can express. */
export function hlcOf(wall: Millis): Hlc {
  return ((Math.min(Math.max(wall, EPOCH), WALL_MAX) - EPOCH) * COUNTER) as Hlc;
}

/** The wall-clock part, for display. */
export function millisOf(stamp: Hlc): Millis {
  return (Math.floor(stamp / COUNTER) + EPOCH) as Millis;
}

/** What was wrong with the host's clock; bits of a mask, kept in the row of the writing session. */
export const ClockFault = { BEHIND: 1, BEFORE_BUILD: 2, AHEAD: 4 } as const;

export interface ClockReading {
  /** What the stamps go by: the wall clock when it can be believed. */
  readonly wall: Millis;
  /** Mask of `ClockFault`. */
  readonly faults: number;
  /** Wall-clock time of a leap that waits for a second writing session to confirm it; null when there is none. */
  readonly leap: Millis | null;
}

/**
 * Judges the host's clock against the heart's past.
 *
 * Behind the past, or before this program was built: time goes on logically. More than 90 days ahead: likewise, and the leap
 * is remembered; a *later* writing session whose clock stands at least as far confirms it. Rejected: never believing a leap,
 * because a stick that lay in a drawer for four months would then show wrong dates for good; and believing it at once,
 * because one evening on a host with a wild clock would then drag every later stamp along.
 *
 * `confirmed` is a leap noted by an earlier writing session, or null.
 */
export function readClock(now: Millis, last: Hlc, buildDate: Millis, confirmed: Millis | null): ClockReading {
  let faults = 0;
  let wall = now;
  if (now < buildDate) {
    faults |= ClockFault.BEFORE_BUILD;
    wall = buildDate;
  }
  if (last === 0) return { wall, faults, leap: null };
  const past = millisOf(last);
  if (now < past - FIVE_MINUTES) faults |= ClockFault.BEHIND;
  if (wall > past + NINETY_DAYS) {
    if (confirmed !== null && now >= confirmed) return { wall, faults, leap: null };
    return { wall: past, faults: faults | ClockFault.AHEAD, leap: now };
  }
  return { wall, faults, leap: null };
}

export interface Tick {
  /** The stamp of the row about to be written. */
  readonly stamp: Hlc;
  /** What to persist as the heart's newest own stamp. */
  readonly last: Hlc;
}

/**
 * `max(last + 1, visible + 1, wall)`: a write beats whatever its writer could see.
 *
 * `visible` is the stamp of what is overwritten or answered, 0 for none. One that stands more than five minutes ahead of
 * `wall` is fenced: this row alone goes above it, and the clock does not follow. (Following it would let one edit of a cell
 * stamped by a wild clock move every later stamp of this heart.)
 */
export function tick(last: Hlc, visible: Hlc | 0, wall: Millis): Tick {
  const own = Math.max(last + 1, hlcOf(wall));
  const above = visible + 1;
  if (above <= own) return clamp(own, own);
  const fence = hlcOf((wall + FIVE_MINUTES) as Millis);
  return above <= fence ? clamp(above, above) : clamp(above, own);
}

const clamp = (stamp: number, last: number): Tick => ({
  stamp: Math.min(stamp, HLC_MAX) as Hlc,
  last: Math.min(last, HLC_MAX) as Hlc,
});
