import type { RowMac } from "../mac.ts";
import type { SqlDatabase } from "../sql.ts";
import { countStreams, readStream, sumFloors, VV_COLUMNS } from "../streams.ts";
import { TASK_DOT } from "../tables.ts";
import type { Tally } from "./apply.ts";
import { refused, type Source } from "./source.ts";
import type { Stage } from "./vector.ts";

/**
 * The case that a delta cannot serve: the source has pruned removes that this heart never saw. Then, and only then, a dot that the
 * source has seen and lacks counts as removed. Because that deletes for an absence, the whole source must first be what it claims.
 */
export function isBelowFloor(db: SqlDatabase, mac: RowMac, source: Source): boolean {
  const { floors } = source.summary;
  const found = sumFloors(db, "s", floors.rows + 1);
  if (found.rows !== floors.rows || found.seqs !== floors.seqs) throw refused(source.file, "the marks of what it pruned were altered");
  if (floors.rows === 0) return false;
  db.each("select actor, seq, mac from s.remove_floor", (row) => {
    if (!mac.verify("remove_floor", [row["actor"] ?? null, row["seq"] ?? null], row["mac"] ?? null)) {
      throw refused(source.file, "the marks of what it pruned were altered");
    }
  });
  return db.get(`select 1 from ${FLOORS_AHEAD} limit 1`) !== null;
}

/** Marks of what the source pruned and this heart never saw. Before the vector moves. */
const FLOORS_AHEAD = `s.remove_floor f left join main.vv tv on tv.actor = f.actor where f.seq > coalesce(tv.seq, 0) or tv.gap = 1`;

/** The dot `t` is not among the source's. */
const UNSEEN = "not exists (select 1 from temp.y y where y.elem = t.elem and y.actor = t.actor and y.seq >= t.seq)";

/**
 * Copies the source's dots to `temp.y`, checked, and lists the streams of those that it lacks as well: they are read and checked as a whole,
 * although nothing new may be in them. Counting alone would let any row stand in for the dot.
 */
export function listDoubtfulStreams(stage: Stage): void {
  const { db } = stage;
  copyDots(stage);
  countWholeSource(stage);
  db.run(`insert or ignore into temp.d select sv.actor, tv.seq, tv.seq, sv.seq, sv.gap from s.vv sv cross join main.vv tv on tv.actor = sv.actor
    where sv.gap is null and tv.actor in (select t.actor from main.task_dot t where t.seq <= sv.seq and ${UNSEEN})`);
}

/** Removes here what the source saw removed. Returns how many dots went. */
export function removeAbsentDots(db: SqlDatabase, tally: Tally): number {
  const absent = `temp.d d cross join main.task_dot t indexed by ${TASK_DOT.dot} on t.actor = d.actor and t.seq <= d.sv
    where d.gap is null and ${UNSEEN}`;
  const gone = tally.count(db, absent, -1, "t");
  if (gone > 0) db.run(`delete from main.task_dot where (elem, actor) in (select t.elem, t.actor from ${absent})`);
  return gone;
}

/**
 * A source that lost rows cannot say of a dot that it has seen and lacks whether it was removed. Such dots stay here, and the streams whose
 * pruned removes were to be made up for count as having a gap: every later copy is asked again, until a whole one answers.
 */
export function unansweredStreams(db: SqlDatabase): readonly number[] {
  const doubt =
    db.get(`select 1 from s.vv sv cross join main.task_dot t indexed by ${TASK_DOT.dot} on t.actor = sv.actor and t.seq <= sv.seq
    where sv.gap = 1 and ${UNSEEN} limit 1`);
  return doubt === null ? [] : db.all(`select f.actor as actor from ${FLOORS_AHEAD}`).map((row) => Number(row["actor"]));
}

/**
 * A stream with a gap here is taken from its beginning, so all dots of it that the source has are staged and checked: those that a whole
 * source has seen and lacks are removed, although the remove itself may be covered by this heart's vector or be pruned. Returns how many
 * dots went.
 */
export function removeDotsAbsentFromRefilled(db: SqlDatabase, tally: Tally): number {
  const absent = `temp.d d cross join main.task_dot t indexed by ${TASK_DOT.dot} on t.actor = d.actor and t.seq <= d.sv
    where d.low < d.tv and d.gap is null and (t.elem, t.actor) not in (select y.elem, y.actor from temp.x_${TASK_DOT.name} y)`;
  const gone = tally.count(db, absent, -1, "t");
  if (gone > 0) db.run(`delete from main.task_dot where (elem, actor) in (select t.elem, t.actor from ${absent})`);
  return gone;
}

/**
 * The other way round: this heart pruned removes that the source has not seen. A dot that is missing here may then be lost or removed, and
 * is left out. True when that was so: the gap then stays, until a copy comes that has seen those removes.
 */
export function leaveDoubtfulDots(db: SqlDatabase, mac: RowMac, source: Source): boolean {
  if (db.get("select 1 from temp.d where low < tv limit 1") === null || !isBelowOurFloor(db, mac, source)) return false;
  db.run(`delete from temp.x_${TASK_DOT.name} as x where x.seq <= (select d.tv from temp.d d where d.actor = x.actor)`);
  return true;
}

function isBelowOurFloor(db: SqlDatabase, mac: RowMac, source: Source): boolean {
  let below = false;
  const columns = VV_COLUMNS.map((name) => (name === "actor" ? "f.actor as actor" : `v.${name} as ${name}`)).join(", ");
  db.each(`select ${columns}, v.mac as mac, f.seq as floor from main.remove_floor f left join s.vv v on v.actor = f.actor`, (row) => {
    const stream = row["seq"] === null ? null : readStream(row, mac);
    if (row["seq"] !== null && stream === null) {
      throw refused(source.file, `the version vector of writing session ${String(row["actor"])} was altered`);
    }
    below ||= stream === null || stream.gap || stream.seq < Number(row["floor"]);
  });
  return below;
}

/** From now on this heart, too, may lack removes up to these marks. */
export function adoptFloors(db: SqlDatabase): boolean {
  const { changes } = db.run(`insert into main.remove_floor (actor, seq, mac) select actor, seq, mac from s.remove_floor where true
    on conflict (actor) do update set seq = excluded.seq, mac = excluded.mac where excluded.seq > remove_floor.seq`);
  return changes > 0;
}

function copyDots({ db, mac, source }: Stage): void {
  const columns = TASK_DOT.columns;
  const most = source.summary.hot.rows + source.summary.cold.rows;
  db.exec("drop table if exists temp.y; create temp table y (elem, actor, seq, hlc, mac, primary key (elem, actor)) without rowid");
  db.run(`insert or ignore into temp.y select ${columns.join(", ")}, mac from s.task_dot limit ?`, most + 1);
  db.each(`select ${columns.join(", ")}, mac from temp.y`, (row) => {
    const values = columns.map((name) => row[name] ?? null);
    if (!mac.verify(TASK_DOT.name, values, row["mac"] ?? null)) throw refused(source.file, "a task of it is not what was written");
  });
}

function countWholeSource({ db, mac, source }: Stage): void {
  const most = source.summary.hot.rows + source.summary.cold.rows;
  const tables = source.shape.tables.map(({ table }) => table);
  for (const { name, dot } of tables) {
    const row = db.get(`select count(*) as n from (select 1 from s.${name} indexed by ${dot} where true limit ?)`, most + 1);
    if (Number(row?.["n"]) > most) throw refused(source.file, `its table ${name} has more rows than it says`);
  }
  const counted = countStreams(db, "s", tables);
  db.each(`select ${[...VV_COLUMNS, "mac"].join(", ")} from s.vv`, (row) => {
    const stream = readStream(row, mac);
    const found = counted.get(Number(row["actor"])) ?? { rows: 0, total: 0 };
    if (stream === null || found.rows !== stream.rows || found.total !== stream.total) {
      throw refused(source.file, `rows of writing session ${String(row["actor"])} are missing or were added`);
    }
  });
  // Streams are counted by the index; what is compared are the table's rows.
  const sums = "select count(*) as n, coalesce(sum(seq), 0) as total from";
  const [indexed, copied] = [db.get(`${sums} s.task_dot indexed by ${TASK_DOT.dot} where true`), db.get(`${sums} temp.y`)];
  if (indexed?.["n"] !== copied?.["n"] || indexed?.["total"] !== copied?.["total"]) {
    throw refused(source.file, "its tasks and the index of them disagree");
  }
}
