import { expect, test } from "bun:test";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { CoreBindingReport } from "../../support/core-binding-child.ts";

const CHILD = join(import.meta.dir, "../../support/core-binding-child.ts");

const report = async (argv: readonly string[] = []): Promise<CoreBindingReport> => {
  const child = Bun.spawn([...argv, process.execPath, CHILD], { stdio: ["ignore", "pipe", "inherit"], timeout: 30_000 });
  return JSON.parse((await child.stdout.text()).trim()) as CoreBindingReport;
};

test.skipIf(availableParallelism() < 2)(
  "the threads of a process go onto one core and back onto all that it had, its helpers stay free (needs two cores)",
  async () => {
    const seen = await report();
    if (seen === null) throw new Error("nothing was bound");
    const { before, bound, again, free } = seen;
    expect(before).toEqual({ workers: before.helpers, helpers: [expect.stringMatching(/\D/)] });
    expect(bound.workers).toEqual([expect.stringMatching(/^\d+$/)]);
    // One that a bound thread started meanwhile has its mask.
    expect(bound.helpers).toEqual(expect.arrayContaining([...before.helpers]));
    expect(again.workers).toEqual(bound.workers);
    expect(free).toEqual(before);
  },
);

test.skipIf(Bun.which("taskset") === null)("with one core there is nothing to bind (needs taskset)", async () => {
  expect(await report(["taskset", "-c", "0"])).toBeNull();
});
