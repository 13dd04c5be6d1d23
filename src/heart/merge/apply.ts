import type { SqlDatabase } from "../sql.ts";
import { CELL, ENTRY, MERGED, MESSAGE, Namespace, REDACTION, TASK_DOT, TASK_REMOVE, type MergedTable } from "../tables.ts";
import { staged } from "./delta.ts";

/** Rows that came and went in this file's streams: what the books have to follow. */
export class Tally {
  readonly #streams = new Map<number, { rows: number; total: number }>();

  get streams(): ReadonlyMap<number, { readonly rows: number; readonly total: number }> {
    return this.#streams;
  }

  /** Counts the rows of `from`, whose streams are named by `actor` and `seq`. Returns how many there are. */
  count(db: SqlDatabase, from: string, sign: 1 | -1, alias = "x"): number {
    let all = 0;
    db.each(`select ${alias}.actor as actor, count(*) as n, sum(${alias}.seq) as total from ${from} group by ${alias}.actor`, (row) => {
      const n = Number(row["n"]);
      const actor = Number(row["actor"]);
      const before = this.#streams.get(actor) ?? { rows: 0, total: 0 };
      this.#streams.set(actor, { rows: before.rows + sign * n, total: before.total + sign * Number(row["total"]) });
      all += n;
    });
    return all;
  }
}

const list = (table: MergedTable, alias?: string): string =>
  [...table.columns, "mac"].map((column) => (alias === undefined ? column : `${alias}.${column}`)).join(", ");

const sameKey = (table: MergedTable, a: string, b: string): string =>
  table.merge.key.map((column) => `${a}.${column} = ${b}.${column}`).join(" and ");

/** The order of registers. Values of any type are compared by how SQL writes them, so that every file decides alike. */
function beats(table: MergedTable, a: string, b: string): string {
  if (table.merge.kind !== "register") return "0";
  const order = table.merge.order.filter((column) => column !== "v");
  const tuple = (alias: string): string => `(${order.map((column) => `${alias}.${column}`).join(", ")})`;
  const greater = `${tuple(a)} > ${tuple(b)}`;
  if (!table.merge.order.includes("v")) return greater;
  return `(${greater} or (${tuple(a)} = ${tuple(b)} and quote(${a}.v) > quote(${b}.v)))`;
}

/** What of `applyRegister` became of a table: rows that came or replaced one, and rows kept because they lost against a concurrent write. */
export interface Applied {
  readonly rows: number;
  readonly conflicts: number;
}

/** Keeps of the staged rows those that win, and replaces what they beat. */
export function applyRegister(db: SqlDatabase, table: MergedTable, tally: Tally): Applied {
  const x = staged(table);
  const key = sameKey(table, "r", "x");
  // One walk over both decides everything about rows that are on both sides: `m` says what each staged row met.
  db.exec("drop table if exists temp.m; create temp table m (x integer primary key, actor, seq, wins, kept)");
  db.run(`insert into temp.m select x.rowid, r.actor, r.seq, ${beats(table, "x", "r")}, ${table === CELL ? CONCURRENT : "0"}
    from ${x} x cross join main.${table.name} r on ${key} join temp.d d on d.actor = x.actor`);
  const conflicts = table === CELL ? keepLosers(db) : 0;
  db.run(`delete from ${x} where rowid in (select x from temp.m where not wins)`);
  const rows = tally.count(db, `${x} x`, 1);
  tally.count(db, "temp.m m where m.wins", -1, "m");
  // What a newer version had written in the rows that go.
  const carried = "temp.m m cross join main.aside a on a.actor = m.actor and a.seq = m.seq where m.wins and a.part = 1";
  if (tally.count(db, carried, -1, "a") > 0) db.run(`delete from main.aside where (actor, seq) in (select a.actor, a.seq from ${carried})`);
  if (rows > 0) {
    const updates = [...table.columns, "mac"].filter((column) => !table.merge.key.includes(column));
    db.run(
      `insert into main.${table.name} (${list(table)}) select ${list(table)} from ${x} where true
        on conflict (${table.merge.key.join(", ")}) do update set ${updates.map((column) => `${column} = excluded.${column}`).join(", ")}`,
    );
  }
  db.exec("drop table temp.m");
  return { rows, conflicts };
}

/**
 * Whether the loser of two cells is kept: its writer had not seen the winner. Incoming x and local r are concurrent exactly when x is
 * beyond this heart's vector and r beyond the source's. A choice of what is shown is no loss, nor is a text that somebody forgot meanwhile.
 */
const CONCURRENT = `x.ns <> '${Namespace.LEAF}' and r.v is not x.v and x.seq > d.tv
  and r.seq > coalesce((select sv.seq from s.vv sv where sv.actor = r.actor), 0)
  and not (x.ns = '${Namespace.MEMORY}' and iif(${beats(CELL, "x", "r")}, x.v, r.v) is null)`;

/** Before they are overwritten. As they were sealed: a merge writes no row of its own. */
function keepLosers(db: SqlDatabase): number {
  const into = `insert into main.conflict (${list(CELL)})`;
  const from = `temp.m m cross join ${staged(CELL)} x on x.rowid = m.x`;
  const lostHere = `${into} select ${list(CELL, "r")} from ${from} cross join main.cell r on ${sameKey(CELL, "r", "x")} where m.kept and m.wins`;
  const lostThere = `${into} select ${list(CELL, "x")} from ${from} where m.kept and not m.wins`;
  return db.run(lostHere).changes + db.run(lostThere).changes;
}

/** After `applyRegister` of cells: what was forgotten is not kept as a loser either. */
export function dropForgottenConflicts(db: SqlDatabase): void {
  const forgotten = `select k from ${staged(CELL)} where ns = '${Namespace.MEMORY}' and v is null`;
  db.run(`delete from main.conflict where ns = '${Namespace.MEMORY}' and k in (${forgotten})`);
}

/** Redactions come before what they forbid. Returns how many are new. */
export function applyRedactions(db: SqlDatabase, tally: Tally): number {
  const x = staged(REDACTION);
  db.run(`delete from ${x} as x where exists (select 1 from main.redaction r where ${sameKey(REDACTION, "r", "x")})`);
  const rows = tally.count(db, `${x} x`, 1);
  if (rows === 0) return 0;
  db.run(`insert into main.redaction (${list(REDACTION)}) select ${list(REDACTION)} from ${x}`);
  return rows;
}

/** A set of which nothing is ever forgotten, and whose rows go by their dots. Returns how many are new. */
export function applyGrown(db: SqlDatabase, table: MergedTable, tally: Tally): number {
  const x = staged(table);
  const isNew = `not exists (select 1 from main.${table.name} m where ${sameKey(table, "m", "x")})`;
  const rows = tally.count(db, `${x} x where ${isNew}`, 1);
  // In the order in which they were written: whoever walks the table then meets a log's beginning first.
  if (rows > 0)
    db.run(`insert into main.${table.name} (${list(table)}) select ${list(table, "x")} from ${x} x where ${isNew} order by x.actor, x.seq`);
  return rows;
}

/** Bodies that the new redactions take away, by local row number. The search index has to let go of them first. */
export function bodiesToForget(db: SqlDatabase, table: "message" | "entry"): readonly number[] {
  const rows = db.all(`select distinct m.n from ${staged(REDACTION)} x cross join main.${table} m on m.id = x.target
    join main.${table}_body b on b.n = m.n`);
  return rows.map((row) => Number(row["n"]));
}

export function forgetMessageBodies(db: SqlDatabase, rows: readonly number[]): void {
  for (const n of rows) {
    db.run("delete from main.message_body where n = ?", n);
    db.run("update main.session_overview set live = max(live - 1, 0) where session = (select session from main.message where n = ?)", n);
  }
}

export function forgetEntryBodies(db: SqlDatabase, rows: readonly number[]): void {
  for (const n of rows) db.run("delete from main.entry_body where n = ?", n);
}

/**
 * A row without its text must have been forgotten, by a redaction that this heart has by now; or the source's stream has gaps, and a whole
 * copy will bring the text. Returns an id of which neither is true.
 */
export function unexplainedSilence(db: SqlDatabase, table: MergedTable): string | null {
  const row = db.get(`select hex(x.id) as id from ${staged(table)} x where x.body is null
    and not exists (select 1 from main.redaction r where r.target = x.id)
    and not exists (select 1 from s.vv sv where sv.actor = x.actor and sv.gap = 1) limit 1`);
  return row === null ? null : String(row["id"]).toLowerCase();
}

/** Messages or entries, and their bodies unless they were forgotten here. Returns how many are new. */
export function applyBodied(db: SqlDatabase, table: MergedTable, tally: Tally): number {
  const x = staged(table);
  const isNew = `not exists (select 1 from main.${table.name} m where m.id = x.id)`;
  const rows = tally.count(db, `${x} x where ${isNew}`, 1);
  if (rows > 0) db.run(`insert into main.${table.name} (${list(table)}) select ${list(table, "x")} from ${x} x where ${isNew}`);
  if (table.name === MESSAGE.name) countSessions(db);
  db.run(`insert into main.${table.name}_body (n, salt, body) select m.n, x.salt, x.body ${bodiesToTake(table)}`);
  return rows;
}

/** Bodies that this heart has not and may have. A repaired heart may have the row already, but not its text. */
const bodiesToTake = (table: MergedTable): string => `from ${staged(table)} x cross join main.${table.name} m on m.id = x.id
  where x.body is not null
    and not exists (select 1 from main.${table.name}_body b where b.n = m.n)
    and not exists (select 1 from main.redaction r where r.target = x.id)`;

/** Before the bodies are in: `bodiesToTake` then says which are new. */
function countSessions(db: SqlDatabase): void {
  db.run(`insert into main.session_overview (session, first_hlc, last_hlc, live)
    select session, min(hlc), max(hlc), 0 from ${staged(MESSAGE)} where true group by session
    on conflict (session) do update set
      first_hlc = min(first_hlc, excluded.first_hlc), last_hlc = max(last_hlc, excluded.last_hlc)`);
  db.run(`insert into main.session_overview (session, first_hlc, last_hlc, live)
    select m.session, min(m.hlc), max(m.hlc), count(*) ${bodiesToTake(MESSAGE)} group by m.session
    on conflict (session) do update set live = live + excluded.live`);
}

/** Removes, and the dots that they name. After them no staged dot is left that this heart knows to be removed. */
export function applyRemoves(db: SqlDatabase, tally: Tally): number {
  applyRegister(db, TASK_REMOVE, tally);
  const hit = `${staged(TASK_REMOVE)} x cross join main.task_dot t on t.elem = x.elem and t.actor = x.dot_actor and t.seq <= x.dot_seq`;
  db.exec("drop table if exists temp.gone; create temp table gone (elem, actor, seq, primary key (elem, actor)) without rowid");
  db.run(`insert or ignore into temp.gone select t.elem, t.actor, t.seq from ${hit}`);
  const gone = tally.count(db, "temp.gone t", -1, "t");
  if (gone > 0) db.run("delete from main.task_dot where (elem, actor) in (select elem, actor from temp.gone)");
  db.exec("drop table temp.gone");
  db.run(`delete from ${staged(TASK_DOT)} as x where exists (select 1 from main.task_remove r
    where r.elem = x.elem and r.dot_actor = x.actor and r.dot_seq >= x.seq)`);
  return gone;
}

/** Rows carried for a newer version. */
export function applyAside(db: SqlDatabase, tally: Tally): number {
  for (const { name } of MERGED) {
    // Not of rows that lost or were gone already: they may hold what was forgotten.
    db.run(
      `delete from temp.x_aside as x where x.part = 1 and x.tbl = ?
        and not exists (select 1 from main.${name} r where r.actor = x.actor and r.seq = x.seq)`,
      name,
    );
  }
  db.run("delete from temp.x_aside as x where exists (select 1 from main.aside a where a.actor = x.actor and a.seq = x.seq)");
  tally.count(db, "temp.x_aside x", 1);
  return db.run("insert into main.aside (actor, seq, tbl, part, bytes, mac) select actor, seq, tbl, part, bytes, mac from temp.x_aside")
    .changes;
}

export const BODIED: readonly MergedTable[] = [MESSAGE, ENTRY];
