import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { starterModel } from "../../support/engine.ts";
import { writeTinyModel } from "../../support/gguf.ts";
import { tempDir } from "../../support/noctem.ts";
import type { RunAheadReport } from "../../support/run-ahead-child.ts";

const CHILD = join(import.meta.dir, "../../support/run-ahead-child.ts");
/** Milliseconds. */
const PATIENCE = 120_000;
/** Tokens that the thread makes before somebody takes them, at most. */
const BOUND = 16;

describe("tokens made ahead of whoever asks for them (of the starter model too, where it is)", () => {
  let seen: RunAheadReport;
  beforeAll(async () => {
    using dir = tempDir("noctem-ahead-");
    const starter = starterModel();
    const models = [
      writeTinyModel(join(dir.path, "tiny.gguf"), { weights: "f32", seed: 5 }),
      writeTinyModel(join(dir.path, "qwen.gguf"), { arch: "qwen2" }),
      writeTinyModel(join(dir.path, "deep.gguf"), { layers: 64 }),
      writeTinyModel(join(dir.path, "script.gguf"), { says: ["Hello", " there", "!"] }),
      ...(starter === null ? [] : [starter]),
    ];
    const child = Bun.spawn([process.execPath, CHILD, ...models], { stdio: ["ignore", "pipe", "inherit"], timeout: PATIENCE });
    seen = JSON.parse((await child.stdout.text()).trim()) as RunAheadReport;
  }, PATIENCE);

  test("where that was allowed, and with no grammar, and with the context in hand", () => {
    expect(seen.ahead.length).toBeGreaterThanOrEqual(4);
    for (const each of seen.ahead) expect(each).toEqual([true, false, false, false]);
  });

  test("are the same as those made step by step: greedy and drawn, whatever the filters", () => {
    expect(seen.different).toEqual([]);
    expect(seen.variety).toBe(4);
  });

  test("another number of threads takes over between two of them", () => {
    const at = seen.switched.threads.indexOf(2);
    expect(seen.switched.threads.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 1));
    // What was made already is of the count before.
    expect(at).toBeGreaterThanOrEqual(10);
    expect(at).toBeLessThanOrEqual(10 + BOUND + 1);
    expect(new Set(seen.switched.threads.slice(at))).toEqual(new Set([2]));
    expect(seen.switched.same).toBe(true);
  });

  test("one thread takes over where several are given no time, from the very token on, until it is told otherwise", () => {
    const { none, plenty, threads, same } = seen.impatient;
    expect(plenty).toBe(0);
    // Each that was begun on two but the first, which comes of the prompt. Those that ran ahead meanwhile were made on one.
    expect(none).toBe(threads.filter((count) => count === 2).length - 1);
    expect(none).toBeGreaterThanOrEqual(3);
    expect(threads.every((count) => count === 1 || count === 2)).toBe(true);
    expect(same).toBe(true);
    // Also where whoever reads never heard of it.
    expect(seen.afterwards).toBe(2);
  });

  test("a reader who stops reading is waited for, and what nobody took is dropped, exactly", () => {
    const { held, reached, left } = seen.idle;
    expect(reached).toBeGreaterThan(held);
    expect(reached).toBeLessThanOrEqual(held + BOUND);
    expect(left).toBe(held);
    // Or else a slow reader would look like a busy machine to whoever chooses the number of threads.
    expect(seen.paused.slowest).toBeLessThan(seen.paused.pause);
    expect(seen.exact).toBe(true);
  });

  test("none is made beyond a limit or the end of a turn", () => {
    expect(seen.beyond).toEqual([0, 0, 0]);
  });

  test("a caller who goes on from elsewhere, or beyond the end, gets what step by step would give", () => {
    expect(seen.strayed).toBe(true);
  });

  test("a cancel ends it, leaves just what had been asked for, and the next answer is as ever", () => {
    expect(seen.cancelled).toEqual({ rounds: 12, ended: 12, exact: 12, sameAfter: true });
  });

  test("the end of the context is an error as ever, and nothing is held then", () => {
    expect(seen.full.error).toContain("could not find a KV slot");
    expect(seen.full).toEqual({ error: seen.full.stepwise, stepwise: seen.full.error, held: 0, sameAfter: true });
  });

  test("two models at once do not disturb each other", () => {
    expect(seen.sideBySide).toBe(true);
  });

  test("a model that is faster than its reader does not keep everything else waiting", () => {
    expect(seen.turns).toBeGreaterThanOrEqual(160 / BOUND - 1);
  });

  test("a process in which nothing else happens waits for them", () => {
    expect(seen.forsaken).toBe(0);
  });

  test("each context has a thread of its own, which ends with it", () => {
    expect(seen.threads).toEqual([0, 2, 0]);
  });
});
