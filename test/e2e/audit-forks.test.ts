/** `noctem heart sync` of two copies of one stick that went on in one session of the log: nothing is lost, and nobody overlooks it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, linkSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { SigningKey } from "../../src/audit/log.ts";
import { intent, logIn } from "../support/audit-forge.ts";
import { goOn } from "../support/audit-twin.ts";
import { openIn } from "../support/heart.ts";
import { binary, run, type RunResult, tempDir, type TempDir } from "../support/noctem.ts";

let dir: TempDir;
let [one, two, session] = ["", "", ""];

const on = (stick: string, ...args: readonly string[]): Promise<RunResult> => run(args, { program: join(stick, "noctem"), cwd: dir.path });
/** Entries of that session in this copy, by number and object. */
async function leavesOn(stick: string): Promise<readonly string[]> {
  const { stdout } = await on(stick, "audit", "log", "--json", "--session", session);
  const { entries } = JSON.parse(stdout) as { entries: { session: string; seq: number; object: string }[] };
  return entries
    .filter((entry) => entry.session === session)
    .map(({ seq, object }) => `${seq} ${object}`)
    .sort();
}
async function incidentsOn(stick: string): Promise<readonly string[]> {
  const { stdout } = await on(stick, "audit", "log", "--json", "--kind", "incident");
  return (JSON.parse(stdout) as { entries: { object?: string; what?: string }[] }).entries.map(({ what, object }) => what ?? object ?? "");
}

/** Copied between entries 1 and 2: this copy goes on with "here", the other with "there". */
beforeEach(async () => {
  dir = tempDir("noctem-twins-");
  [one, two] = [join(dir.path, "one"), join(dir.path, "two")];
  mkdirSync(one);
  linkSync(binary(), join(one, "noctem"));
  expect((await on(one, "init")).code).toBe(0);
  const keys = new Map<string, SigningKey>();
  {
    using heart = openIn(one);
    const log = logIn(one, heart, keys);
    intent(log, "shared");
    session = log.session ?? "";
    mkdirSync(two);
    linkSync(binary(), join(two, "noctem"));
    for (const part of ["heart.sqlite", "keys"]) cpSync(join(one, part), join(two, part), { recursive: true });
    intent(log, "here");
  }
  goOn({ folder: two, keys, session, actor: "same" });
});
afterEach(() => dir[Symbol.dispose]());

describe("two copies of one stick that both went on in one session of the log", () => {
  const TOLD = /two copies have different versions of one part of the log .*from entry 2.*Both are kept/;
  const BOTH = ["0 undefined", "1 shared", "2 here", "2 there"];

  test("a merge says so, keeps both leaves and what lies apart from them, and leaves an incident; each copy, and the next merge, agree", async () => {
    expect([await leavesOn(one), await leavesOn(two)]).toEqual([
      ["0 undefined", "1 shared", "2 here"],
      ["0 undefined", "1 shared", "2 there"],
    ]);
    expect((await on(two, "audit", "verify", "--against", join(one, "heart.sqlite"))).code).toBe(22);

    const before = readFileSync(join(one, "heart.sqlite"));
    const tried = await on(one, "heart", "sync", two, "--dry-run");
    expect(tried).toMatchObject({ code: 0, stderr: expect.stringContaining("in two versions") as string });
    expect(readFileSync(join(one, "heart.sqlite")).equals(before)).toBe(true);

    const synced = await on(one, "heart", "sync", two, "--json");
    expect(synced).toMatchObject({ code: 0, stderr: expect.stringMatching(TOLD) as string });
    expect(JSON.parse(synced.stdout)).toMatchObject({ forks: [{ session, at: 2, sameKey: true }] });
    expect(await leavesOn(one)).toEqual(BOTH);
    expect(await incidentsOn(one)).toContain("audit.fork");
    expect(JSON.parse((await on(one, "heart", "status", "--json")).stdout)).toMatchObject({ counts: { incidents: 1 } });
    const verified = await on(one, "audit", "verify", "--json");
    expect(verified.code).toBe(22);
    expect(verified.stdout).toContain("they part at entry 2");
    // Nothing of either version was left behind: the other stick may be lost now.
    expect(JSON.parse(verified.stdout)).toMatchObject({ payloads: { gone: 0 } });
    const shown = await on(one, "audit", "show", `${session}:2`);
    expect(shown).toMatchObject({ code: 22, stderr: expect.stringContaining("2 versions of this entry") as string });
    for (const text of ["read here", "read there"]) expect(shown.stdout).toContain(text);
    expect((await on(one, "audit", "show", `${session}:1`)).code).toBe(0);

    // Once more is nothing new, and the other way the other copy learns of it.
    expect((await on(one, "heart", "sync", two)).stderr).toBe("");
    expect(await on(two, "heart", "sync", one)).toMatchObject({ code: 0, stderr: expect.stringMatching(TOLD) as string });
    expect(await leavesOn(two)).toEqual(BOTH);
    expect(JSON.parse((await on(two, "audit", "verify", "--json")).stdout)).toMatchObject({ payloads: { gone: 0 } });
    for (const stick of [one, two]) {
      expect((await on(stick, "audit", "verify")).code).toBe(22);
      expect(await on(stick, "heart", "verify")).toMatchObject({ code: 0 });
    }
  }, 30_000);

  test("both ways at once: each copy has both, once", async () => {
    const synced = await on(one, "heart", "sync", two, "--both");
    expect(synced).toMatchObject({ code: 0, stderr: expect.stringMatching(TOLD) as string });
    for (const stick of [one, two]) {
      expect(await leavesOn(stick)).toEqual(BOTH);
      expect((await on(stick, "audit", "verify")).code).toBe(22);
    }
    // What each wrote down of it travels, and then there is rest.
    await on(one, "heart", "sync", two, "--both");
    expect((await on(one, "heart", "sync", two, "--both")).stdout).toBe("Both have the same already.\n");
    expect(await leavesOn(one)).toEqual(BOTH);
  }, 30_000);
});
