/** What of a repository outside of the workspace is written: names that git's everyday commands write, and nothing else. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { judgeJoined } from "../../../src/bark/workspace/git.ts";
import type { Before, Change } from "../../../src/bark/workspace/types.ts";

const NEW: Before = { kind: "nothing" };
const OLD: Before = { kind: "file", bytes: 1, sha256: "0".repeat(64), executable: false };
const HASH = "a".repeat(40);
const write = (path: string, before: Before = NEW): Change => ({
  kind: "write",
  path,
  content: { file: "/x", bytes: 1, sha256: "0".repeat(64) },
  executable: false,
  before,
});
const judge = (change: Change, own: string, text: string | null = `${HASH}\n`) =>
  judgeJoined([change], { host: "/r/.git", own }, () => text)[0];

describe("a repository that joined the view", () => {
  test.each([
    [`objects/ab/${"c".repeat(38)}`, NEW, "allow"],
    [`objects/ab/${"c".repeat(38)}`, OLD, "deny"],
    [`objects/pack/pack-${HASH}.pack`, NEW, "allow"],
    ["objects/pack/evil", NEW, "deny"],
    ["objects/info/alternates", NEW, "deny"],
    ["refs/heads/side", OLD, "allow"],
    ["refs/heads/side.lock", NEW, "leave-out"],
    ["packed-refs", OLD, "allow"],
    ["logs/refs/heads/side", OLD, "allow"],
    ["worktrees/tree/HEAD", OLD, "allow"],
    ["worktrees/tree/index", OLD, "allow"],
    ["worktrees/tree/COMMIT_EDITMSG", NEW, "allow"],
    ["worktrees/tree/gitdir", OLD, "deny"],
    ["worktrees/tree/commondir", OLD, "deny"],
    ["worktrees/tree/config.worktree", NEW, "deny"],
    ["worktrees/tree/rebase-merge/git-rebase-todo", NEW, "deny"],
    ["worktrees/other/HEAD", OLD, "deny"],
    // Of the main worktree, which is another.
    ["HEAD", OLD, "deny"],
    ["index", OLD, "deny"],
    ["config", OLD, "deny"],
    ["hooks/pre-commit", NEW, "deny"],
    ["info/attributes", NEW, "deny"],
    ["modules/sub/config", NEW, "deny"],
  ] as const)("of a linked worktree: %s", (path, before, outcome) => {
    expect(judge(write(path, before), "worktrees/tree")).toMatchObject({ outcome, incident: outcome === "deny" });
  });

  test.each([
    ["HEAD", "allow"],
    ["index", "allow"],
    ["config", "deny"],
    ["hooks/post-checkout", "deny"],
    ["worktrees/x/HEAD", "deny"],
  ] as const)("of a submodule: %s", (path, outcome) => {
    expect(judge(write(path, OLD), "")).toMatchObject({ outcome });
  });

  test("a ref is the name of a commit or of a ref, whatever it is called", () => {
    for (const text of [`${HASH}\n`, "ref: refs/heads/main\n", `${HASH}\t\tbranch 'x' of .\n`])
      expect(judge(write("HEAD", OLD), "", text)?.outcome).toBe("allow");
    for (const text of ["", "x", "ref: ../../x\n", `${HASH}\nevil`, null])
      expect(judge(write("HEAD", OLD), "", text)?.outcome).toBe("deny");
  });

  test("links and what is foreign stay out; objects that were tidied away stay", () => {
    expect(judge({ kind: "link", path: "refs/heads/x", target: "main", before: NEW }, "")).toMatchObject({ outcome: "deny" });
    expect(judge({ kind: "foreign", path: "objects/x", what: "a pipe", before: NEW }, "")).toMatchObject({ outcome: "deny" });
    expect(judge({ kind: "delete", path: `objects/ab/${"c".repeat(38)}`, before: OLD }, "")).toMatchObject({ outcome: "leave-out" });
  });

  test("nothing is ever asked, and no name outside of the list passes", () => {
    const part = fc.constantFrom(
      "hooks",
      "config",
      "objects",
      "refs",
      "heads",
      "HEAD",
      "index",
      "worktrees",
      "tree",
      "info",
      "..",
      "x",
      "logs",
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), fc.constantFrom("", "worktrees/tree"), (parts, own) => {
        const path = parts.join("/");
        const outcome = judge(write(path), own)?.outcome;
        expect(outcome).not.toBe("ask");
        if (/(?:^|\/)(?:hooks|config|info)(?:\/|$)/.test(path) && !/^(?:refs|logs|worktrees\/tree\/(?:refs|logs))\//.test(path))
          expect(outcome).toBe("deny");
      }),
    );
  });
});
