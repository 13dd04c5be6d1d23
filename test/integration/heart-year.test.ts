import { expect, test } from "bun:test";
import { liveThroughAYear } from "../support/heart-year.ts";
import { tempDir } from "../support/noctem.ts";
import { mulberry32 } from "../support/random.ts";

const SEED = Number(process.env["SEED"] ?? 1);

test("a year of three sticks on five hosts, 600 sittings: one round of merges, and all are equal with nothing lost", () => {
  using dir = tempDir("noctem-year-");
  const { faults, merges, conflicts, restores } = liveThroughAYear(dir.path, 600, mulberry32(SEED));
  expect([SEED, faults]).toEqual([SEED, []]);
  expect([merges > 20, conflicts > 3, restores > 0]).toEqual([true, true, true]);
}, 120_000);
