/** What takes its time: a large screen, a rehearsal, a killed program that goes on, a key at its full price. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { allowByHand, BADGE, chat, cheapParent, place, say, tell, waiting } from "../support/approvals-room.ts";
import { NO_CAGE } from "../support/cage.ts";
import { run } from "../support/noctem.ts";
import { openPty, type Pty } from "../support/pty.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;

describe.skipIf(NO_CAGE !== null)(`questions${why}`, () => {
  test("on a large screen, where the conversation stays in sight", () => allowByHand(200, 50), 40_000);

  test("with a parent the word is followed by the PIN; a wrong one decides nothing, and the right one stands for minutes", async () => {
    using here = place();
    expect((await run(["init"], { program: here.program, cwd: here.workspace })).code).toBe(0);
    await cheapParent(join(here.path, "stick/keys"));
    await using pty = chat(here, 100, 30);
    await pty.see(/>/);
    const allow = async (): Promise<void> => {
      await pty.see(BADGE);
      pty.send("\u000f");
      await pty.see(/type allow and Enter/);
      await Bun.sleep(1100);
      for (const [at, key] of Array.from("allow").entries()) {
        pty.send(key);
        await pty.see(new RegExp(`and Enter: ${"allow".slice(0, at + 1)}`));
      }
      await Bun.sleep(200);
      pty.send("\r");
    };
    const tell = async (pin: string): Promise<void> => {
      await pty.see(/the parent's PIN or passphrase, and Enter:/);
      for (const [at, key] of Array.from(pin).entries()) {
        pty.send(key);
        await pty.see(new RegExp(`and Enter: ${"•".repeat(at + 1)}`));
      }
      pty.send("\r");
    };
    const first = waiting(here, "touch supervised");
    await allow();
    await tell("000000");
    await pty.see(/Nothing was decided/);
    await allow();
    await tell("246810");
    expect((await first.ended).code).toBe(0);
    expect(existsSync(join(here.workspace, "supervised"))).toBe(true);
    expect(pty.raw()).not.toContain("246810");
    await pty.see((screen) => !BADGE.test(screen));
    const second = waiting(here, "touch again");
    await allow();
    expect((await second.ended).code).toBe(0);
  }, 60_000);

  test("r has whoever asks try it first: the answer is about what was seen", async () => {
    using here = place();
    await using pty = chat(here, 100, 40);
    await pty.see(/>/);
    const asker = waiting(here, "touch rehearsed");
    await pty.see(BADGE);
    pty.send("\u000f");
    await pty.see(/APPROVAL 1\/1/);
    await Bun.sleep(1100);
    pty.send("r");
    await pty.see(/Rehearsed on a copy[\s\S]*rehearsed/);
    expect(existsSync(join(here.workspace, "rehearsed"))).toBe(false);
    await Bun.sleep(1100);
    pty.send("d");
    expect((await asker.ended).code).toBe(9);
  }, 40_000);
  test("who was killed while waiting goes on with the answer that came", async () => {
    using here = place();
    const made = (name: string): boolean => existsSync(join(here.workspace, name));
    const first = waiting(here, "touch survived");
    const id = await first.id();
    first.kill();
    await first.ended;
    await using pty = openPty([here.program, "approvals", "allow", id], { cwd: here.workspace, columns: 120, rows: 40 });
    await say(pty, "yes");
    expect(await pty.exited).toBe(0);
    expect(made("survived")).toBe(false);
    expect((await waiting(here, "touch survived").ended).code).toBe(0);
    expect(made("survived")).toBe(true);
  }, 30_000);
});

test("a key and a PIN are made on the terminal, unseen, and a passphrase of seven letters is none", async () => {
  using here = place();
  const options = { program: here.program, cwd: here.workspace };
  const terminal = (...args: readonly string[]): Pty => openPty([here.program, ...args], { cwd: here.workspace, columns: 120, rows: 40 });
  expect((await run(["init"], options)).code).toBe(0);
  expect((await run(["parent", "keygen", "--passphrase-fd", "0"], { ...options, stdin: "1234567\n" })).code).toBe(2);
  expect((await run(["parent", "keygen"], options)).code).toBe(2);
  {
    await using pty = terminal("parent", "keygen");
    await tell(pty, /assphrase for the parent's key: /, "a good passphrase");
    await tell(pty, /once more: /, "a good passphrase");
    expect(await pty.exited).toBe(0);
    expect(pty.raw()).not.toContain("a good passphrase");
  }
  await using pty = terminal("parent", "pin");
  await tell(pty, /assphrase of the parent's key: /, "a good passphrase");
  await tell(pty, /ew PIN: /, "246810");
  await tell(pty, /once more: /, "246810");
  expect(await pty.exited).toBe(0);
  expect(pty.raw()).not.toContain("246810");
  expect((await run(["parent", "status"], options)).stdout).toMatch(/noctem-parent\+[0-9a-f]{8}\+[\s\S]*PIN {5}set/);
}, 60_000);
