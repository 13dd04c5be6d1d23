import { describe, expect, test } from "bun:test";
import { isHarmlessConfig, judgeChanges, plainName } from "../../../src/bark/workspace/judge.ts";
import type { Before, Change } from "../../../src/bark/workspace/types.ts";

const NEW: Before = { kind: "nothing" };
const OLD: Before = { kind: "file", bytes: 1, sha256: "0".repeat(64), executable: false };
const write = (path: string, before: Before = NEW): Change => ({
  kind: "write",
  path,
  before,
  executable: false,
  content: { file: "/x", bytes: 1, sha256: "0".repeat(64) },
});
const judge = (change: Change, text: string | null = null) =>
  judgeChanges([change], { bounds: { files: 10, bytes: 1000 }, textOf: () => text })[0] ?? { outcome: "none", incident: false };

describe("a change of a workspace", () => {
  test.each<[string, Before, "allow" | "ask" | "deny" | "leave-out"]>([
    ["src/main.ts", NEW, "allow"],
    ["README.md", OLD, "allow"],
    [".gitignore", NEW, "allow"],
    [".github/workflows/ci.yml", NEW, "allow"],
    // Hooks, at any depth and however they are spelled.
    [".git/hooks/pre-commit", NEW, "deny"],
    ["vendor/sub/.git/hooks/pre-commit", OLD, "deny"],
    ["a/b/c/d/.git/hooks/x", NEW, "deny"],
    [".GIT/hooks/pre-commit", NEW, "deny"],
    [".git /hooks/pre-commit", NEW, "deny"],
    [".git./hooks/pre-commit", NEW, "deny"],
    ["git~1/hooks/pre-commit", NEW, "deny"],
    [".g\u200cit/hooks/pre-commit", NEW, "deny"],
    [".git::$INDEX_ALLOCATION/hooks/pre-commit", NEW, "deny"],
    ["\uff0egit/hooks/pre-commit", NEW, "deny"],
    [".git/modules/sub/hooks/post-checkout", NEW, "deny"],
    [".git", NEW, "deny"],
    [".git/hooks/pre-commit.sample", NEW, "allow"],
    [".git/hooks/x/pre-commit.sample", NEW, "deny"],
    // What git's own commands write.
    [".git/index", OLD, "allow"],
    [".git/HEAD", OLD, "allow"],
    [".git/objects/ab/cdef", NEW, "allow"],
    [".git/refs/heads/main", OLD, "allow"],
    [".git/modules/sub/objects/ab/cdef", NEW, "allow"],
    [".git/objects/info/alternates", NEW, "deny"],
    [".git/objects/info/http-alternates", NEW, "deny"],
    [".git/modules/sub/objects/info/alternates", NEW, "deny"],
    [".git/commondir", NEW, "deny"],
    [".git/modules/sub/commondir", NEW, "deny"],
    [".git/info/attributes", NEW, "ask"],
    [".git/info/exclude", NEW, "allow"],
    [".git/worktrees/x/gitdir", NEW, "ask"],
    // Settings that name programs.
    [".vscode/tasks.json", NEW, "ask"],
    [".vscode/tasks.json", OLD, "ask"],
    [".mcp.json", NEW, "ask"],
    [".noctem", NEW, "ask"],
    ["sub/.noctem-x/y", NEW, "ask"],
    [".idea/x.xml", NEW, "ask"],
    ["AGENTS.md", NEW, "ask"],
    ["node_modules/feed/.vscode/settings.json", NEW, "leave-out"],
    ["vendor/x/.idea/y", NEW, "leave-out"],
    ["node_modules/x/.git/hooks/pre-commit", NEW, "leave-out"],
    ["node_modules/x/.vscode/settings.json", OLD, "ask"],
    [".bashrc", NEW, "ask"],
    [".bashrc", OLD, "deny"],
    [".envrc", OLD, "deny"],
  ])("%s (%o) is judged: %s", (path, before, outcome) => {
    expect(judge(write(path, before)).outcome).toBe(outcome);
    if (outcome === "deny") expect(judge(write(path, before)).incident).toBe(true);
  });

  test("what cannot be a plain change is refused, and links to settings as well", () => {
    expect(judge({ kind: "foreign", path: "x", what: "a device", before: NEW })).toMatchObject({ outcome: "deny", incident: true });
    expect(judge({ kind: "link", path: ".vscode", target: "evil", before: NEW })).toMatchObject({ outcome: "deny" });
    expect(judge({ kind: "link", path: ".git/objects", target: "../x", before: NEW })).toMatchObject({ outcome: "deny" });
    expect(judge({ kind: "link", path: "a", target: "b", before: NEW })).toMatchObject({ outcome: "allow" });
    expect(judge({ kind: "delete", path: ".git/config", before: OLD })).toMatchObject({ outcome: "deny" });
    expect(judge({ kind: "delete", path: ".git", before: { kind: "folder" } })).toMatchObject({ outcome: "ask" });
    expect(judge({ kind: "folder", path: ".git", before: NEW })).toMatchObject({ outcome: "allow" });
  });

  test("git's settings pass when git could find nothing in them that it runs", () => {
    const plain = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n";
    expect(isHarmlessConfig(plain)).toBe(true);
    expect(
      isHarmlessConfig(`${plain}[remote "origin"]\n\turl = https://example.org/x.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n`),
    ).toBe(true);
    for (const line of [
      "[core]\n\tfsmonitor = id",
      "[core]\n\thooksPath = /tmp",
      "[core]\n\tpager = id",
      "[core]\n\tsshCommand = id",
      "[alias]\n\tst = !id",
      "[include]\n\tpath = x",
      '[includeIf "gitdir:x"]\n\tpath = x',
      '[filter "x"]\n\tclean = id',
      '[remote "o"]\n\turl = ext::id',
      '[remote "o"]\n\tuploadpack = id',
      "[core]\n\tfilemode = true\\\n[core]",
      "[core] fsmonitor = id",
      "[core]\n\tfilemode",
      "[CORE]\n\tFSMonitor = id",
      '[core ""]\n\tx = y',
      "filemode = true",
      "[core]\r\n\tfilemode = true",
    ])
      expect(isHarmlessConfig(line), line).toBe(false);
    expect(judge(write(".git/config"), plain)).toMatchObject({ outcome: "allow" });
    expect(judge(write(".git/config", OLD), plain)).toMatchObject({ outcome: "ask" });
    expect(judge(write(".git/config"), "[core]\n\tpager = id\n")).toMatchObject({ outcome: "deny", incident: true });
    expect(judge(write(".git/config"), null)).toMatchObject({ outcome: "deny" });
  });

  test("too much of it asks, and nothing that was refused is let through by that", () => {
    const many = [...Array.from({ length: 11 }, (_, i) => write(`f${i}`)), write(".git/hooks/x")];
    const judged = judgeChanges(many, { bounds: { files: 10, bytes: 1000 }, textOf: () => null });
    expect(new Set(judged.slice(0, 11).map(({ outcome }) => outcome))).toEqual(new Set(["ask"]));
    expect(judged[11]?.outcome).toBe("deny");
  });

  test("names are compared as the laxest reader would", () => {
    for (const name of [".git", ".GIT", ".git.", ".git ", "git~1", ".\u200dgit", ".git:stream"]) expect(plainName(name), name).toBe(".git");
    for (const name of ["git", ".github", ".gitx", "x.git"]) expect(plainName(name), name).not.toBe(".git");
  });
});
