import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { placeIn } from "../support/heart.ts";
import { judge } from "../support/heart-hostile.ts";
import { corruptTrees, stageTrees } from "../support/heart-trees.ts";
import { tempDir } from "../support/noctem.ts";
import { mulberry32 } from "../support/random.ts";

const SEED = Number(process.env["SEED"] ?? 1);
/** In each of the two ways to merge; the soak has more of them. */
const RUNS = Number(process.env["RUNS"] ?? 100);

describe.each([
  ["merged by what is new", false],
  ["merged in full", true],
])("copies whose trees are broken, %s", (_, pruned) => {
  test(
    `${RUNS} of them: none is silently altered, none silently lacks a row, and the target's own books stay right`,
    () => {
      using dir = tempDir("noctem-trees-");
      const scene = stageTrees(dir.path, pruned);
      const genuine = new Uint8Array(readFileSync(placeIn(scene.source).file));
      const hostile = join(dir.path, "hostile.sqlite");
      const seen = { refused: 0, merged: 0 };
      for (let round = 0; round < RUNS; round++) {
        const seed = SEED * 100_000 + round;
        writeFileSync(hostile, corruptTrees(genuine, mulberry32(seed)));
        const { outcome, why, fault } = judge(dir.path, scene, hostile);
        expect([seed, outcome, why, fault]).toEqual([seed, outcome, why, null]);
        seen[outcome]++;
      }
      expect([seen.refused > RUNS / 20, seen.merged > RUNS / 5]).toEqual([true, true]);
    },
    60_000 + RUNS * 1000,
  );
});
