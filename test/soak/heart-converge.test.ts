import { expect, test } from "bun:test";
import { join } from "node:path";
import { ROOT } from "../support/noctem.ts";

const CASES = Number(Bun.env["RUNS"] ?? 50_000);
/** Cases of one process: what SQLite and the collector hold on to goes with it. */
const CHUNK = 2500;
const PROCESSES = Math.min(4, navigator.hardwareConcurrency);
/** Milliseconds a case may take on a busy machine. */
const PATIENCE = 1000;

test(
  `${CASES} cases of the oracle for copies of a heart`,
  async () => {
    const chunks = Math.ceil(CASES / CHUNK);
    const first = Math.floor(Math.random() * 2 ** 30);
    console.log(`seeds ${first} to ${first + chunks - 1}; again: SEED=… RUNS=${CHUNK} bun test test/property/heart-converge.test.ts`);
    const failed: string[] = [];
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < chunks && failed.length === 0) {
        const seed = first + next++;
        const child = Bun.spawn([process.execPath, "test", join("test", "property", "heart-converge.test.ts"), "-t", "whatever was done"], {
          cwd: ROOT,
          env: { ...process.env, RUNS: String(CHUNK), SEED: String(seed) },
          stdio: ["ignore", "pipe", "pipe"],
          timeout: CHUNK * PATIENCE,
          killSignal: "SIGKILL",
        });
        const said = await Promise.all([child.stdout.text(), child.stderr.text()]);
        if ((await child.exited) === 0) console.log(`seed ${seed}: ${CHUNK} cases hold`);
        else failed.push(`seed ${seed}: ${said.join("").slice(-20_000)}`);
      }
    };
    await Promise.all(Array.from({ length: PROCESSES }, work));
    expect(failed).toEqual([]);
  },
  Math.ceil(CASES / CHUNK / PROCESSES) * CHUNK * PATIENCE,
);
