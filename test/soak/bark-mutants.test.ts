/** The suite of attacks can fail: each defence is taken out once in a copy of the source, and at least one attack then gets through. */
import { expect, test } from "bun:test";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NO_CAGE } from "../support/cage.ts";
import { cleanEnvironment, ROOT, tempDir } from "../support/noctem.ts";

interface Defence {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly put: string;
  /** Attacks to run; all without it. */
  readonly only?: string;
}

const ARGV = "src/bark/cage/argv.ts";
const JUDGE = "src/bark/workspace/judge.ts";
const DEFENCES: readonly Defence[] = [
  {
    name: "a network of its own",
    file: ARGV,
    find: '"--unshare-all"',
    put: '"--unshare-pid", "--unshare-ipc", "--unshare-uts"',
    only: "host-loopback",
  },
  {
    name: "processes of its own",
    file: ARGV,
    find: '"--unshare-all"',
    put: '"--unshare-net", "--unshare-ipc", "--unshare-uts"',
    only: "processes",
  },
  { name: "an empty environment", file: ARGV, find: '    "--clearenv",\n', put: "", only: "environment" },
  {
    name: "a filter of calls (the list of what is denied, and of what is allowed)",
    file: ARGV,
    find: '...descriptors.seccomp.flatMap((fd) => ["--add-seccomp-fd", String(fd)]),',
    put: "",
    only: "s",
  },
  {
    name: "a session of its own, and no terminal calls",
    file: ARGV,
    find: '...descriptors.seccomp.flatMap((fd) => ["--add-seccomp-fd", String(fd)]),',
    put: "",
    only: "terminal",
  },
  {
    name: "an empty root",
    file: ARGV,
    find: '...bind("--ro-bind", "/usr", "/usr"),',
    put: '...bind("--ro-bind", "/", "/"),',
    only: "files",
  },
  {
    name: "small files of its own in /etc",
    file: "src/platform/cage/parts.ts",
    find: "for (const name of FROM_HOST)",
    put: 'for (const name of [...FROM_HOST, "shadow", "passwd"])',
    only: "files",
  },
  {
    name: "settings of the kernel and its first process beyond reach",
    file: ARGV,
    find: '    ...bind("--ro-bind", "/proc/sys", "/proc/sys"),\n',
    put: "",
    only: "namespaces",
  },
  {
    name: "names of keys hidden",
    file: ARGV,
    find: '...parts.hidden.flatMap((path) => bind("--ro-bind", "/dev/null", path)),',
    put: "",
    only: "keyring",
  },
  { name: "a root that cannot be written", file: ARGV, find: '    "--remount-ro",\n    "/",\n', put: "", only: "files" },
  {
    name: "Landlock",
    file: ARGV,
    find: '    ...writes.flatMap((path) => ["--landlock-rw", path]),\n',
    put: '    "--landlock-rw", "/",\n',
    only: "files",
  },
  { name: "masked secrets", file: "src/bark/redteam/run.ts", find: "[...base.mounts, ...masks]", put: "base.mounts", only: "files" },
  {
    name: "a copy-on-write view",
    file: "src/platform/cage/runner.ts",
    find: 'workspace?.mode === "copy-on-write";',
    put: "false as boolean;",
    only: "protected",
  },
  { name: "names of hooks", file: JUDGE, find: 'if (first === "hooks") {', put: 'if (first === "never") {', only: "protected" },
  { name: "git's settings", file: JUDGE, find: 'if ((first === "config" ||', put: 'if ((first === "never" ||', only: "protected" },
  {
    name: "the laxest reading of names",
    file: JUDGE,
    find: 'change.path.split("/").map(plainName)',
    put: 'change.path.split("/")',
    only: "protected",
  },
  { name: "names of settings", file: JUDGE, find: "parts.findIndex((part) => isProtected(part))", put: "-1", only: "protected" },
  {
    name: "links that lead out",
    file: "src/platform/workspace/view.ts",
    find: "if (!staysInside(path, target))",
    put: 'if (target === "" && !staysInside(path, target))',
    only: "link",
  },
  {
    name: "limits of time",
    file: "src/platform/cage/supervisor.ts",
    find: 'setTimeout(() => stop("time"), limits.wallMs)',
    put: "setTimeout(() => undefined, limits.wallMs)",
    only: "sleeper",
  },
  {
    name: "a limit of disk",
    file: "src/platform/cage/runner.ts",
    find: "limits.diskBytes, control)",
    put: "2 ** 33, control)",
    only: "disk",
  },
  {
    name: "a limit of output",
    file: "src/platform/cage/output.ts",
    find: "if (budget.left < 0) {",
    put: "if (budget.left < -1e15) {",
    only: "output",
  },
  { name: "limits of open files", file: ARGV, find: "nofile: limits.openFiles,", put: "nofile: 1048576,", only: "descriptors" },
];

/** What holds twice, or is met by no attack of a program: taken out alone it shows nothing. Named, as a defence that no attack needs has to be. */
const IN_PAIRS: Readonly<Record<string, string>> = {
  "a root that cannot be written": "Landlock and the empty root hold as well; writing there would reach nothing of the host",
  Landlock: "the mounts are read-only without it",
  "settings of the kernel and its first process beyond reach":
    "Landlock refuses the write as well, and as an ordinary user so do the files' own modes",
};

test.skipIf(NO_CAGE !== null)(
  `each defence is needed by an attack, or is named as one that holds twice${NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`}`,
  () => {
    using copy = tempDir("noctem-defences-");
    for (const part of ["src", "tui", "profiles", "native", "build/helper", "package.json", "tsconfig.json", "bunfig.toml"])
      cpSync(join(ROOT, part), join(copy.path, part), { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(copy.path, "node_modules"));
    const attack = (only?: string): readonly string[] => {
      const ran = Bun.spawnSync(
        [process.execPath, "src/main.ts", "bark", "redteam", "--json", ...(only === undefined ? [] : ["--only", only])],
        {
          cwd: copy.path,
          env: { ...cleanEnvironment },
          stdio: ["ignore", "pipe", "pipe"],
          timeout: 300_000,
          killSignal: "SIGKILL",
        },
      );
      const { attacks } = JSON.parse(ran.stdout.toString()) as { attacks: { id: string; result: string }[] };
      return attacks.filter(({ result }) => result === "open").map(({ id }) => id);
    };
    expect(attack()).toEqual([]);
    const outcomes = DEFENCES.map(({ name, file, find, put, only }) => {
      const path = join(copy.path, file);
      const text = readFileSync(path, "utf8");
      expect(text.includes(find), `${name}: ${find}`).toBe(true);
      writeFileSync(
        path,
        text.replace(find, () => put),
      );
      try {
        return { name, open: attack(only) };
      } finally {
        writeFileSync(path, text);
      }
    });
    console.log(outcomes.map(({ name, open }) => `${name}: ${open.length === 0 ? "nothing opens" : open.join(", ")}`).join("\n"));
    expect(outcomes.filter(({ name, open }) => open.length === 0 && !(name in IN_PAIRS)).map(({ name }) => name)).toEqual([]);
  },
  40 * 60_000,
);
