import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AUDIT_MUTANTS } from "../support/audit-mutants.ts";
import { copyOfSource } from "../support/mutants.ts";

const TESTS = [
  "unit/audit/merkle.test.ts",
  "unit/audit/note.test.ts",
  "integration/audit.test.ts",
  "integration/audit-tampering.test.ts",
  "integration/audit-forks.test.ts",
  "integration/audit-groups.test.ts",
  "integration/audit-live-heads.test.ts",
  "integration/heart-version2.test.ts",
];
/** Milliseconds for the tests of one bug, which end at the first that fails. */
const LIMIT = 5 * 60_000;

test(
  "each bug that is planted in the log is caught by its tests, and without one they pass",
  () => {
    using copy = copyOfSource();
    expect(run(copy.path)).toBe("passed");
    const outcomes = AUDIT_MUTANTS.map(({ name, file, from, to }) => {
      const path = join(copy.path, file);
      const text = readFileSync(path, "utf8");
      writeFileSync(
        path,
        text.replace(from, () => to),
      );
      const outcome = run(copy.path);
      writeFileSync(path, text);
      return `${name}: ${outcome}`;
    });
    console.log(outcomes.join("\n"));
    expect(outcomes.filter((outcome) => !outcome.endsWith(": caught"))).toEqual([]);
  },
  (AUDIT_MUTANTS.length + 1) * LIMIT,
);

/** Only a test that failed counts: a run that could not start shows nothing. */
function run(folder: string): string {
  const args = ["test", "--bail", "--timeout", "60000", ...TESTS.map((path) => `./test/${path}`)];
  const tested = Bun.spawnSync([process.execPath, ...args], { cwd: folder, env: process.env, timeout: LIMIT, killSignal: "SIGKILL" });
  if (tested.exitCode === 0) return "passed";
  const said = `${tested.stdout.toString()}${tested.stderr.toString()}`;
  return /\(fail\)/u.test(said) ? "caught" : `ended with ${tested.signalCode ?? tested.exitCode}: ${said.slice(-300)}`;
}
