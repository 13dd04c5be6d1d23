/** A copy of the source in which a defence is taken out, and the suite of attacks run on it. */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Defence } from "./defences.ts";
import { cleanEnvironment, ROOT, tempDir } from "./noctem.ts";

const PARTS = ["src", "tui", "profiles", "native", "scripts", "build/helper", "package.json", "tsconfig.json", "bunfig.toml"];
/** Milliseconds. */
const LONGEST = 300_000;

export interface DefenceCopy extends Disposable {
  /** What opens, by ids; as `--only` chooses. In cages that are built whole, unless it is about those that stand ready. */
  attack(only: string, standing?: true): readonly string[];
  /** Without the defence. Throws when the lines are not there any more that it is about. */
  without(defence: Defence): readonly string[];
}

export function defenceCopy(): DefenceCopy {
  const copy = tempDir("noctem-defences-");
  for (const part of PARTS) cpSync(join(ROOT, part), join(copy.path, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(copy.path, "node_modules"));
  const run = (args: readonly string[]): string => {
    const ran = Bun.spawnSync([process.execPath, ...args], {
      cwd: copy.path,
      env: { ...cleanEnvironment },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: LONGEST,
      killSignal: "SIGKILL",
    });
    const said = ran.stdout.toString();
    // 11: an attack got through, which is what is hoped for.
    if (ran.exitCode !== 0 && ran.exitCode !== 11) throw new Error(`${args.join(" ")}: ${ran.stderr.toString().slice(-500)}`);
    return said;
  };
  const attack = (only: string, standing?: true): readonly string[] => {
    const how = standing === true ? [] : ["--anew"];
    const { attacks } = JSON.parse(run(["src/main.ts", "bark", "redteam", "--json", "--only", only, ...how])) as {
      readonly attacks: readonly { readonly id: string; readonly result: string }[];
    };
    return attacks.filter(({ result }) => result === "open").map(({ id }) => id);
  };
  /** What is built from a file that changed. */
  const rebuild = (files: readonly string[]): void => {
    if (files.some((file) => file.startsWith("native/")))
      run([
        "-e",
        'import { buildHelper } from "./scripts/build/helper.ts"; const built = buildHelper(); if (typeof built === "string") throw new Error(built); console.log("built")',
      ]);
    if (files.some((file) => file.startsWith("profiles/seccomp/"))) run(["scripts/seccomp/generate.ts"]);
  };
  return {
    attack,
    without({ name, edits, only, standing }) {
      const files = [...new Set(edits.map(({ file }) => file))];
      // From here and not from the source: somebody may be editing that meanwhile.
      const before = files.map((file) => readFileSync(join(copy.path, file)));
      try {
        for (const edit of edits) {
          const path = join(copy.path, edit.file);
          const text = readFileSync(path, "utf8");
          const next = "change" in edit ? edit.change(text) : text.replace(edit.find, () => edit.put);
          if (next === text) throw new Error(`${name}: nothing of it is in ${edit.file}`);
          writeFileSync(path, next);
        }
        rebuild(files);
        return attack(only, standing);
      } finally {
        for (const [index, file] of files.entries()) writeFileSync(join(copy.path, file), before[index] ?? "");
        rebuild(files);
      }
    },
    [Symbol.dispose]: () => copy[Symbol.dispose](),
  };
}
