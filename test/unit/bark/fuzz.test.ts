import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { fuzzCommands, fuzzPolicies } from "../../support/bark-fuzz.ts";

test("a thousand policies and overlays: refused in sentences, or exactly what they say, and closed where they say nothing", () => {
  const { loaded, refused } = fuzzPolicies(1000);
  expect(loaded).toBeGreaterThan(50);
  expect(refused).toBeGreaterThan(300);
}, 60_000);

const shells = existsSync("/bin/dash") && existsSync("/bin/bash");
test.skipIf(!shells)(
  `a thousand command lines: what is allowed runs in real shells as it was read${shells ? "" : " (skipped: no dash, no bash)"}`,
  () => {
    const { allowed, ran } = fuzzCommands(1000, 150);
    expect(allowed).toBeGreaterThan(15);
    expect(ran).toBeGreaterThan(20);
  },
  60_000,
);
