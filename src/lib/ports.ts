import type { Millis } from "./brand.ts";

/** Time is a parameter: pure code never asks the machine. */
export interface Clock {
  /** Wall clock. May jump in either direction. */
  now(): Millis;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number;
}

/** Randomness is a parameter, so that a seed replays a run. */
export interface Random {
  /** `n` bytes from a cryptographic source. */
  bytes(n: number): Uint8Array;
}
