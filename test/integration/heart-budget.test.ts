import { describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { heartCopies } from "../../src/heart/copies.ts";
import { withStoredHeart } from "../../src/heart/open.ts";
import { bodyHash } from "../../src/heart/rows.ts";
import type { SqlDatabase, SqlDriver, SqlValue } from "../../src/heart/sql.ts";
import { CELL, INCIDENT, MESSAGE, TASK_DOT, type MergedTable } from "../../src/heart/tables.ts";
import { WritingSession } from "../../src/heart/writer.ts";
import { ok } from "../../src/lib/result.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { logIn } from "../support/audit-forge.ts";
import { BUILD, must, openIn, placeIn, raw, say, talk } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";
import { unsynced } from "../support/unsynced.ts";

/** Writes `rows` of each kind that grows with use, in one transaction: the API would commit each by itself. */
function fill(folder: string, rows: number): void {
  const deps = heartDeps();
  const { crypto, clock, random, writer } = deps;
  const { file } = placeIn(folder);
  must(
    withStoredHeart(deps, placeIn(folder), ({ db, mac }) =>
      new WritingSession(db, { file, mac, clock, random, writer, buildDate: BUILD }).transact((stamps) => {
        const put = ({ name, columns }: MergedTable, ...values: readonly SqlValue[]): void => {
          const places = [...columns, "mac"].map(() => "?").join(", ");
          db.run(`insert into ${name} (${[...columns, "mac"].join(", ")}) values (${places})`, ...values, mac.seal(name, values));
        };
        const label = [1, "[]", 3, "[]"] as const;
        const session = random.bytes(16);
        for (let i = 0; i < rows; i++) {
          put(CELL, "state", `key ${i}`, "value", stamps.stamp(0), stamps.actor, stamps.seq(), ...label);
          put(TASK_DOT, random.bytes(16), stamps.actor, stamps.seq(), stamps.stamp(0));
          put(INCIDENT, `kind ${i}`, 3, 1, stamps.stamp(0), stamps.actor, stamps.seq());
          const [salt, body] = [random.bytes(16), "text"];
          const dot = [stamps.stamp(0), stamps.actor, stamps.seq()] as const;
          put(MESSAGE, random.bytes(16), session, null, ...dot, "user", "tui", ...label, null, bodyHash(salt, body, crypto));
          db.run("insert into message_body (n, salt, body) values (last_insert_rowid(), ?, ?)", salt, body);
        }
        return ok(undefined);
      }),
    ),
  );
}

/** A big heart, and a copy of it that has a few changes all over. */
function changedCopy(folder: string, rows: number): { readonly big: string; readonly copy: string } {
  const [big, copy] = [join(folder, `big-${rows}`), join(folder, `copy-${rows}`)];
  mkdirSync(big);
  openIn(big)[Symbol.dispose]();
  fill(big, rows);
  using forgetful = openIn(big);
  const { session, messages } = talk(forgetful, "one", "two", "three");
  const task = must(forgetful.tasks.add({ title: "to go" })).id;
  cpSync(big, copy, { recursive: true });
  using heart = openIn(copy);
  for (let i = 0; i < 5; i++) {
    must(heart.state.set(`key ${Math.floor((rows * i) / 5)}`, "changed"));
    must(heart.incidents.count(`kind ${Math.floor((rows * i) / 5)}`, 3, "again"));
    must(heart.entries.append({ kind: "skill", body: `entry ${i}`, label: { c: 1, k: [], i: 3, p: [] } }));
    must(heart.tasks.add({ title: `task ${i}` }));
    say(heart, session, null, `message ${i}`);
  }
  must(heart.tasks.remove(task));
  must(heart.redact(messages[0]?.id ?? ("" as never)));
  must(heart.memory.remember("key", "there", { c: 1, k: [], i: 3, p: [] }));
  must(forgetful.memory.remember("key", "here", { c: 1, k: [], i: 3, p: [] }));
  return { big, copy };
}

/** What a statement walks from one end: the program that SQLite makes of it names the pages of the tables and indexes that it opens. */
function walked(db: SqlDatabase, sql: string, params: readonly SqlValue[]): string[] {
  // By statements that are done with at once: one that is kept holds on to the schema, and no table could be dropped.
  const program = db.values(`explain ${sql}`, ...params);
  const opened = new Map<SqlValue, string>();
  const found: string[] = [];
  for (const [, op, p1 = null, p2, p3] of program) {
    if (op === "OpenRead" || op === "OpenWrite") opened.set(p1, nameOf(db, Number(p3), Number(p2)));
    const name = opened.get(p1);
    if ((op === "Rewind" || op === "Last" || op === "Count") && name !== undefined) found.push(name);
  }
  return found.filter((name) => !name.startsWith("temp."));
}

const SCHEMAS = ["main", "temp", "s"] as const;
const nameOf = (db: SqlDatabase, schema: number, page: number): string => {
  const name = SCHEMAS[schema] ?? "";
  if (page === 1) return `${name}.sqlite_schema`;
  const [row] = db.values(`select name from ${name}.sqlite_schema where rootpage = ?`, page);
  return `${name}.${String(row?.[0])}`;
};

/** The real engine; every statement that runs while another heart is attached is shown to `look` first. */
function watched(look: (db: SqlDatabase, sql: string, params: readonly SqlValue[]) => void): SqlDriver {
  return {
    open(path, options) {
      const db = sqliteDriver.open(path, options);
      let attached = false;
      const seen = (sql: string, params: readonly SqlValue[]): void => {
        if (attached && /^\s*(select|insert|update|delete)/.test(sql)) look(db, sql, params);
      };
      return {
        exec: (sql) => db.exec(sql),
        run(sql, ...params) {
          seen(sql, params);
          attached ||= sql.startsWith("attach");
          return db.run(sql, ...params);
        },
        all: (sql, ...params) => (seen(sql, params), db.all(sql, ...params)),
        get: (sql, ...params) => (seen(sql, params), db.get(sql, ...params)),
        values: (sql, ...params) => (seen(sql, params), db.values(sql, ...params)),
        each: (sql, visit, ...params) => (seen(sql, params), db.each(sql, visit, ...params)),
        [Symbol.dispose]: () => db[Symbol.dispose](),
      };
    },
  };
}

/** What this process asked of files so far, in bytes. */
const bytesRead = (): number => Number(/^rchar: (\d+)/m.exec(readFileSync("/proc/self/io", "latin1"))?.[1]);

describe("merging few changes into much", () => {
  test("walks through no table that grows with what was said and done", () => {
    using dir = tempDir("noctem-plans-");
    const { big, copy } = changedCopy(dir.path, 500);
    const statements = new Set<string>();
    const walks = new Set<string>();
    const sql = watched((db, statement, params) => {
      statements.add(statement);
      for (const name of walked(db, statement, params)) walks.add(name);
    });
    const merged = must(heartCopies(heartDeps({ sql }), placeIn(big), BUILD).merge(placeIn(copy).file, { dryRun: false }));
    expect(merged).toMatchObject({ mode: "delta", messages: 5, forgotten: 1, tasksAdded: 5, tasksRemoved: 1, conflicts: 1 });
    // The tables' names, the streams that are not settled, and one mark for each stream of which removes were pruned.
    expect([...walks].sort()).toEqual(["main.sqlite_schema", "main.vv_hot", "s.remove_floor", "s.sqlite_schema", "s.vv_hot"]);
    // It was looked at: a merge is more than a handful of statements, and this is what a walk looks like.
    expect(statements.size).toBeGreaterThan(60);
    using db = raw(big);
    expect(walked(db, "select v from cell where v = 1", [])).toEqual(["main.cell"]);
    expect(walked(db, "select count(*) from message", [])).toHaveLength(1);
    expect(walked(db, "select 1 from cell where ns = 'a' and k = 'b'", [])).toEqual([]);
  });

  test.skipIf(!existsSync("/proc/self/io"))("reads about as much where there are 16 times as many rows (needs /proc/self/io)", () => {
    using dir = tempDir("noctem-touch-");
    const cost = (rows: number): number => {
      const { big, copy } = changedCopy(dir.path, rows);
      const costs = [0, 1, 2].map((round) => {
        const into = join(dir.path, `into-${rows}-${round}`);
        cpSync(big, into, { recursive: true });
        // The merge opens a connection of its own, whose cache is empty.
        const before = bytesRead();
        must(heartCopies(heartDeps(), placeIn(into), BUILD).merge(placeIn(copy).file, { dryRun: false }));
        return bytesRead() - before;
      });
      return Math.min(...costs);
    };
    // Trees are a level deeper; a walk through one table would be many times as much.
    expect(cost(16_000) / cost(1000)).toBeLessThan(1.8);
  });
});

/** What this process gave to files so far, in bytes. */
const bytesWritten = (): number => Number(/^wchar: (\d+)/m.exec(readFileSync("/proc/self/io", "latin1"))?.[1]);

describe("writing to the log", () => {
  test.skipIf(!existsSync("/proc/self/io"))(
    "a group of ten entries writes few pages, also where 3,000 are already there (needs /proc/self/io)",
    () => {
      using dir = tempDir("noctem-append-");
      // Nobody needs what is counted here to survive a power cut; the pages are the same.
      using heart = openIn(dir.path, { sql: unsynced });
      const log = logIn(dir.path, heart, new Map());
      const group = Array.from(
        { length: 10 },
        () => ({ draft: { kind: "heart", what: "test", detail: "An entry as they are, of some length. ".repeat(5) } }) as const,
      );
      for (let i = 0; i < 300; i++) must(log.write(group));
      const before = bytesWritten();
      for (let i = 0; i < 20; i++) must(log.write(group));
      // With ids from all over the index, and an index written for nothing, it was 190.
      expect((bytesWritten() - before) / 20 / 1024).toBeLessThan(155);
    },
  );
});
