/** Damaged copies, and copies whose trees are broken: as in the integration tests, many more of them, each night others. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { ROOT } from "../support/noctem.ts";

const RUNS = Number(Bun.env["RUNS"] ?? 1000);
const SEED = Bun.env["SEED"] ?? String(2 + Math.floor(Math.random() * 2 ** 20));

test.each(["heart-hostile", "heart-trees"])(
  `${RUNS} copies in each way to merge: %s`,
  async (name) => {
    const child = Bun.spawn(
      [process.execPath, "test", join("test", "integration", `${name}.test.ts`), "-t", "silently altered", "--timeout=3600000"],
      {
        cwd: ROOT,
        env: { ...process.env, RUNS: String(RUNS), SEED },
        stdio: ["ignore", "pipe", "pipe"],
        timeout: 60_000 + RUNS * 4000,
        killSignal: "SIGKILL",
      },
    );
    const said = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const code = await child.exited;
    expect(code, `again: SEED=${SEED} RUNS=${RUNS} bun test test/integration/${name}.test.ts\n${said.join("").slice(-20_000)}`).toBe(0);
  },
  120_000 + RUNS * 4000,
);
