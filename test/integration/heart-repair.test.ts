import { describe, expect, test } from "bun:test";
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { PAGE_BYTES, pageRows } from "../../src/heart/care/pages.ts";
import { repairHeart } from "../../src/heart/care/repair.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import type { SqlValue } from "../../src/heart/sql.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { BUILD, must, openIn, placeIn, raw } from "../support/heart.ts";
import { furnished, LABEL, rowsOf } from "../support/heart-furnished.ts";
import { canMount, inMounts } from "../support/mounts.ts";
import { tempDir } from "../support/noctem.ts";
import { mulberry32 } from "../support/random.ts";
import { unsynced } from "../support/unsynced.ts";

const deps = heartDeps();
const SEED = Number(process.env["SEED"] ?? 1);
const CHILD = join(import.meta.dir, "..", "support", "heart-care-child.ts");

const typeOf = (bytes: Uint8Array, page: number): number => bytes[(page - 1) * PAGE_BYTES + (page === 1 ? 100 : 0)] ?? 0;
const pagesOf = (bytes: Uint8Array): number[] => Array.from({ length: bytes.length / PAGE_BYTES }, (_, i) => i + 1);
const hex = (value: SqlValue): unknown => (value instanceof Uint8Array ? value.toHex() : typeof value === "bigint" ? `${value}n` : value);

/** Repairs a copy of `heart` whose file is `damaged`; the source must be as it was. */
function repairOf(heart: { readonly path: string }, folder: string, damaged: Uint8Array) {
  const place = placeIn(folder);
  cpSync(join(heart.path, "keys"), place.keysDir, { recursive: true });
  writeFileSync(place.file, damaged);
  const target = join(folder, "new.sqlite");
  const result = repairHeart(deps, place, target);
  expect(readFileSync(place.file).equals(damaged)).toBe(true);
  expect(readdirSync(folder).filter((name) => name.includes("unfinished"))).toEqual([]);
  return { place, target, result };
}

describe("rows on single pages", () => {
  const value = fc.oneof(
    fc.constant(null),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.integer({ min: -40_000, max: 40_000 }),
    fc.constantFrom(0, 1),
    fc.double({ noNaN: true }).filter((n) => !Number.isInteger(n)),
    fc.string({ maxLength: 20, unit: "grapheme" }).map((text) => text.toWellFormed().replaceAll("\0", "")),
    fc.uint8Array({ maxLength: 40 }),
    fc.integer({ min: 900, max: 20_000 }).map((n) => new Uint8Array(n).fill(n % 251)),
  );

  test("are those that SQLite wrote, of tables with row numbers and without", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.integer({ min: -9e9, max: 9e9 }), value, value), { maxLength: 60, selector: ([n]) => n }),
        (rows) => {
          using dir = tempDir("noctem-pages-");
          const file = join(dir.path, "db");
          {
            using db = sqliteDriver.open(file, { create: true, readOnly: false });
            db.exec(
              "pragma page_size = 4096; pragma synchronous = off; begin; create table a (n integer primary key, x any, y any) strict",
            );
            db.exec("create table b (n integer not null, x any, y any, primary key (n)) strict, without rowid");
            for (const row of rows) for (const name of ["a", "b"]) db.run(`insert into ${name} values (?, ?, ?)`, ...row);
            db.exec("commit");
          }
          const bytes = readFileSync(file);
          const readPage = (n: number) => bytes.subarray((n - 1) * PAGE_BYTES, n * PAGE_BYTES);
          const found = pagesOf(bytes).flatMap((n) => [...pageRows(readPage(n), n, readPage)]);
          const numbered = found
            .filter(({ rowid, values }) => rowid !== null && values.length === 3)
            .map(({ rowid, values }) => [rowid, ...values.slice(1)]);
          const keyed = found.filter(({ rowid }) => rowid === null).map(({ values }) => [...values]);
          const sorted = (all: readonly (readonly SqlValue[])[]): string[] => all.map((row) => JSON.stringify(row.map(hex))).toSorted();
          const plain = rows.map((row) => row.map((v) => (typeof v === "bigint" && Number.isSafeInteger(Number(v)) ? Number(v) : v)));
          expect(sorted(numbered)).toEqual(sorted(plain));
          expect(sorted(keyed)).toEqual(sorted(plain));
        },
      ),
      { numRuns: 40 },
    );
  });

  test("of bytes that mean nothing: an end, whatever they say", () => {
    const random = mulberry32(SEED);
    let rows = 0;
    for (let round = 0; round < 3000; round++) {
      const page = Uint8Array.from({ length: PAGE_BYTES }, () => random() * 256);
      page[0] = [2, 10, 13][round % 3] ?? 0;
      // An overflow chain that leads to itself.
      for (const row of pageRows(page, 2, () => page)) rows += row.values.length > 0 ? 1 : 0;
    }
    expect(rows).toBeGreaterThanOrEqual(0);
  });
});

describe("repair", () => {
  test("of a sound heart is that heart, and never replaces a file", () => {
    using heart = furnished();
    const target = join(heart.path, "new.sqlite");
    expect(must(repairHeart(deps, heart.place, target))).toMatchObject({ lost: {}, missing: 0, gaps: 0 });
    expect(rowsOf(target)).toEqual(rowsOf(heart.place.file));
    expect(repairHeart(deps, heart.place, target)).toMatchObject({ ok: false, error: { kind: "exists" } });
    expect(repairHeart(deps, { ...heart.place, keysDir: join(heart.path, "none") }, join(heart.path, "x"))).toMatchObject({
      ok: false,
      error: { kind: "keys-missing" },
    });
  });

  test("keeps heart, replica and clock; the heart that comes of it opens and goes on", () => {
    using heart = furnished();
    const before = must(heartCopies(deps, heart.place, BUILD).status());
    const bytes = readFileSync(heart.place.file);
    bytes.fill(0, 0, PAGE_BYTES);
    using dir = tempDir("noctem-care-");
    const { place, target, result } = repairOf(heart, dir.path, bytes);
    must(result);
    copyFileSync(target, place.file);
    expect(must(heartCopies(deps, place, BUILD).status())).toMatchObject({ replica: before.replica });
    using open = openIn(dir.path);
    expect(open.sessions(9)).toHaveLength(3);
    must(open.state.set("after", "repair"));
  });

  test("without the first page, and without any page that only leads to others: nothing is lost", () => {
    using heart = furnished(4, 60);
    const bytes = readFileSync(heart.place.file);
    const inner = pagesOf(bytes).filter((page) => page === 1 || typeOf(bytes, page) === 0x05);
    expect(inner.length).toBeGreaterThan(2);
    for (const page of inner) bytes.fill(0xff, (page - 1) * PAGE_BYTES, page * PAGE_BYTES);
    using dir = tempDir("noctem-care-");
    const { target, result } = repairOf(heart, dir.path, bytes);
    expect(must(result)).toMatchObject({ missing: 0, gaps: 0 });
    expect(rowsOf(target)).toEqual(rowsOf(heart.place.file));
  });

  test("of a file that was cut off in the middle: what stands in the half that is there", () => {
    using heart = furnished(4, 60);
    const bytes = readFileSync(heart.place.file);
    const genuine = rowsOf(heart.place.file);
    using dir = tempDir("noctem-care-");
    const half = bytes.subarray(0, Math.floor(bytes.length / 2 / PAGE_BYTES) * PAGE_BYTES + 1234);
    const { target, result } = repairOf(heart, dir.path, half);
    expect(must(result).gaps).toBeGreaterThan(0);
    const saved = rowsOf(target);
    expect(saved.get("message")?.size ?? 0).toBeGreaterThan((genuine.get("message")?.size ?? 0) / 8);
    for (const [table, rows] of saved) for (const row of rows) expect(genuine.get(table)?.has(row)).toBe(true);
  });

  test("of another heart's file, of none, and of one in which nothing is left: refused, and no file is made", () => {
    using heart = furnished(1);
    using other = furnished(1);
    using dir = tempDir("noctem-care-");
    const refused = (bytes: Uint8Array) => {
      rmSync(dir.path, { recursive: true });
      mkdirSync(dir.path);
      const { result, target } = repairOf(heart, dir.path, bytes);
      expect(existsSync(target)).toBe(false);
      return result.ok ? null : result.error.kind;
    };
    expect(refused(readFileSync(other.place.file))).toBe("foreign");
    expect(refused(new Uint8Array(20 * PAGE_BYTES))).toBe("damaged");
    expect(refused(new Uint8Array())).toBe("damaged");
    const newer = readFileSync(heart.place.file);
    newer[63] = 99;
    expect(refused(newer)).toBe("newer");
  });

  /** Forgets the first message and puts its text back, past all care. Returns words of it. */
  const putBack = (heart: ReturnType<typeof furnished>): string => {
    const read = () => {
      using db = raw(heart.path);
      const of = "select b.n, b.salt, b.body from message m join message_body b on b.n = m.n where m.id = ?";
      return db.get(of, Uint8Array.fromHex(heart.first));
    };
    const { n = null, salt = null, body = null } = read() ?? {};
    {
      using open = openIn(heart.path);
      must(open.redact(heart.first));
    }
    using db = raw(heart.path);
    db.run("insert into message_body (n, salt, body) values (?, ?, ?)", n, salt, body);
    return "Wolpertinger 0.0 ";
  };

  test("a text that was forgotten does not come back", () => {
    using heart = furnished(1);
    const forgotten = putBack(heart);
    const bytes = readFileSync(heart.place.file);
    expect(bytes.toString("latin1")).toContain(forgotten);
    bytes.fill(0, 0, PAGE_BYTES);
    using dir = tempDir("noctem-care-");
    const { target, result } = repairOf(heart, dir.path, bytes);
    must(result);
    expect(readFileSync(target).toString("latin1")).not.toContain(forgotten);
  });

  test("and not where the redaction is only found page by page, after the text", () => {
    using heart = furnished(1);
    const forgotten = putBack(heart);
    const bytes = readFileSync(heart.place.file);
    let root = 0;
    {
      using db = raw(heart.path);
      root = Number(db.get("select rootpage from sqlite_schema where name = 'redaction'")?.["rootpage"]);
    }
    // More rows than a page can hold: SQLite refuses the page, whose rows stand there all the same.
    bytes.writeUInt16BE(0xffff, (root - 1) * PAGE_BYTES + 3);
    using dir = tempDir("noctem-care-");
    const { target, result } = repairOf(heart, dir.path, bytes);
    expect(must(result)).toMatchObject({ missing: 0, gaps: 0 });
    expect(readFileSync(target).toString("latin1")).not.toContain(forgotten);
  });

  test("where pages of an older state stand as well: the later value stays, and what was removed stays removed", () => {
    using heart = furnished(3);
    const old = readFileSync(heart.place.file);
    {
      using open = openIn(heart.path, { sql: unsynced });
      must(open.state.set("s", "later"));
      must(open.memory.remember("key 0", "later", LABEL));
      must(open.incidents.count("kind", 2, "later"));
      for (const task of open.tasks.all()) must(open.tasks.remove(task.id));
    }
    const now = readFileSync(heart.place.file);
    for (const parts of [
      [now, old.subarray(PAGE_BYTES)],
      [old, now.subarray(PAGE_BYTES)],
    ]) {
      const both = Buffer.concat(parts);
      both.fill(0, 0, PAGE_BYTES);
      using dir = tempDir("noctem-care-");
      const { target, result } = repairOf(heart, dir.path, both);
      must(result);
      const [found, genuine] = [rowsOf(target), rowsOf(heart.place.file)];
      for (const table of ["cell", "incident", "task_dot", "task_remove", "actor"]) {
        expect([table, found.get(table)]).toEqual([table, genuine.get(table)]);
      }
    }
  });

  test("in the middle of a write that was cut off: as before it, and the damaged file is not touched", () => {
    using heart = furnished(2, 40);
    const before = rowsOf(heart.place.file);
    using dir = tempDir("noctem-care-");
    cpSync(heart.path, dir.path, { recursive: true });
    {
      // Copied while pages of an unfinished transaction are in the file, as a pulled stick would have them.
      using db = raw(heart.path);
      db.exec("pragma journal_mode = truncate; pragma cache_size = 4; begin immediate; update message_body set body = 'torn' || body");
      for (const end of ["", "-journal"]) copyFileSync(`${heart.place.file}${end}`, `${placeIn(dir.path).file}${end}`);
      db.exec("rollback");
    }
    const place = placeIn(dir.path);
    const [file, journal] = [readFileSync(place.file), readFileSync(`${place.file}-journal`)];
    expect(journal.length).toBeGreaterThan(PAGE_BYTES);
    const target = join(dir.path, "new.sqlite");
    expect(must(repairHeart(deps, place, target))).toMatchObject({ missing: 0, gaps: 0 });
    expect(rowsOf(target)).toEqual(before);
    expect([readFileSync(place.file).equals(file), readFileSync(`${place.file}-journal`).equals(journal)]).toEqual([true, true]);
    expect(readdirSync(dir.path).filter((name) => name.includes("unfinished"))).toEqual([]);
  });

  const ROUNDS = Number(process.env["ROUNDS"] ?? 40);
  test(`${ROUNDS} times random pages broken: only what was written, and a whole copy then fills every gap`, () => {
    using heart = furnished(4, 30);
    const genuine = rowsOf(heart.place.file);
    const bytes = readFileSync(heart.place.file);
    const pages = bytes.length / PAGE_BYTES;
    const random = mulberry32(SEED);
    const upTo = (n: number): number => Math.floor(random() * n);
    let [repaired, whole] = [0, 0];
    for (let round = 0; round < ROUNDS; round++) {
      const damaged = Buffer.from(bytes);
      for (let hit = 0; hit <= round % 5; hit++) {
        const at = upTo(pages) * PAGE_BYTES;
        const kind = upTo(5);
        if (kind === 0) damaged.fill(0, at, at + PAGE_BYTES);
        else if (kind === 1) damaged.copy(damaged, at, upTo(pages) * PAGE_BYTES, bytes.length);
        else if (kind === 2) damaged.fill(upTo(256), at + upTo(4000), at + PAGE_BYTES);
        else if (kind === 3) for (let i = 0; i < 12; i++) damaged[at + upTo(16)] = upTo(256);
        else for (let i = 0; i < 5; i++) damaged[at + upTo(PAGE_BYTES)] = upTo(256);
      }
      using dir = tempDir("noctem-care-");
      const { place, target, result } = repairOf(heart, dir.path, damaged);
      const at = `SEED=${SEED} round ${round}`;
      expect([at, result.ok ? null : result.error]).toEqual([at, null]);
      repaired++;
      for (const [table, rows] of rowsOf(target))
        for (const row of rows) expect([at, table, genuine.get(table)?.has(row)]).toEqual([at, table, true]);
      const report = must(verifyHeart(deps, { file: target, keysDir: place.keysDir }));
      expect([at, report.faults]).toEqual([at, []]);
      if (report.gaps === 0) {
        whole++;
        // Notes are counted by nobody: a whole copy brings back what was lost of them.
        const found = rowsOf(target);
        expect([at, found]).toEqual([at, new Map([...genuine, ["meta", found.get("meta") ?? new Set()]])]);
      }
      if (round % 4 !== 0) continue;
      rmSync(place.file);
      copyFileSync(target, place.file);
      must(heartCopies(deps, place, BUILD).merge(heart.place.file, { dryRun: false }));
      const filled = rowsOf(place.file);
      for (const [table, rows] of genuine) {
        if (table.endsWith("_body")) expect([at, table, filled.get(table)?.size]).toEqual([at, table, rows.size]);
        else expect([at, table, [...rows].filter((row) => filled.get(table)?.has(row) !== true)]).toEqual([at, table, []]);
      }
      expect([at, must(verifyHeart(deps, place))]).toMatchObject([at, { count: 0, gaps: 0 }]);
    }
    expect(repaired).toBe(ROUNDS);
    // Damage to pages that only lead to others, or that are derived, costs nothing.
    expect(whole).toBeGreaterThan(0);
  }, 600_000);

  test.skipIf(!canMount)("on a full stick (needs the right to mount): an error, and nothing is left of it", () => {
    using heart = furnished(2, 40);
    const mount = join(heart.path, "mount");
    mkdirSync(mount);
    const argv = inMounts(
      [`mount -t tmpfs -o size=200k none '${mount}'`],
      ["sh", "-c", `"$1" "$2" repair "$3" "$4"; ls "$5"`, "sh", process.execPath, CHILD, heart.path, join(mount, "new.sqlite"), mount],
    );
    const run = Bun.spawnSync(argv, { stdio: ["ignore", "pipe", "inherit"] });
    expect(run.stdout.toString()).toBe("begin\nfull\n");
  });
});
