/** Skills on the executable itself: each call through policy, log, question, cage and workspace. Judged by what is on the host afterwards. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { overlayBytes } from "../../src/bark/policy/overlay.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { publicLine } from "../../src/platform/parent-key.ts";
import { NO_CAGE } from "../support/cage.ts";
import { binary, cleanEnvironment, run, type RunResult, tempDir, type TempDir } from "../support/noctem.ts";
import { openPty, type Pty } from "../support/pty.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;

describe.skipIf(NO_CAGE !== null)(`noctem bark${why}`, () => {
  let dir: TempDir;
  let program = "";
  let workspace = "";
  const secret = `canary-${crypto.randomUUID()}`;
  beforeAll(() => {
    dir = tempDir("noctem-bark-");
    mkdirSync(join(dir.path, "stick"));
    program = join(dir.path, "stick/noctem");
    linkSync(binary(), program);
    workspace = join(dir.path, "work");
    mkdirSync(workspace);
    writeFileSync(join(workspace, "a.txt"), "one\ntwo\nthree\n");
    writeFileSync(join(workspace, ".env"), `PASSWORD=${secret}\n`);
    writeFileSync(join(dir.path, "canary"), secret);
    symlinkSync(join(dir.path, "canary"), join(workspace, "link"));
  });
  afterAll(() => dir[Symbol.dispose]());

  const bark = (...args: readonly string[]): Promise<RunResult> => run(["bark", ...args], { program, cwd: workspace });
  const answering = async (args: readonly string[], talk: (pty: Pty) => Promise<void>): Promise<{ code: number; raw: string }> => {
    await using pty = openPty([program, "bark", ...args], { cwd: workspace, columns: 120, rows: 40 });
    await talk(pty);
    const code = await pty.exited;
    return { code, raw: pty.raw() };
  };
  /** A person reads first. */
  const say = async (pty: Pty, word: string): Promise<void> => {
    await pty.see(/Type yes or no/);
    await Bun.sleep(900);
    // Each key is on the screen before the next: two that a busy machine hands over in one read are a paste, and count for nothing.
    for (let typed = 1; typed <= word.length; typed++) {
      pty.send(word[typed - 1] ?? "");
      await pty.see(() => pty.raw().endsWith(`Enter: ${word.slice(0, typed)}`));
    }
    pty.send("\r");
  };

  test("a listed command runs unasked, sees the workspace and no secret, and changes nothing", async () => {
    const listed = await bark("run", "shell", "cat a.txt | sort");
    expect(listed).toMatchObject({ code: 0, stdout: "one\nthree\ntwo\n" });
    const tried = await bark("run", "shell", "grep -r PASSWORD .");
    expect(`${tried.stdout}${tried.stderr}`).not.toContain(secret);
    const linked = await bark("run", "shell", "cat link");
    expect(`${linked.stdout}${linked.stderr}`).not.toContain(secret);
    expect(linked.code).toBe(16);
  });

  test("beside the program, where no workspace was named, the folder work/ is made and is the workspace", async () => {
    const beside = join(dir.path, "stick");
    expect(await run(["bark", "run", "shell", "pwd"], { program, cwd: beside })).toMatchObject({
      code: 0,
      stdout: `${join(beside, "work")}\n`,
    });
    expect(readdirSync(join(beside, "work"))).toEqual([]);
  });

  test("without anybody to ask, what has to be asked about ends at once with 10, and what is denied with 9", async () => {
    expect(await bark("run", "shell", "touch made")).toMatchObject({ code: 10, stdout: "" });
    expect(await bark("run", "shell", "true; sudo id")).toMatchObject({ code: 9, stdout: "" });
    expect(await bark("run", "file_ops", "operation=write", "path=made", "content=x")).toMatchObject({ code: 10 });
    expect(await bark("run", "code_exec", "language=bash", "code=touch made")).toMatchObject({ code: 10 });
    expect(existsSync(join(workspace, "made"))).toBe(false);
  });

  test("an approved command writes through its view, and is taken back by undo", async () => {
    const { code } = await answering(["run", "shell", "cp a.txt b.txt && rm a.txt"], (pty) => say(pty, "yes"));
    expect(code).toBe(0);
    expect(existsSync(join(workspace, "a.txt"))).toBe(false);
    expect(readFileSync(join(workspace, "b.txt"), "utf8")).toBe("one\ntwo\nthree\n");
    expect((await bark("undo")).code).toBe(0);
    expect(readFileSync(join(workspace, "a.txt"), "utf8")).toBe("one\ntwo\nthree\n");
    expect(existsSync(join(workspace, "b.txt"))).toBe(false);
  });

  test.each([
    ["no", 9],
    ["", 9],
    ["y", 9],
    ["yes please", 9],
  ])("an answer of %j is no yes", async (word, code) => {
    const ended = await answering(["run", "shell", "touch made"], async (pty) => {
      await say(pty, word);
      await Bun.sleep(200);
      // Ctrl-C: whatever was typed was none that counts.
      pty.send("\u0003");
    });
    expect(ended.code).toBe(code);
    expect(existsSync(join(workspace, "made"))).toBe(false);
  });

  test("keys typed ahead, and a paste, decide nothing", async () => {
    const ahead = await answering(["run", "shell", "touch made"], async (pty) => {
      pty.send("yes\r");
      await pty.see(/Type yes or no/);
      pty.send("yes\r");
      await Bun.sleep(900);
      pty.send("yes\r");
      await Bun.sleep(300);
      pty.send("\u0003");
    });
    expect(ahead.code).toBe(9);
    expect(existsSync(join(workspace, "made"))).toBe(false);
  });

  test("a question shows exactly what would be done, with nothing hidden", async () => {
    const { raw } = await answering(["run", "code_exec", "language=bash", "code=echo \u202eabc\u200b; rm -rf x"], (pty) => say(pty, "no"));
    expect(raw).toContain("\\u{202e}abc\\u{200b}; rm -rf x");
  });

  test("what an approved program may not change stays as it was, and is listed", async () => {
    mkdirSync(join(workspace, ".git/hooks"), { recursive: true });
    const { code } = await answering(
      ["run", "code_exec", "language=bash", "code=echo evil > .git/hooks/pre-commit; ln -s /etc/passwd leak; echo fine > ok.txt"],
      (pty) => say(pty, "yes"),
    );
    expect(code).toBe(0);
    expect(existsSync(join(workspace, ".git/hooks/pre-commit"))).toBe(false);
    expect(existsSync(join(workspace, "leak"))).toBe(false);
    expect(readFileSync(join(workspace, "ok.txt"), "utf8")).toBe("fine\n");
    const { stdout } = await bark("blocked");
    expect(stdout).toContain(".git/hooks/pre-commit");
    expect(stdout).toContain("leak");
  });

  test("file_ops reads, lists, searches, writes and edits, and says what is wrong in one sentence", async () => {
    const ops = (...args: readonly string[]): Promise<RunResult> => bark("run", "file_ops", ...args);
    expect(await ops("operation=read", "path=a.txt", "from=2", "lines=1")).toMatchObject({
      code: 0,
      stdout: "two\n(1 more lines; read on from line 3)\n",
    });
    expect((await ops("operation=list")).stdout).toContain("a.txt\n");
    expect(await ops("operation=search", "text=thr")).toMatchObject({ code: 0, stdout: "a.txt:3: three\n" });
    expect((await ops("operation=search", "text=PASSWORD")).stdout).not.toContain(secret);
    for (const [args, code, says] of [
      [["operation=read", "path=../canary"], 9, ".."],
      [["operation=read", `path=${dir.path}/canary`], 9, "outside"],
      [["operation=read", "path=link"], 2, "link"],
      [["operation=read", "path=.env"], 9, "more confidential"],
      [["operation=read", "path=missing"], 2, "no missing"],
      [["operation=read", "path=.git"], 2, "folder"],
      [["operation=fly", "path=a.txt"], 2, "operation"],
      [["operation=read"], 2, "path is missing"],
    ] as const) {
      const tried = await ops(...args);
      expect(tried, args.join(" ")).toMatchObject({ stdout: "" });
      expect([code, 16], args.join(" ")).toContain(tried.code);
      expect(tried.stderr).toContain(says === "no missing" ? "missing" : says);
      expect(tried.stderr).not.toContain(secret);
      expect(tried.stderr).not.toMatch(/\n\s+at /);
    }
    const edited = await answering(["run", "file_ops", "operation=edit", "path=a.txt", "old=two", "new=2"], (pty) => say(pty, "yes"));
    expect(edited.code).toBe(0);
    expect(edited.raw).toContain("-two");
    expect(readFileSync(join(workspace, "a.txt"), "utf8")).toBe("one\n2\nthree\n");
    expect((await bark("undo")).code).toBe(0);
    expect(readFileSync(join(workspace, "a.txt"), "utf8")).toBe("one\ntwo\nthree\n");
  });

  test("Noctem's own folder is no workspace, and neither is the whole computer", async () => {
    for (const folder of [join(dir.path, "stick"), dir.path, "/"]) {
      const tried = await bark("run", "shell", "ls", "--workspace", folder);
      expect(tried.code, folder).toBe(9);
    }
    expect((await bark("run", "shell", "ls", "--workspace", "/not-there")).code).toBe(2);
  });

  test("explain writes nothing, and each call is in the log", async () => {
    const count = async (): Promise<number> =>
      (JSON.parse((await run(["heart", "info", "--json"], { program })).stdout) as { entries?: number }).entries ?? 0;
    const before = await count();
    const explained = await bark("explain", "shell", "ls", "--json");
    expect(JSON.parse(explained.stdout)).toMatchObject({
      decision: { outcome: "allow", tier: 2 },
      plan: { network: { kind: "none" }, seccomp: "deny+allow" },
    });
    expect(await count()).toBe(before);
    await bark("run", "shell", "true");
    // A beginning with the policy, an intent, how it ran with its outcome, the end, and the payloads of two of them.
    expect(await count()).toBe(before + 6);
    expect((await run(["heart", "verify"], { program })).code).toBe(0);
  });

  test("a heart that cannot be written means no", async () => {
    const other = join(dir.path, "broken");
    mkdirSync(other);
    writeFileSync(join(other, "heart.sqlite"), "not a heart");
    const tried = await bark("run", "shell", "ls", "--heart", join(other, "heart.sqlite"));
    expect(tried.code).toBe(6);
    expect(tried.stdout).toBe("");
  });

  test("where no cage can be had the tiers that need one refuse, and say what to do", async () => {
    const child = Bun.spawnSync(
      ["unshare", "-Ur", "sh", "-c", `echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" bark run shell ls`, program],
      {
        cwd: workspace,
        env: { ...cleanEnvironment },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    expect(child.exitCode).toBe(11);
    expect(child.stderr.toString()).toContain("user.max_user_namespaces");
    const doctor = await bark("doctor");
    expect(doctor.code).toBe(0);
  });

  test("a parent's overlay is in force, or nothing runs", async () => {
    const parent = auditCrypto.ephemeral();
    const stick = (name: string): string => join(dir.path, "stick", name);
    const lay = (overlay: unknown, by = parent): void => {
      const signature = by.sign(overlayBytes(overlay)).toHex();
      writeFileSync(stick("policy.json"), JSON.stringify({ overlay, signature }));
    };
    const head = { kind: "noctem-policy-overlay", version: 1 };
    const closed = { ...head, skills: { file_ops: { tier: 4 }, shell: { tier: 3 } } };
    const read = (): Promise<RunResult> => bark("run", "file_ops", "operation=read", "path=a.txt", "--json");
    const hashes = async (): Promise<{ hash: string; overlay: string | null }> =>
      JSON.parse((await bark("policy", "show", "--json")).stdout) as { hash: string; overlay: string | null };
    const before = await hashes();
    expect(before.overlay).toBeNull();
    try {
      lay(closed);
      // Nobody can say whose it is.
      expect(await read()).toMatchObject({ code: 9, stderr: expect.stringContaining("keys/parent.pub") as string });
      mkdirSync(stick("keys"), { recursive: true });
      writeFileSync(stick("keys/parent.pub"), publicLine({ name: "noctem-parent", publicKey: parent.publicKey }));
      expect(await read()).toMatchObject({ code: 9, stdout: expect.stringContaining('"rule":"prohibited"') as string });
      expect((await bark("run", "shell", "ls")).code).toBe(10);
      const after = await hashes();
      expect(after.overlay).toMatch(/^[0-9a-f]{64}$/);
      expect(after.hash).not.toBe(before.hash);
      expect((await bark("policy", "show")).stdout).toContain("forbidden");
      expect((await bark("policy", "check", stick("policy.json"))).stdout).toContain("only tightens");
      expect((await bark("explain", "shell", "ls", "--json")).stdout).toContain(after.hash);
      for (const spoil of [
        () => lay({ ...head, skills: { shell: { tier: 1 } } }),
        () => lay(closed, auditCrypto.ephemeral()),
        () => writeFileSync(stick("policy.json"), JSON.stringify({ overlay: closed })),
        () => writeFileSync(stick("policy.json"), "{"),
        () => writeFileSync(stick("policy.json"), ""),
        () => (rmSync(stick("policy.json")), mkdirSync(stick("policy.json"))),
      ]) {
        spoil();
        const { code, stdout, stderr } = await read();
        expect(code).toBe(9);
        expect(stderr).toContain("No skill runs");
        expect(stdout).not.toContain("three");
      }
      expect((await bark("policy", "check", stick("policy.json"))).code).toBe(2);
      // Taken away alone, with the parent, with another parent's in its place, or put back as an older one: the heart knows better.
      const stolen = auditCrypto.ephemeral();
      const newer = { ...closed, issued: 2_000_000_000_000 };
      rmSync(stick("policy.json"), { recursive: true });
      lay(newer);
      expect(await read()).toMatchObject({ code: 9, stdout: expect.stringContaining('"rule":"prohibited"') as string });
      const counted = async (): Promise<number> =>
        (JSON.parse((await run(["heart", "status", "--json"], { program })).stdout) as { counts: { incidents: number } }).counts.incidents;
      const incidents = await counted();
      for (const [takeAway, said] of [
        [() => rmSync(stick("policy.json")), "taken away"],
        [() => rmSync(stick("keys/parent.pub")), "taken away"],
        [
          () => {
            writeFileSync(stick("keys/parent.pub"), publicLine({ name: "noctem-parent", publicKey: stolen.publicKey }));
            lay({ ...head, issued: 2_100_000_000_000 }, stolen);
          },
          "another parent's",
        ],
        [
          () => {
            writeFileSync(stick("keys/parent.pub"), publicLine({ name: "noctem-parent", publicKey: parent.publicKey }));
            lay(closed);
          },
          "not the newest",
        ],
        [() => lay({ ...head, issued: 2_000_000_000_000 }), "not the newest"],
      ] as const) {
        takeAway();
        for (const tried of [await read(), await bark("policy", "show")]) {
          expect(tried).toMatchObject({ code: 9, stderr: expect.stringContaining(said) as string });
          expect(tried.stdout).not.toContain("three");
        }
      }
      // Each time that somebody wanted a skill; looking at the policy is none.
      expect(await counted()).toBe(incidents + 5);
      const logged = await run(["audit", "log", "--json", "--kind", "incident"], { program });
      for (const what of ["policy.gone", "policy.older", "policy.parent"]) expect(logged.stdout).toContain(what);
      // The parent lifts it with one that says nothing.
      lay({ ...head, issued: 2_000_000_000_001 });
      expect((await read()).code).toBe(0);
      expect((await hashes()).hash).toBe(before.hash);
    } finally {
      rmSync(stick("keys/parent.pub"), { force: true });
      lay({ ...head, issued: 2_200_000_000_000 });
      writeFileSync(stick("keys/parent.pub"), publicLine({ name: "noctem-parent", publicKey: parent.publicKey }));
    }
  }, 60_000);

  test("the policy is shown, and a file is checked", async () => {
    const { stdout } = await bark("policy", "show", "--json");
    const { policy } = JSON.parse(stdout) as { policy: object };
    const file = join(dir.path, "policy.json");
    writeFileSync(file, JSON.stringify(policy));
    expect((await bark("policy", "check", file)).code).toBe(0);
    writeFileSync(file, JSON.stringify({ ...policy, extra: 1 }));
    expect((await bark("policy", "check", file)).code).toBe(2);
    writeFileSync(file, "{");
    expect((await bark("policy", "check", file)).stderr).toContain("not JSON");
  });
});
