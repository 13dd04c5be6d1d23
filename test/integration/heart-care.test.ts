import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { backupHeart, scrubBackups } from "../../src/heart/care/backup.ts";
import { forkHeart } from "../../src/heart/care/fork.ts";
import { repairHeart } from "../../src/heart/care/repair.ts";
import { restoreHeart } from "../../src/heart/care/restore.ts";
import { autoBackup, listBackups } from "../../src/heart/care/rotate.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import type { Millis } from "../../src/lib/brand.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { BUILD, must, openIn, placeIn, raw, talk } from "../support/heart.ts";
import { furnished } from "../support/heart-furnished.ts";
import { tempDir } from "../support/noctem.ts";

const deps = heartDeps();

const verify = (folder: string) => must(verifyHeart(deps, placeIn(folder)));
const kindsIn = (folder: string): string[] => [...new Set(verify(folder).faults.map((fault) => fault.kind))].sort();

describe("verify", () => {
  test("has nothing to say of a sound heart, and leaves it alone", () => {
    using heart = furnished();
    const before = readFileSync(heart.place.file);
    const report = verify(heart.path);
    expect(report).toMatchObject({ faults: [], count: 0, gaps: 0, streams: 3 });
    expect(report.rows).toBeGreaterThan(30);
    expect(readFileSync(heart.place.file).equals(before)).toBe(true);
  });

  test.each([
    ["seal", "update message set origin = 'headless' where n = 1"],
    ["seal", "update cell set label_i = 4 where ns = 'memory'"],
    ["text", "update message_body set body = '[]' where n = 1"],
    ["text-missing", "delete from message_body where n = 1"],
    [
      "text-forgotten",
      "insert into message_body (n, salt, body) select n, zeroblob(16), '[]' from message where id in (select target from redaction) limit 1",
    ],
    ["count", "delete from entry where n = 1"],
    ["beyond-vector", "delete from vv where actor = (select min(actor) from vv)"],
    ["vector", "update vv set seq = seq + 1000"],
    ["vector", "update vv set held = held - 1"],
    ["summary", "delete from meta where k = 'vector'"],
    ["identity", "update meta set v = zeroblob(16) where k = 'replica'"],
    ["note", "update meta set v = v + 1 where k = 'hlc'"],
    ["overview", "update session_overview set live = 99"],
    ["overview", "delete from task_overview"],
    ["floor", "insert into remove_floor values (5, 5, zeroblob(16))"],
    ["tables", "create view innocent as select 1"],
    ["removed-task", "insert into task_dot select elem, dot_actor, dot_seq, hlc, mac from task_remove"],
    ["aside", "insert into aside values (5, 5, 't', 0, x'00', zeroblob(16))"],
    ["conflict", "insert into conflict select ns, k, 'other', hlc, actor, seq, label_c, label_k, label_i, label_p, mac from cell limit 1"],
  ])("names %s: %s", (kind, sql) => {
    using heart = furnished();
    {
      using db = raw(heart.path);
      db.run(sql);
    }
    expect(kindsIn(heart.path)).toContain(kind);
  });
});

describe("backups", () => {
  test("are whole, without keys, and never replace a file", () => {
    using heart = furnished();
    const target = join(heart.path, "backups", "mine.sqlite");
    const made = must(backupHeart(deps, heart.place, target));
    expect(made.bytes).toBeGreaterThan(4096);
    expect(must(verifyHeart(deps, { file: target, keysDir: heart.place.keysDir })).count).toBe(0);
    expect(readdirSync(join(heart.path, "backups"))).toEqual(["mine.sqlite"]);
    expect(backupHeart(deps, heart.place, target)).toMatchObject({ ok: false, error: { kind: "exists" } });
    expect(readFileSync(target).toString("latin1")).not.toContain("gone 0");
  });

  test("of a damaged heart are none, and nothing is left of the attempt", () => {
    using heart = furnished();
    {
      using db = raw(heart.path);
      db.run("update message set role = 'tool' where n = 2");
    }
    const target = join(heart.path, "b.sqlite");
    expect(backupHeart(deps, heart.place, target)).toMatchObject({ ok: false, error: { kind: "damaged" } });
    expect(readdirSync(heart.path).filter((name) => name.startsWith("b."))).toEqual([]);
  });

  test("rotate: one a day when something changed, and old ones go", () => {
    using heart = furnished();
    const folder = join(heart.path, "backups");
    // The next days' noons: a heart that is not a day old has nothing to be missed.
    let now = (Math.ceil(Date.now() / 86_400_000) * 86_400_000 + 43_200_000) as Millis;
    expect(must(autoBackup(deps, heart.place, folder)).made).toBeNull();
    const at = heartDeps({ clock: { now: () => now, monotonic: () => 0 } });
    for (let day = 0; day < 60; day++) {
      const first = must(autoBackup(at, heart.place, folder));
      expect(first.made === null).toBe(day % 3 !== 0);
      expect(must(autoBackup(at, heart.place, folder)).made).toBeNull();
      if (day % 3 === 2) {
        using open = openIn(heart.path);
        must(open.state.set("day", String(day)));
      }
      now = (now + 86_400_000) as Millis;
    }
    const kept = listBackups(at, folder);
    expect(kept.length).toBeGreaterThan(3);
    expect(kept.length).toBeLessThanOrEqual(8);
    const size = readFileSync(heart.place.file).length;
    expect(kept.reduce((sum, file) => sum + file.bytes, 0)).toBeLessThanOrEqual(11 * size);
    writeFileSync(join(folder, "notes.txt"), "mine");
    must(autoBackup(at, heart.place, folder));
    expect(existsSync(join(folder, "notes.txt"))).toBe(true);
  });

  test("lose what is forgotten later, and still merge and restore", () => {
    using heart = furnished();
    const file = join(heart.path, "backups", "old.sqlite");
    must(backupHeart(deps, heart.place, file));
    expect(readFileSync(file).toString("latin1")).toContain("Wolpertinger 0.0 ");
    {
      using open = openIn(heart.path);
      must(open.redact(heart.first));
    }
    expect(must(scrubBackups(deps, heart.place, join(heart.path, "backups")))).toEqual({ rewritten: [file], left: [] });
    expect(readFileSync(file).toString("latin1")).not.toContain("Wolpertinger 0.0 ");
    expect(must(verifyHeart(deps, { file, keysDir: heart.place.keysDir }))).toMatchObject({ count: 0, gaps: 1 });
    expect(must(scrubBackups(deps, heart.place, join(heart.path, "backups"))).rewritten).toEqual([]);
    const merged = must(heartCopies(deps, heart.place, BUILD).merge(file, { dryRun: false }));
    expect(merged).toMatchObject({ messages: 0, forgotten: 0 });
    expect(verify(heart.path)).toMatchObject({ count: 0, gaps: 0 });
  });

  test("restored: what was there is kept, what was forgotten stays so, and both copies end alike", () => {
    using heart = furnished();
    const file = join(heart.path, "old.sqlite");
    must(backupHeart(deps, heart.place, file));
    {
      using open = openIn(heart.path);
      talk(open, "after the backup");
      must(open.redact(heart.first));
    }
    const aside = join(heart.path, "backups", "before.sqlite");
    expect(must(restoreHeart(deps, heart.place, file, aside))).toEqual({ before: aside, beforeWasDamaged: false, forgotten: 1 });
    expect(readFileSync(heart.place.file).toString("latin1")).not.toContain("Wolpertinger 0.0 ");
    expect(verify(heart.path).count).toBe(0);
    {
      using open = openIn(heart.path);
      expect(open.sessions(9)).toHaveLength(3);
      talk(open, "in the restored one");
    }
    expect(must(heartCopies(deps, heart.place, BUILD).merge(aside, { dryRun: false })).messages).toBe(1);
    expect(verify(heart.path)).toMatchObject({ count: 0, gaps: 0 });
    using open = openIn(heart.path);
    expect(open.sessions(9)).toHaveLength(5);
  });

  test("a broken or foreign backup is refused, and the heart is as it was", () => {
    using heart = furnished();
    using other = furnished(1);
    const before = readFileSync(heart.place.file);
    const broken = join(heart.path, "broken.sqlite");
    must(backupHeart(deps, heart.place, broken));
    {
      using db = sqliteDriver.open(broken, { create: false, readOnly: false });
      db.run("update message set role = 'tool' where n = 2");
    }
    const aside = join(heart.path, "aside.sqlite");
    expect(restoreHeart(deps, heart.place, broken, aside)).toMatchObject({ ok: false, error: { kind: "damaged" } });
    expect(restoreHeart(deps, heart.place, other.place.file, aside)).toMatchObject({ ok: false, error: { kind: "foreign" } });
    expect(restoreHeart(deps, heart.place, heart.place.file, aside)).toMatchObject({ ok: false, error: { kind: "same-file" } });
    expect(readFileSync(heart.place.file).equals(before)).toBe(true);
    expect(existsSync(aside)).toBe(false);
  });

  test("over a heart that cannot be read any more: it is moved aside as it was", () => {
    using heart = furnished();
    const file = join(heart.path, "old.sqlite");
    must(backupHeart(deps, heart.place, file));
    const bytes = readFileSync(heart.place.file);
    bytes.fill(0xff, 4096, 5 * 4096);
    writeFileSync(heart.place.file, bytes);
    const restored = must(restoreHeart(deps, heart.place, file, join(heart.path, "aside.sqlite")));
    expect(restored).toMatchObject({ beforeWasDamaged: true });
    expect(readFileSync(restored.before ?? "").equals(bytes)).toBe(true);
    expect(verify(heart.path).count).toBe(0);
  });

  test("no room: an error, and everything as it was", () => {
    using heart = furnished();
    const full = heartDeps({ files: { ...deps.files, freeBytes: () => 1000 } });
    const names = readdirSync(heart.path).sort();
    expect(backupHeart(full, heart.place, join(heart.path, "b.sqlite"))).toMatchObject({ ok: false, error: { kind: "full" } });
    expect(repairHeart(full, heart.place, join(heart.path, "r.sqlite"))).toMatchObject({ ok: false, error: { kind: "full" } });
    expect(readdirSync(heart.path).sort()).toEqual(names);
  });
});

describe("a new replica", () => {
  test("has keys and a name of its own, and merges both ways", () => {
    using heart = furnished();
    using stick = tempDir("noctem-care-");
    const target = placeIn(join(stick.path, "deep"));
    const { replica } = must(forkHeart(deps, heart.place, target));
    expect(must(heartCopies(deps, target, BUILD).status())).toMatchObject({ replica });
    {
      using there = openIn(join(stick.path, "deep"));
      talk(there, "said there");
    }
    expect(must(heartCopies(deps, heart.place, BUILD).merge(target.file, { dryRun: false }))).toMatchObject({ messages: 1, replica });
    expect(forkHeart(deps, heart.place, target)).toMatchObject({ ok: false, error: { kind: "exists" } });
  });

  test("that cannot be made leaves no keys behind", () => {
    using heart = furnished();
    using stick = tempDir("noctem-care-");
    const full = heartDeps({ files: { ...deps.files, freeBytes: () => 1000 } });
    expect(forkHeart(full, heart.place, placeIn(stick.path))).toMatchObject({ ok: false, error: { kind: "full" } });
    expect(existsSync(join(stick.path, "keys", "heart.json"))).toBe(false);
  });
});
