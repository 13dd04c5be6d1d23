/**
 * What the heart needs of a SQL engine. `platform/sqlite` implements it over bun:sqlite; tests use the same real one on
 * temporary files. Integers travel as bigint beyond 2^53 and as number below.
 */
export type SqlValue = string | number | bigint | Uint8Array | null;
export type SqlRow = Record<string, SqlValue>;

export interface SqlDatabase extends Disposable {
  /** Runs statements without parameters or results. Throws `SqlError`. */
  exec(sql: string): void;
  run(sql: string, ...params: readonly SqlValue[]): { readonly changes: number };
  all(sql: string, ...params: readonly SqlValue[]): SqlRow[];
  get(sql: string, ...params: readonly SqlValue[]): SqlRow | null;
  /**
   * Rows as arrays, three times as fast as `all`. Integers beyond 2^53 come rounded: for values that a seal is then checked over, which
   * no such number ever had.
   */
  values(sql: string, ...params: readonly SqlValue[]): SqlValue[][];
  /**
   * Calls `visit` with one row after the other, so that memory does not grow with their number. `visit` may write elsewhere; the statement
   * is done with when `each` returns or throws.
   */
  each(sql: string, visit: (row: SqlRow) => void, ...params: readonly SqlValue[]): void;
}

export interface SqlDriver {
  /**
   * Opens a file, or `":memory:"`. `create` makes it when missing; `readOnly` refuses writes.
   * Throws `SqlError` when it cannot be opened.
   */
  open(path: string, options: { readonly create: boolean; readonly readOnly: boolean }): SqlDatabase;
}

/** `code` is SQLite's symbolic result code, e.g. `SQLITE_FULL`, `SQLITE_NOTADB`, `SQLITE_BUSY`, `SQLITE_READONLY`. */
export class SqlError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "SqlError";
    this.code = code;
  }
}
