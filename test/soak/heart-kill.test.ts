import { expect, test } from "bun:test";
import { faultsAfter, killOnce, type Acknowledged } from "../support/heart-kill.ts";
import { tempDir } from "../support/noctem.ts";

const ROUNDS = 50;
const KILLS = 10;

test(`kill -9 at ${ROUNDS * KILLS} random moments, two writers at a time: nothing acknowledged is lost`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    using dir = tempDir();
    const all: Acknowledged[] = [];
    for (let kill = 0; kill < KILLS / 2; kill++) {
      const pair = await Promise.all([killOnce(dir.path, Math.random), killOnce(dir.path, Math.random)]);
      all.push(...pair.flat());
    }
    expect(faultsAfter(dir.path, all)).toEqual([]);
  }
});
