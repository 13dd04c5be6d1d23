/** The tests of questions, grants, the parent's door and the pane can fail: each of these bugs, planted in a copy of the source, is seen by the tests of its part. */
import { expect, test } from "bun:test";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { APPROVAL_BUGS } from "../support/approval-bugs.ts";
import { ROOT, tempDir } from "../support/noctem.ts";

test(
  "each planted bug is seen, and without one nothing is",
  () => {
    using dir = tempDir("noctem-approval-mutants-");
    for (const part of ["src", "tui", "test", "profiles", "package.json", "tsconfig.json", "bunfig.toml"])
      cpSync(join(ROOT, part), join(dir.path, part), { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(dir.path, "node_modules"));
    const passes = (file: string): boolean =>
      Bun.spawnSync([process.execPath, "test", "--bail", "--timeout", "60000", `./${file}`], {
        cwd: dir.path,
        stdio: ["ignore", "ignore", "ignore"],
        timeout: 5 * 60_000,
        killSignal: "SIGKILL",
      }).exitCode === 0;
    for (const file of new Set(APPROVAL_BUGS.map(({ seenBy }) => seenBy))) expect(passes(file), file).toBe(true);
    const unseen = APPROVAL_BUGS.filter(({ name, file, from, to, seenBy }) => {
      const path = join(dir.path, file);
      const sound = readFileSync(path, "utf8");
      expect(sound.split(from).length, `${name}: its place in ${file}`).toBe(2);
      writeFileSync(
        path,
        sound.replace(from, () => to),
      );
      const isUnseen = passes(seenBy);
      writeFileSync(path, sound);
      console.log(`${isUnseen ? "NOT SEEN" : "seen"}: ${name}`);
      return isUnseen;
    });
    expect(unseen.map(({ name }) => name)).toEqual([]);
  },
  60 * 60_000,
);
