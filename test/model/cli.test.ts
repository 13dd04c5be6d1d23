/** The first sentence of the README, on the compiled program with the starter model. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { cleanEnvironment, ROOT, run, stickWith } from "../support/noctem.ts";

const folders = [join(ROOT, "../shared/models"), join(ROOT, "dist/models")];
const starter = folders
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .find((path) => /smollm2-135m.*\.gguf$/iu.test(path));
const env = { ...cleanEnvironment, NOCTEM_THREADS: "1" };

test.skipIf(starter === undefined)(
  "a question in a pipe is answered (skipped without the starter model)",
  async () => {
    using stick = stickWith({ models: starter === undefined ? [] : [starter] });
    const options = { env, program: stick.program, stdin: "What is the capital of France?\n" };
    const { code, stdout, stderr } = await run(["--headless", "--temperature", "0"], options);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("Paris");
  },
  60_000,
);
