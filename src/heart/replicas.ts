import type { Millis } from "../lib/brand.ts";
import { BOTTOM } from "../lib/label.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { ClockFault, hlcOf, millisOf, type Hlc } from "./hlc.ts";
import type { RowMac } from "./mac.ts";
import type { HeartError } from "./port.ts";
import { CELL, isSealedCell, labelColumns } from "./rows.ts";
import type { SqlDatabase, SqlValue } from "./sql.ts";
import { StreamBook } from "./streams.ts";
import { CELL as CELL_TABLE, MERGED, Namespace } from "./tables.ts";
import { readMeta } from "./meta.ts";
import type { WritingSession } from "./writer.ts";

/** Copies of the heart, as this one knows them. A replica is made by `heart fork` or a restore; a plain copy of the folder shares its name. */
export interface Replica {
  /** 16 bytes in hex. */
  readonly id: string;
  readonly here: boolean;
  readonly retired: boolean;
  /** What a person called the stick, as its last writing session said; may be empty. */
  readonly label: string;
  readonly host: string;
  readonly sessions: number;
  /** Its newest write that has arrived here; null when none has. */
  readonly lastWrite: Millis | null;
  /** Streams of this heart that it had not seen in full when the two last met; null when they never met. */
  readonly behind: number | null;
}

export interface HeartStatus {
  readonly id: string;
  readonly replica: string;
  readonly replicas: readonly Replica[];
  readonly rows: Readonly<Record<string, number>>;
  readonly streams: { readonly all: number; readonly settled: number; readonly withGaps: number };
  readonly conflicts: number;
  readonly prunable: number;
  /** Writing sessions whose host's clock could not be believed, newest first, ten at most. */
  readonly clockFaults: readonly ClockReport[];
  /** Rows that a clock far ahead stamped: shown, and not followed. */
  readonly fenced: { readonly rows: number; readonly furthest: Millis | null };
  readonly lastWrite: Millis | null;
}

export interface ClockReport {
  readonly actor: number;
  readonly replica: string;
  readonly at: Millis;
  readonly faults: readonly ("behind" | "before-build" | "ahead")[];
}

const CLOCK_REPORTS = 10;
const RETIRED = "retired";

export function heartStatus(db: SqlDatabase, mac: RowMac, id: string, now: Millis): HeartStatus {
  const streams = db.get("select count(*) as n, sum(cold is not null) as settled, sum(gap is not null) as gaps from vv");
  const last = Number(readMeta(db, "hlc")?.["v"] ?? 0) as Hlc;
  const count = (table: string): number => Number(db.get(`select count(*) as n from ${table}`)?.["n"] ?? 0);
  return {
    id,
    replica: ownReplica(db),
    replicas: listReplicas(db, mac),
    rows: Object.fromEntries(MERGED.map(({ name }) => [name, count(name)])),
    streams: { all: Number(streams?.["n"] ?? 0), settled: Number(streams?.["settled"] ?? 0), withGaps: Number(streams?.["gaps"] ?? 0) },
    conflicts: count("conflict"),
    prunable: count("task_remove"),
    clockFaults: clockFaults(db),
    fenced: fencedRows(db, now),
    lastWrite: last === 0 ? null : millisOf(last),
  };
}

export function listReplicas(db: SqlDatabase, mac: RowMac): readonly Replica[] {
  const here = ownReplica(db);
  const known = db.all(`select hex(device) as id, count(*) as sessions, max(hlc) as last from actor group by device
    union all select hex(device), 0, 0 from (select distinct device from witness) w where not exists (select 1 from actor a where a.device = w.device)`);
  const ids = new Set(known.map((row) => String(row["id"]).toLowerCase()));
  const rows = ids.has(here) ? known : [...known, { id: here, sessions: 0, last: 0 }];
  return rows.map((row) => {
    const id = String(row["id"]).toLowerCase();
    const newest = db.get("select label, host from actor where device = ? and hlc = ?", Uint8Array.fromHex(id), Number(row["last"]));
    const last = Number(row["last"]);
    return {
      id,
      here: id === here,
      retired: isRetired(db, mac, id),
      label: String(newest?.["label"] ?? ""),
      host: String(newest?.["host"] ?? ""),
      sessions: Number(row["sessions"]),
      lastWrite: last === 0 ? null : millisOf(last as Hlc),
      behind: id === here ? 0 : behindOf(db, id),
    };
  });
}

function behindOf(db: SqlDatabase, replica: string): number | null {
  const device = Uint8Array.fromHex(replica);
  if (db.get("select 1 from witness where device = ? limit 1", device) === null) return null;
  const row = db.get(
    `select count(*) as n from vv left join witness w on w.device = ? and w.actor = vv.actor
      where vv.cold is null and vv.seq > coalesce(w.seq, 0)`,
    device,
  );
  return Number(row?.["n"] ?? 0);
}

/**
 * Says of another replica that it will not come back, so that nothing waits for it any more. If it does, it merges all the same, in full.
 * `prefix`: at least 4 hex digits. Errors: `not-found` (also for this very replica), `ambiguous`.
 */
export function retireReplica(db: SqlDatabase, mac: RowMac, writing: WritingSession, prefix: string): Result<Replica, HeartError> {
  const wanted = prefix.toLowerCase();
  const matches = /^[0-9a-f]{4,32}$/.test(wanted)
    ? listReplicas(db, mac).filter((replica) => !replica.here && replica.id.startsWith(wanted))
    : [];
  const [replica] = matches;
  if (replica === undefined) return err({ kind: "not-found", what: prefix });
  if (matches.length > 1) return err({ kind: "ambiguous", prefix, matches: matches.length });
  return writing.transact((stamps) => {
    const before = db.get("select hlc, actor, seq from cell where ns = ? and k = ?", Namespace.REPLICA, replica.id);
    stamps.replaced(before);
    const hlc = stamps.stamp(Number(before?.["hlc"] ?? 0) as Hlc | 0);
    const columns: SqlValue[] = [Namespace.REPLICA, replica.id, RETIRED, hlc, stamps.actor, stamps.seq(), ...labelColumns(BOTTOM)];
    const names = [...CELL_TABLE.columns, "mac"];
    db.run(
      `insert or replace into cell (${names.join(", ")}) values (${names.map(() => "?").join(", ")})`,
      ...columns,
      mac.seal(CELL_TABLE.name, columns),
    );
    return ok({ ...replica, retired: true });
  });
}

export interface Compaction {
  /** Removes that every live replica has. */
  readonly pruned: number;
  /** Ended writing sessions that every live replica has, and that merges now pass over. */
  readonly settled: number;
  /** Replicas that hold things up: never met, or not since something changed. */
  readonly waitingFor: readonly Replica[];
}

/** A writing session that was silent for so long has ended: the process is gone, or its rows will start anew. */
const ENDED_AFTER = 7 * 86_400_000;

/**
 * Prunes what every live replica has seen: rows of the remove log, and the comparing of ended writing sessions one by one.
 * Nothing that a person wrote is touched. Runs in one transaction of `db`.
 */
export function compactHeart(db: SqlDatabase, mac: RowMac, file: string): Compaction {
  const others = listReplicas(db, mac).filter((replica) => !replica.here && !replica.retired);
  db.exec("begin immediate");
  db.exec("drop table if exists temp.stable; create temp table stable (actor integer primary key, seq integer not null)");
  // How far all of them are: the least of what each was seen to have, and nothing where one was never met.
  db.run("insert into temp.stable select actor, seq from vv where gap is null");
  for (const { id } of others) {
    const device = Uint8Array.fromHex(id);
    db.run(
      `update temp.stable set seq = min(seq, coalesce((select w.seq from witness w where w.device = ? and w.actor = stable.actor), 0))
        where not exists (select 1 from vv where vv.actor = stable.actor and vv.cold = 1)`,
      device,
    );
  }
  const book = new StreamBook(db, mac, file);
  const pruned = pruneRemoves(db, mac, book);
  const settled = settleStreams(db, book);
  book.save();
  db.exec("commit; drop table temp.stable");
  return { pruned, settled, waitingFor: others.filter((replica) => replica.behind !== 0) };
}

function pruneRemoves(db: SqlDatabase, mac: RowMac, book: StreamBook): number {
  const seen = `task_remove r left join temp.stable s on s.actor = r.actor left join remove_floor f on f.actor = r.actor
    where r.seq <= max(coalesce(s.seq, 0), coalesce(f.seq, 0))`;
  const groups = db.all(`select r.actor as actor, count(*) as n, sum(r.seq) as total, max(r.seq) as top from ${seen} group by r.actor`);
  if (groups.length === 0) return 0;
  db.run(`delete from task_remove where (actor, seq) in (select r.actor, r.seq from ${seen})`);
  for (const row of groups) {
    const [actor, top] = [Number(row["actor"]), Number(row["top"])];
    book.apply({ actor, seq: null, rows: -Number(row["n"]), total: -Number(row["total"]) });
    db.run(
      `insert into remove_floor (actor, seq, mac) values (?, ?, ?)
        on conflict (actor) do update set seq = excluded.seq, mac = excluded.mac where excluded.seq > remove_floor.seq`,
      actor,
      top,
      mac.seal("remove_floor", [actor, top]),
    );
  }
  book.floorsMoved();
  return groups.reduce((sum, row) => sum + Number(row["n"]), 0);
}

function settleStreams(db: SqlDatabase, book: StreamBook): number {
  const last = Number(readMeta(db, "hlc")?.["v"] ?? 0) as Hlc;
  const ended = last === 0 ? 0 : hlcOf((millisOf(last) - ENDED_AFTER) as Millis);
  const rows = db.all(
    `select v.actor as actor from vv v join temp.stable s on s.actor = v.actor left join actor a on a.actor = v.actor
      where v.cold is null and v.gap is null and v.seq <= s.seq and coalesce(a.hlc, 0) <= ?`,
    ended,
  );
  for (const row of rows) {
    const actor = Number(row["actor"]);
    book.mark(actor, { cold: true });
    db.run("delete from witness where actor = ?", actor);
  }
  return rows.length;
}

const ownReplica = (db: SqlDatabase): string => {
  const value = readMeta(db, "replica")?.["v"];
  return value instanceof Uint8Array ? value.toHex() : "";
};

function isRetired(db: SqlDatabase, mac: RowMac, id: string): boolean {
  const row = db.get(CELL, Namespace.REPLICA, id);
  return row !== null && row["v"] === RETIRED && isSealedCell(row, mac);
}

function clockFaults(db: SqlDatabase): readonly ClockReport[] {
  return db.all("select actor, device, hlc, clock from actor where clock <> 0 order by hlc desc limit ?", CLOCK_REPORTS).map((row) => ({
    actor: Number(row["actor"]),
    replica: row["device"] instanceof Uint8Array ? row["device"].toHex() : "",
    at: millisOf(Number(row["hlc"]) as Hlc),
    faults: [
      ...(Number(row["clock"]) & ClockFault.BEHIND ? (["behind"] as const) : []),
      ...(Number(row["clock"]) & ClockFault.BEFORE_BUILD ? (["before-build"] as const) : []),
      ...(Number(row["clock"]) & ClockFault.AHEAD ? (["ahead"] as const) : []),
    ],
  }));
}

function fencedRows(db: SqlDatabase, now: Millis): HeartStatus["fenced"] {
  const fence = hlcOf((now + 5 * 60_000) as Millis);
  let rows = 0;
  let furthest = 0;
  for (const { name } of MERGED) {
    const row = db.get(`select count(*) as n, max(hlc) as top from ${name} where hlc > ?`, fence);
    rows += Number(row?.["n"] ?? 0);
    furthest = Math.max(furthest, Number(row?.["top"] ?? 0));
  }
  return { rows, furthest: furthest === 0 ? null : millisOf(furthest as Hlc) };
}
