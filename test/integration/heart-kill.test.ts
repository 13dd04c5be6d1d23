import { expect, test } from "bun:test";
import { faultsAfter, killOnce, type Acknowledged } from "../support/heart-kill.ts";
import { killMerges } from "../support/heart-kill-merge.ts";
import { tempDir } from "../support/noctem.ts";
import { mulberry32 } from "../support/random.ts";

const SEED = Number(process.env["SEED"] ?? 1);

test("75 merges killed at random moments: none of it or all of it, and merging again completes it", async () => {
  using dir = tempDir("noctem-kill-");
  const { before, after, fault } = await killMerges(dir.path, 75, mulberry32(SEED));
  expect([SEED, fault]).toEqual([SEED, null]);
  // Kills that all fall on one side would prove nothing.
  expect([before > 5, after > 5]).toEqual([true, true]);
}, 120_000);

test("75 writers killed at random moments: nothing acknowledged is lost", async () => {
  using dir = tempDir("noctem-kill-");
  const random = mulberry32(SEED);
  const all: Acknowledged[] = [];
  for (let kill = 0; kill < 75; kill++) all.push(...(await killOnce(dir.path, random)));
  expect(faultsAfter(dir.path, all)).toEqual([]);
  expect(all.length).toBeGreaterThan(75);
}, 120_000);
