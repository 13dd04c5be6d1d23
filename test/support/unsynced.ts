import type { HeartDeps } from "../../src/heart/ports.ts";
import type { SqlDatabase, SqlDriver } from "../../src/heart/sql.ts";
import type { Millis } from "../../src/lib/brand.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { mulberry32 } from "./random.ts";

/** A database of which some methods are others. */
export const wrapped = (db: SqlDatabase, over: Partial<SqlDatabase>): SqlDatabase => ({
  exec: (sql) => db.exec(sql),
  run: (sql, ...params) => db.run(sql, ...params),
  all: (sql, ...params) => db.all(sql, ...params),
  get: (sql, ...params) => db.get(sql, ...params),
  values: (sql, ...params) => db.values(sql, ...params),
  each: (sql, visit, ...params) => db.each(sql, visit, ...params),
  [Symbol.dispose]: () => db[Symbol.dispose](),
  ...over,
});

const told = (change: (sql: string) => string): SqlDriver => ({
  open(path, options) {
    const db = sqliteDriver.open(path, options);
    return wrapped(db, { exec: (sql) => db.exec(change(sql)) });
  },
});

const withoutSync = (sql: string): string => sql.replace("synchronous = extra", "synchronous = off");

/** The real engine for tests in which the power stays on: thousands of synced commits would take hours. */
export const unsynced = told(withoutSync);

/** And without a journal on the medium. It stays, in memory: what is rolled back must be. */
export const unjournalled = told((sql) => withoutSync(sql).replace("journal_mode = truncate", "journal_mode = memory"));

/** The same, with names, keys and times that follow from a seed: a heart made twice is the same to the byte. */
export function replayed(seed: number): Partial<HeartDeps> {
  const random = mulberry32(seed);
  let now = Date.UTC(2025, 5, 1);
  return {
    sql: unsynced,
    random: { bytes: (n) => Uint8Array.from({ length: n }, () => Math.floor(random() * 256)) },
    clock: { now: () => (now += 1000) as Millis, monotonic: () => now },
  };
}
