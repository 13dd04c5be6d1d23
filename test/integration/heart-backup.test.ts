import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { backupHeart, scrubBackups } from "../../src/heart/care/backup.ts";
import { restoreHeart } from "../../src/heart/care/restore.ts";
import { autoBackup, backupName } from "../../src/heart/care/rotate.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import type { Millis } from "../../src/lib/brand.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn, talk } from "../support/heart.ts";
import { furnished } from "../support/heart-furnished.ts";
import { lines } from "../support/heart-kill.ts";
import { killCare } from "../support/heart-kill-care.ts";
import { canMount, inMounts } from "../support/mounts.ts";
import { mulberry32 } from "../support/random.ts";

const deps = heartDeps();
const SEED = Number(process.env["SEED"] ?? 1);
const CHILD = join(import.meta.dir, "..", "support", "heart-care-child.ts");
const WRITER = join(import.meta.dir, "..", "support", "heart-child.ts");
const DAY = 86_400_000;

describe("backups", () => {
  test("that appear under the same name meanwhile are not replaced", () => {
    using heart = furnished(1);
    const target = join(heart.path, "b.sqlite");
    const sync = (path: string) => {
      writeFileSync(target, "somebody's");
      return deps.files.sync(path);
    };
    const meanwhile = heartDeps({ files: { ...deps.files, sync } });
    expect(backupHeart(meanwhile, heart.place, target)).toMatchObject({ ok: false, error: { kind: "exists" } });
    expect(readFileSync(target, "utf8")).toBe("somebody's");
    expect(readdirSync(heart.path).filter((name) => name.includes("unfinished"))).toEqual([]);
  });

  test("are not read together with a journal that another file of their name left", () => {
    using heart = furnished(1);
    const target = join(heart.path, "b.sqlite");
    writeFileSync(`${target}-journal`, readFileSync(heart.place.file).subarray(0, 9000));
    must(backupHeart(deps, heart.place, target));
    expect(existsSync(`${target}-journal`)).toBe(false);
  });

  test("by the day: no wild clock makes one a sitting, and what a killed one left is cleared away", () => {
    using heart = furnished(1);
    const folder = join(heart.path, "backups");
    const at = (day: number, hour = 12) => {
      const now = (Math.ceil(Date.now() / DAY) * DAY + day * DAY + hour * 3_600_000) as Millis;
      return { now, deps: heartDeps({ clock: { now: () => now, monotonic: () => 0 } }) };
    };
    const write = (): void => {
      using open = openIn(heart.path);
      must(open.state.set("s", String(Math.random())));
    };
    const made = (day: number, hour?: number): boolean => must(autoBackup(at(day, hour).deps, heart.place, folder)).made !== null;
    expect(made(1)).toBe(true);
    write();
    expect(made(9000)).toBe(true);
    write();
    expect([made(1, 13), made(1, 14)]).toEqual([false, false]);
    must(autoBackup(at(9001).deps, heart.place, folder));
    const stale = join(folder, `${backupName(at(1).now)}.unfinished`);
    const fresh = join(folder, `${backupName(at(2, 11.5).now)}.unfinished`);
    for (const name of [stale, `${stale}-journal`, fresh, join(folder, "mine.sqlite.unfinished")]) writeFileSync(name, "");
    // Nothing was written since the one from the wild clock.
    expect(made(2)).toBe(false);
    write();
    expect(made(2)).toBe(true);
    expect([existsSync(stale), existsSync(`${stale}-journal`), existsSync(fresh)]).toEqual([false, false, true]);
    expect(existsSync(join(folder, "mine.sqlite.unfinished"))).toBe(true);
  });

  test("that cannot be rewritten are named, and the others are", () => {
    using heart = furnished(1);
    const folder = join(heart.path, "backups");
    for (const name of ["a.sqlite", "b.sqlite"]) must(backupHeart(deps, heart.place, join(folder, name)));
    const bytes = readFileSync(join(folder, "a.sqlite"));
    bytes.fill(0, 100, 4096);
    writeFileSync(join(folder, "a.sqlite"), bytes);
    {
      using open = openIn(heart.path);
      must(open.redact(heart.first));
    }
    const { rewritten, left } = must(scrubBackups(deps, heart.place, folder));
    expect(rewritten).toEqual([join(folder, "b.sqlite")]);
    expect(left.map(({ file }) => file)).toEqual([join(folder, "a.sqlite")]);
  });

  test.skipIf(!canMount)("on a full stick (needs the right to mount): an error, and nothing is left of it", () => {
    using heart = furnished(2, 40);
    const mount = join(heart.path, "mount");
    mkdirSync(mount);
    const argv = inMounts(
      // Enough by the count of free bytes, were it not for what fills it meanwhile.
      [`mount -t tmpfs -o size=200k none '${mount}'`],
      [
        "sh",
        "-c",
        `"$1" "$2" backup "$3" "$4"; "$1" "$2" fork "$3" "$5"; find "$5" -type f`,
        "sh",
        process.execPath,
        CHILD,
        heart.path,
        join(mount, "b.sqlite"),
        mount,
      ],
    );
    const run = Bun.spawnSync(argv, { stdio: ["ignore", "pipe", "inherit"] });
    expect(run.stdout.toString()).toBe("begin\nfull\nbegin\nfull\n");
  });
});

describe("a restored heart", () => {
  test("has nothing of what was forgotten, even where the heart that knew it cannot be read any more", () => {
    using heart = furnished(1, 20);
    const backup = join(heart.path, "old.sqlite");
    must(backupHeart(deps, heart.place, backup));
    {
      using open = openIn(heart.path);
      must(open.redact(heart.first));
    }
    const bytes = readFileSync(heart.place.file);
    bytes.fill(0xff, 100, 4096);
    writeFileSync(heart.place.file, bytes);
    const restored = must(restoreHeart(deps, heart.place, backup, join(heart.path, "backups", "aside.sqlite")));
    expect(restored).toMatchObject({ beforeWasDamaged: true, forgotten: 1 });
    expect(readFileSync(restored.before ?? "").equals(bytes)).toBe(true);
    expect(readFileSync(heart.place.file).toString("latin1")).not.toContain("Wolpertinger 0.0 ");
    expect(must(verifyHeart(deps, heart.place)).count).toBe(0);
  });

  test("that fails at the last moment leaves the heart as it was", () => {
    using heart = furnished(1);
    const backup = join(heart.path, "old.sqlite");
    must(backupHeart(deps, heart.place, backup));
    const before = readFileSync(heart.place.file);
    const rename = (from: string, to: string) =>
      to === heart.place.file ? ({ ok: false, error: { kind: "io", detail: "gone" } } as const) : deps.files.rename(from, to);
    const failing = heartDeps({ files: { ...deps.files, rename } });
    const aside = join(heart.path, "backups", "aside.sqlite");
    expect(restoreHeart(failing, heart.place, backup, aside)).toMatchObject({ ok: false, error: { kind: "io" } });
    expect(readFileSync(heart.place.file).equals(before)).toBe(true);
    expect(readdirSync(heart.path).filter((name) => name.includes("unfinished"))).toEqual([]);
    expect(restoreHeart(deps, heart.place, backup, aside)).toMatchObject({ ok: false, error: { kind: "exists" } });
  });

  test("under a process that writes: whatever it was told is stored stands in one of the two", async () => {
    using heart = furnished(1, 60);
    const backup = join(heart.path, "old.sqlite");
    must(backupHeart(deps, heart.place, backup));
    const aside = join(heart.path, "backups", "aside.sqlite");
    // It ends with an error once its file is another: that is the point, and nothing to print.
    const argv = [process.execPath, WRITER, "write", heart.path, "100000"];
    const child = Bun.spawn(argv, { stdio: ["ignore", "pipe", "ignore"] });
    const told: string[] = [];
    let restored: ReturnType<typeof restoreHeart> | null = null;
    for await (const line of lines(child.stdout)) {
      if (line["id"] !== undefined) told.push(line["id"]);
      // A writer that never pauses may keep the lock from everybody for as long as a heart waits: then it says so, and a person tries again.
      const locked = restored !== null && !restored.ok && restored.error.kind === "locked";
      if (told.length >= 10 && (restored === null || locked)) restored = restoreHeart(deps, heart.place, backup, aside);
      if (told.length >= 60 && (restored?.ok === true || told.length > 5000)) child.kill("SIGKILL");
    }
    await child.exited;
    expect(restored).toMatchObject({ ok: true, value: { before: aside } });
    const other = join(heart.path, "other");
    mkdirSync(join(other, "keys"), { recursive: true });
    copyFileSync(aside, placeIn(other).file);
    for (const name of readdirSync(heart.place.keysDir)) copyFileSync(join(heart.place.keysDir, name), join(other, "keys", name));
    const stored = new Set<string>();
    for (const folder of [heart.path, other]) {
      using open = openIn(folder);
      for (const { id } of open.sessions(999)) for (const message of open.messages(id)) stored.add(message.id);
    }
    expect(told.filter((id) => !stored.has(id))).toEqual([]);
  }, 30_000);

  test("is a replica of its own, and goes on", () => {
    using heart = furnished(1);
    const replica = () => must(heartCopies(deps, heart.place, BUILD).status()).replica;
    const before = replica();
    const backup = join(heart.path, "old.sqlite");
    must(backupHeart(deps, heart.place, backup));
    using open = openIn(heart.path);
    talk(open, "before");
    must(restoreHeart(deps, heart.place, backup, join(heart.path, "backups", "aside.sqlite")));
    expect(replica()).not.toBe(before);
    // Open since before the restore: SQLite says that its file moved, and opened anew it writes to the new one.
    const session = open.createSession();
    if (session.ok)
      expect(
        open.append({
          session: session.value,
          parent: null,
          role: "user",
          spans: [{ kind: "typed", text: "lost" }],
          label: { c: 0, k: [], i: 0, p: [] },
          origin: "tui",
          reply: null,
        }).ok,
      ).toBe(false);
    using again = must(open.reopen());
    talk(again, "after");
    expect(must(verifyHeart(deps, heart.place)).count).toBe(0);
  });
});

describe("killed at random moments", () => {
  test.each([
    ["backup", 8],
    ["restore", 14],
    ["repair", 6],
    ["fork", 8],
  ] as const)(
    "%s: what was there stands, what is new is whole, and doing it again completes it",
    async (job, kills) => {
      const { fault, before, after } = await killCare(job, kills, mulberry32(SEED));
      expect([SEED, fault]).toEqual([SEED, null]);
      expect(before + after).toBe(kills);
      expect(before).toBeGreaterThan(0);
    },
    120_000,
  );
});
