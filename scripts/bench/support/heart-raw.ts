import { PRAGMAS } from "../../../src/heart/schema.ts";
import { ACTOR, CELL, MERGED, type MergedTable, TASK_DOT, TASK_REMOVE } from "../../../src/heart/tables.ts";
import { sqliteDriver } from "../../../src/platform/sqlite/driver.ts";
import { heartFile } from "./heart-load.ts";

/**
 * The floor under a merge: the same rows in the same tables, found by the same index of dots, staged in key order and put into place in
 * one durable transaction. No seal is checked, no stream counted, no conflict noted, and nothing asked about the source.
 *
 * It merges registers, elements and writing sessions, which is what the bench writes. The heart's settings apply, with a larger page
 * cache, because a floor may have what helps it.
 */
export function rawMerge(folder: string, sourceFile: string): void {
  using db = sqliteDriver.open(heartFile(folder), { create: false, readOnly: false });
  db.exec(`${PRAGMAS} pragma cache_size = -32768`);
  db.exec(`attach 'file:${sourceFile}?mode=ro' as s`);
  db.exec("pragma s.cache_size = -32768");
  db.exec("begin immediate");
  const share = Number(db.get(NEW_SHARE)?.["share"] ?? 0);
  for (const table of [ACTOR, CELL, TASK_REMOVE, TASK_DOT]) db.exec(stage(table, share > 0.25));
  db.exec(takeRegister(ACTOR));
  db.exec(takeRegister(CELL));
  db.exec(takeRegister(TASK_REMOVE));
  db.exec(REMOVE_DOTS);
  db.exec(takeRegister(TASK_DOT, NOT_REMOVED));
  db.exec(TAKE_VECTOR);
  db.exec("commit");
}

const columnsOf = (table: MergedTable): string => [...table.columns, "mac"].join(", ");

/** How much of what the source ever wrote is new here. */
const NEW_SHARE = `select 1.0 * sum(max(sv.seq - coalesce(tv.seq, 0), 0)) / sum(sv.seq) as share
  from s.vv sv left join main.vv tv on tv.actor = sv.actor`;

/** By the index of dots and sorted; or, where much is new, by a walk through the table, which is in key order already. */
const stage = (table: MergedTable, walk: boolean): string => `create temp table new_${table.name} as
  select ${[...table.columns, "mac"].map((column) => `x.${column}`).join(", ")}
  from ${walk ? `s.${table.name} x cross join s.vv sv on sv.actor = x.actor` : "s.vv sv"}
    left join main.vv tv on tv.actor = sv.actor
    ${walk ? "" : `cross join s.${table.name} x indexed by ${table.dot} on x.actor = sv.actor and x.seq > coalesce(tv.seq, 0)`}
  where sv.seq > coalesce(tv.seq, 0) and x.seq > coalesce(tv.seq, 0)
  order by ${table.merge.key.map((column) => `x.${column}`).join(", ")}`;

function takeRegister(table: MergedTable, where = "true"): string {
  const { name, merge } = table;
  if (merge.kind !== "register") throw new Error(`${name} only grows`);
  const columns = [...table.columns, "mac"].filter((column) => !merge.key.includes(column));
  const order = (of: string): string => `(${merge.order.map((column) => `${of}.${column}`).join(", ")})`;
  return `insert into main.${name} (${columnsOf(table)}) select ${columnsOf(table)} from temp.new_${name} x where ${where}
    on conflict (${merge.key.join(", ")}) do update set ${columns.map((column) => `${column} = excluded.${column}`).join(", ")}
    where ${order("excluded")} > ${order(name)}`;
}

const REMOVE_DOTS = `delete from main.task_dot where (elem, actor) in (select elem, dot_actor from temp.new_task_remove)
  and seq <= (select max(r.dot_seq) from main.task_remove r where r.elem = task_dot.elem and r.dot_actor = task_dot.actor)`;
const NOT_REMOVED = `not exists (select 1 from main.task_remove r
  where r.elem = x.elem and r.dot_actor = x.actor and r.dot_seq >= x.seq)`;
const TAKE_VECTOR = `insert into main.vv (actor, seq, mac) select actor, seq, mac from s.vv where true
  on conflict (actor) do update set seq = max(seq, excluded.seq)`;

/** What a person would see, for comparing copies: registers with their values and elements that are there. Ends with the elements' ids. */
export function contentsOf(folder: string): { readonly digest: string; readonly elements: readonly Uint8Array[] } {
  using db = sqliteDriver.open(heartFile(folder), { create: false, readOnly: true });
  const hash = new Bun.CryptoHasher("sha256");
  for (const row of db.all("select k, v from cell where ns = 'state' order by k")) hash.update(`${String(row["k"])}=${String(row["v"])};`);
  const elements = db
    .all("select distinct elem from task_dot order by elem")
    .flatMap(({ elem }) => (elem instanceof Uint8Array ? [elem] : []));
  for (const elem of elements) hash.update(elem);
  return { digest: hash.digest("hex"), elements };
}

/** Rows in all merged tables. */
export function rowsOf(folder: string): number {
  using db = sqliteDriver.open(heartFile(folder), { create: false, readOnly: true });
  return MERGED.reduce((sum, { name }) => sum + Number(db.get(`select count(*) as n from ${name}`)?.["n"] ?? 0), 0);
}
