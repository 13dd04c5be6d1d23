import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gitWouldRun, programIn } from "../../../src/bark/policy/git-settings.ts";
import { workspaceReader } from "../../../src/platform/skills/reader.ts";
import { tempDir, type TempDir } from "../../support/noctem.ts";

/** Settings by which git runs a program while it reads, each as a person attacking would write it. {} stands for the program. */
const RUN: readonly (readonly [string, string])[] = [
  ["core.fsmonitor", "{} #"],
  ["diff.external", "{} #"],
  ["diff.evil.textconv", "{}; cat"],
  ["diff.evil.command", "{} #"],
  ["filter.evil.clean", "{}; cat"],
  ["filter.evil.process", "{}"],
  ["merge.evil.driver", "{}"],
  ["gpg.program", "{}"],
  ["gpg.ssh.program", "{}"],
  ["include.path", "../evil"],
  ["includeIf.gitdir:/.path", "../evil"],
  ["trailer.evil.command", "{}"],
  ["remote.origin.promisor", "true"],
  ["remote.origin.partialclonefilter", "blob:none"],
  ["extensions.partialclone", "origin"],
  ["log.showsignature", "true"],
  ["core.alternateRefsCommand", "{}"],
];

describe("settings of git", () => {
  test.each(RUN)("%s is seen however it is written", (key, value) => {
    const [section = "", ...rest] = key.split(".");
    const name = rest.pop() ?? "";
    const header = rest.length === 0 ? `[${section}]` : `[${section} "${rest.join(".")}"]`;
    for (const text of [
      `${header}\n\t${name} = ${value}\n`,
      `[core]\n\tbare = false\n${header.toUpperCase()}\n${name.toUpperCase()}=${value}`,
      `${header}\r\n\t${name} = ${value}\r\n`,
      `${header} ${name} = ${value}`,
      ...(rest.length === 0 ? [] : [`[${key.slice(0, key.lastIndexOf("."))}]\n${name} = ${value}`]),
    ])
      expect(programIn(text), JSON.stringify(text)).not.toBeNull();
  });

  test("that are everyday ones are not held against a repository", () => {
    const text = `[core]
\trepositoryformatversion = 0
\tfilemode = true
\tfsmonitor = false
\teditor = vim
[remote "origin"]
\turl = https://example.org/x.git
\tfetch = +refs/heads/*:refs/remotes/origin/*
[branch "main"]
\tremote = origin
[diff]
\talgorithm = histogram
[merge]
\tconflictstyle = zdiff3
[user]
\tname = A "B" C # D
; a comment
`;
    expect(programIn(text)).toBeNull();
  });

  test.each([
    ["[core]\n\tx = a\\\n[diff]"],
    ["x = y"],
    ["[core\nx = y"],
    ["\ufeff[core]\nx = y\n[dif\u0131f]\n"],
    ["[core]\n= y"],
    ["[core]\0"],
  ])("that cannot be read plainly count as such: %j", (text) => expect(programIn(text)).not.toBeNull());
});

describe.skipIf(Bun.which("git") === null)("a repository that a hostile archive brought (needs git)", () => {
  let dir: TempDir;
  const mark = (): string => join(dir.path, "ran");
  const git = (...args: readonly string[]): void => {
    const env = { PATH: process.env["PATH"] ?? "", HOME: dir.path, GIT_CONFIG_NOSYSTEM: "1" };
    Bun.spawnSync(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", ...args], {
      cwd: join(dir.path, "w"),
      env,
      stdio: ["ignore", "ignore", "ignore"],
    });
  };
  const judged = (): string | null => {
    const workspace = join(dir.path, "w");
    const files = workspaceReader(workspace, () => dir.path);
    return gitWouldRun({
      look: (path) => files.look(path),
      text(path) {
        const read = files.readText(path, 1 << 18);
        return read.ok ? read.value : null;
      },
      repositories: () => files.named(".git"),
    });
  };
  beforeAll(() => {
    dir = tempDir("noctem-git-");
    mkdirSync(join(dir.path, "w"));
    git("init", "-q");
    writeFileSync(join(dir.path, "w/a.bin"), "1\n");
    writeFileSync(join(dir.path, "w/.gitattributes"), "*.bin diff=evil filter=evil merge=evil\n");
    git("add", ".");
    git("commit", "-qm", "x");
    writeFileSync(join(dir.path, "w/a.bin"), "2\n");
  });
  afterAll(() => dir[Symbol.dispose]());

  test("is not read without asking where real git runs a program of its settings", () => {
    expect(judged()).toBeNull();
    const ran: string[] = [];
    for (const [key, value] of RUN) {
      git("config", key, value.replaceAll("{}", `touch ${mark()}`));
      for (const command of ["status", "diff", "log -p", "show", "blame a.bin", "ls-files -m", "describe --all --dirty"]) {
        utimesSync(join(dir.path, "w/a.bin"), new Date(), new Date());
        git(...command.split(" "));
        if (!existsSync(mark())) continue;
        rmSync(mark());
        ran.push(key);
        expect(judged(), `${key}: git ${command}`).not.toBeNull();
      }
      git("config", "--unset", key);
    }
    expect(new Set(ran).size).toBeGreaterThanOrEqual(5);
    expect(judged()).toBeNull();
  });

  test.each<[string, (at: (path: string) => string) => void]>([
    [
      "a workspace that is a bare repository itself",
      (at) => (writeFileSync(at("HEAD"), "ref: refs/heads/main\n"), mkdirSync(at("objects"))),
    ],
    [
      "a repository in a folder below",
      (at) => (mkdirSync(at("sub/.git"), { recursive: true }), writeFileSync(at("sub/.git/config"), "[core]\nfsmonitor = id\n")),
    ],
    ["a file that leads elsewhere", (at) => (mkdirSync(at("sub")), writeFileSync(at("sub/.git"), "gitdir: ../evil\n"))],
    ["a link that leads elsewhere", (at) => (mkdirSync(at("sub")), symlinkSync("../evil", at("sub/.git")))],
    [
      "a repository whose settings are another's",
      (at) => (mkdirSync(at("sub/.git"), { recursive: true }), writeFileSync(at("sub/.git/commondir"), "../evil\n")),
    ],
    [
      "settings of a worktree",
      (at) => (mkdirSync(at("sub/.git"), { recursive: true }), writeFileSync(at("sub/.git/config.worktree"), "[diff]\nexternal = id\n")),
    ],
    ["settings that are a link", (at) => (mkdirSync(at("sub/.git"), { recursive: true }), symlinkSync("../x", at("sub/.git/config")))],
  ])("is asked about: %s", (_, make) => {
    const at = (path: string): string => join(dir.path, "w", path);
    make(at);
    expect(judged()).not.toBeNull();
    for (const name of ["HEAD", "objects", "sub"]) rmSync(at(name), { recursive: true, force: true });
    expect(judged()).toBeNull();
  });
});
