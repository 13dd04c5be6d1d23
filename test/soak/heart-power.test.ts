import { expect, test } from "bun:test";
import { canTrace, cutEverywhere } from "../support/power-cut-run.ts";
import { mulberry32 } from "../support/random.ts";
import { tempDir } from "../support/noctem.ts";

const SEEDS = [1, 2, 3, 4, 5, 6];

test.skipIf(!canTrace).each(SEEDS)(
  "power that goes at any moment, ten images after every step, seed %d (needs strace)",
  (seed) => {
    using dir = tempDir("noctem-power-");
    const { images, fault } = cutEverywhere(dir.path, 12, 10, mulberry32(seed));
    expect([seed, fault]).toEqual([seed, null]);
    expect(images).toBeGreaterThan(5000);
  },
  600_000,
);
