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
  "all threads of a process go onto one core and back onto all that it had (needs two cores)",
  async () => {
    const seen = await report();
    expect(seen?.before).toHaveLength(1);
    expect(seen?.bound).toEqual([expect.stringMatching(/^\d+$/)]);
    expect(seen?.again).toEqual(seen?.bound ?? []);
    expect(seen?.free).toEqual(seen?.before ?? []);
  },
);

test.skipIf(Bun.which("taskset") === null)("with one core there is nothing to bind (needs taskset)", async () => {
  expect(await report(["taskset", "-c", "0"])).toBeNull();
});
