import type { SqlDatabase } from "../sql.ts";
import { CELL, ENTRY, MESSAGE, Namespace, REDACTION, TASK_DOT, TASK_REMOVE, type MergedTable } from "../tables.ts";
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

/** Keeps of the staged rows those that win, replaces what they beat. Returns how many. */
export function applyRegister(db: SqlDatabase, table: MergedTable, tally: Tally): number {
  const x = staged(table);
  db.run(
    `delete from ${x} as x where exists (select 1 from main.${table.name} r where ${sameKey(table, "r", "x")} and not ${beats(table, "x", "r")})`,
  );
  const rows = tally.count(db, `${x} x`, 1);
  if (rows === 0) return 0;
  tally.count(db, `${x} x cross join main.${table.name} r on ${sameKey(table, "r", "x")}`, -1, "r");
  const updates = [...table.columns, "mac"].filter((column) => !table.merge.key.includes(column));
  db.run(
    `insert into main.${table.name} (${list(table)}) select ${list(table)} from ${x} where true
      on conflict (${table.merge.key.join(", ")}) do update set ${updates.map((column) => `${column} = excluded.${column}`).join(", ")}`,
  );
  return rows;
}

/**
 * Keeps what loses although its writer had not seen the winner: incoming x and local r are concurrent exactly when x is beyond this
 * heart's vector and r beyond the source's. A choice of what is shown is no loss, nor is a text that somebody forgot meanwhile.
 * Before `applyRegister`, which overwrites. Returns how many there are.
 */
export function keepConflicts(db: SqlDatabase): number {
  const x = staged(CELL);
  const both = `from ${x} x cross join main.cell r on ${sameKey(CELL, "r", "x")} join temp.d d on d.actor = x.actor
    where x.ns <> '${Namespace.LEAF}' and r.v is not x.v and x.seq > d.tv
      and r.seq > coalesce((select sv.seq from s.vv sv where sv.actor = r.actor), 0)`;
  const wins = beats(CELL, "x", "r");
  const notForgotten = (winner: string): string => `not (x.ns = '${Namespace.MEMORY}' and ${winner}.v is null)`;
  const into = `insert or ignore into main.conflict (${list(CELL)})`;
  const lostHere = db.run(`${into} select ${list(CELL, "r")} ${both} and ${wins} and ${notForgotten("x")}`).changes;
  const lostThere = db.run(`${into} select ${list(CELL, "x")} ${both} and not ${wins} and ${notForgotten("r")}`).changes;
  return lostHere + lostThere;
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

/** A row without its text must have been forgotten: by a redaction that this heart has by now. Returns an id for whom that is not so. */
export function unexplainedSilence(db: SqlDatabase, table: MergedTable): string | null {
  const row = db.get(`select hex(x.id) as id from ${staged(table)} x where x.body is null
    and not exists (select 1 from main.redaction r where r.target = x.id) limit 1`);
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
  const gone = tally.count(db, `(select distinct t.elem, t.actor, t.seq from ${hit}) t`, -1, "t");
  if (gone > 0) db.run(`delete from main.task_dot where (elem, actor) in (select t.elem, t.actor from ${hit})`);
  db.run(`delete from ${staged(TASK_DOT)} as x where exists (select 1 from main.task_remove r
    where r.elem = x.elem and r.dot_actor = x.actor and r.dot_seq >= x.seq)`);
  return gone;
}

/** Rows carried for a newer version. */
export function applyAside(db: SqlDatabase, tally: Tally): number {
  db.run("delete from temp.x_aside as x where exists (select 1 from main.aside a where a.actor = x.actor and a.seq = x.seq)");
  tally.count(db, "temp.x_aside x where x.part = 0", 1);
  return db.run("insert into main.aside (actor, seq, tbl, part, bytes, mac) select actor, seq, tbl, part, bytes, mac from temp.x_aside")
    .changes;
}

export const BODIED: readonly MergedTable[] = [MESSAGE, ENTRY];
