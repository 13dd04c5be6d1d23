import { expect, test } from "bun:test";
import { ROOT } from "../support/noctem.ts";
import { applies, mutants } from "../support/mutants.ts";

// The long tests plant them and see that they are caught. A patch that no longer fits would show nothing there, hours later.
test.skipIf(Bun.which("git") === null)("each of the twelve bugs that are kept as patches can still be planted (needs git)", () => {
  expect(mutants()).toHaveLength(12);
  expect(mutants().filter((mutant) => !applies(mutant, ROOT, "check"))).toEqual([]);
});
