import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { type VerifyProgress, verifyHeart } from "../../src/heart/care/verify.ts";
import { rowMac } from "../../src/heart/mac.ts";
import { readKeyFile } from "../../src/heart/key-file.ts";
import { migrate } from "../../src/heart/schema.ts";
import { countStreams } from "../../src/heart/streams.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { must, openIn, raw } from "../support/heart.ts";
import { furnished } from "../support/heart-furnished.ts";
import { tempDir } from "../support/noctem.ts";
import { unsynced } from "../support/unsynced.ts";

const deps = heartDeps();

const faultsAfter = (sql: string) => {
  using heart = furnished(2);
  {
    using db = raw(heart.path);
    db.exec(sql);
  }
  return must(verifyHeart(deps, heart.place)).faults;
};

describe("verify finds", () => {
  test.each([
    ["overview", "task_overview", "update task_overview set priority = 9 where elem in (select elem from task_overview limit 1)"],
    ["overview", "task_overview", "update task_overview set due = 5"],
    ["overview", "task_overview", "update task_overview set open = 0"],
    ["overview", "task_overview", "insert into task_overview values (zeroblob(16), 1, 5, null, 7)"],
    ["overview", "session_overview", "insert into session_overview values (zeroblob(16), 1, 1, 0)"],
    ["overview", "session_overview", "delete from session_overview"],
    ["identity", "meta", "delete from meta where k = 'replica'"],
    ["note", "meta", "delete from meta where k = 'hlc'"],
    ["seal", "message", "update message set session = zeroblob(16) where n = 2"],
    ["seal", "actor", "update actor set clock = 7"],
    ["seal", "redaction", "update redaction set hlc = hlc + 1"],
    ["seal", "task_remove", "update task_remove set dot_seq = dot_seq + 1"],
    ["seal", "incident", "update incident set count = count + 1"],
    ["count", "vv", "delete from task_remove"],
    ["text", "entry", "update entry_body set salt = zeroblob(16) where n = 1"],
    ["text", "message", "insert into message_body values (999, zeroblob(16), 'whose')"],
  ])("%s in %s: %s", (kind, table, sql) => {
    expect(faultsAfter(sql)).toContainEqual(expect.objectContaining({ kind, table }));
  });

  test("each by its place, in a sentence", () => {
    const [fault] = faultsAfter("update message set origin = 'headless' where n = 2");
    expect(fault).toMatchObject({ kind: "seal", table: "message", where: expect.stringMatching(/^\d+:\d+$/) });
    expect(fault?.detail).toMatch(/^Row number \d+ of writing session \d+ is not what was written\.$/);
    for (const { detail } of faultsAfter("delete from message_body; delete from session_overview; update vv set held = 0")) {
      expect(detail).toMatch(/^[A-Z].*\.$/);
    }
  });

  test("a row that is sealed, lies beyond its vector and has no time", () => {
    using heart = furnished(1);
    {
      using db = raw(heart.path);
      const key = readKeyFile(readFileSync(`${heart.place.keysDir}/heart.json`), deps.crypto);
      const mac = rowMac(deps.crypto, must(key).key);
      const actor = Number(db.get("select actor from vv")?.["actor"]);
      const row = [new Uint8Array(16), actor, 9_000, -5];
      db.exec("pragma ignore_check_constraints = on");
      db.run("insert into task_dot values (?, ?, ?, ?, ?)", ...row, mac.seal("task_dot", row));
      expect(countStreams(db, "main").get(actor)?.rows).toBeGreaterThan(1);
    }
    const kinds = must(verifyHeart(deps, heart.place)).faults.map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(["beyond-vector", "stamp", "count", "overview"]));
  });

  test("more than it lists, and says how many", () => {
    using heart = furnished(1);
    {
      using open = openIn(heart.path, { sql: unsynced });
      for (let i = 0; i < 250; i++) must(open.state.set(`k${i}`, "v"));
    }
    {
      using db = raw(heart.path);
      db.run("update cell set label_c = 4 where ns = 'state'");
    }
    const report = must(verifyHeart(deps, heart.place));
    expect([report.faults.length, report.count]).toEqual([200, 251]);
  });

  test("pages that cannot be read, table by table, and goes on with the others", () => {
    using heart = furnished(3, 60);
    const bytes = readFileSync(heart.place.file);
    using db = raw(heart.path);
    const root = Number(db.get("select rootpage from sqlite_schema where name = 'entry'")?.["rootpage"]);
    db[Symbol.dispose]();
    bytes.fill(0xff, (root - 1) * 4096, root * 4096);
    writeFileSync(heart.place.file, bytes);
    const report = must(verifyHeart(deps, heart.place));
    expect(report.faults.map(({ kind, table }) => `${kind} ${table}`)).toEqual(expect.arrayContaining(["unreadable entry"]));
    expect(report.rows).toBeGreaterThan(180);
  });
});

describe("verify", () => {
  test("tells how far it is, and writes nothing", () => {
    using heart = furnished(1);
    const before = readFileSync(heart.place.file);
    const seen: VerifyProgress[] = [];
    must(verifyHeart(deps, heart.place, (progress) => seen.push(progress)));
    expect(seen.map(({ table }) => table)).toContain("message");
    expect(readFileSync(heart.place.file).equals(before)).toBe(true);
  });

  test("has no opinion on a heart of an older version: it is not damaged", () => {
    using heart = furnished(1);
    using dir = tempDir("noctem-verify-");
    const file = `${dir.path}/old.sqlite`;
    {
      using db = sqliteDriver.open(file, { create: true, readOnly: false });
      migrate(db, 0, 1);
    }
    expect(verifyHeart(deps, { ...heart.place, file })).toMatchObject({ ok: false, error: { kind: "outdated" } });
  });

  test("of what is not there, not a file, or without keys is an error", () => {
    using heart = furnished(1);
    using other = furnished(1);
    const error = (place: { readonly file?: string; readonly keysDir?: string }) => {
      const result = verifyHeart(deps, { ...heart.place, ...place });
      return result.ok ? null : result.error.kind;
    };
    expect(error({ file: `${heart.path}/none` })).toBe("unreadable");
    expect(error({ file: heart.path })).toBe("unreadable");
    expect(error({ keysDir: `${heart.path}/none` })).toBe("keys-missing");
    expect(error({ keysDir: other.place.keysDir })).toBe("foreign");
  });
});
