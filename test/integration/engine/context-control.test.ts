import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { load, say, startEngine, value } from "../../support/engine.ts";
import { writeTinyModel } from "../../support/gguf.ts";
import { tempDir } from "../../support/noctem.ts";
import type { ContextControlReport } from "../../support/context-control-child.ts";

const CHILD = join(import.meta.dir, "../../support/context-control-child.ts");
/** Milliseconds. Threads that wait for each other on a machine busy with other work take their time. */
const PATIENCE = 60_000;

/**
 * An update of node-llama-cpp moves what its context is reached by, and then there is no pool and no interrupting: two threads would be slower than
 * one again, Esc would take seconds, and nobody would notice. These tests would.
 */
describe("threads that last, batches that can be interrupted", () => {
  let seen: ContextControlReport;
  beforeAll(async () => {
    using dir = tempDir("noctem-pool-");
    const model = writeTinyModel(join(dir.path, "tiny.gguf"));
    const slow = writeTinyModel(join(dir.path, "slow.gguf"), { layers: 64 });
    const child = Bun.spawn([process.execPath, CHILD, model, slow], { stdio: ["ignore", "pipe", "inherit"], timeout: PATIENCE });
    seen = JSON.parse((await child.stdout.text()).trim()) as ContextControlReport;
  }, PATIENCE);

  test("this build of node-llama-cpp gets them, and they are the same from token to token", () => {
    expect(seen).toMatchObject({ controlled: true, accepted: true, lasting: true });
  });

  test("they do work, and stay out of it when one thread is asked for", () => {
    expect(seen.working).toBe(true);
    expect(seen.aside).toBeLessThanOrEqual(2);
  });

  test("any number of them gives the same tokens", () => {
    expect(seen.answers).toBe(1);
  });

  test("a pool of two and one of three are one and two threads more, and none is left behind", () => {
    expect(seen.during).toEqual([3, 3, 3]);
    expect(seen.after).toEqual([0, 0, 0]);
  });

  test("they sleep between answers", () => {
    // Looking for work they turn a fixed number of rounds, 15 ticks and more, however busy the machine is.
    expect(seen.idle).toHaveLength(2);
    for (const used of seen.idle) expect(used).toBeLessThanOrEqual(2);
  });

  test("a batch whose end is wanted before it began is not evaluated", () => {
    expect(seen.late).toEqual({ evaluated: false, sampled: false, held: 0 });
  });

  test("one that is interrupted leaves what was held before, and the next ones are as ever", () => {
    expect(seen.interrupted).toEqual([10, 10]);
    expect(seen.sameAfter).toBe(true);
    // Or else an interruption would stand as the cause of a later crash.
    expect(seen.complaints).toEqual([]);
  });

  test("objects and facts that do not fit each other get none", () => {
    expect(seen.refused).toEqual(seen.refused.map(() => false));
  });

  test(
    "the engine reports them and answers with them",
    async () => {
      using dir = tempDir("noctem-pool-");
      const path = writeTinyModel(join(dir.path, "says.gguf"), { says: ["Hello", " there"] });
      await using engine = startEngine({ env: { NOCTEM_THREADS: "2" } });
      const loaded = await load(engine, path);
      expect(loaded).toMatchObject({ lastingThreads: true });
      const said = await say(engine, loaded, "hello");
      expect({ text: said.text, stop: value(said.result).stop }).toEqual({ text: "Hello there", stop: "end" });
    },
    PATIENCE,
  );
});
