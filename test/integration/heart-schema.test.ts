import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { openHeart } from "../../src/heart/open.ts";
import { migrate, objectsOf, SCHEMA_DIGESTS, SCHEMA_VERSION, schemaDigest } from "../../src/heart/schema.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn, raw, refusal, talk } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";

/** Rewrites what the file says of a table, in as many bytes. Only past SQLite, which guards the tables of its index. */
function rewrite(folder: string, from: string, to: string): void {
  expect(to.length).toBe(from.length);
  const { file } = placeIn(folder);
  const bytes = readFileSync(file);
  const at = bytes.indexOf(from);
  expect(at).toBeGreaterThan(0);
  bytes.write(to, at, "latin1");
  writeFileSync(file, bytes);
}

test("the digests are those of the tables that migrations make, and opening and merging go by them", () => {
  const { sql, crypto } = heartDeps();
  const digests = Array.from({ length: SCHEMA_VERSION }, (_, i) => {
    using db = sql.open(":memory:", { create: true, readOnly: false });
    migrate(db, 0, i + 1);
    return schemaDigest(objectsOf(db), crypto);
  });
  expect(SCHEMA_DIGESTS).toEqual(digests);
  using dir = tempDir("noctem-schema-");
  openIn(dir.path)[Symbol.dispose]();
  const opened: string[] = [];
  const deps = heartDeps({ sql: { open: (path, options) => (opened.push(path), sql.open(path, options)) } });
  must(openHeart(deps, placeIn(dir.path), BUILD))[Symbol.dispose]();
  expect(opened).toEqual([placeIn(dir.path).file]);
  // One letter more, and they are compared one by one.
  {
    using db = raw(dir.path);
    db.exec("create index extra on message (hlc)");
  }
  expect(openHeart(deps, placeIn(dir.path), BUILD)).toMatchObject({ ok: false, error: { kind: "damaged" } });
  expect(opened).toEqual([placeIn(dir.path).file, placeIn(dir.path).file, ":memory:"]);
});

const DATA = "CREATE TABLE 'search_data'(id INTEGER PRIMARY KEY, block BLOB)";
const IDX = "CREATE TABLE 'search_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID";

test("another version of SQLite may write the tables of the search index in its own way", () => {
  for (const [from, to] of [
    [DATA, 'CREATE TABLE "search_data"(id integer primary key, block blob)'],
    [IDX, 'CREATE TABLE "search_idx"(segid, term, pgno, primary key(segid, term)) without rowid'],
  ] as const) {
    using dir = tempDir("noctem-schema-");
    {
      using heart = openIn(dir.path);
      talk(heart, "a heron");
      heart.search("heron", 5);
    }
    rewrite(dir.path, from, to);
    using heart = openIn(dir.path);
    expect(heart.search("heron", 5).hits).toHaveLength(1);
    talk(heart, "another heron");
    expect(heart.search("heron", 5).hits).toHaveLength(2);
  }
});

test("whatever else is in their place, or beside them, is not ours", () => {
  const data = (columns: string): string => `CREATE TABLE 'search_data'(${columns.padEnd(DATA.length - 28)})`;
  for (const [from, to] of [
    [DATA, data("id INTEGER PRIMARY KEY, other BLOB")],
    [DATA, data("id INTEGER PRIMARY KEY,block AS(1)")],
    [DATA, data("id, block CHECK (1)")],
    [DATA, data("id, block DEFAULT 1")],
    [IDX, IDX.replace("pgno", "pgnu")],
  ] as const) {
    using dir = tempDir("noctem-schema-");
    openIn(dir.path)[Symbol.dispose]();
    rewrite(dir.path, from, to);
    expect(refusal(dir.path)).toBe("damaged");
  }
  for (const sql of [
    "create view search_view as select 1",
    "create table search_extra (a)",
    "create table extra (a)",
    "create trigger search_trigger after insert on message begin delete from message_body; end",
    "drop table task_overview",
    "drop table search",
    "drop index task_overview_open",
  ]) {
    using dir = tempDir("noctem-schema-");
    openIn(dir.path)[Symbol.dispose]();
    {
      using db = raw(dir.path);
      db.exec(sql);
    }
    expect(refusal(dir.path)).toBe("damaged");
  }
  using dir = tempDir("noctem-schema-");
  using heart = openIn(dir.path);
  must(heart.createSession());
  expect(refusal(dir.path)).toBeNull();
});
