import { cpSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { ROOT, tempDir, type TempDir } from "./noctem.ts";

/** Bugs to be planted in the heart, one at a time, to see that its tests notice: patches of a line or two, named by what they do. */
const PATCHES = join(ROOT, "test/mutants/heart");

export const mutants = (): readonly string[] => readdirSync(PATCHES).sort();

/** A copy of this program's source and tests, in which bugs come and go. */
export function copyOfSource(): TempDir {
  const dir = tempDir("noctem-mutants-");
  for (const part of ["src", "test", "package.json", "tsconfig.json", "bunfig.toml"]) {
    cpSync(join(ROOT, part), join(dir.path, part), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(dir.path, "node_modules"));
  return dir;
}

/** False when the lines are not there any more that the patch is about. */
export function applies(mutant: string, folder: string, how: "check" | "plant" | "take out"): boolean {
  const option = { check: ["--check"], plant: [], "take out": ["--reverse"] }[how];
  // A copy in a temporary folder is no repository, and must not be taken for a part of one around it.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: join(folder, "..") };
  return Bun.spawnSync(["git", "apply", ...option, join(PATCHES, mutant)], { cwd: folder, env }).exitCode === 0;
}
