import { constants, Database, SQLiteError, type Statement } from "bun:sqlite";
import { SqlError, type SqlDatabase, type SqlDriver, type SqlRow, type SqlValue } from "../../heart/sql.ts";

/** The heart's SQL engine: the SQLite inside Bun. The only file that knows bun:sqlite. */
export const sqliteDriver: SqlDriver = {
  open(path, { create, readOnly }) {
    const access = readOnly ? constants.SQLITE_OPEN_READONLY : constants.SQLITE_OPEN_READWRITE;
    // Bun takes flags or an options object, not both. Flags: only they can turn URI names on, which a merge needs to attach the
    // other heart as `file:…?mode=ro`. What the options would have done (safe integers) is done per statement below.
    const flags = constants.SQLITE_OPEN_URI | access | (create ? constants.SQLITE_OPEN_CREATE : 0);
    return new BunDatabase(guarded(() => new Database(path, path === ":memory:" ? flags | constants.SQLITE_OPEN_CREATE : flags)));
  },
};

/** Distinct statements kept compiled; the heart has some thirty. */
const STATEMENTS = 128;

type Compiled = Statement<Record<string, unknown>, SqlValue[]>;

class BunDatabase implements SqlDatabase {
  readonly #database: Database;
  readonly #compiled = new Map<string, Compiled>();

  constructor(database: Database) {
    this.#database = database;
  }

  exec(sql: string): void {
    guarded(() => this.#database.run(sql));
  }

  run(sql: string, ...params: readonly SqlValue[]): { readonly changes: number } {
    return guarded(() => ({ changes: this.#statement(sql).run(...params).changes }));
  }

  all(sql: string, ...params: readonly SqlValue[]): SqlRow[] {
    return guarded(() => this.#statement(sql).all(...params)).map(toRow);
  }

  get(sql: string, ...params: readonly SqlValue[]): SqlRow | null {
    const row = guarded(() => this.#statement(sql).get(...params));
    return row === null ? null : toRow(row);
  }

  values(sql: string, ...params: readonly SqlValue[]): SqlValue[][] {
    return guarded(() => {
      // Not from the cache, whose statements give exact integers.
      const statement: Compiled = this.#database.prepare(sql);
      try {
        return statement.values(...params);
      } finally {
        statement.finalize();
      }
    });
  }

  each(sql: string, visit: (row: SqlRow) => void, ...params: readonly SqlValue[]): void {
    // Not from the cache: the same statement may be under way further up, and an early end must not leave it half read.
    const statement: Compiled = guarded(() => this.#database.prepare(sql));
    try {
      statement.safeIntegers(true);
      const rows = guarded(() => statement.iterate(...params));
      for (;;) {
        const next = guarded(() => rows.next());
        if (next.done === true) return;
        visit(toRow(next.value));
      }
    } finally {
      statement.finalize();
    }
  }

  [Symbol.dispose](): void {
    // A statement that is not finalised keeps file and locks until it is collected as garbage.
    for (const statement of this.#compiled.values()) statement.finalize();
    this.#compiled.clear();
    this.#database.close(true);
  }

  #statement(sql: string): Compiled {
    const known = this.#compiled.get(sql);
    if (known !== undefined) return known;
    const statement: Compiled = this.#database.prepare(sql);
    statement.safeIntegers(true);
    if (this.#compiled.size >= STATEMENTS) {
      for (const [oldest, old] of this.#compiled) {
        old.finalize();
        this.#compiled.delete(oldest);
        break;
      }
    }
    this.#compiled.set(sql, statement);
    return statement;
  }
}

/** In place: the row is fresh from SQLite and nobody else's. */
function toRow(raw: Record<string, unknown>): SqlRow {
  for (const name in raw) {
    const value = raw[name];
    if (typeof value === "bigint" && isSafe(value)) raw[name] = Number(value);
  }
  return raw as SqlRow;
}

const isSafe = (value: bigint): boolean => value <= 9007199254740991n && value >= -9007199254740991n;

/** Whatever SQLite refuses becomes a `SqlError` with its symbolic code; anything else is a bug and passes through. */
function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof SQLiteError) throw new SqlError(error.code ?? "SQLITE_ERROR", error.message);
    throw error;
  }
}
