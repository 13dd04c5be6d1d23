import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { must, openIn, placeIn, raw, refusal, talk } from "../support/heart.ts";
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
