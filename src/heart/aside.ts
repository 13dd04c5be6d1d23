import { decodeRow, type RowMac } from "./mac.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";
import { MERGED } from "./tables.ts";

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

/** Puts rows of tables that this version knows by now in their place. Inside a transaction; the streams' books, which count both, stay as they are. */
export function takeInAside(db: SqlDatabase, mac: RowMac): void {
  for (const table of MERGED) {
    for (const row of db.all(`select ${ASIDE_COLUMNS.join(", ")}, mac from aside where tbl = ? and part = 0`, table.name)) {
      const { actor = null, seq = null, bytes } = row;
      const decoded = bytes instanceof Uint8Array && isSealedAside(mac, row) ? decodeRow(bytes) : null;
      if (decoded?.table !== table.name || decoded.columns.length > table.columns.length) continue;
      const columns = table.columns.map((_, i) => decoded.columns[i] ?? null);
      const [ofActor, ofSeq] = ["actor", "seq"].map((name) => columns[table.columns.indexOf(name)]);
      if (ofActor !== actor || ofSeq !== seq) continue;
      db.run(
        `insert into ${table.name} (${table.columns.join(", ")}, mac) values (${table.columns.map(() => "?").join(", ")}, ?)`,
        ...columns,
        mac.seal(table.name, columns),
      );
      db.run("delete from aside where actor = ? and seq = ?", actor, seq);
    }
  }
}
