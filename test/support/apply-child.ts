/** `bun apply-child.ts WORKSPACE STATE`: changes every file of a workspace in one step, after saying that it begins. To be killed. */
import { readdirSync, readFileSync, writeFileSync, mkdtempSync } from "node:fs";

import { dirname, join } from "node:path";
import type { Change } from "../../src/bark/workspace/types.ts";
import { workspaceSteps } from "../../src/platform/workspace/apply.ts";

const [workspace = "", state = ""] = process.argv.slice(2);
// Beside the state, which whoever kills this removes.
const fresh = mkdtempSync(join(dirname(state), "new-"));
const hash = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");
const changes = readdirSync(workspace, { recursive: true, encoding: "utf8" }).flatMap((path): Change[] => {
  if (!/\/f\d+$/.test(path)) return [];
  const old = readFileSync(join(workspace, path), "utf8");
  const text = old.replace("old", "new");
  const file = join(fresh, path.replaceAll("/", "-"));
  writeFileSync(file, text);
  const before = { kind: "file", bytes: old.length, sha256: hash(old), executable: false } as const;
  return [{ kind: "write", path, content: { file, bytes: text.length, sha256: hash(text) }, executable: false, before }];
});
process.stdout.write("ready\n");
const done = await workspaceSteps(
  state,
  () => 1,
  () => "step",
).apply(workspace, changes, "child");
process.stdout.write(`${JSON.stringify(done)}\n`);
setInterval(() => undefined, 1000);
