import { expect, test } from "bun:test";
import { canTrace, cutEverywhere, traceWork } from "../support/power-cut-run.ts";
import { mulberry32 } from "../support/random.ts";
import { tempDir } from "../support/noctem.ts";

const SEED = Number(process.env["SEED"] ?? 1);

test.skipIf(!canTrace)(
  "power that goes at any moment of writing and merging: before or after, and nothing acknowledged is lost (needs strace)",
  () => {
    using dir = tempDir("noctem-power-");
    const { images, fault } = cutEverywhere(dir.path, 8, 3, mulberry32(SEED));
    expect([SEED, fault]).toEqual([SEED, null]);
    expect(images).toBeGreaterThan(1000);
  },
  120_000,
);

test.skipIf(!canTrace)("the trace sees writes, syncs and acknowledgements in their order (needs strace)", () => {
  using dir = tempDir("noctem-power-");
  const { steps } = traceWork(dir.path, 2);
  const kinds = new Set(steps.map((step) => `${step.kind} ${"file" in step ? step.file : ""}`));
  for (const kind of ["write heart.sqlite", "write heart.sqlite-journal", "sync heart.sqlite", "sync heart.sqlite-journal", "acknowledge "])
    expect(kinds).toContain(kind);
  // No acknowledgement while something of the heart is unsynced: that is what EXTRA is for.
  let dirty = false;
  for (const step of steps) {
    if (step.kind === "write" && step.file === "heart.sqlite") dirty = true;
    if (step.kind === "sync" && step.file === "heart.sqlite") dirty = false;
    if (step.kind === "acknowledge") expect(dirty).toBe(false);
  }
});
