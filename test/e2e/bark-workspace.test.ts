/** The copy-on-write workspace on the executable itself: a rehearsal, what waits for a person, git in a linked worktree. Judged by what is on the host afterwards. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, linkSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NO_CAGE } from "../support/cage.ts";
import { binary, run, type RunResult, tempDir, type TempDir } from "../support/noctem.ts";
import { openPty, type Pty } from "../support/pty.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;

describe.skipIf(NO_CAGE !== null)(`noctem bark and the workspace${why}`, () => {
  let dir: TempDir;
  let program = "";
  let workspace = "";
  beforeAll(() => {
    dir = tempDir("noctem-bark-ws-");
    mkdirSync(join(dir.path, "stick"));
    program = join(dir.path, "stick/noctem");
    linkSync(binary(), program);
    workspace = join(dir.path, "work");
    mkdirSync(join(workspace, ".vscode"), { recursive: true });
    writeFileSync(join(workspace, ".vscode/settings.json"), "old\n");
  });
  afterAll(() => dir[Symbol.dispose]());

  const bark = (...args: readonly string[]): Promise<RunResult> => run(["bark", ...args], { program, cwd: workspace });
  const read = (path: string): string => readFileSync(join(workspace, path), "utf8");
  /** Answers as they are asked for, each after a person's pause. Without more of them the terminal goes away. */
  const answering = async (
    args: readonly string[],
    ...words: readonly string[]
  ): Promise<{ readonly code: number; readonly raw: string }> => {
    await using pty = openPty([program, "bark", ...args], { cwd: workspace, columns: 120, rows: 60 });
    let asked = 0;
    for (const word of words) {
      await say(pty, asked++, word);
    }
    const code = await pty.exited;
    return { code, raw: pty.raw() };
  };
  /** The question of this number, and each key on the screen before the next: two in one read are a paste, and count for nothing. */
  const say = async (pty: Pty, asked: number, word: string): Promise<void> => {
    await nextQuestion(pty, asked);
    await Bun.sleep(900);
    if (word === "\u0003") return pty.send(word);
    for (let typed = 1; typed <= word.length; typed++) {
      pty.send(word[typed - 1] ?? "");
      await pty.see(() => pty.raw().endsWith(`Enter: ${word.slice(0, typed)}`));
    }
    pty.send("\r");
  };
  const nextQuestion = async (pty: Pty, before: number): Promise<void> => {
    const questions = (): number => pty.raw().split("\nType yes or no").length - 1;
    for (let waited = 0; questions() <= before; waited += 50) {
      if (waited > 20_000) throw new Error(pty.raw());
      await Bun.sleep(50);
    }
  };
  const pending = async (): Promise<readonly { readonly id: string }[]> =>
    (JSON.parse((await bark("pending", "list", "--json")).stdout) as { pending: { id: string }[] }).pending;

  test("r rehearses: the diff is shown, nothing is kept, and it is asked again", async () => {
    const { code, raw } = await answering(["run", "shell", "echo made > made.txt && echo said"], "r", "no");
    expect(code).toBe(9);
    expect(raw).toContain("Rehearsed on a copy");
    expect(raw).toContain("+made");
    expect(existsSync(join(workspace, "made.txt"))).toBe(false);
    expect((await run(["heart", "verify"], { program })).code).toBe(0);
  }, 30_000);

  test("what has to be asked about after a run is asked on the terminal, and a yes writes it", async () => {
    const { code, raw } = await answering(["run", "shell", "echo new > .vscode/settings.json; echo plain > plain.txt"], "yes", "yes");
    expect(code).toBe(0);
    expect(raw).toContain("-old");
    expect(raw).toContain("+new");
    expect(read(".vscode/settings.json")).toBe("new\n");
    expect(await pending()).toEqual([]);
    expect((await bark("undo")).code).toBe(0);
    expect(read(".vscode/settings.json")).toBe("old\n");
  }, 30_000);

  test("without an answer it waits: listed, shown, applied later, or dropped", async () => {
    const first = await answering(["run", "shell", "echo later > .vscode/settings.json"], "yes", "\u0003");
    expect(first.code).toBe(0);
    // Ctrl-C is a no, and a no drops it.
    expect(await pending()).toEqual([]);
    await using pty = openPty([program, "bark", "run", "shell", "echo later > .vscode/settings.json"], {
      cwd: workspace,
      columns: 120,
      rows: 60,
    });
    await say(pty, 0, "yes");
    await nextQuestion(pty, 1);
    // Killed while it asks.
    pty.signal("SIGKILL");
    await pty.exited;
    expect(read(".vscode/settings.json")).toBe("old\n");
    const [waiting] = await pending();
    const id = waiting?.id ?? "";
    expect((await bark("pending", "list")).stdout).toContain(".vscode/settings.json");
    expect((await bark("pending", "show", id)).stdout).toContain("+later");
    // Nobody to ask.
    expect(await bark("pending", "apply", id)).toMatchObject({ code: 10 });
    expect(await bark("pending", "apply", "../x")).toMatchObject({ code: 2, stdout: "" });
    expect((await answering(["pending", "apply", id], "yes")).code).toBe(0);
    expect(read(".vscode/settings.json")).toBe("later\n");
    expect(await pending()).toEqual([]);
    expect((await bark("pending", "discard", id)).code).toBe(2);
  }, 60_000);

  const noGit = Bun.which("git") === null ? " (skipped without git)" : "";
  test.skipIf(noGit !== "")(
    `git commits in a linked worktree${noGit}`,
    async () => {
      const git = (cwd: string, ...args: readonly string[]): string =>
        Bun.spawnSync(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "safe.directory=*", ...args], {
          cwd,
          env: { PATH: "/usr/bin:/bin", HOME: dir.path },
        }).stdout.toString();
      const [main, tree] = [join(dir.path, "main"), join(dir.path, "tree")];
      mkdirSync(main);
      git(main, "init", "-q", "-b", "main");
      git(main, "commit", "-q", "--allow-empty", "-m", "first");
      git(main, "worktree", "add", "-q", "-b", "side", tree);
      const command = "echo x > x.txt && git add x.txt && git -c user.name=n -c user.email=n@n commit -qm inside";
      expect((await answering(["run", "shell", command, "--workspace", tree], "yes")).code).toBe(0);
      expect(git(main, "log", "--format=%s", "side")).toBe("inside\nfirst\n");
      expect(git(tree, "status", "--porcelain")).toBe("");
    },
    30_000,
  );
});
