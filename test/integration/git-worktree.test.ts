/** Git in the cage where the repository lies outside of the workspace: a linked worktree and a submodule. Judged by what git says on the host afterwards. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { joinedGit } from "../../src/platform/workspace/git.ts";
import { renderApproval } from "../../src/bark/approvals.ts";
import type { CallReport } from "../../src/bark/monitor/monitor.ts";
import { BarkRoom } from "../support/bark.ts";
import { NO_CAGE } from "../support/cage.ts";

const reason = NO_CAGE ?? (Bun.which("git") === null ? "without git" : null);
const why = reason === null ? "" : ` (skipped: ${reason})`;
const ME = "git config --global user.name a; git config --global user.email a@b;";
const nobody = (): boolean => false;

/** On the host, as the person would. */
function git(cwd: string, ...args: readonly string[]): string {
  const env = { PATH: "/usr/bin:/bin", HOME: "/nonexistent", GIT_CONFIG_NOSYSTEM: "1", GIT_OPTIONAL_LOCKS: "0" };
  const words = ["-c", "safe.directory=*", "-c", "user.name=h", "-c", "user.email=h@h", "-c", "protocol.file.allow=always", ...args];
  const ran = Bun.spawnSync(["git", ...words], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  if (ran.exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr.toString()}`);
  return ran.stdout.toString();
}

function repository(path: string): string {
  mkdirSync(path, { recursive: true });
  git(path, "init", "-q", "-b", "main");
  writeFileSync(join(path, "a.txt"), "one\n");
  git(path, "add", ".");
  git(path, "commit", "-qm", "first");
  return path;
}

/** Every file of a repository but objects, with its text. */
function settings(root: string, at = ""): Record<string, string> {
  return Object.fromEntries(
    readdirSync(join(root, at)).flatMap((name): [string, string][] => {
      const path = join(at, name);
      if (path === "objects") return [];
      return statSync(join(root, path)).isDirectory()
        ? Object.entries(settings(root, path))
        : [[path, readFileSync(join(root, path), "latin1")]];
    }),
  );
}

describe.skipIf(reason !== null)(`git with its repository elsewhere${why}`, () => {
  let bark: BarkRoom;
  let main = "";
  let folder = "";
  const refused = (report: CallReport): readonly string[] => report.executed?.workspace?.refused.map(({ change }) => change.path) ?? [];
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "noctem-git-")));
    main = repository(join(folder, "main"));
  });
  afterEach(() => {
    bark[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  const worktree = (): string => {
    const path = join(folder, "tree");
    git(main, "worktree", "add", "-q", "-b", "side", path);
    bark = new BarkRoom(path);
    return join(main, ".git");
  };
  const submodule = (): string => {
    const inner = repository(join(folder, "inner"));
    git(main, "submodule", "add", "-q", inner, "sub");
    git(main, "commit", "-qm", "submodule");
    bark = new BarkRoom(join(main, "sub"));
    return join(main, ".git/modules/sub");
  };

  test("add, commit, switch, merge and stash in a linked worktree, and all of it taken back by one undo", async () => {
    const host = worktree();
    const before = settings(host);
    const done = await bark.bash(`${ME} set -e; echo two > b.txt; git add b.txt; git commit -qm second; git status --porcelain`, "allowed");
    expect(done).toMatchObject({ status: "done", text: "", executed: { workspace: { refused: [], pending: [], conflicts: [] } } });
    // The question says whose files are in reach.
    const rendered = bark.questions[0] === undefined ? null : renderApproval(bark.questions[0]);
    expect(rendered?.kind === "lines" ? rendered.lines.join("\n") : "").toContain(`its git repository ${host}`);
    expect(git(bark.workspace, "log", "--format=%s")).toBe("second\nfirst\n");
    expect(git(bark.workspace, "status", "--porcelain")).toBe("");
    expect(git(main, "log", "--format=%s", "side")).toBe("second\nfirst\n");
    expect(git(main, "status", "--porcelain")).toBe("");
    expect(git(main, "fsck", "--strict")).toBe("");
    const more = await bark.bash(
      `${ME} set -e; git switch -qc other; echo three >> b.txt; git commit -qam third; git switch -q side; git merge -q other; echo four >> a.txt; git stash -q`,
      "allowed",
    );
    expect(more).toMatchObject({ status: "done", executed: { workspace: { refused: [], conflicts: [] } } });
    expect(git(main, "log", "--format=%s", "side")).toBe("third\nsecond\nfirst\n");
    expect(git(main, "stash", "list")).toContain("stash@{0}");
    expect(await bark.steps.undo(bark.workspace, null)).toMatchObject({ ok: true });
    expect(git(main, "log", "--format=%s", "side")).toBe("second\nfirst\n");
    expect(
      await bark.steps.undo(bark.workspace, bark.steps.list(bark.workspace).find(({ label }) => label === "run")?.step ?? ""),
    ).toMatchObject({ ok: true });
    expect(settings(host)).toEqual(before);
    expect(existsSync(join(bark.workspace, "b.txt"))).toBe(false);
  });

  test("add, commit and switch in a submodule", async () => {
    submodule();
    const done = await bark.bash(
      `${ME} set -e; git switch -qc topic; echo two > b.txt; git add b.txt; git commit -qm second; git switch -q main; git switch -q topic`,
      "allowed",
    );
    expect(done).toMatchObject({ status: "done", text: "", executed: { workspace: { refused: [], pending: [], conflicts: [] } } });
    expect(git(bark.workspace, "log", "--format=%s", "topic")).toBe("second\nfirst\n");
    expect(git(bark.workspace, "status", "--porcelain")).toBe("");
    expect(git(main, "status", "--porcelain").trim()).toBe("M sub");
  });

  test("hooks, the file system monitor and filters of the repository do not run", async () => {
    const host = worktree();
    for (const name of ["pre-commit", "post-checkout", "post-index-change"])
      writeFileSync(join(host, "hooks", name), "#!/bin/sh\ntouch hooked\n", { mode: 0o755 });
    git(main, "config", "core.fsmonitor", "touch monitored; false");
    git(main, "config", "filter.x.clean", "touch filtered; cat");
    git(main, "config", "filter.x.smudge", "touch filtered; cat");
    writeFileSync(join(bark.workspace, ".gitattributes"), "*.y filter=x\n");
    const done = await bark.bash(
      `${ME} set -e; echo 1 > a.y; git add a.y; git commit -qm second; rm a.y; git checkout -q a.y; ls`,
      "allowed",
    );
    expect(done).toMatchObject({ status: "done", text: "a.txt\na.y\n" });
    for (const name of ["hooked", "monitored", "filtered"]) expect(existsSync(join(bark.workspace, name))).toBe(false);
  });

  test.each([["linked worktree", worktree] as const, ["submodule", submodule] as const])(
    "whatever else a program writes into the repository of a %s is refused",
    async (_what, make) => {
      const host = make();
      const before = settings(host);
      const report = await bark.bash(
        `g=${host}; o=$(git rev-parse --git-dir); printf '#!/bin/sh\\n' > $g/hooks/pre-commit; chmod +x $g/hooks/pre-commit
        git config core.fsmonitor /tmp/x; git config --worktree core.editor x 2>/dev/null; mkdir -p $g/objects/info $g/info $g/worktrees/evil
        echo /etc > $g/objects/info/alternates; echo '* filter=x' > $g/info/attributes; echo x > $g/worktrees/evil/HEAD
        echo /elsewhere > $o/commondir; echo /elsewhere > $o/gitdir; ln -s /etc/passwd $g/refs/heads/link; echo '../../x' > $g/refs/heads/odd
        for f in $(ls -d $g/objects/??/* | head -1); do chmod u+w $f; echo bad > $f; done; rm -rf $g/logs/x $g/description; echo fine > fine.txt`,
        "allowed",
      );
      expect(report.executed?.workspace?.applied).toContain("fine.txt");
      expect(settings(host)).toEqual(before);
      expect(existsSync(join(host, "objects/info/alternates"))).toBe(false);
      expect(git(bark.workspace, "fsck", "--strict")).toBe("");
      expect(refused(report)).toEqual(
        expect.arrayContaining(["config", "hooks/pre-commit", "objects/info/alternates", "info/attributes", "refs/heads/odd"]),
      );
      expect(bark.incidents.length).toBeGreaterThan(5);
    },
  );

  test("a .git file that leads to a repository which does not know this folder is not followed", async () => {
    worktree();
    const victim = repository(join(folder, "victim"));
    const secret = `canary-${crypto.randomUUID()}`;
    writeFileSync(join(victim, "secret"), secret);
    git(victim, "add", ".");
    git(victim, "commit", "-qm", secret);
    git(victim, "worktree", "add", "-q", join(folder, "theirs"));
    const before = settings(join(victim, ".git"));
    symlinkSync(join(main, ".git/worktrees/tree"), join(folder, "link"));
    for (const target of [
      join(victim, ".git"),
      join(victim, ".git/worktrees/theirs"),
      join(folder, "link"),
      "../victim/.git",
      victim,
      "/etc",
      "/",
    ]) {
      writeFileSync(join(bark.workspace, ".git"), `gitdir: ${target}\n`);
      expect(joinedGit(bark.workspace, nobody), target).toMatchObject({ ok: false });
      const report = await bark.bash(
        "git log --format=%s; git show HEAD:secret; echo x > mine.txt; git add mine.txt; git commit -qm x",
        "allowed",
      );
      expect(report.text).not.toContain(secret);
      expect(report.text).toContain("was left out of the cage");
    }
    expect(settings(join(victim, ".git"))).toEqual(before);
    // The repository that was Noctem's own would not be anybody's.
    writeFileSync(join(bark.workspace, ".git"), `gitdir: ${join(main, ".git/worktrees/tree")}\n`);
    expect(joinedGit(bark.workspace, nobody)).toMatchObject({ ok: true, value: { own: "worktrees/tree" } });
    expect(joinedGit(bark.workspace, (path) => path.startsWith(main))).toMatchObject({ ok: false });
  });

  test("a branch that moved on the host meanwhile is left as it is", async () => {
    worktree();
    const running = bark.bash(`${ME} echo two > b.txt; git add b.txt; git commit -qm inside; sleep 1`, "allowed");
    await Bun.sleep(700);
    git(bark.workspace, "commit", "-q", "--allow-empty", "-m", "outside");
    const report = await running;
    expect(refused(report)).toContain("refs/heads/side");
    expect(git(main, "log", "--format=%s", "side")).toBe("outside\nfirst\n");
  });
});
