import type { RowMac } from "./mac.ts";
import type { SqlRow, SqlValue } from "./sql.ts";

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
