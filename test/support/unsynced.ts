import type { HeartDeps } from "../../src/heart/ports.ts";
import type { SqlDatabase, SqlDriver } from "../../src/heart/sql.ts";
import type { Millis } from "../../src/lib/brand.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { mulberry32 } from "./random.ts";

/** The real engine for tests in which the power stays on: thousands of synced commits would take hours. */
export const unsynced: SqlDriver = {
  open(path, options) {
    const db: SqlDatabase = sqliteDriver.open(path, options);
    return {
      exec: (sql) => db.exec(sql.replace("pragma synchronous = extra", "pragma synchronous = off")),
      run: db.run.bind(db),
      all: db.all.bind(db),
      get: db.get.bind(db),
      each: db.each.bind(db),
      values: db.values.bind(db),
      [Symbol.dispose]: () => db[Symbol.dispose](),
    };
  },
};

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
