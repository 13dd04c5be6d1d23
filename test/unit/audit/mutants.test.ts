import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AUDIT_MUTANTS } from "../../support/audit-mutants.ts";
import { ROOT } from "../../support/noctem.ts";

// The long tests plant them and see that they are caught. One that no longer fits would show nothing there, hours later.
test("each of the bugs that are kept for planting has one place to be planted in", () => {
  expect(
    AUDIT_MUTANTS.filter(({ file, from }) => readFileSync(join(ROOT, file), "utf8").split(from).length !== 2).map(({ name }) => name),
  ).toEqual([]);
  expect(AUDIT_MUTANTS.length).toBeGreaterThanOrEqual(10);
});
