import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { fuzzCommands, fuzzPolicies, SEED } from "../support/bark-fuzz.ts";

test("ten thousand policies and overlays", () => {
  console.log(`FUZZ_SEED=${SEED}`);
  const { loaded, refused } = fuzzPolicies(10_000);
  expect(loaded).toBeGreaterThan(500);
  expect(refused).toBeGreaterThan(3000);
}, 600_000);

const shells = existsSync("/bin/dash") && existsSync("/bin/bash");
test.skipIf(!shells)(
  `ten thousand command lines, each that is allowed in real shells${shells ? "" : " (skipped: no dash, no bash)"}`,
  () => {
    const { allowed, ran } = fuzzCommands(10_000, 10_000);
    expect(allowed).toBeGreaterThan(200);
    expect(ran).toBeGreaterThan(300);
  },
  900_000,
);
