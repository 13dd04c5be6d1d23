/** What people do all day, in the cage: it has to work, and what lands in the workspace is what would have landed there, but for what programs on the host would run. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import compiled from "../../profiles/bark/policy.json";
import { loadPolicy } from "../../src/bark/policy/load.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { workspaceSteps } from "../../src/platform/workspace/apply.ts";
import { workspaceWriter } from "../../src/platform/workspace/writer.ts";
import { CageRoom, clock, LIMITS, NO_CAGE, sha256 } from "../support/cage.ts";
import type { WorkspaceReport } from "../../src/bark/outcome.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;
const within = (...argv: readonly string[]): boolean => Bun.spawnSync([...argv], { stdio: ["ignore", "ignore", "ignore"] }).exitCode === 0;
const without = (program: string): string => (Bun.which(program) === null ? ` (skipped without ${program})` : "");
const loaded = loadPolicy(compiled, sha256);
if (!loaded.ok) throw new Error(loaded.error.join("\n"));
const { changes: bounds } = loaded.value.policy;

describe.skipIf(NO_CAGE !== null)(`honest tools${why}`, () => {
  let room: CageRoom;
  let step = 0;
  beforeEach(() => {
    room = new CageRoom((permits) => hostCage({ permits, clock, sha256, env: process.env }));
    mkdirSync(room.workspace);
  });
  afterEach(() => room[Symbol.dispose]());

  const put = (files: Readonly<Record<string, string>>): void => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(room.workspace, path)), { recursive: true });
      writeFileSync(join(room.workspace, path), text);
    }
  };
  const work = async (script: string): Promise<{ readonly out: string; readonly report: WorkspaceReport }> => {
    const steps = workspaceSteps(
      join(room.folder, "steps"),
      () => 1,
      () => String(++step).padStart(6, "0"),
    );
    const writer = workspaceWriter({ steps, bounds, pending: null });
    let report: WorkspaceReport | null = null;
    const limits = { ...LIMITS, memoryBytes: 2 ** 31, diskBytes: 256 << 20, fileBytes: 256 << 20, wallMs: 50_000 };
    const { code, out, err } = await room.sh(
      script,
      { writes: true, limits },
      {
        onView: async (view) => void (report = await writer.applyView(view)),
      },
    );
    expect({ code, err: code === 0 ? "" : err }).toEqual({ code: 0, err: "" });
    if (report === null) throw new Error("no view");
    return { out, report };
  };
  /** On the host, as the person would. */
  const git = (...args: readonly string[]): string => {
    const ran = Bun.spawnSync(["git", "-c", "safe.directory=*", ...args], { cwd: room.workspace, stdio: ["ignore", "pipe", "pipe"] });
    expect(ran.stderr.toString()).toBe("");
    return ran.stdout.toString();
  };
  const there = (path: string): boolean => existsSync(join(room.workspace, path));

  const ME = "git config --global user.name a; git config --global user.email a@b; git config --global init.defaultBranch main;";

  test.skipIf(Bun.which("git") === null)(`git init, add, commit, switch, merge, stash${without("git")}`, async () => {
    const first = await work(`${ME} git init -q . && echo one > a && git add a && git commit -qm first && git log --oneline | wc -l`);
    expect(first.report).toMatchObject({ refused: [], pending: [], conflicts: [] });
    expect(git("log", "--format=%s")).toBe("first\n");
    expect(git("status", "--porcelain")).toBe("");
    await work(`${ME} git switch -qc side && echo two > b && git add b && git commit -qm second && git switch -q main`);
    expect(there("b")).toBe(false);
    await work(`${ME} git merge -q side && echo three >> a && git stash -q && git tag v1 && git gc -q`);
    expect(git("log", "--format=%s")).toBe("second\nfirst\n");
    expect(git("stash", "list")).toContain("stash@{0}");
    expect(git("fsck", "--strict")).toBe("");
  });

  test.skipIf(Bun.which("git") === null)(`git clone of a repository, with the hooks it brings left out${without("git")}`, async () => {
    const { report } = await work(
      `${ME} mkdir up && cd up && git init -q . && echo 1 > a && git add . && git commit -qm x && cd .. && mkdir -p up/.git/hooks && printf '#!/bin/sh\\n' > up/.git/hooks/post-checkout && git clone -q up copy`,
    );
    expect(report.refused.map(({ change }) => change.path)).toEqual(["up/.git/hooks/post-checkout"]);
    expect(readFileSync(join(room.workspace, "copy/a"), "utf8")).toBe("1\n");
    expect(readdirSync(join(room.workspace, "copy/.git/hooks")).every((name) => name.endsWith(".sample"))).toBe(true);
    // Where it was cloned from is a plain path.
    expect(readFileSync(join(room.workspace, "copy/.git/config"), "utf8")).toContain("remote");
  });

  test.skipIf(Bun.which("npm") === null)(
    `npm install of a package that ships settings of an editor${without("npm")}`,
    async () => {
      put({
        "package.json": JSON.stringify({ name: "mine", version: "1.0.0", dependencies: { feed: "file:./feed.tgz" } }),
        "package/package.json": JSON.stringify({ name: "feed", version: "4.2.2" }),
        "package/index.js": "module.exports = 42;\n",
        "package/.vscode/settings.json": "{}",
      });
      const packed = Bun.spawnSync(["tar", "czf", "feed.tgz", "package"], { cwd: room.workspace });
      expect(packed.exitCode).toBe(0);
      const { report } = await work("npm install --no-audit --no-fund --silent");
      expect(report).toMatchObject({ refused: [], pending: [] });
      expect(report.leftOut.map(({ change }) => change.path)).toEqual([
        "node_modules/feed/.vscode",
        "node_modules/feed/.vscode/settings.json",
      ]);
      expect(readFileSync(join(room.workspace, "node_modules/feed/index.js"), "utf8")).toContain("42");
      expect(there("package-lock.json")).toBe(true);
      expect(there("node_modules/feed/.vscode/settings.json")).toBe(false);
    },
    60_000,
  );

  const PACKAGE = {
    "pkg/setup.py": "from setuptools import setup\nsetup(name='mine', version='1', py_modules=['mine'])\n",
    "pkg/mine.py": "x = 42\n",
  };
  const noWheel = within("/usr/bin/python3", "-c", "import setuptools, wheel, pip")
    ? ""
    : " (skipped: python3 has no pip, setuptools and wheel)";
  test.skipIf(noWheel !== "")(
    `pip install of a source package and of a wheel, into a folder and into a virtual environment${noWheel}`,
    async () => {
      put(PACKAGE);
      const built = await work(
        "/usr/bin/python3 -m pip install -q --no-build-isolation --no-deps --target lib ./pkg && /usr/bin/python3 -m pip wheel -q --no-build-isolation --no-deps -w dist ./pkg",
      );
      expect(built.report).toMatchObject({ refused: [], pending: [], conflicts: [] });
      expect(readFileSync(join(room.workspace, "lib/mine.py"), "utf8")).toBe("x = 42\n");
      // The wheel that was made by then. An environment whose python is a link to the system's would lose that link: it leaves the workspace.
      const { report } = await work(
        "/usr/bin/python3 -m venv --copies --without-pip --system-site-packages env && /usr/bin/python3 -m pip --python env/bin/python install -q --no-index --no-deps --find-links dist mine && env/bin/python -c 'import mine; print(mine.x)'",
      );
      expect(report).toMatchObject({ refused: [], pending: [], conflicts: [] });
      expect(within(join(room.workspace, "env/bin/python"), "-c", "import mine")).toBe(true);
      expect(
        Bun.spawnSync(["/usr/bin/python3", "-c", "import mine; print(mine.x)"], {
          cwd: room.workspace,
          env: { PYTHONPATH: "lib" },
        }).stdout.toString(),
      ).toBe("42\n");
    },
    60_000,
  );

  test.skipIf(Bun.which("pip3") === null)(
    `pip install without a network is refused in seconds, not in minutes of trying again${without("pip3")}`,
    async () => {
      const ran = await room.sh("pip3 install --target lib certifi 2>&1; true", { writes: true, limits: { ...LIMITS, wallMs: 30_000 } });
      expect(ran).toMatchObject({ stopped: null });
      expect(ran.out).toContain("certifi");
    },
    60_000,
  );

  // Only what lies in the system's own folders is in a cage: a toolchain in somebody's home is not.
  const noCargo = existsSync("/usr/bin/cargo") || existsSync("/usr/local/bin/cargo") ? "" : " (skipped: no cargo in /usr)";
  test.skipIf(noCargo !== "")(
    `cargo build of a crate without dependencies${noCargo}`,
    async () => {
      put({
        "Cargo.toml": '[package]\nname = "mine"\nversion = "1.0.0"\nedition = "2021"\n',
        "src/main.rs": 'fn main() { println!("hi"); }\n',
      });
      const { report } = await work("cargo build --offline -q");
      expect(report).toMatchObject({ refused: [], pending: [], conflicts: [] });
      expect(Bun.spawnSync([join(room.workspace, "target/debug/mine")]).stdout.toString()).toBe("hi\n");
    },
    90_000,
  );

  test.skipIf(Bun.which("make") === null || Bun.which("cc") === null)(`make and a compiler${without("make")}${without("cc")}`, async () => {
    put({
      Makefile: "hello: hello.c\n\tcc -o hello hello.c\n",
      "hello.c": '#include <stdio.h>\nint main(void) { puts("hi"); return 0; }\n',
    });
    const { report, out } = await work("make -s && ./hello");
    expect(out).toBe("hi\n");
    expect(report.applied).toEqual(["hello"]);
    expect(Bun.spawnSync([join(room.workspace, "hello")]).stdout.toString()).toBe("hi\n");
  });
});
