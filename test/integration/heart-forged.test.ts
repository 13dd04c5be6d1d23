import { describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rowEncoder } from "../../src/heart/mac.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "../../src/heart/sql.ts";
import { MESSAGE } from "../../src/heart/tables.ts";
import type { MessageId } from "../../src/lib/brand.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { must, openIn, placeIn, talk } from "../support/heart.ts";
import { attackedSource, contentsOf, judge, mergeInto, stage, type Scene } from "../support/heart-hostile.ts";
import { tempDir } from "../support/noctem.ts";

/**
 * Attacks that keep the books: whoever has no key, but knows how rows are counted, takes one out and makes up for it elsewhere, so that counts
 * and sums stay what the seals say.
 */

const open = (file: string, readOnly = false): SqlDatabase => sqliteDriver.open(file, { create: false, readOnly });

/** Two people talk at two copies while both copies merge now and then: each has a part of the other's stream. */
function sittings(folder: string): Scene {
  const [target, source] = [join(folder, "target"), join(folder, "source")];
  mkdirSync(source, { recursive: true });
  {
    using heart = openIn(source);
    talk(heart, "shared");
    // So much that little is new, and rows are looked up by their dots.
    for (let i = 0; i < 80; i++) must(heart.state.set(`shared ${i}`, "as ever"));
  }
  speakAnew(source, 12);
  cpSync(source, target, { recursive: true });
  const [here, there] = [openIn(target), openIn(source)];
  talk(there, "one", "two", "three", "four");
  for (let i = 0; i < 5; i++) must(there.state.set(`key ${i}`, "before"));
  talk(here, "here");
  must(mergeInto(target, placeIn(source).file));
  must(mergeInto(source, placeIn(target).file));
  talk(there, "five", "six");
  for (let i = 0; i < 9; i++) must(there.state.set(`key ${i}`, "after"));
  talk(here, ...Array.from({ length: 20 }, (_, i) => `here too ${i}`));
  here[Symbol.dispose]();
  there[Symbol.dispose]();
  speakAnew(source, 6);
  const before = contentsOf(target);
  const genuine = join(folder, "genuine");
  cpSync(target, genuine, { recursive: true });
  must(mergeInto(genuine, placeIn(source).file));
  return { target, source, earlier: source, before, after: contentsOf(genuine), forgotten: "" as MessageId };
}

/** Each in a writing session of its own. */
function speakAnew(folder: string, times: number): void {
  for (let i = 0; i < times; i++) {
    using heart = openIn(folder);
    talk(heart, `once more, ${i}`);
  }
}

/** The stream of which the target has a part and the source has more, and the one of which it is the other way round. */
function partial({ target, source }: Scene): {
  readonly actor: number;
  readonly low: number;
  readonly high: number;
  readonly other: number;
} {
  using theirs = open(placeIn(source).file, true);
  using ours = open(placeIn(target).file, true);
  const seqs = (db: SqlDatabase) => new Map(db.all("select actor, seq from vv").map((row) => [Number(row["actor"]), Number(row["seq"])]));
  const [here, there] = [seqs(ours), seqs(theirs)];
  const [actor = 0, high = 0] = [...there].find(([name, seq]) => here.has(name) && (here.get(name) ?? 0) < seq) ?? [];
  const [other = 0] = [...there].find(([name, seq]) => (here.get(name) ?? 0) > seq) ?? [];
  return { actor, low: here.get(actor) ?? 0, high, other };
}

const invent = (db: SqlDatabase, kind: string, actor: SqlValue, seq: SqlValue): void =>
  void db.run(
    "insert into incident (kind, severity, count, hlc, actor, seq, mac) values (?, 1, 1, 1, ?, ?, zeroblob(16))",
    kind,
    actor,
    seq,
  );

function takeMessage(db: SqlDatabase, where: string, ...params: readonly SqlValue[]): SqlRow {
  const row = db.get(`select * from message where ${where} limit 1`, ...params) ?? {};
  db.run("delete from message where n = ?", row["n"] ?? null);
  db.run("delete from message_body where n = ?", row["n"] ?? null);
  return row;
}

/** Makes entries of an index say what another one says: pointers in one of its pages. `choose` gets the rows of each page in their order. */
function repeatEntry(
  file: string,
  { index, table }: { readonly index: string; readonly table: string },
  choose: (rows: readonly SqlRow[]) => { readonly entries: readonly number[]; readonly say: number } | null,
): void {
  const bytes = readFileSync(file);
  let done = false;
  {
    using db = open(file, true);
    const rows = db.all(`select actor, seq from ${table} order by actor, seq`);
    let first = 0;
    for (const page of db.all("select pageno, ncell from dbstat where name = ? and pagetype = 'leaf' order by path", index)) {
      const cells = Number(page["ncell"]);
      const chosen: ReturnType<typeof choose> = done ? null : choose(rows.slice(first, first + cells));
      const pointers = (Number(page["pageno"]) - 1) * 4096 + 8;
      for (const at of chosen?.entries ?? []) bytes.writeUInt16BE(bytes.readUInt16BE(pointers + 2 * (chosen?.say ?? 0)), pointers + 2 * at);
      done ||= chosen !== null;
      // Above the leaves stands one entry between each two of them.
      first += cells + 1;
    }
  }
  if (!done) throw new Error("no page has such entries");
  writeFileSync(file, bytes);
}

const MERGER = join(import.meta.dir, "../support/heart-merge-child.ts");
const PAGE = 4096;

/** Six levels of pages over a tree's root, each of which names the one below thirty-one times: a walk comes by the root 31⁶ times. */
function weave(file: string, tree: string): void {
  using db = open(file, true);
  const root = (Number(db.get("select rootpage from sqlite_schema where name = ?", tree)?.["rootpage"]) - 1) * PAGE;
  const bytes = readFileSync(file);
  const count = bytes.length / PAGE;
  const isTable = bytes[root] === 13 || bytes[root] === 5;
  const first = bytes.readUInt16BE(root + (bytes[root] === 13 || bytes[root] === 10 ? 8 : 12));
  const levels = [Buffer.from(bytes.subarray(root, root + PAGE))];
  for (let level = 1; level <= 6; level++) {
    const page = Buffer.alloc(PAGE);
    const below = count + level;
    page[0] = isTable ? 5 : 2;
    page.writeUInt16BE(30, 3);
    page.writeUInt32BE(below, 8);
    let top = PAGE;
    for (let i = 0; i < 30; i++) {
      // A child's page, and a number or, in an index, an entry: the first one of the root.
      const key = isTable ? Buffer.from([0x81, i]) : bytes.subarray(root + first, root + first + (bytes[root + first] ?? 0) + 1);
      top -= 4 + key.length;
      page.writeUInt32BE(below, top);
      key.copy(page, top + 4);
      page.writeUInt16BE(top, 12 + 2 * i);
    }
    page.writeUInt16BE(top, 5);
    levels.push(page);
  }
  levels.pop()?.copy(bytes, root);
  bytes.writeUInt32BE(count + levels.length, 28);
  writeFileSync(file, Buffer.concat([bytes, ...levels]));
}

const ATTACKS: readonly (readonly [string, (folder: string) => Scene, (file: string, scene: Scene) => void, RegExp])[] = [
  [
    "a message is passed off as a row of some newer version",
    (folder) => stage(folder, false),
    (file) => {
      using db = open(file);
      const row = takeMessage(db, "n = (select max(n) from message)");
      const bytes = rowEncoder()(
        "message",
        MESSAGE.columns.map((name) => row[name] ?? null),
      ).slice();
      const columns = [row["actor"] ?? null, row["seq"] ?? null, "future", 0, bytes, row["mac"] ?? null];
      db.run("insert into aside (actor, seq, tbl, part, bytes, mac) values (?, ?, ?, ?, ?, ?)", ...columns);
    },
    /newer version/,
  ],
  [
    "one stream is lowered and another raised by as much",
    sittings,
    (file, scene) => {
      using db = open(file);
      const { actor, low, high, other } = partial(scene);
      db.run("update vv set seq = ? where actor = ?", low, actor);
      db.run("update vv set seq = seq + ? where actor = ?", high - low, other);
    },
    /add up/,
  ],
  [
    "invented rows in what the target has already make up for a message that was taken out of what is new",
    sittings,
    (file, scene) => {
      using db = open(file);
      const { actor, low } = partial(scene);
      const taken = Number(takeMessage(db, "actor = ? and seq > ?", actor, low)["seq"]);
      const known = Number(takeMessage(db, "actor = ? and seq <= ?", actor, low)["seq"]);
      invent(db, "a", actor, low);
      invent(db, "b", actor, taken + known - low);
    },
    /not what was written/,
  ],
  [
    "rows carried for a newer version are invented to the same end",
    sittings,
    (file, scene) => {
      using db = open(file);
      const { actor, low } = partial(scene);
      const taken = Number(takeMessage(db, "actor = ? and seq > ?", actor, low)["seq"]);
      const known = Number(takeMessage(db, "actor = ? and seq <= ?", actor, low)["seq"]);
      for (const seq of [low, taken + known - low]) {
        db.run("insert into aside (actor, seq, tbl, part, bytes, mac) values (?, ?, 't', 0, x'00', zeroblob(16))", actor, seq);
      }
    },
    /newer version/,
  ],
  [
    "an index names one row three times instead of its neighbours",
    sittings,
    (file, scene) => {
      const { actor, low } = partial(scene);
      repeatEntry(file, { index: "cell_dot", table: "cell" }, (rows) => {
        const [a, b, c] = rows.flatMap((row, at) => (row["actor"] === actor && Number(row["seq"]) > low ? [at] : []));
        return a === undefined || b === undefined || c === undefined ? null : { entries: [a, c], say: b };
      });
    },
    /twice/,
  ],
  [
    "an index yields rows of another stream than was asked for",
    sittings,
    (file, scene) => {
      using source = open(file, true);
      using target = open(placeIn(scene.target).file, true);
      const reaches = (db: SqlDatabase, actor: SqlValue): number =>
        Number(db.get("select seq from vv where actor = ?", actor)?.["seq"] ?? 0);
      const isKnown = (row: SqlRow | undefined): boolean =>
        row !== undefined && reaches(target, row["actor"] ?? null) >= reaches(source, row["actor"] ?? null);
      repeatEntry(file, { index: "actor_dot", table: "actor" }, (rows) => {
        const say = rows.findIndex(isKnown);
        const asked = rows.findIndex((row, at) => at > say && !isKnown(row) && isKnown(rows[at + 1]));
        return say === -1 || asked === -1 ? null : { entries: [asked + 1], say };
      });
    },
    // Where a search comes by the entry, it misses what it was for.
    /wrong place|missing/,
  ],
  [
    "where tasks are compared, another row has the number of a task that was taken out",
    (folder) => stage(folder, true),
    (file, scene) => {
      using db = open(file);
      using target = open(placeIn(scene.target).file, true);
      const shared = db
        .all("select elem, actor, seq from task_dot")
        .find(({ elem }) => target.get("select 1 from task_dot where elem = ?", elem ?? null));
      db.run("delete from task_dot where elem = ?", shared?.["elem"] ?? null);
      invent(db, "stand-in", shared?.["actor"] ?? null, shared?.["seq"] ?? null);
    },
    /not what was written/,
  ],
];

describe("forged copies in which every count and every sum is right", () => {
  test.each(ATTACKS)("%s", (_, scenery, attack, words) => {
    using dir = tempDir("noctem-forged-");
    const scene = scenery(dir.path);
    const { outcome, why, fault } = judge(dir.path, scene, attackedSource(dir.path, scene, attack));
    expect([outcome, why, fault]).toEqual(["refused", why, null]);
    expect(why).toMatch(words);
  });

  test.each(["vv", "vv_hot", "message", "message_dot", "cell", "cell_dot", "task_dot", "task_dot_dot", "remove_floor"])(
    "a copy whose %s is a tree woven so that no walk through it ends is done with",
    (tree) => {
      using dir = tempDir("noctem-forged-");
      // Where the copy is merged in full, most is read.
      const { target } = stage(dir.path, true);
      const source = join(dir.path, "source");
      weave(placeIn(source).file, tree);
      const child = Bun.spawnSync([process.execPath, MERGER, target, source], { timeout: 20_000, stderr: "ignore" });
      expect([child.exitedDueToTimeout ?? false, child.signalCode ?? null]).toEqual([false, null]);
      expect(child.stdout.toString()).toStartWith("begin\n");
    },
    30_000,
  );

  test("the same scene without an attack merges", () => {
    using dir = tempDir("noctem-forged-");
    const scene = sittings(dir.path);
    const { actor, low, high, other } = partial(scene);
    expect([actor > 0, low > 0, high > low, other > 0]).toEqual([true, true, true, true]);
    expect(judge(dir.path, scene, placeIn(scene.source).file)).toMatchObject({ outcome: "merged", fault: null });
  });
});
