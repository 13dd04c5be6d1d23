import { decodeRow, type RowMac } from "./mac.ts";
import { SqlError, type SqlDatabase, type SqlRow, type SqlValue } from "./sql.ts";
import type { MergedTable } from "./tables.ts";

/**
 * A row that a newer version wrote, kept as the canonical bytes that its own seal is over.
 *
 * Its seal here is over where it stands as well. The bytes alone would let anybody pass a message off as a row of some table that nobody
 * knows, and the message would be missing. The row's own seal needs no keeping: it follows from the bytes and the key.
 */
export interface AsideRow {
  readonly actor: SqlValue;
  readonly seq: SqlValue;
  readonly tbl: string;
  /** 1 when the row also stands in its table, without the columns unknown here. */
  readonly part: 0 | 1;
  readonly bytes: Uint8Array;
}

/** The columns of `aside` that its seal covers. */
export const ASIDE_COLUMNS = ["actor", "seq", "tbl", "part", "bytes"] as const;

export const asideColumns = (row: AsideRow): SqlValue[] => ASIDE_COLUMNS.map((name) => row[name]);

export const sealAside = (mac: RowMac, row: AsideRow): Uint8Array => mac.seal("aside", asideColumns(row));

export const isSealedAside = (mac: RowMac, row: SqlRow): boolean =>
  mac.verify(
    "aside",
    ASIDE_COLUMNS.map((name) => row[name] ?? null),
    row["mac"] ?? null,
  );

/** The columns of a row of `table` that was kept aside as a whole; null where it is none, or not what was written. */
export function knownColumns(mac: RowMac, table: MergedTable, row: SqlRow): readonly SqlValue[] | null {
  const { actor = null, seq = null, bytes } = row;
  const decoded = bytes instanceof Uint8Array && isSealedAside(mac, row) ? decodeRow(bytes) : null;
  // Nulls at the end are left out of a row's bytes.
  if (decoded?.table !== table.name || decoded.columns.length > table.columns.length) return null;
  const columns = table.columns.map((_, i) => decoded.columns[i] ?? null);
  return columns[table.columns.indexOf("actor")] === actor && columns[table.columns.indexOf("seq")] === seq ? columns : null;
}

/** Whole rows that are kept for `table`. */
export const ofTable = (from: "aside" | "temp.x_aside"): string =>
  `select ${ASIDE_COLUMNS.join(", ")}, mac from ${from} where tbl = ? and part = 0`;

/**
 * Puts rows of tables that this version knows in their place; what does not fit there stays aside. Inside a transaction; the books of streams count both
 * alike.
 */
export function takeInAside(db: SqlDatabase, mac: RowMac, tables: readonly MergedTable[]): void {
  for (const table of tables) {
    const put = putterInto(db, mac, table, table.name);
    db.each(
      ofTable("aside"),
      (row) => {
        const columns = knownColumns(mac, table, row);
        if (columns !== null) put(columns);
      },
      table.name,
    );
    const isThere = `select 1 from ${table.name} t indexed by ${table.dot} where t.actor = aside.actor and t.seq = aside.seq`;
    db.run(`delete from aside where tbl = ? and part = 0 and exists (${isThere})`, table.name);
  }
}

/** Seals rows of `table` and puts them `into` one like it. A seal says who wrote a row, not that it fits: false where it does not, and nothing is put there. */
export function putterInto(db: SqlDatabase, mac: RowMac, table: MergedTable, into: string): (columns: readonly SqlValue[]) => boolean {
  const names = [...table.columns, "mac"];
  const sql = `insert into ${into} (${names.join(", ")}) values (${names.map(() => "?").join(", ")})`;
  const types = new Map(db.all("select name, type from pragma_table_info(?)", table.name).map(({ name, type }) => [name, type]));
  return (columns) => {
    // A number would become a text where one is wanted, which is not what was sealed.
    if (!table.columns.every((name, i) => isOf(types.get(name), columns[i] ?? null))) return false;
    try {
      db.run(sql, ...columns, mac.seal(table.name, columns));
      return true;
    } catch (error) {
      if (!(error instanceof SqlError) || !/^SQLITE_(?:CONSTRAINT|MISMATCH)/.test(error.code)) throw error;
      return false;
    }
  };
}

const isOf = (type: SqlValue | undefined, value: SqlValue): boolean =>
  value === null || type === "ANY" || type === (value instanceof Uint8Array ? "BLOB" : typeof value === "string" ? "TEXT" : "INTEGER");
