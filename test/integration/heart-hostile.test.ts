import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SCHEMA_VERSION } from "../../src/heart/schema.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { placeIn } from "../support/heart.ts";
import { attackedSource, contentsOf, corruptedSource, judge, mergeInto, stage, type Scene } from "../support/heart-hostile.ts";
import { tempDir } from "../support/noctem.ts";
import { mulberry32 } from "../support/random.ts";

const SEED = Number(process.env["SEED"] ?? 1);
/** In each of the two ways to merge; the soak has more of them. */
const RUNS = Number(process.env["RUNS"] ?? 200);

describe.each([
  ["merged by what is new", false],
  ["merged in full", true],
])(`${RUNS} damaged copies, %s`, (_, pruned) => {
  test(
    "none is silently altered, none silently lacks a row, and none keeps the genuine one out",
    () => {
      using dir = tempDir("noctem-hostile-");
      const scene = stage(dir.path, pruned);
      const seen = { refused: 0, merged: 0 };
      for (let round = 0; round < RUNS; round++) {
        const seed = SEED * 100_000 + round;
        const { outcome, why, fault } = judge(dir.path, scene, corruptedSource(dir.path, scene, mulberry32(seed)));
        expect([seed, outcome, why, fault]).toEqual([seed, outcome, why, null]);
        seen[outcome]++;
      }
      // Both happen: damage in what is new is found, and damage elsewhere does no harm.
      expect([seen.refused > RUNS / 4, seen.merged > RUNS / 20]).toEqual([true, true]);
    },
    60_000 + RUNS * 1000,
  );
});

const sql =
  (...statements: readonly string[]) =>
  (file: string): void => {
    using db = sqliteDriver.open(file, { create: false, readOnly: false });
    for (const statement of statements) db.exec(statement);
  };
/** With the older genuine copy attached as `old`. */
const withOld =
  (...statements: readonly string[]) =>
  (file: string, scene: Scene): void => {
    using db = sqliteDriver.open(file, { create: false, readOnly: false });
    db.run("attach ? as old", placeIn(scene.earlier).file);
    for (const statement of statements) db.exec(statement);
  };
const bytes = (change: (bytes: Uint8Array) => void) => (file: string) => {
  const all = new Uint8Array(readFileSync(file));
  change(all);
  writeFileSync(file, all);
};
const placeOf = (all: Uint8Array, text: string): [number, number] => {
  const at = Buffer.from(all).indexOf(text);
  return [at, at + text.length];
};
const newest = "(select max(seq) from message)";

/** All but the last few must be refused, and say why in these words. */
const REFUSED: readonly (readonly [string, RegExp, (file: string, scene: Scene) => void])[] = [
  ["the vector is raised", /altered|summary/, sql("update vv set seq = seq + 1000")],
  ["the vector is lowered", /altered|summary/, sql("update vv set seq = 1 where seq > 1")],
  ["a stream is taken out of the vector", /summary/, sql("delete from vv where actor = (select max(actor) from vv)")],
  ["a stream's older row is put back", /summary/, withOld("insert or replace into vv select * from old.vv")],
  ["all older rows of the vector, and the newer ones away", /summary/, withOld("delete from vv", "insert into vv select * from old.vv")],
  [
    "a stream's counts are lowered with a row",
    /altered|summary/,
    sql("update vv set held = held - 1", `delete from message where seq = ${newest}`),
  ],
  ["the summary is taken out", /summary/, sql("delete from meta where k = 'vector'")],
  ["the older summary is put back", /summary/, withOld("insert or replace into meta select * from old.meta where k = 'vector'")],
  [
    "another note is passed off as the summary",
    /summary/,
    sql("update meta set v = (select v from meta where k = 'hlc') where k = 'vector'"),
  ],
  ["dots are deleted", /missing/, sql("delete from task_dot")],
  ["removes are deleted", /missing|add up|altered/, sql("delete from task_remove")],
  ["redactions are deleted", /missing/, sql("delete from redaction")],
  ["messages are deleted", /missing|text/, sql(`delete from message where seq = ${newest}`)],
  ["texts are deleted", /text|gone/, sql("delete from message_body where n > 4")],
  ["entries are deleted", /missing/, sql("delete from entry where n = 2")],
  ["incidents are deleted", /missing/, sql("delete from incident")],
  ["values are deleted", /missing/, sql("delete from cell where ns = 'state'")],
  ["writing sessions are deleted", /missing/, sql("delete from actor where seq = 1")],
  ["a value is changed", /not what was written/, sql("update cell set v = 'evil' where k = 'key 1'")],
  ["its label is raised", /not what was written/, sql("update cell set label_i = 4 where k = 'key 1'")],
  [
    "an older value is put back",
    /missing|many|exchanged/,
    withOld("insert or replace into cell select * from old.cell where k = 'shared'"),
  ],
  ["a role is changed", /not what was written/, sql("update message set role = 'system' where n > 4")],
  ["a message is moved to another conversation", /not what was written/, sql("update message set session = zeroblob(16) where n > 4")],
  [
    "a message is moved to another stream",
    /not what was written|missing|many/,
    sql("update message set actor = 77 where n = (select max(n) from message)"),
  ],
  [
    "a message is given another number",
    /not what was written|exchanged|beyond/,
    sql(`update message set seq = seq + 500 where seq = ${newest}`),
  ],
  ["a stamp is moved to the future", /not what was written/, sql("update message set hlc = 9007199254740991 where n > 4")],
  ["seals are swapped", /not what was written/, sql("update message set mac = (select mac from message where n = 5) where n = 6")],
  [
    "texts are exchanged",
    /text/,
    sql(
      "update message_body set salt = (select salt from message_body where n = 6), body = (select body from message_body where n = 6) where n = 7",
    ),
  ],
  ["a counter is raised", /not what was written/, sql("update incident set count = 1000")],
  [
    "a dot is added",
    /not what was written|many/,
    sql("insert into task_dot select zeroblob(16), actor, seq + 900, hlc, mac from task_dot order by hlc desc limit 1"),
  ],
  ["a floor is added", /pruned/, sql("insert into remove_floor select actor, 9000, mac from vv limit 1")],
  [
    "floors of another row's seal",
    /pruned/,
    sql("delete from remove_floor", "insert into remove_floor select actor, seq, mac from vv limit 2"),
  ],
  [
    "a row for a newer version is added",
    /missing|many|newer/,
    sql("insert into aside select actor, 9, 't', 0, x'00', zeroblob(16) from vv"),
  ],
  ["it calls itself another heart", /foreign/, sql("update meta set v = zeroblob(16) where k = 'heart'")],
  ["its replica is renamed", /replica/, sql("update meta set v = zeroblob(16) where k = 'replica'")],
  ["its clock is moved", /clock/, sql("update meta set v = 9007199254740991 where k = 'hlc'")],
  ["a trigger waits", /trigger/, sql("create trigger t after insert on cell begin delete from cell; end")],
  ["a view stands in for a table", /view/, sql("drop table conflict", "create view conflict as select * from cell")],
  ["a view stands beside", /view/, sql("create view v as select * from cell")],
  ["a table more", /table/, sql("create table more (a)")],
  ["a table of other types", /table/, sql("drop table witness", "create table witness (device, actor, seq)")],
  ["a check is taken off", /table/, bytes((all) => void all.fill(32, ...placeOf(all, "check (count between 1 and 9007199254740991)")))],
  ["an index less", /index|table/, sql("drop index message_dot")],
  [
    "an index that finds only some",
    /index|table/,
    sql("drop index message_dot", "create unique index message_dot on message (actor, seq) where n < 5"),
  ],
  ["a generated column", /table/, sql("alter table witness add column g integer generated always as (actor * 2) virtual")],
  ["it calls itself newer, with altered tables", /table|index/, sql(`pragma user_version = ${SCHEMA_VERSION + 1}`, "drop index cell_dot")],
  ["it calls itself of the version before, and has what that had not", /table|index/, sql("pragma user_version = 2")],
  ["it is of the version before but for an index", /table|index/, sql("pragma user_version = 2", "drop table leaf", "drop index cell_dot")],
  ["it has no table for the log", /table|index/, sql("drop table leaf")],
  ["it calls itself older", /outdated/, sql("pragma user_version = 1")],
  ["it is no heart by its header", /heart/, sql("pragma application_id = 7")],
  ["it has a write-ahead log", /write-ahead/, bytes((all) => all.fill(2, 18, 20))],
  ["half of it", /./, (file) => writeFileSync(file, readFileSync(file).subarray(0, 20_000))],
  ["nothing of it", /empty/, (file) => writeFileSync(file, "")],
  ["a text", /SQLite/, (file) => writeFileSync(file, "SQLite format 3, or so it says".repeat(10))],
  [
    "a folder",
    /folder/,
    (file) => {
      rmSync(file);
      mkdirSync(file);
    },
  ],
  [
    "a link to the target itself",
    /same-file/,
    (file) => {
      rmSync(file);
      symlinkSync(join(file, "../work/heart.sqlite"), file);
    },
  ],
  [
    "a pipe",
    /regular file/,
    (file) => {
      rmSync(file);
      Bun.spawnSync(["mkfifo", file]);
    },
  ],
];

describe("copies that somebody worked on who has not the key", () => {
  const dir = tempDir("noctem-hostile-");
  let scene: Scene;
  beforeAll(() => void (scene = stage(dir.path, false)));
  afterAll(() => dir[Symbol.dispose]());
  afterEach(() => rmSync(join(dir.path, "hostile.sqlite"), { recursive: true, force: true }));

  test.each(REFUSED)("%s", (_, words, attack) => {
    const { outcome, why, fault } = judge(dir.path, scene, attackedSource(dir.path, scene, attack));
    expect([outcome, why, fault]).toEqual(["refused", why, null]);
    expect(why).toMatch(words);
  });

  test.each([
    [
      "a forgotten text is put back",
      "insert into message_body select m.n, zeroblob(16), '[]' from message m join redaction r on r.target = m.id",
    ],
    ["what is derived is wrong", "update session_overview set live = 99; delete from task_overview"],
    [
      "losers of merges are made up",
      "insert into conflict select ns, k, 'made up', hlc, actor, seq, label_c, label_k, label_i, label_p, mac from cell",
    ],
    ["what it knows of others is made up", "insert into witness select zeroblob(16), actor, 9007199254740991 from vv"],
  ])("%s: nobody believes it, and the rest is taken", (_, statements) => {
    const { outcome, fault } = judge(dir.path, scene, attackedSource(dir.path, scene, sql(statements)));
    expect([outcome, fault]).toEqual(["merged", null]);
  });

  test("dots taken out of a copy that is merged in full remove nothing", () => {
    using own = tempDir("noctem-hostile-");
    const scene = stage(own.path, true);
    for (const attack of [
      "delete from task_dot",
      "delete from task_dot where elem = (select min(elem) from task_dot)",
      "update remove_floor set seq = 1",
    ]) {
      const { outcome, fault } = judge(own.path, scene, attackedSource(own.path, scene, sql(attack)));
      expect([attack, outcome, fault]).toEqual([attack, "refused", null]);
    }
  });

  // No file alone can tell that it was newer once: that takes an anchor outside.
  test("a whole older genuine copy is merged as that", () => {
    using own = tempDir("noctem-hostile-");
    const scene = stage(own.path, false);
    const hostile = attackedSource(own.path, scene, (file) => copyFileSync(placeIn(scene.earlier).file, file));
    expect(mergeInto(scene.target, hostile)).toMatchObject({ ok: true });
    expect(mergeInto(scene.target, placeIn(scene.source).file)).toMatchObject({ ok: true });
    expect(contentsOf(scene.target)).toBe(scene.after);
  });

  test.each(["a?mode=rw", "a#b", "a%20b%", 'it\'s "quoted"', "two\nlines", "ünï code"])("a path with %j is just a path", (name) => {
    mkdirSync(join(dir.path, name));
    const file = join(dir.path, name, "heart?cache=shared.sqlite");
    copyFileSync(placeIn(scene.source).file, file);
    const { outcome, fault } = judge(dir.path, scene, file);
    expect([outcome, fault]).toEqual(["merged", null]);
  });
});
