/** People at terminals: one whose program waits for an answer, one who gives it in the chat or on the command line. */
import { expect } from "bun:test";
import { existsSync, linkSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ok } from "../../src/lib/result.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { parentDoor } from "../../src/platform/parent-door.ts";
import { makeParentKey, publicLine, unlockParentKey } from "../../src/platform/parent-key.ts";
import { binary, cleanEnvironment, run, type RunResult, tempDir, type TempDir } from "./noctem.ts";
import { openPty, type Pty } from "./pty.ts";

export interface Place extends TempDir {
  readonly program: string;
  readonly workspace: string;
}

export function place(): Place {
  const dir = tempDir("noctem-approvals-");
  mkdirSync(join(dir.path, "stick"));
  const program = join(dir.path, "stick/noctem");
  linkSync(binary(), program);
  const workspace = join(dir.path, "work");
  mkdirSync(workspace);
  return { path: dir.path, program, workspace, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}

/** A question that waits, by a program that goes on when it is answered. */
export function waiting(
  { program, workspace }: Place,
  command: string,
  seconds = 60,
): { readonly ended: Promise<RunResult>; readonly id: () => Promise<string>; kill(): void } {
  const child = Bun.spawn([program, "bark", "run", "--approvals", `wait=${seconds}`, "shell", command], {
    cwd: workspace,
    env: { ...cleanEnvironment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = Promise.all([child.stdout.text(), child.stderr.text()]).then(async ([stdout, stderr]) => {
    await child.exited;
    return { code: child.exitCode ?? -1, signal: null, stdout, stderr };
  });
  return {
    ended,
    kill: () => child.kill("SIGKILL"),
    async id() {
      for (let look = 0; look < 100; look++) {
        const { stdout } = await run(["approvals", "list", "--open", "--json"], { program, cwd: workspace });
        const { approvals } = JSON.parse(stdout) as { approvals: { id: string; object: string }[] };
        const found = approvals.find(({ object }) => object === command);
        if (found !== undefined) return found.id;
        await Bun.sleep(50);
      }
      throw new Error("no question came");
    },
  };
}

export const say = async (pty: Pty, word: string): Promise<void> => {
  await pty.see(/Type yes or no/);
  await Bun.sleep(900);
  for (let typed = 1; typed <= word.length; typed++) {
    pty.send(word[typed - 1] ?? "");
    await pty.see(() => pty.raw().endsWith(`Enter: ${word.slice(0, typed)}`));
  }
  pty.send("\r");
};

/** Without an echo nothing can be waited for between keys; a secret may come in one read. */
export const tell = async (pty: Pty, prompt: RegExp, secret: string): Promise<void> => {
  await pty.see(prompt);
  pty.send(`${secret}\r`);
};

export const chat = (here: Place, columns: number, rows: number): Pty => openPty([here.program], { cwd: here.workspace, columns, rows });
export const BADGE = /! 1 approval \d+:\d\d/;

/** A person reads a long question page by page and allows it, on a screen of this size. */
export async function allowByHand(columns: number, rows: number): Promise<void> {
  using here = place();
  await using pty = chat(here, columns, rows);
  await pty.see(/>/);
  // Long enough to be read page by page on any of these screens.
  const command = `touch ${Array.from({ length: 90 }, (_, at) => `file-${at}-${"x".repeat(8)}`).join(" ")}`;
  const asker = waiting(here, command);
  await pty.see(BADGE);
  await pty.type("a draft");
  await pty.see(/> a draft/);
  pty.send("\u000f");
  await pty.see(/APPROVAL 1\/1 {2}shell {2}tier 3/);
  for (let page = 0; page < 20 && !/type allow and Enter/.test(pty.text()); page++) {
    const before = pty.text();
    pty.send(" ");
    await pty.see((screen) => screen !== before);
  }
  await pty.see(/type allow and Enter/);
  await Bun.sleep(1100);
  for (const [at, key] of Array.from("allow").entries()) {
    pty.send(key);
    await pty.see(new RegExp(`and Enter: ${"allow".slice(0, at + 1)}`));
  }
  await Bun.sleep(200);
  pty.send("\r");
  expect((await asker.ended).code).toBe(0);
  expect(existsSync(join(here.workspace, "file-89-xxxxxxxx"))).toBe(true);
  // The draft is where it was, and the badge is gone.
  await pty.see((screen) => /> a draft/.test(screen) && !BADGE.test(screen));
}

/** A key and a PIN as the program makes them, but cheap to open: how dear they are stands in their files. */
export async function cheapParent(keys: string): Promise<void> {
  const cheap = { memory: 64, passes: 1 };
  const { file, key } = await makeParentKey("noctem-parent", "a good passphrase", cheap);
  writeFileSync(join(keys, "parent.key"), file);
  writeFileSync(join(keys, "parent.pub"), publicLine(key));
  const opened = await unlockParentKey(join(keys, "parent.key"), "a good passphrase");
  if (!opened.ok) throw new Error(opened.error.kind);
  const places = {
    keys,
    parentKey: "",
    parentSecret: "",
    runtime: keys,
    heart: "",
    expected: () => null,
    now: Date.now,
    uptime: () => 0,
    boot: () => "",
  };
  const set = await parentDoor({ ...places, stick: () => ok(auditCrypto.ephemeral()) }, cheap).setPin(opened.value, "246810");
  if (!set.ok) throw new Error(set.error);
}
