import { expect, test } from "bun:test";
import { join } from "node:path";
import { killCare } from "../support/heart-kill-care.ts";
import { mulberry32 } from "../support/random.ts";

const SEED = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9));
const HOUR = 3_600_000;

test.each([
  ["backup", 60],
  ["restore", 150],
  ["repair", 60],
  ["fork", 60],
] as const)(
  `%s killed %d times at random moments (SEED=${SEED}): what was there stands, what is new is whole`,
  async (job, kills) => {
    const { fault, before } = await killCare(job, kills, mulberry32(SEED));
    expect([SEED, fault]).toEqual([SEED, null]);
    expect(before).toBeGreaterThan(0);
  },
  HOUR,
);

test(
  `a heart with random pages broken, 2000 times (SEED=${SEED}): only what was written is saved, and a merge fills it up`,
  () => {
    const run = Bun.spawnSync(
      [process.execPath, "test", join(import.meta.dir, "../integration/heart-repair.test.ts"), "-t", "random pages"],
      {
        env: { ...process.env, SEED: String(SEED), ROUNDS: "2000" },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    expect([run.exitCode, run.exitCode === 0 ? "" : run.stderr.toString().slice(-2000)]).toEqual([0, ""]);
  },
  HOUR,
);
