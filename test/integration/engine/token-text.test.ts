import { expect, test } from "bun:test";
import { join } from "node:path";
import { starterModel } from "../../support/engine.ts";
import { writeTinyModel } from "../../support/gguf.ts";
import { tempDir } from "../../support/noctem.ts";
import type { TokenTextReport } from "../../support/token-text-child.ts";

const CHILD = join(import.meta.dir, "../../support/token-text-child.ts");

test("token by token comes the text that all tokens have together, with no character in halves (the starter model too where it is)", async () => {
  using dir = tempDir("noctem-text-");
  const starter = starterModel();
  const models = [
    writeTinyModel(join(dir.path, "llama.gguf")),
    writeTinyModel(join(dir.path, "qwen.gguf"), { arch: "qwen2" }),
    ...(starter === null ? [] : [starter]),
  ];
  const child = Bun.spawn([process.execPath, CHILD, ...models], { stdio: ["ignore", "pipe", "inherit"], timeout: 60_000 });
  const report = JSON.parse((await child.stdout.text()).trim()) as TokenTextReport;
  expect(report.different).toEqual(models.map(() => null));
  // Or else no text had a character of several tokens.
  expect(report.held).toBeGreaterThanOrEqual(2);
}, 60_000);
