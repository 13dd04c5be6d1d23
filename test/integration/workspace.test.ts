import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Change } from "../../src/bark/workspace/types.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { ownName } from "../../src/platform/native/owner.ts";
import { workspaceSteps } from "../../src/platform/workspace/apply.ts";
import { changesOf, type Found } from "../../src/platform/workspace/view.ts";
import { CageRoom, clock, NO_CAGE, sha256 } from "../support/cage.ts";
import { killedAt, putStepBefore, tree, TREE_AFTER } from "../support/steps.ts";
import { CANARY, raceApply, raceWalk } from "../support/workspace-races.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;

function put(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

let counter = 0;
const stepsIn = (folder: string) =>
  workspaceSteps(
    folder,
    () => 1,
    () => `step-${String(++counter).padStart(6, "0")}`,
  );

describe.skipIf(NO_CAGE !== null)(`what a program changed in its copy-on-write view${why}`, () => {
  let room: CageRoom;
  beforeEach(() => {
    room = new CageRoom((permits) => hostCage({ permits, clock, sha256, env: process.env }));
    mkdirSync(room.workspace);
  });
  afterEach(() => room[Symbol.dispose]());

  const changed = async (script: string): Promise<Found & { readonly after: Record<string, string> }> => {
    let found: Found | null = null;
    const ran = await room.sh(
      script,
      { writes: true },
      {
        onView: async (view) => {
          found = changesOf(view);
          const applied = await stepsIn(join(room.folder, "steps")).apply(room.workspace, found.changes, "test");
          expect(applied).toMatchObject({ ok: true, value: { conflicts: [] } });
        },
      },
    );
    expect(ran).toMatchObject({ code: 0, err: "" });
    if (found === null) throw new Error("no view");
    return { ...(found as Found), after: tree(room.workspace) };
  };

  test.each<[string, Record<string, string>, string, Record<string, string>]>([
    ["nothing", { a: "1" }, "true", { a: "1" }],
    ["a file that is written with what it had", { a: "1" }, "printf 1 > a", { a: "1" }],
    ["new, changed, deleted", { a: "1", b: "2" }, "printf 3 > c; printf 4 > a; rm b", { a: "4", c: "3" }],
    [
      "deep",
      { "d/e/f": "1" },
      "mkdir -p d/e/g/h; printf 2 > d/e/g/h/i",
      { d: "/", "d/e": "/", "d/e/f": "1", "d/e/g": "/", "d/e/g/h": "/", "d/e/g/h/i": "2" },
    ],
    ["a folder is deleted", { "d/e/f": "1", "d/g": "2", a: "3" }, "rm -r d", { a: "3" }],
    ["a folder is emptied and filled again", { "d/e": "1", "d/f": "2" }, "rm -r d; mkdir d; printf 3 > d/f", { d: "/", "d/f": "3" }],
    ["a folder is renamed", { "d/e": "1" }, "mv d g", { g: "/", "g/e": "1" }],
    ["a file becomes a folder", { a: "1" }, "rm a; mkdir a; printf 2 > a/b", { a: "/", "a/b": "2" }],
    ["a folder becomes a file", { "a/b": "1" }, "rm -r a; printf 2 > a", { a: "2" }],
    ["a folder becomes a link", { "a/b": "1", c: "2" }, "rm -r a; ln -s c a", { a: "-> c", c: "2" }],
    ["executable", { a: "1" }, "chmod +x a", { a: "x 1" }],
    ["links within", { "d/a": "1" }, "ln -s d/a b; ln -s ../d d/c", { b: "-> d/a", d: "/", "d/a": "1", "d/c": "-> ../d" }],
    [
      "names with spaces, newlines and quotes",
      {},
      `printf 1 > 'a b'; printf 2 > "$(printf 'c\\nd')"; printf 3 > '"'`,
      { "a b": "1", "c\nd": "2", '"': "3" },
    ],
  ])("is found and applied: %s", async (_name, before, script, after) => {
    put(room.workspace, before);
    expect((await changed(script)).after).toEqual(after);
  });

  test("what may not leave is named, and stays inside", async () => {
    put(room.workspace, { a: "1" });
    const { changes, after } = await changed(
      "mkfifo p; ln -s /etc/passwd abs; ln -s ../../x up; cp /bin/true s; chmod u+s s; printf x > \"$(printf 'n\\377')\"; rm a; ln -s /proc/self/environ a",
    );
    const foreign = changes.flatMap((change) => (change.kind === "foreign" ? [change.path] : []));
    expect(foreign.sort((x, y) => (x < y ? -1 : 1))).toEqual(["a", "abs", "n\\xff", "p", "s", "up"]);
    expect(after).toEqual({ a: "1" });
  });

  test("ten changes among two thousand files are found by looking at the ten", async () => {
    put(room.workspace, Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`d${i % 20}/f${i}`, String(i)])));
    const { changes } = await changed("for i in 1 2 3 4 5 6 7 8 9 10; do printf new > d$i/f$i; done");
    expect(changes.map(({ path }) => path).sort((a, b) => (a < b ? -1 : 1))).toEqual(
      Array.from({ length: 10 }, (_, i) => `d${i + 1}/f${i + 1}`).sort((a, b) => (a < b ? -1 : 1)),
    );
  }, 60_000);
});

describe("applying changes", () => {
  let folder = "";
  let workspace = "";
  const source = (text: string): Extract<Change, { kind: "write" }>["content"] => {
    const file = join(folder, `source-${++counter}`);
    writeFileSync(file, text);
    return { file, bytes: Buffer.byteLength(text), sha256: new Bun.CryptoHasher("sha256").update(text).digest("hex") };
  };
  const fileBefore = (text: string): Change["before"] => {
    const { bytes, sha256: hash } = source(text);
    return { kind: "file", bytes, sha256: hash, executable: false };
  };
  const write = (path: string, text: string, before: Change["before"] = { kind: "nothing" }): Change => ({
    kind: "write",
    path,
    content: source(text),
    executable: false,
    before,
  });
  beforeEach(() => {
    // In memory where that can be: a test that syncs a thousand times is no test of the disk.
    folder = realpathSync(mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "noctem-apply-")));
    workspace = join(folder, "w");
    mkdirSync(workspace);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("can be undone, and the undo too, one step back for each call", async () => {
    put(workspace, { a: "1", "d/b": "2" });
    const steps = stepsIn(join(folder, "steps"));
    const start = tree(workspace);
    expect(await steps.apply(workspace, [write("a", "one", fileBefore("1")), write("n", "new")], "first")).toMatchObject({
      ok: true,
      value: { applied: ["a", "n"] },
    });
    const first = tree(workspace);
    const gone: Change[] = [
      { kind: "delete", path: "d/b", before: fileBefore("2") },
      { kind: "delete", path: "d", before: { kind: "folder" } },
    ];
    expect(await steps.apply(workspace, gone, "second")).toMatchObject({ ok: true, value: { applied: ["d/b", "d"] } });
    expect(tree(workspace)).toEqual({ a: "one", n: "new" });
    expect(await steps.undo(workspace, null)).toMatchObject({ ok: true });
    expect(tree(workspace)).toEqual(first);
    // The newest step is the undo: taking it back does the call again.
    expect(await steps.undo(workspace, null)).toMatchObject({ ok: true });
    expect(tree(workspace)).toEqual({ a: "one", n: "new" });
    expect(await steps.undo(workspace, null)).toMatchObject({ ok: true });
    expect(await steps.undo(workspace, steps.list(workspace).find(({ label }) => label === "first")?.step ?? "")).toMatchObject({
      ok: true,
    });
    expect(tree(workspace)).toEqual(start);
  });

  test("leaves alone what changed on the host meanwhile, and undo refuses what changed since", async () => {
    put(workspace, { a: "host" });
    const steps = stepsIn(join(folder, "steps"));
    const done = await steps.apply(workspace, [write("a", "mine", fileBefore("1")), write("b", "2")], "x");
    expect(done).toMatchObject({ ok: true, value: { applied: ["b"], conflicts: ["a"] } });
    expect(tree(workspace)).toEqual({ a: "host", b: "2" });
    writeFileSync(join(workspace, "b"), "edited");
    expect(await steps.undo(workspace, null)).toEqual({ ok: false, error: { kind: "changed", paths: ["b"] } });
    expect(tree(workspace)).toEqual({ a: "host", b: "edited" });
    expect(await steps.undo(join(folder, "elsewhere"), null)).toEqual({ ok: false, error: { kind: "nothing" } });
  });

  test("never follows a link, wherever it stands on the way", async () => {
    const outside = join(folder, "outside");
    put(outside, { canary: "safe" });
    symlinkSync(outside, join(workspace, "d"));
    symlinkSync(join(outside, "canary"), join(workspace, "f"));
    const steps = stepsIn(join(folder, "steps"));
    const tried = await steps.apply(
      workspace,
      [write("d/canary", "x"), write("d/new", "x"), write("f", "x"), { kind: "delete", path: "d/canary", before: fileBefore("safe") }],
      "x",
    );
    expect(tried.ok && tried.value.applied).not.toContain("d/new");
    expect(tree(outside)).toEqual({ canary: "safe" });
  });

  test("takes only the bytes that were judged", async () => {
    const steps = stepsIn(join(folder, "steps"));
    const change = write("a", "judged");
    if (change.kind === "write") writeFileSync(change.content.file, "other!");
    expect(await steps.apply(workspace, [change], "x")).toMatchObject({ ok: false, error: { kind: "unreadable" } });
    expect(tree(workspace)).toEqual({});
  });

  test.each([
    ["changes are applied", false],
    ["what waited is applied", true],
  ])(
    "a folder that is swapped for a link while %s 500 times never leads outside",
    async (_what, byWaiting) => {
      const { swaps, done } = await raceApply(folder, 500, byWaiting);
      expect(tree(join(folder, "outside"))).toEqual({ canary: "safe" });
      expect(swaps).toBeGreaterThan(500);
      expect(done).toBeGreaterThan(0);
    },
    60_000,
  );

  test("nor while a difference is walked", async () => {
    const { swaps, done, seen } = await raceWalk(folder, 500);
    expect(swaps).toBeGreaterThan(100);
    expect(done).toBeGreaterThan(0);
    expect(seen).not.toContain(CANARY);
  }, 60_000);

  test("killed at any moment: after the next start each file is as it was or as it is to be, and all of them the same", async () => {
    const program = join(import.meta.dir, "../support/apply-child.ts");
    let finished = 0;
    for (let round = 0; round < 10; round++) {
      rmSync(workspace, { recursive: true, force: true });
      put(workspace, Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`d${i % 4}/f${i}`, `old ${i}`])));
      const steps = join(folder, `steps-${round}`);
      const child = Bun.spawn([process.execPath, program, workspace, steps], { stdio: ["ignore", "pipe", "inherit"] });
      const reader = child.stdout.getReader();
      await reader.read();
      await Bun.sleep(Math.random() * 500);
      child.kill("SIGKILL");
      await child.exited;
      expect(stepsIn(steps).recover()).toEqual([]);
      const texts = Object.values(tree(workspace)).filter((text) => text !== "/");
      const fresh = texts.filter((text) => text.startsWith("new")).length;
      expect([0, 40]).toContain(fresh);
      expect(texts).toHaveLength(40);
      if (fresh === 40) finished++;
    }
    expect(finished).toBeGreaterThan(0);
  }, 60_000);

  const strace = Bun.which("strace") === null ? " (skipped without strace)" : "";
  test.skipIf(strace !== "")(
    `killed on entering a call: each file is as it was or as it is to be, and all of them the same${strace}`,
    () => {
      const kills = { rename: [1, 2, 3, 5, 8, 9], unlink: [1, 2, 3], fsync: [1, 3], mkdir: [2, 3], rmdir: [1], symlink: [1] };
      const seen = new Set<string>();
      for (const [call, numbers] of Object.entries(kills)) {
        for (const nth of numbers) {
          rmSync(workspace, { recursive: true, force: true });
          putStepBefore(workspace);
          const start = tree(workspace);
          const state = join(folder, `steps-${call}-${nth}`);
          const killed = killedAt(call, nth, workspace, state);
          expect(stepsIn(state).recover(), `${call} ${nth}`).toEqual([]);
          const after = tree(workspace);
          expect([start, TREE_AFTER], `${call} ${nth}`).toContainEqual(after);
          // The next start finds nothing to do.
          expect(stepsIn(state).recover()).toEqual([]);
          expect(tree(workspace)).toEqual(after);
          if (killed) seen.add("a" in after && after["a"] === "one" ? "before" : "after");
        }
      }
      expect([...seen].sort()).toEqual(["after", "before"]);
    },
    60_000,
  );

  test("a step of a process that lives is left to it", () => {
    const state = join(folder, "steps");
    put(state, { "000001/old": "x" });
    const child = Bun.spawnSync([process.execPath, "-e", `console.log(process.pid)`]);
    expect(child.exitCode).toBe(0);
    writeFileSync(join(state, "000001/owner"), `${ownName()}aaaaaa`);
    expect(stepsIn(state).recover()).toEqual([]);
    expect(existsSync(join(state, "000001/old"))).toBe(true);
    writeFileSync(join(state, "000001/owner"), `${ownName().replace(/-\d+-\d+-$/, `-${child.stdout.toString().trim()}-1-`)}aaaaaa`);
    expect(stepsIn(state).recover()).toEqual([]);
    expect(existsSync(join(state, "000001"))).toBe(false);
  });

  test("a state folder that cannot be written is an error before anything is touched", async () => {
    const steps = stepsIn("/dev/full/steps");
    expect(await steps.apply(workspace, [write("a", "1")], "x")).toMatchObject({ ok: false, error: { kind: "unreadable" } });
    expect(tree(workspace)).toEqual({});
  });
});
