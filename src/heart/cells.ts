import type { ConfidentialityLevel, IntegrityLevel, Label } from "../lib/label.ts";
import { millisOf, type Hlc } from "./hlc.ts";
import type { RowMac } from "./mac.ts";
import type { Millis } from "../lib/brand.ts";
import { labelColumns } from "./rows.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";
import { CELL, type Namespace } from "./tables.ts";
import type { Stamps } from "./writer.ts";

/** Last-writer-wins registers: what tasks, memory, incidents and state are made of. */
export interface Cell {
  readonly key: string;
  /** Null: forgotten, or never set. */
  readonly value: string | null;
  readonly at: Millis;
  readonly label: Label;
}

const NAMES = [...CELL.columns, "mac"];
const ONE = `select ${NAMES.join(", ")} from cell where ns = ? and k = ?`;
const RANGE = `select ${NAMES.join(", ")} from cell where ns = ? and k >= ? and k < ? order by k`;
const PUT = `insert into cell (${NAMES.join(", ")}) values (${NAMES.map(() => "?").join(", ")})
  on conflict (ns, k) do update set ${NAMES.slice(2)
    .map((name) => `${name} = excluded.${name}`)
    .join(", ")}`;

/** Writes a register over whatever stands there. Inside a transaction of `stamps`. */
export function putCell(
  db: SqlDatabase,
  mac: RowMac,
  stamps: Stamps,
  cell: { readonly ns: Namespace; readonly key: string; readonly value: string | null; readonly label: Label },
): void {
  const before = cellRow(db, cell.ns, cell.key);
  stamps.replaced(before);
  // The stamp of a damaged cell is anybody's, and must not be carried into one that is sealed.
  const visible = before !== null && isSealed(before, mac) ? Number(before["hlc"]) : 0;
  const hlc = stamps.stamp(visible as Hlc | 0);
  const value = cell.value?.toWellFormed() ?? null;
  const columns: SqlValue[] = [cell.ns, cell.key, value, hlc, stamps.actor, stamps.seq(), ...labelColumns(cell.label)];
  db.run(PUT, ...columns, mac.seal(CELL.name, columns));
}

/** `null` when there is none; `"damaged"` when it is not what was written. `mac` is null where the keys are missing. */
export function getCell(db: SqlDatabase, mac: RowMac | null, ns: Namespace, key: string): Cell | "damaged" | null {
  const row = cellRow(db, ns, key);
  return row === null ? null : cellOf(row, mac);
}

/** The row of a register, whatever is in it. */
export const cellRow = (db: SqlDatabase, ns: Namespace, key: string): SqlRow | null => db.get(ONE, ns, key);

/** Registers whose keys begin with `prefix`, by key; all of them for an empty one. Damaged ones are counted and left out. */
export function cellsUnder(
  db: SqlDatabase,
  mac: RowMac | null,
  ns: Namespace,
  prefix = "",
): { readonly cells: readonly Cell[]; readonly damaged: number } {
  // Keys are compared as UTF-8, where nothing follows the highest character but more of it.
  const found = db.all(RANGE, ns, prefix, `${prefix}${"\u{10ffff}".repeat(64)}`).map((row) => cellOf(row, mac));
  const cells = found.filter((cell) => cell !== "damaged");
  return { cells, damaged: found.length - cells.length };
}

function cellOf(row: SqlRow, mac: RowMac | null): Cell | "damaged" {
  if (mac !== null && !isSealed(row, mac)) return "damaged";
  const { k, v, hlc } = row;
  const label = labelOf(row);
  if (typeof k !== "string" || (v !== null && typeof v !== "string") || typeof hlc !== "number" || label === null) return "damaged";
  return { key: k, value: v ?? null, at: millisOf(hlc as Hlc), label };
}

const isSealed = (row: SqlRow, mac: RowMac): boolean =>
  mac.verify(
    CELL.name,
    CELL.columns.map((name) => row[name] ?? null),
    row["mac"] ?? null,
  );

/** The four label columns of a row; null when they are none. */
export function labelOf(row: SqlRow): Label | null {
  const { label_c: c, label_i: i } = row;
  const [k, p] = [stringsOf(row["label_k"]), stringsOf(row["label_p"])];
  if (!isLevel(c) || !isLevel(i) || k === null || p === null) return null;
  return { c: c as ConfidentialityLevel, k, i: i as IntegrityLevel, p };
}

const isLevel = (value: SqlValue | undefined): boolean => typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 4;

function stringsOf(value: SqlValue | undefined): readonly string[] | null {
  if (typeof value !== "string") return null;
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) && parsed.every((item) => typeof item === "string") ? parsed : null;
  } catch {
    return null;
  }
}
