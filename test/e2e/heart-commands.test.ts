/** `noctem heart` on the executable: two sticks as folders, copies of them, and what a person types, sees and gets back. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { OpenHeart } from "../../src/heart/open.ts";
import { run, type RunOptions, type RunResult, type Stick, stickWith, tempDir } from "../support/noctem.ts";
import { must, openIn, raw, talk } from "../support/heart.ts";

/** The program; hearts lie in folders of their own and are named by `--heart`, as another stick's would be. */
let stick: Stick;
beforeAll(() => {
  stick = stickWith();
});
afterAll(() => stick[Symbol.dispose]());

const OWN = { c: 1, k: [], i: 3, p: ["console"] } as const;

const heart = (home: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> =>
  run(["heart", ...args, "--heart", join(home, "heart.sqlite")], { program: stick.program, cwd: home, timeout: 45_000, ...options });
const json = async (home: string, ...args: readonly string[]) =>
  JSON.parse((await heart(home, [...args, "--json"])).stdout) as Record<string, unknown>;

/** Done, with nothing on stderr. */
async function done(home: string, ...args: readonly string[]): Promise<string> {
  const result = await heart(home, args);
  expect({ args, ...result, stdout: "" }).toEqual({ args, code: 0, signal: null, stdout: "", stderr: "" });
  return result.stdout;
}

/** One sentence or a few on one line of stderr, nothing on stdout, no trace of an exception. */
async function refused(home: string, args: readonly string[], code: number, part: string): Promise<void> {
  const result = await heart(home, args);
  expect({ args, code: result.code, stdout: result.stdout }).toEqual({ args, code, stdout: "" });
  expect(result.stderr).toStartWith("noctem: ");
  expect(result.stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(result.stderr).toContain(part);
}

function home(root: string, name: string, fill: (heart: OpenHeart) => void = () => undefined): string {
  const path = join(root, name);
  mkdirSync(path, { recursive: true });
  using opened = openIn(path);
  fill(opened);
  return path;
}

const edit = (path: string, change: (heart: OpenHeart) => void): void => {
  using opened = openIn(path);
  change(opened);
};

test("two sticks go apart and come together, and what lost can be had back", async () => {
  using dir = tempDir();
  const one = home(dir.path, "one", (h) => {
    talk(h, "hello", "world");
    must(h.memory.remember("colour", "green", OWN));
    must(h.tasks.add({ title: "buy milk" }));
  });
  const two = join(dir.path, "two");
  mkdirSync(two);
  expect(await done(one, "fork", two)).toContain("has a replica of this heart now");
  await refused(one, ["fork", two], 2, "were left as they are");
  await refused(one, ["fork", join(dir.path, "nope")], 2, "Plug in the other stick");

  edit(one, (h) => must(h.memory.remember("colour", "blue", OWN)));
  edit(two, (h) => {
    talk(h, "said on two", "and more");
    must(h.memory.remember("colour", "red", OWN));
    must(h.tasks.update(h.tasks.all()[0]!.id, { status: "done" }));
  });

  const before = readFileSync(join(one, "heart.sqlite"));
  const would = await done(one, "sync", two, "--dry-run");
  expect(would).toContain(`Would take from ${two}: 2 messages, 1 change to tasks, 1 memory.`);
  expect(would).toContain("1 value would lose against a concurrent write.");
  expect(readFileSync(join(one, "heart.sqlite")).equals(before)).toBe(true);

  const both = await done(one, "sync", two, "--both");
  expect(both).toContain(`Took from ${two}: 2 messages, 1 change to tasks, 1 memory.`);
  expect(both).toContain("1 value lost against a concurrent write and is kept: noctem heart conflicts");
  expect(await done(one, "sync", two)).toBe("Both have the same already.\n");
  expect(await done(two, "sync", one, "--both")).toBe("Both have the same already.\n");

  const { conflicts } = (await json(one, "conflicts")) as { conflicts: { short: string }[] };
  const [conflict] = conflicts;
  const shown = await done(one, "conflicts", "show", conflict!.short);
  expect(shown).toContain('memory "colour"');
  expect(shown).toMatch(/lost +"blue", written .* here/u);
  expect(shown).toMatch(/stands +"red", written .* on replica [0-9a-f]{8} \(linux-x64\)/u);
  expect(await done(one, "conflicts")).toBe(shown);
  expect(await done(one, "conflicts", "restore", conflict!.short.slice(0, 5).toUpperCase())).toContain('Restored the memory "colour"');
  edit(one, (h) => expect(h.memory.recall("colour")?.text).toBe("blue"));
  await done(two, "sync", one);
  edit(two, (h) => expect(h.memory.recall("colour")?.text).toBe("blue"));
  const [other] = ((await json(one, "conflicts")) as { conflicts: { short: string }[] }).conflicts;
  expect(await done(one, "conflicts", "dismiss", other!.short)).toContain("stays as it is");
  expect(await heart(one, ["conflicts"])).toMatchObject({ code: 0, stdout: "", stderr: "noctem: No conflicts.\n" });
  await refused(one, ["conflicts", "show", "zz"], 2, 'There is no conflict "zz"');

  const status = await done(one, "status");
  expect(status).toContain("4 messages in 2 conversations, 1 task, 1 memory");
  expect(status).toMatch(/^conflicts +none$/mu);
  expect(status).toMatch(/^[0-9a-f]{8} .* here$/mu);
  const { replicas } = (await json(one, "status")) as { replicas: { id: string; here: boolean }[] };
  const away = replicas.find((replica) => !replica.here)!;
  expect(await done(one, "retire", away.id.slice(0, 8))).toContain("is retired");
  expect(await done(one, "status")).toMatch(/^[0-9a-f]{8} .* retired$/mu);
  expect(await done(one, "compact")).toMatch(/^(Pruned|Nothing)/u);
  await refused(one, ["retire", "ffffffff"], 2, "There is no other replica");
}, 60_000);

test("a folder that was copied merges as well, and what was forgotten leaves every copy and backup", async () => {
  using dir = tempDir();
  const one = home(dir.path, "one", (h) => {
    talk(h, "keep this");
    talk(h, "the secret word is xyzzyplugh");
  });
  const copy = join(dir.path, "copy");
  cpSync(one, copy, { recursive: true });
  expect(await done(copy, "backup")).toContain("verified");
  edit(copy, (h) => talk(h, "said on the copy"));
  edit(one, (h) => must(h.deleteSession(h.sessions(9).find(({ title }) => title.includes("secret"))!.id)));

  const text = await done(copy, "sync", one, "--both");
  expect(text).toContain(`Took from ${one}: 1 text forgotten.`);
  expect(text).toContain("What was forgotten was taken out of 1 backup as well.");
  expect(text).toContain(`Gave to ${one}: 1 message, `);
  expect(readdirSync(join(copy, "backups"))).toHaveLength(1);
  for (const path of readdirSync(copy, { recursive: true, encoding: "utf8" }).map((name) => join(copy, name))) {
    if (/sqlite/u.test(path)) expect([path, readFileSync(path).includes("xyzzyplugh")]).toEqual([path, false]);
  }
}, 60_000);

describe("backups", () => {
  test("do not keep a conversation that is deleted", async () => {
    using dir = tempDir();
    const one = home(dir.path, "one", (h) => talk(h, "the secret word is xyzzyplugh"));
    await done(one, "backup");
    let id = "";
    edit(one, (h) => (id = h.newestSession() ?? ""));
    const gone = await run(["sessions", "delete", id, "--yes", "--heart", join(one, "heart.sqlite")], { program: stick.program });
    expect(gone).toMatchObject({ code: 0, stdout: "" });
    expect(gone.stderr).toContain("Forgot 1 message for good.\nnoctem: What was forgotten was taken out of 1 backup as well.\n");
    const [backup] = readdirSync(join(one, "backups"));
    expect(readFileSync(join(one, "backups", backup!)).includes("xyzzyplugh")).toBe(false);
    expect(await done(one, "verify", join("backups", backup!))).toStartWith("Sound: ");
  }, 60_000);

  test("are verified, never overwritten, merged and put back", async () => {
    using dir = tempDir();
    const one = home(dir.path, "one", (h) => talk(h, "early"));
    const file = join(dir.path, "mine.sqlite");
    expect(await done(one, "backup", file)).toStartWith(`${file}: `);
    await refused(one, ["backup", file], 2, "nothing is ever overwritten");
    await refused(one, ["backup", join(dir.path, "not-plugged-in", "x.sqlite")], 2, "There is no folder for");
    await refused(one, ["repair", join(dir.path, "not-plugged-in", "x.sqlite")], 2, "There is no folder for");
    expect(await done(one, "verify", file)).toStartWith("Sound: ");
    edit(one, (h) => talk(h, "late"));

    await refused(one, ["restore", file], 2, "say --yes");
    expect(await done(one, "restore", file, "--yes")).toContain("What was there is kept as ");
    edit(one, (h) => expect(h.sessions(9).map(({ title }) => title)).toEqual(["early"]));
    const [aside] = readdirSync(join(one, "backups"));
    expect(await done(one, "sync", join("backups", aside!))).toContain("1 message");
    edit(one, (h) => expect(h.sessions(9)).toHaveLength(2));
    await refused(one, ["sync", file, "--both"], 6, "no keys/ beside it");
    expect(await done(one, "status")).toMatch(/^backup +none yet/mu);
  }, 60_000);

  test("of a damaged heart is refused; what is sound is saved, put in place, and the rest comes back", async () => {
    using dir = tempDir();
    const one = home(dir.path, "one", (h) => talk(h, "first", "second", "third"));
    const whole = join(dir.path, "whole");
    cpSync(one, whole, { recursive: true });
    {
      using db = raw(one);
      db.exec("update message_body set body = replace(body, 'second', 'SECOND')");
    }
    const verified = await heart(one, ["verify"]);
    expect(verified).toMatchObject({ code: 6, stderr: "" });
    expect(verified.stdout).toContain("is damaged: 1 fault.");
    expect(verified.stdout).toContain("is not what was written");
    await refused(one, ["backup"], 6, "no backup was made");
    const repaired = await done(one, "repair");
    expect(repaired).toContain("heart.repaired.sqlite");
    await refused(one, ["repair"], 2, "already");
    expect(await done(one, "restore", "heart.repaired.sqlite", "--yes")).toContain("The damaged heart was moved to ");
    await done(one, "sync", whole);
    expect(await done(one, "verify")).toStartWith("Sound: ");
    edit(one, (h) =>
      expect(h.messages(h.sessions(1)[0]!.id).map((message) => message.spans[0]?.text)).toEqual(["first", "second", "third"]),
    );
  }, 60_000);
});

test("what cannot be merged is refused in words, and nothing is changed", async () => {
  using dir = tempDir();
  const one = home(dir.path, "one", (h) => talk(h, "mine"));
  const stranger = home(dir.path, "stranger", (h) => talk(h, "theirs"));
  const altered = join(dir.path, "altered");
  cpSync(one, altered, { recursive: true });
  edit(altered, (h) => talk(h, "new"));
  {
    using db = raw(altered);
    db.exec("update message set role = 'system' where n = 2");
  }
  writeFileSync(join(dir.path, "notes.txt"), "no heart at all");
  const before = readFileSync(join(one, "heart.sqlite"));
  await refused(one, ["sync", one], 2, "is the heart in use");
  await refused(one, ["sync", one, "--both"], 2, "is the heart in use");
  await refused(one, ["sync", stranger], 6, "not a copy of this heart");
  await refused(one, ["sync", stranger, "--both"], 6, "not a copy of this heart");
  await refused(one, ["sync", join(dir.path, "notes.txt")], 6, "it is not a SQLite file");
  await refused(one, ["sync", dir.path], 2, "There is no heart in");
  await refused(one, ["sync", join(dir.path, "nope")], 2, "There is no file");
  expect(readFileSync(join(one, "heart.sqlite")).equals(before)).toBe(true);
  await refused(one, ["sync", altered], 6, "cannot be merged");
  edit(one, (h) => expect(h.sessions(9)).toHaveLength(1));
}, 60_000);

test("an export goes out by file and pipe, and comes in as data", async () => {
  using dir = tempDir();
  const one = home(dir.path, "one", (h) => {
    talk(h, "tell others");
    must(h.memory.remember("colour", "green", OWN));
  });
  const two = home(dir.path, "two");
  const file = join(dir.path, "all.jsonl");
  expect(await done(one, "export", file)).toBe(`Exported 1 message, 1 memory to ${file}.\n`);
  await refused(one, ["export", file], 2, "exists already");
  await refused(one, ["export", join(dir.path, "no", "where")], 7, "cannot be written");
  const piped = await done(one, "export");
  // Without the log, which "audit export" writes as it was signed.
  expect(
    piped
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { type: string }).type),
  ).toEqual(["header", "message", "memory", "end"]);
  expect(await done(two, "import", file)).toStartWith("Imported 1 message, 1 memory, as data");
  expect(await done(two, "import", file)).toBe("Nothing new in it.\n2 lines were here already.\n");
  writeFileSync(file, readFileSync(file, "utf8").replace('"user"', '"root"'));
  await refused(two, ["import", file], 2, "line 2: role");
  await refused(two, ["import", join(one, "heart.sqlite")], 2, "not that of an export of Noctem");
  await refused(two, ["import", join(dir.path, "nope")], 2, "cannot be read");
}, 60_000);

test("without a heart, without keys, and where nothing may be written", async () => {
  using dir = tempDir();
  const none = join(dir.path, "none");
  mkdirSync(none);
  for (const args of [
    ["status"],
    ["info"],
    ["sync", "x"],
    ["conflicts"],
    ["verify"],
    ["backup"],
    ["export"],
    ["import", "x"],
    ["compact"],
    ["retire", "abcd"],
  ]) {
    await refused(none, args, 2, "There is no heart at");
  }
  expect(readdirSync(none)).toEqual([]);

  const keyless = home(dir.path, "keyless", (h) => talk(h, "hello"));
  const other = join(dir.path, "other");
  cpSync(keyless, other, { recursive: true });
  rmSync(join(keyless, "keys"), { recursive: true });
  for (const args of [["status"], ["sync", other], ["conflicts"], ["verify"], ["backup"], ["compact"]]) {
    await refused(keyless, args, 6, "Put the folder keys/ back");
  }
  expect(await done(keyless, "info")).toContain("missing: nothing can be checked or written");
  const exported = await heart(keyless, ["export"]);
  expect(exported).toMatchObject({ code: 0 });
  expect(exported.stderr).toContain("nothing that was exported could be checked");
  expect(existsSync(join(keyless, "keys"))).toBe(false);
}, 60_000);

test.skipIf(process.getuid?.() === 0)(
  "a read-only heart is shown, and not changed (skipped as root, whom no mode stops)",
  async () => {
    using dir = tempDir();
    const one = home(dir.path, "one", (h) => talk(h, "hello"));
    const other = join(dir.path, "other");
    cpSync(one, other, { recursive: true });
    chmodSync(one, 0o500);
    try {
      expect(await done(one, "status")).toContain("1 message in 1 conversation");
      await refused(one, ["sync", other], 7, "is read-only");
    } finally {
      chmodSync(one, 0o700);
    }
  },
  60_000,
);

test("every command has its help, with examples where there is something to show", async () => {
  const help = (...words: string[]) => run(["heart", ...words, "--help"], { program: stick.program });
  const top = (await help()).stdout;
  const names = [
    "status",
    "info",
    "sync",
    "conflicts",
    "verify",
    "repair",
    "backup",
    "restore",
    "fork",
    "export",
    "import",
    "retire",
    "compact",
  ];
  for (const name of names) {
    expect(top).toMatch(new RegExp(`^  ${name} `, "mu"));
    expect((await help(name)).stdout).toStartWith(`noctem heart ${name}: `);
  }
}, 60_000);
