/** What the difference of steps-child.ts is made on, and what it leads to. */
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

export const STEP_BEFORE: Readonly<Record<string, string>> = { a: "one", "d/b": "two", "gone/c": "three" };
export const STEP_AFTER: Readonly<Record<string, string>> = { a: "one more", "d/b": "2", "n/e": "new" };
/** The whole tree afterwards, as `tree` tells it. */
export const TREE_AFTER = { a: "one more", d: "/", "d/b": "2", l: "-> a", n: "/", "n/e": "new" };

/** Path → what it holds, folders and links included. */
export function tree(root: string, at = ""): Record<string, string> {
  return Object.fromEntries(
    readdirSync(join(root, at)).flatMap((name): [string, string][] => {
      const path = join(at, name);
      const stat = lstatSync(join(root, path));
      if (stat.isSymbolicLink()) return [[path, `-> ${readlinkSync(join(root, path))}`]];
      if (stat.isDirectory()) return [[path, "/"], ...Object.entries(tree(root, path))];
      return [[path, `${(stat.mode & 0o100) === 0 ? "" : "x "}${readFileSync(join(root, path), "utf8")}`]];
    }),
  );
}

export function putStepBefore(workspace: string): void {
  for (const [path, text] of Object.entries(STEP_BEFORE)) {
    mkdirSync(dirname(join(workspace, path)), { recursive: true });
    writeFileSync(join(workspace, path), text);
  }
}

/** System calls at each of which the child is killed. */
export const STEP_CALLS = ["rename", "fsync", "unlink", "mkdir", "rmdir", "symlink"] as const;

/** Runs the child and kills it as it enters the `nth` call of this kind. Whether it was killed. */
export function killedAt(call: string, nth: number, workspace: string, state: string): boolean {
  const program = join(import.meta.dir, "steps-child.ts");
  const ran = Bun.spawnSync(
    [
      "strace",
      "-f",
      "-qq",
      "-e",
      `trace=${call}`,
      "-e",
      `inject=${call}:signal=KILL:when=${nth}`,
      "-o",
      "/dev/null",
      process.execPath,
      program,
      workspace,
      state,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  if (ran.exitCode === 0) return false;
  if (ran.signalCode === null && ran.exitCode !== 137) throw new Error(ran.stderr.toString());
  return true;
}
