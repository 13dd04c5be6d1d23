import { describe, expect, test } from "bun:test";
import type { Installed } from "../../../src/models/inventory.ts";
import type { ModelFiles } from "../../../src/models/ports.ts";
import { measureReadSpeed } from "../../../src/models/read-speed.ts";

const MIB = 2 ** 20;
const model = (size: number) => ({ files: [{ path: "/m", size }] }) as unknown as Installed;

/** A medium that takes as long for each stretch as it is told, in milliseconds. */
async function measured(size: number, times: readonly number[]): Promise<number | null> {
  let now = 0;
  let index = 0;
  const files = {
    read: async (_: string, offset: number, length: number) => {
      expect(offset + length).toBeLessThanOrEqual(size);
      now += times[index++ % times.length] ?? 0;
      return { ok: true, value: new Uint8Array(length) };
    },
  } as unknown as ModelFiles;
  return await measureReadSpeed(model(size), { files, pace: { monotonic: () => now, sleep: async () => undefined } });
}

describe("the read speed of a stick", () => {
  test("is bytes over time", async () => {
    expect(await measured(1000 * MIB, [200])).toBe(20 * MIB + 0);
  });

  test("leaves out what the page cache had", async () => {
    expect(await measured(1000 * MIB, [200, 0.5])).toBe(20 * MIB);
  });

  test("is not known where nearly all was cached, or the file is small", async () => {
    expect(await measured(1000 * MIB, [0.5])).toBeNull();
    expect(await measured(1000 * MIB, [200, 0.5, 0.5, 0.5, 0.5, 0.5])).toBeNull();
    expect(await measured(1 * MIB, [200])).toBeNull();
  });
});
