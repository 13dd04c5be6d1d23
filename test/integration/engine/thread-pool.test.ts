import { expect, test } from "bun:test";
import { join } from "node:path";
import { writeTinyModel } from "../../support/gguf.ts";
import { tempDir } from "../../support/noctem.ts";

const CHILD = join(import.meta.dir, "../../support/thread-pool-child.ts");

/**
 * An update of node-llama-cpp moves what the pool is reached by, and then there is none: two threads would be slower than one again, and nobody
 * would notice. This test would.
 */
test("this build of node-llama-cpp gets threads that last: the same tokens with any number, and none is left behind", async () => {
  using dir = tempDir("noctem-pool-");
  const model = join(dir.path, "tiny.gguf");
  writeTinyModel(model);
  const child = Bun.spawn([process.execPath, CHILD, model], { stdio: ["ignore", "pipe", "inherit"], timeout: 60_000 });
  const line = (await child.stdout.text()).trim();
  const seen = JSON.parse(line) as { pooled: boolean; answers: number; counts: number[]; refused: boolean[]; accepted: boolean };
  expect(seen).toMatchObject({ pooled: true, answers: 1, accepted: true, refused: [false, false, false, false] });
  // The first cycle also starts what lasts for the process.
  expect(Math.max(...seen.counts)).toBe(seen.counts[1] ?? 0);
});
