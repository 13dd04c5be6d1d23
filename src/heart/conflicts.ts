import type { Millis } from "../lib/brand.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { millisOf, type Hlc } from "./hlc.ts";
import type { RowMac } from "./mac.ts";
import type { HeartError } from "./port.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";
import { CELL } from "./tables.ts";
import type { WritingSession } from "./writer.ts";

/** A value that lost against a concurrent write when two copies merged, beside what stands now. */
export interface Conflict {
  /** 16 hex digits, the same on every copy that saw it. */
  readonly id: string;
  readonly namespace: string;
  readonly key: string;
  readonly lost: ConflictSide;
  /** Null when there is nothing under that key any more. */
  readonly stands: ConflictSide | null;
}

export interface ConflictSide {
  /** Null: removed or forgotten. Bytes are given in hex. */
  readonly value: string | null;
  readonly at: Millis;
  readonly actor: number;
}

const MAC_OF_ID = "conflict id";
const COLUMNS = [...CELL.columns, "mac"].join(", ");

/** By namespace and key. A row that is not what was written is left out: nothing can be said of it. */
export function listConflicts(db: SqlDatabase, mac: RowMac): readonly Conflict[] {
  return db.all(`select ${COLUMNS} from conflict order by ns, k, hlc`).flatMap((row) => {
    if (!isSealed(row, mac)) return [];
    const current = db.get(`select ${COLUMNS} from cell where ns = ? and k = ?`, row["ns"] ?? null, row["k"] ?? null);
    return [
      {
        id: idOf(row, mac),
        namespace: String(row["ns"]),
        key: String(row["k"]),
        lost: sideOf(row),
        stands: current !== null && isSealed(current, mac) ? sideOf(current) : null,
      },
    ];
  });
}

/**
 * Writes the lost value over what stands, as a new write that every copy will follow. What stood is kept in the list instead, so that
 * restoring can be taken back by restoring. `id` may be a prefix of at least 4 digits. Errors: `not-found`, `ambiguous`.
 */
export function restoreConflict(db: SqlDatabase, mac: RowMac, writing: WritingSession, id: string): Result<Conflict, HeartError> {
  return writing.transact((stamps) => {
    const found = findConflict(db, mac, id);
    if (!found.ok) return found;
    const { row, conflict } = found.value;
    const current = db.get(`select ${COLUMNS} from cell where ns = ? and k = ?`, row["ns"] ?? null, row["k"] ?? null);
    remove(db, row);
    if (current !== null) {
      stamps.replaced(current);
      db.run(
        `insert or ignore into conflict (${COLUMNS}) values (${[...CELL.columns, "mac"].map(() => "?").join(", ")})`,
        ...[...CELL.columns, "mac"].map((name) => current[name] ?? null),
      );
    }
    const hlc = stamps.stamp(Number(current?.["hlc"] ?? 0) as Hlc | 0);
    const fresh: Record<string, SqlValue> = { ...row, hlc, actor: stamps.actor, seq: stamps.seq() };
    const columns = CELL.columns.map((name) => fresh[name] ?? null);
    db.run(
      `insert into cell (${COLUMNS}) values (${[...columns, null].map(() => "?").join(", ")})
        on conflict (ns, k) do update set ${[...CELL.columns.slice(2), "mac"].map((name) => `${name} = excluded.${name}`).join(", ")}`,
      ...columns,
      mac.seal(CELL.name, columns),
    );
    return ok(conflict);
  });
}

/** Takes a conflict off the list without changing anything else. One that somebody else took off meanwhile is `not-found`. */
export function dismissConflict(db: SqlDatabase, mac: RowMac, id: string): Result<Conflict, HeartError> {
  const found = findConflict(db, mac, id);
  if (!found.ok) return found;
  remove(db, found.value.row);
  return ok(found.value.conflict);
}

function findConflict(db: SqlDatabase, mac: RowMac, id: string): Result<{ readonly row: SqlRow; readonly conflict: Conflict }, HeartError> {
  const prefix = id.toLowerCase();
  if (!/^[0-9a-f]{4,16}$/.test(prefix)) return err({ kind: "not-found", what: id });
  const rows = db.all(`select ${COLUMNS} from conflict`).filter((row) => isSealed(row, mac) && idOf(row, mac).startsWith(prefix));
  const [row] = rows;
  if (row === undefined) return err({ kind: "not-found", what: id });
  if (rows.length > 1) return err({ kind: "ambiguous", prefix: id, matches: rows.length });
  const conflict = listConflicts(db, mac).find((listed) => listed.id === idOf(row, mac));
  return conflict === undefined ? err({ kind: "not-found", what: id }) : ok({ row, conflict });
}

const remove = (db: SqlDatabase, row: SqlRow): void => {
  const key = [row["ns"], row["k"], row["actor"], row["seq"]].map((value) => value ?? null);
  db.run("delete from conflict where ns = ? and k = ? and actor = ? and seq = ?", ...key);
};

const isSealed = (row: SqlRow, mac: RowMac): boolean =>
  mac.verify(
    CELL.name,
    CELL.columns.map((name) => row[name] ?? null),
    row["mac"] ?? null,
  );

const idOf = (row: SqlRow, mac: RowMac): string =>
  mac
    .seal(MAC_OF_ID, [row["ns"] ?? null, row["k"] ?? null, row["actor"] ?? null, row["seq"] ?? null])
    .subarray(0, 8)
    .toHex();

const sideOf = (row: SqlRow): ConflictSide => ({
  value: textOf(row["v"] ?? null),
  at: millisOf(Number(row["hlc"]) as Hlc),
  actor: Number(row["actor"]),
});

const textOf = (value: SqlValue): string | null => (value === null ? null : value instanceof Uint8Array ? value.toHex() : String(value));
