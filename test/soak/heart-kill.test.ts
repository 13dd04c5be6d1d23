import { expect, test } from "bun:test";
import { faultsAfter, killOnce, type Acknowledged } from "../support/heart-kill.ts";
import { killMerges } from "../support/heart-kill-merge.ts";
import { tempDir } from "../support/noctem.ts";
import { mulberry32 } from "../support/random.ts";

const ROUNDS = 50;
const KILLS = 10;

test(`kill -9 at ${ROUNDS * KILLS} random moments, two writers at a time: nothing acknowledged is lost`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    using dir = tempDir();
    const all: Acknowledged[] = [];
    for (let kill = 0; kill < KILLS / 2; kill++) {
      const pair = await Promise.all([killOnce(dir.path, Math.random), killOnce(dir.path, Math.random)]);
      all.push(...pair.flat());
    }
    expect(faultsAfter(dir.path, all)).toEqual([]);
  }
});

test.each([1, 2, 3, 4, 5])(
  "a hundred merges killed at random moments: none of it or all of it, and merging again completes it, seed %d",
  async (seed) => {
    using dir = tempDir("noctem-kill-");
    const { before, after, fault } = await killMerges(dir.path, 100, mulberry32(seed));
    expect([seed, fault]).toEqual([seed, null]);
    expect([before > 5, after > 5]).toEqual([true, true]);
  },
  600_000,
);
