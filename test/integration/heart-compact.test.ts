import { describe, expect, test } from "bun:test";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { forkHeart } from "../../src/heart/care/fork.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies, type HeartCopies } from "../../src/heart/copies.ts";
import type { MergeReport } from "../../src/heart/merge/merge.ts";
import { withStoredHeart, type OpenHeart } from "../../src/heart/open.ts";
import type { HeartDeps } from "../../src/heart/ports.ts";
import type { Compaction } from "../../src/heart/replicas.ts";
import { bodyHash } from "../../src/heart/rows.ts";
import type { SqlDatabase, SqlDriver, SqlValue } from "../../src/heart/sql.ts";
import { CELL, INCIDENT, MESSAGE, TASK_DOT, type MergedTable } from "../../src/heart/tables.ts";
import { WritingSession } from "../../src/heart/writer.ts";
import type { Millis } from "../../src/lib/brand.ts";
import { ok } from "../../src/lib/result.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { BUILD, must, openIn, placeIn, raw, say, talk } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

const DAY = 86_400_000;

/** Sticks of one heart, each a replica with a name of its own, and a clock that is moved by hand. */
class Sticks implements Disposable {
  readonly #dir: TempDir = tempDir("noctem-compact-");
  readonly #deps: HeartDeps;
  #now = BUILD + DAY;

  constructor(...names: readonly string[]) {
    this.#deps = heartDeps({ clock: { now: () => this.#now as Millis, monotonic: () => this.#now } });
    const [first = "", ...others] = names;
    mkdirSync(this.folder(first));
    this.open(first)[Symbol.dispose]();
    for (const name of others) must(forkHeart(this.#deps, placeIn(this.folder(first)), placeIn(this.folder(name))));
  }

  folder = (name: string): string => join(this.#dir.path, name);
  open = (name: string): OpenHeart => openIn(this.folder(name), this.#deps);
  copies = (name: string): HeartCopies => heartCopies(this.#deps, placeIn(this.folder(name)), BUILD);
  compact = (name: string): Compaction => must(this.copies(name).compact());
  pull = (into: string, from: string): MergeReport => must(this.copies(into).merge(placeIn(this.folder(from)).file, { dryRun: false }));
  later = (by: number): void => void (this.#now += by);

  /** What one writing session does. */
  at<T>(name: string, work: (heart: OpenHeart) => T): T {
    using heart = this.open(name);
    return work(heart);
  }

  replica(name: string): string {
    return must(this.copies(name).status()).replica;
  }

  /** Rows of the remove log. */
  removes(name: string): number {
    return must(this.copies(name).status()).prunable;
  }

  tasks(name: string): string[] {
    return this.at(name, (heart) => heart.tasks.all().map(({ title }) => title)).sort();
  }

  faults(name: string): readonly unknown[] {
    return must(verifyHeart(this.#deps, placeIn(this.folder(name)))).faults;
  }

  /** A file as it is now, to be put back later. */
  keep(name: string): () => void {
    const kept = join(this.#dir.path, `${name}-kept`);
    copyFileSync(placeIn(this.folder(name)).file, kept);
    return () => copyFileSync(kept, placeIn(this.folder(name)).file);
  }

  [Symbol.dispose](): void {
    this.#dir[Symbol.dispose]();
  }
}

const add = (heart: OpenHeart, title: string): string => must(heart.tasks.add({ title })).id;

/** Sticks that all have the tasks "stays" and "goes"; the first then removed the latter. */
function removedOnFirst(...names: readonly [string, ...string[]]): { readonly sticks: Sticks; readonly gone: string } & Disposable {
  const sticks = new Sticks(...names);
  const [first] = names;
  const gone = sticks.at(first, (heart) => {
    add(heart, "stays");
    return add(heart, "goes");
  });
  for (const name of names.slice(1)) {
    sticks.pull(name, first);
    sticks.pull(first, name);
  }
  sticks.at(first, (heart) => must(heart.tasks.remove(gone)));
  return { sticks, gone, [Symbol.dispose]: () => sticks[Symbol.dispose]() };
}

describe("the log of removes", () => {
  test("is pruned when every live replica was seen to have it, and not before", () => {
    using fleet = removedOnFirst("a", "b", "c");
    const { sticks } = fleet;
    const waiting = (): string[] =>
      sticks
        .compact("a")
        .waitingFor.map(({ id }) => id)
        .sort();
    const [b, c] = [sticks.replica("b"), sticks.replica("c")];

    expect(waiting()).toEqual([b, c].sort());
    sticks.pull("b", "a");
    // That b has it is known to b alone.
    expect(waiting()).toEqual([b, c].sort());
    sticks.pull("a", "b");
    expect(waiting()).toEqual([c]);
    sticks.pull("c", "b");
    sticks.pull("b", "c");
    expect(waiting()).toEqual([c]);
    expect(sticks.removes("a")).toBe(1);

    sticks.pull("a", "c");
    expect(sticks.compact("a")).toMatchObject({ pruned: 1, waitingFor: [] });
    expect(sticks.removes("a")).toBe(0);
    expect(sticks.compact("a").pruned).toBe(0);
    expect(sticks.faults("a")).toEqual([]);
    for (const name of ["b", "c"]) {
      expect(sticks.pull(name, "a")).toMatchObject({ same: true });
      expect(sticks.tasks(name)).toEqual(["stays"]);
    }
  });

  test("is merged in full into a copy that is older than what was pruned, and what that copy did meanwhile stays", () => {
    using fleet = removedOnFirst("a", "b");
    const { sticks } = fleet;
    const older = sticks.keep("b");
    sticks.pull("b", "a");
    sticks.pull("a", "b");
    expect(sticks.compact("a").pruned).toBe(1);
    older();
    expect(sticks.tasks("b")).toEqual(["goes", "stays"]);
    sticks.at("b", (heart) => add(heart, "new"));

    expect(sticks.pull("b", "a")).toMatchObject({ mode: "full", tasksRemoved: 1 });
    expect(sticks.tasks("b")).toEqual(["new", "stays"]);
    expect(sticks.pull("a", "b")).toMatchObject({ mode: "delta", tasksAdded: 1 });
    expect(sticks.tasks("a")).toEqual(["new", "stays"]);
    // From now on b knows as little as a of what was pruned, and says so.
    expect(sticks.pull("b", "a").same).toBe(true);
    for (const name of ["a", "b"]) expect(sticks.faults(name)).toEqual([]);
  });

  test("pruned far away brings nothing back by way of the copy that has not heard of it", () => {
    using fleet = removedOnFirst("a", "b");
    const { sticks } = fleet;
    const older = sticks.keep("b");
    sticks.pull("b", "a");
    sticks.pull("a", "b");
    sticks.compact("a");
    older();
    // The other way round: what a took off does not come back from b.
    expect(sticks.pull("a", "b")).toMatchObject({ tasksAdded: 0, tasksRemoved: 0 });
    expect(sticks.tasks("a")).toEqual(["stays"]);
  });

  test("in full, too, adding wins: what the older copy added again stays", () => {
    using fleet = removedOnFirst("a", "b");
    const { sticks, gone } = fleet;
    const older = sticks.keep("b");
    sticks.pull("b", "a");
    sticks.pull("a", "b");
    sticks.compact("a");
    older();
    sticks.at("b", (heart) => {
      must(heart.tasks.update(gone, { title: "came back" }));
      must(heart.tasks.restore(gone));
    });
    expect(sticks.pull("b", "a")).toMatchObject({ mode: "full" });
    sticks.pull("a", "b");
    for (const name of ["a", "b"]) expect(sticks.tasks(name)).toEqual(["came back", "stays"]);
  });

  test("in full, a task that the source has only not heard of yet stays", () => {
    using sticks = new Sticks("a", "b", "c");
    const gone = sticks.at("a", (heart) => add(heart, "goes"));
    for (const name of ["b", "c"]) sticks.pull(name, "a");
    // c goes on in one writing session, of which a and b hear the beginning.
    using heart = sticks.open("c");
    add(heart, "early");
    for (const name of ["a", "b"]) sticks.pull(name, "c");
    sticks.at("a", (a) => must(a.tasks.remove(gone)));
    must(sticks.copies("a").retire(sticks.replica("c")));
    sticks.pull("b", "a");
    sticks.pull("a", "b");
    expect(sticks.compact("a").pruned).toBe(1);
    add(heart, "late");
    expect(sticks.pull("c", "a")).toMatchObject({ mode: "full", tasksRemoved: 1 });
    expect(sticks.tasks("c")).toEqual(["early", "late"]);
  });

  test("does not wait for a replica that was retired; if it comes back, it merges all the same", () => {
    using fleet = removedOnFirst("a", "b", "c");
    const { sticks } = fleet;
    sticks.pull("b", "a");
    sticks.pull("a", "b");
    expect(sticks.compact("a").waitingFor.map(({ id }) => id)).toEqual([sticks.replica("c")]);
    must(sticks.copies("a").retire(sticks.replica("c").slice(0, 8)));
    expect(sticks.compact("a").pruned).toBe(1);

    sticks.at("c", (heart) => add(heart, "on c"));
    expect(sticks.pull("c", "a")).toMatchObject({ mode: "full", tasksRemoved: 1 });
    sticks.pull("a", "c");
    sticks.pull("b", "a");
    for (const name of ["a", "b", "c"]) {
      expect(sticks.tasks(name)).toEqual(["on c", "stays"]);
      expect(sticks.faults(name)).toEqual([]);
    }
    // Word of the retirement travels, and nobody retires itself.
    expect(
      must(sticks.copies("b").status())
        .replicas.filter(({ retired }) => retired)
        .map(({ id }) => id),
    ).toEqual([sticks.replica("c")]);
    expect(sticks.copies("c").retire(sticks.replica("c"))).toMatchObject({ ok: false, error: { kind: "not-found" } });
  });
});

describe("writing sessions", () => {
  test("that ended a week ago, and that all have, are settled: merges pass over them and miss nothing", () => {
    using sticks = new Sticks("a", "b");
    for (const name of ["a", "b"]) sticks.at(name, (heart) => add(heart, `on ${name}`));
    const meet = (): void => {
      for (const [into, from] of [
        ["a", "b"],
        ["b", "a"],
        ["a", "b"],
      ] as const)
        sticks.pull(into, from);
    };
    meet();
    expect(sticks.compact("a").settled).toBe(0);
    sticks.later(8 * DAY);
    for (const name of ["a", "b"]) sticks.at(name, (heart) => add(heart, `later on ${name}`));
    meet();
    expect([sticks.compact("a").settled, sticks.compact("b").settled]).toEqual([2, 2]);
    expect(sticks.compact("a").settled).toBe(0);
    sticks.at("a", (heart) => add(heart, "once settled"));
    expect(sticks.pull("b", "a")).toMatchObject({ sessions: 1, tasksAdded: 1 });
    expect(sticks.tasks("b")).toHaveLength(5);
    for (const name of ["a", "b"]) expect(sticks.faults(name)).toEqual([]);
  });

  test("that only seemed to have ended go on, here and there", () => {
    using sticks = new Sticks("a", "b");
    using heart = sticks.open("a");
    add(heart, "before a long pause");
    sticks.later(8 * DAY);
    sticks.at("b", (b) => add(b, "on b"));
    for (const [into, from] of [
      ["a", "b"],
      ["b", "a"],
      ["a", "b"],
    ] as const)
      sticks.pull(into, from);
    for (const name of ["a", "b"]) expect(sticks.compact(name).settled).toBe(1);
    add(heart, "after it");
    expect(sticks.pull("b", "a")).toMatchObject({ tasksAdded: 1 });
    expect(sticks.tasks("b")).toEqual(["after it", "before a long pause", "on b"]);
    for (const name of ["a", "b"]) expect(sticks.faults(name)).toEqual([]);
  });

  test("settled on one copy alone are compared by the other as before", () => {
    using sticks = new Sticks("a", "b");
    sticks.at("a", (heart) => add(heart, "old"));
    sticks.later(8 * DAY);
    for (const [into, from] of [
      ["b", "a"],
      ["a", "b"],
    ] as const)
      sticks.pull(into, from);
    sticks.at("a", (heart) => add(heart, "young"));
    expect(sticks.compact("a").settled).toBe(1);
    expect(sticks.pull("b", "a")).toMatchObject({ tasksAdded: 1 });
    sticks.at("b", (heart) => add(heart, "back"));
    expect(sticks.pull("a", "b")).toMatchObject({ tasksAdded: 1 });
    for (const name of ["a", "b"]) expect(sticks.tasks(name)).toEqual(["back", "old", "young"]);
  });
});

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
  const task = add(forgetful, "to go");
  cpSync(big, copy, { recursive: true });
  using heart = openIn(copy);
  for (let i = 0; i < 5; i++) {
    must(heart.state.set(`key ${Math.floor((rows * i) / 5)}`, "changed"));
    must(heart.incidents.count(`kind ${Math.floor((rows * i) / 5)}`, 3, "again"));
    must(heart.entries.append({ kind: "skill", body: `entry ${i}`, label: { c: 1, k: [], i: 3, p: [] } }));
    add(heart, `task ${i}`);
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
    expect([...walks].sort()).toEqual(["main.sqlite_schema", "s.remove_floor", "s.sqlite_schema", "s.vv_hot"]);
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
