import { expect, test } from "bun:test";
import { join } from "node:path";
import { applies, copyOfSource, mutants } from "../support/mutants.ts";

const CASES = 1000;
const MUST_BE_CAUGHT = 11;
/** Milliseconds for the cases of one bug, most of which end after a few. */
const LIMIT = 10 * 60_000;

test.skipIf(Bun.which("git") === null)(
  `of twelve planted bugs at least ${MUST_BE_CAUGHT} are caught by ${CASES} cases of the oracle, and without one it passes (needs git)`,
  () => {
    using copy = copyOfSource();
    expect(run(copy.path)).toBe("passed");
    const outcomes = mutants().map((mutant) => {
      if (!applies(mutant, copy.path, "plant")) return `${mutant}: does not apply`;
      const outcome = run(copy.path);
      expect(applies(mutant, copy.path, "take out")).toBe(true);
      return `${mutant}: ${outcome}`;
    });
    console.log(outcomes.join("\n"));
    // Only a case that failed counts: a run that could not start, or took too long, shows nothing.
    const caught = outcomes.filter((outcome) => outcome.includes("failed after"));
    expect(outcomes).toHaveLength(12);
    expect(caught.length, outcomes.join("\n")).toBeGreaterThanOrEqual(MUST_BE_CAUGHT);
  },
  13 * LIMIT,
);

function run(folder: string): string {
  const tested = Bun.spawnSync([process.execPath, "test", join("test", "property", "heart-converge.test.ts"), "-t", "whatever was done"], {
    cwd: folder,
    env: { ...process.env, RUNS: String(CASES) },
    timeout: LIMIT,
    killSignal: "SIGKILL",
  });
  if (tested.exitCode === 0) return "passed";
  const said = `${tested.stdout.toString()}${tested.stderr.toString()}`;
  return /failed after \d+ tests/.exec(said)?.[0] ?? `ended with ${tested.signalCode ?? tested.exitCode}: ${said.slice(-500)}`;
}
