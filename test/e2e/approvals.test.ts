/** Questions, grants and the parent on the executable, with people at two terminals. Judged by what is on the host afterwards. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { allowByHand, BADGE, chat, cheapParent, type Place, place, say, tell, waiting } from "../support/approvals-room.ts";
import { NO_CAGE } from "../support/cage.ts";
import { run, type RunResult } from "../support/noctem.ts";
import { openPty, type Pty } from "../support/pty.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;

describe.skipIf(NO_CAGE !== null)(`noctem approvals${why}`, () => {
  let here: Place;
  beforeAll(() => {
    here = place();
  });
  afterAll(() => here[Symbol.dispose]());
  const noctem = (...args: readonly string[]): Promise<RunResult> => run(args, { program: here.program, cwd: here.workspace });
  const terminal = (...args: readonly string[]): Pty => openPty([here.program, ...args], { cwd: here.workspace, columns: 120, rows: 40 });
  const made = (name: string): boolean => existsSync(join(here.workspace, name));

  test("a script ends at once with 10 and the pattern that would allow it, which then does, and nothing else", async () => {
    const { code, stderr } = await noctem("bark", "run", "shell", "touch one");
    expect(code).toBe(10);
    expect(stderr).toContain("--allow 'shell touch one'");
    expect((await noctem("bark", "run", "--allow", "shell touch one", "shell", "touch one two")).code).toBe(10);
    expect((await noctem("bark", "run", "--allow", "shell touch one", "shell", "touch one; touch two")).code).toBe(10);
    expect((await noctem("bark", "run", "--allow", "shell touch one", "shell", "sudo touch one")).code).toBe(9);
    expect(
      (await noctem("bark", "run", "--allow", "code_exec language=bash code=*", "code_exec", "language=bash", "code=touch two")).code,
    ).toBe(10);
    expect(made("one") || made("two")).toBe(false);
    expect((await noctem("bark", "run", "--allow", "shell touch one", "shell", "touch one")).code).toBe(0);
    expect(made("one")).toBe(true);
    for (const [option, value] of [
      ["--allow", "shell sh -c x"],
      ["--allow", ""],
      ["--approvals", "yes"],
      ["--approvals", "wait=0"],
      ["--approvals", "prompt"],
    ] as const)
      expect((await noctem("bark", "run", option, value, "shell", "touch two")).code, `${option} ${value}`).toBe(2);
  });

  test("a second terminal decides: shown whole, a typed yes, and the first goes on", async () => {
    const asker = waiting(here, "touch waited");
    const id = await asker.id();
    const shown = await noctem("approvals", "show", id.slice(0, 8));
    expect(shown.stdout).toContain("Exactly: /usr/bin/sh -c 'touch waited'");
    // No option and no pipe gives a yes.
    expect((await noctem("approvals", "allow", id)).code).toBe(10);
    expect(made("waited")).toBe(false);
    await using pty = terminal("approvals", "allow", id.slice(0, 8));
    await say(pty, "yes");
    expect(await pty.exited).toBe(0);
    expect((await asker.ended).code).toBe(0);
    expect(made("waited")).toBe(true);
    // While the first waited, the second began a sitting of the log: what goes on is not what was cut off.
    const { incidents } = JSON.parse((await noctem("audit", "report", "--json")).stdout) as { incidents: { what: string }[] };
    expect(incidents.map(({ what }) => what)).not.toContain("audit.interrupted");
    // It was good once.
    const late = await noctem("approvals", "deny", id);
    expect(late).toMatchObject({ code: 9, stderr: expect.stringContaining("too late") as string });
    expect((await noctem("bark", "run", "--approvals", "wait=1", "shell", "touch waited")).code).toBe(10);
  }, 30_000);

  test("a no with its reason reaches whoever asked, and silence is a no", async () => {
    const asker = waiting(here, "touch refused");
    expect((await noctem("approvals", "deny", await asker.id(), "--reason", "use mkdir")).code).toBe(0);
    expect(await asker.ended).toMatchObject({ code: 9, stderr: expect.stringContaining("use mkdir") as string });
    const { code } = await noctem("bark", "run", "--approvals", "wait=1", "shell", "touch silence");
    expect(code).toBe(10);
    expect(made("refused") || made("silence")).toBe(false);
  });

  test("a script that was changed after the yes is another script", async () => {
    writeFileSync(join(here.workspace, "build.sh"), "touch good\n");
    const asker = waiting(here, "bash build.sh");
    const id = await asker.id();
    expect((await noctem("approvals", "show", id)).stdout).toContain("build.sh");
    writeFileSync(join(here.workspace, "build.sh"), "touch evil\n");
    await using pty = terminal("approvals", "allow", id);
    await say(pty, "yes");
    await pty.exited;
    const { code, stderr } = await asker.ended;
    expect(code).toBe(9);
    expect(stderr).toContain("build.sh");
    expect(made("good") || made("evil")).toBe(false);
  });

  test("an always is shown in its exact words, confirmed by the same word, and ended by a revocation", async () => {
    await using pty = terminal("bark", "run", "shell", "touch often");
    await say(pty, "always");
    await pty.see(/Type always once more/);
    await say(pty, "always");
    expect(await pty.exited).toBe(0);
    expect(pty.raw()).toContain("shell touch often");
    expect((await noctem("bark", "run", "shell", "touch often")).code).toBe(0);
    expect((await noctem("bark", "run", "shell", "touch seldom")).code).toBe(10);
    const { stdout } = await noctem("approvals", "grants", "list", "--json");
    const { grants } = JSON.parse(stdout) as { grants: { grant: string; pattern: string; left: number }[] };
    expect(grants).toMatchObject([{ pattern: "shell touch often", left: 99 }]);
    expect((await noctem("approvals", "grants", "revoke", grants[0]?.grant.slice(0, 8) ?? "")).code).toBe(0);
    expect((await noctem("bark", "run", "shell", "touch often")).code).toBe(10);
    expect((await noctem("heart", "verify")).code).toBe(0);
  }, 30_000);
});

describe.skipIf(NO_CAGE !== null)(`questions in the chat${why}`, () => {
  test("read to the end and answered by hand, and the waiting program goes on", () => allowByHand(80, 24), 40_000);

  test("typing at 20 keys a second while questions appear, pastes with an end of their own, and unread answers approve nothing; a no says why", async () => {
    using here = place();
    await using pty = chat(here, 80, 24);
    await pty.see(/>/);
    const first = waiting(here, "touch typed");
    for (let at = 0; at < 60; at++) {
      pty.send("allow\ryes\r"[at % 10] ?? "a");
      await Bun.sleep(50);
    }
    await pty.see(BADGE);
    // Injected into the chat, and into the question itself.
    pty.send("\u001b[200~x\u001b[201~allow\r");
    await pty.see(/> \[paste #1/);
    pty.send("\u000f");
    await pty.see(/APPROVAL 1\/1/);
    pty.send("allow\r");
    pty.send("\u001b[200~x\u001b[201~allow\r");
    await Bun.sleep(1200);
    pty.send("allow\r");
    for (const key of "allow\r") {
      pty.send(key);
      await Bun.sleep(20);
    }
    await Bun.sleep(300);
    expect(existsSync(join(here.workspace, "typed"))).toBe(false);
    pty.send("n");
    await pty.see(/tell the model why/);
    for (const key of "use mkdir") {
      pty.send(key);
      await Bun.sleep(20);
    }
    await pty.see(/: use mkdir/);
    await Bun.sleep(200);
    pty.send("\r");
    expect(await first.ended).toMatchObject({ code: 9, stderr: expect.stringContaining("use mkdir") as string });
    expect(existsSync(join(here.workspace, "typed"))).toBe(false);
    await pty.see((screen) => !BADGE.test(screen));
  }, 40_000);
});

describe(`noctem parent`, () => {
  test.skipIf(NO_CAGE !== null)(
    `a yes of tier 3 takes the PIN, and grants only count when the parent signed them${why}`,
    async () => {
      using here = place();
      const noctem = (args: readonly string[], stdin?: string): Promise<RunResult> =>
        run(args, { program: here.program, cwd: here.workspace, ...(stdin === undefined ? {} : { stdin: `${stdin}\n` }) });
      const terminal = (...args: readonly string[]): Pty =>
        openPty([here.program, ...args], { cwd: here.workspace, columns: 120, rows: 40 });
      expect((await noctem(["init"])).code).toBe(0);
      await cheapParent(join(here.path, "stick/keys"));
      {
        await using pty = terminal("bark", "run", "shell", "touch supervised");
        await say(pty, "yes");
        await tell(pty, /PIN or passphrase: /, "000000");
        await tell(pty, /That is not it[\s\S]*PIN or passphrase: $/m, "246810");
        expect(await pty.exited).toBe(0);
        expect(pty.raw()).not.toContain("246810");
        expect(pty.raw()).not.toContain("always");
      }
      expect(existsSync(join(here.workspace, "supervised"))).toBe(true);
      // A pattern that nobody signed allows nothing.
      expect((await noctem(["bark", "run", "--allow", "shell touch x", "shell", "touch x"])).code).toBe(9);
      {
        await using pty = terminal("approvals", "grants", "add", "shell touch *");
        await say(pty, "always");
        await tell(pty, /assphrase of the parent's key: /, "a good passphrase");
        expect(await pty.exited).toBe(0);
      }
      expect((await noctem(["bark", "run", "shell", "touch x"])).code).toBe(0);
      expect((await noctem(["bark", "run", "--allow", "shell touch *", "shell", "touch y"])).code).toBe(0);
      const unlock = ["parent", "unlock", "--passphrase-fd", "0"];
      expect((await noctem(unlock, "wrong")).code).toBe(9);
      expect((await noctem(unlock, "246810")).code).toBe(0);
      {
        await using pty = terminal("bark", "run", "shell", "mkdir open");
        await say(pty, "yes");
        expect(await pty.exited).toBe(0);
      }
      expect((await noctem(["parent", "lock"])).code).toBe(0);
      const history = (await noctem(["parent", "history"])).stdout;
      for (const said of ["grant", "unlocked", "refused", "allowed by parent"]) expect(history).toContain(said);
      expect((await noctem(["parent", "health"])).stdout).toContain("door");
      // What the parent lays over the policy is signed in one step.
      const overlay = join(here.path, "overlay.json");
      writeFileSync(overlay, JSON.stringify({ kind: "noctem-policy-overlay", version: 1, skills: { shell: { tier: 4 } } }));
      expect((await noctem(["parent", "sign-policy", overlay, "--passphrase-fd", "0"], "a good passphrase")).code).toBe(0);
      expect((await noctem(["bark", "run", "shell", "touch z"])).code).toBe(9);
      // It goes along to a replica, and is not gone because its file is, or an older one is there.
      const old = readFileSync(join(here.path, "stick/policy.json"));
      mkdirSync(join(here.path, "second"));
      expect((await noctem(["heart", "fork", join(here.path, "second")])).code).toBe(0);
      expect(readFileSync(join(here.path, "second/policy.json")).equals(old)).toBe(true);
      rmSync(join(here.path, "stick/policy.json"));
      expect(await noctem(["bark", "run", "shell", "ls"])).toMatchObject({
        code: 9,
        stderr: expect.stringContaining("taken away") as string,
      });
      expect((await noctem(["parent", "health"])).stdout).toContain("! policy     It was taken away");
      writeFileSync(overlay, JSON.stringify({ kind: "noctem-policy-overlay", version: 1 }));
      expect((await noctem(["parent", "sign-policy", overlay, "--passphrase-fd", "0"], "a good passphrase")).code).toBe(0);
      expect((await noctem(["bark", "run", "shell", "ls"])).code).toBe(0);
      writeFileSync(join(here.path, "stick/policy.json"), old);
      expect((await noctem(["bark", "run", "shell", "ls"])).stderr).toContain("not the newest");
    },
    90_000,
  );
});
