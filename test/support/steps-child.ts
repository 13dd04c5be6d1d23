/** `bun steps-child.ts WORKSPACE STATE`: applies a difference with one change of each kind, takes it back, and applies the taking back again. To be killed anywhere. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";

import { dirname, join } from "node:path";
import type { Change } from "../../src/bark/workspace/types.ts";
import { workspaceSteps } from "../../src/platform/workspace/apply.ts";
import { STEP_AFTER, STEP_BEFORE } from "./steps.ts";

const [workspace = "", state = ""] = process.argv.slice(2);
// Beside the state, which whoever kills this removes.
const fresh = mkdtempSync(join(dirname(state), "new-"));
const sha = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");
const before = (path: string): Change["before"] => {
  const text = STEP_BEFORE[path];
  return text === undefined ? { kind: "nothing" } : { kind: "file", bytes: text.length, sha256: sha(text), executable: false };
};
const write = (path: string): Change => {
  const text = STEP_AFTER[path] ?? "";
  const file = join(fresh, path.replaceAll("/", "-"));
  writeFileSync(file, text);
  return { kind: "write", path, content: { file, bytes: text.length, sha256: sha(text) }, executable: false, before: before(path) };
};
const changes: readonly Change[] = [
  write("a"),
  write("d/b"),
  { kind: "delete", path: "gone/c", before: before("gone/c") },
  { kind: "delete", path: "gone", before: { kind: "folder" } },
  { kind: "folder", path: "n", before: { kind: "nothing" } },
  write("n/e"),
  { kind: "link", path: "l", target: "a", before: { kind: "nothing" } },
];
let name = 0;
const steps = workspaceSteps(
  state,
  () => 1,
  () => String(++name),
);
await steps.apply(workspace, changes, "child");
await steps.undo(workspace, null);
await steps.undo(workspace, null);
rmSync(fresh, { recursive: true });
