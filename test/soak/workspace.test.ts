/** The workspace's races at full length, and kills on entering every call of a step. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { workspaceSteps } from "../../src/platform/workspace/apply.ts";
import { killedAt, putStepBefore, STEP_CALLS, tree, TREE_AFTER } from "../support/steps.ts";
import { CANARY, raceApply, raceWalk } from "../support/workspace-races.ts";

const ROUNDS = 10_000;

describe("the workspace, at length", () => {
  let folder = "";
  beforeEach(() => void (folder = realpathSync(mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "noctem-soak-")))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test.each([
    ["changes are applied", false],
    ["what waited is applied", true],
  ])(
    "a folder swapped for a link while %s 10,000 times never leads outside",
    async (_what, byWaiting) => {
      const { swaps, done } = await raceApply(folder, ROUNDS, byWaiting);
      expect(tree(join(folder, "outside"))).toEqual({ canary: "safe" });
      expect(swaps).toBeGreaterThan(ROUNDS);
      expect(done).toBeGreaterThan(0);
    },
    600_000,
  );

  test("nor while a difference is walked", async () => {
    const { swaps, done, seen } = await raceWalk(folder, ROUNDS);
    expect(swaps).toBeGreaterThan(ROUNDS);
    expect(done).toBeGreaterThan(0);
    expect(seen).not.toContain(CANARY);
  }, 600_000);

  const strace = Bun.which("strace") === null ? " (skipped without strace)" : "";
  test.skipIf(strace !== "").each([...STEP_CALLS])(
    `killed on entering any %s: each file is as it was or as it is to be, and all of them the same${strace}`,
    (call) => {
      const workspace = join(folder, "w");
      let kills = 0;
      for (let nth = 1; nth < 200; nth++) {
        rmSync(workspace, { recursive: true, force: true });
        putStepBefore(workspace);
        const start = tree(workspace);
        const state = join(folder, `steps-${nth}`);
        const killed = killedAt(call, nth, workspace, state);
        const recover = (): readonly string[] =>
          workspaceSteps(
            state,
            () => 1,
            () => "none",
          ).recover();
        expect(recover(), `${call} ${nth}`).toEqual([]);
        expect([start, TREE_AFTER], `${call} ${nth}`).toContainEqual(tree(workspace));
        expect(recover()).toEqual([]);
        if (!killed) break;
        kills++;
      }
      expect(kills).toBeGreaterThan(1);
      expect(kills).toBeLessThan(190);
    },
    600_000,
  );
});
