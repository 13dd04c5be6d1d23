import { expect, test } from "bun:test";
import { liveThroughAYear } from "../support/heart-year.ts";
import { tempDir } from "../support/noctem.ts";
import { mulberry32 } from "../support/random.ts";

test("a year of three sticks on five hosts, 36,500 sittings: one round of merges, and all are equal with nothing lost", () => {
  using dir = tempDir("noctem-year-");
  const { faults, sessions } = liveThroughAYear(dir.path, 36_500, mulberry32(3));
  expect([sessions, faults]).toEqual([36_500, []]);
}, 3_600_000);
