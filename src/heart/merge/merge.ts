import type { Millis } from "../../lib/brand.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { heartErrorOf, rollback } from "../failure.ts";
import { millisOf, type Hlc } from "../hlc.ts";
import type { RowMac } from "../mac.ts";
import type { HeartError } from "../port.ts";
import type { HeartCrypto } from "../ports.ts";
import { SqlError, type SqlDatabase } from "../sql.ts";
import { digestOf, readSummary, sameStreams, StreamBook } from "../streams.ts";
import { ACTOR, CELL, INCIDENT, LEAF, MERGED, Namespace, TASK_DOT, TASK_REMOVE } from "../tables.ts";
import { keepHeads, readHeads } from "../live-heads.ts";
import { readMeta, writeMeta } from "../meta.ts";
import {
  applyAside,
  applyBodied,
  applyGrown,
  applyRedactions,
  applyRegister,
  applyRemoves,
  bodiesToForget,
  BODIED,
  dropForgottenConflicts,
  forgetEntryBodies,
  forgetMessageBodies,
  Tally,
  unexplainedSilence,
} from "./apply.ts";
import { type Delta, fenceAt, setExtrasAside, stageDelta, staged } from "./delta.ts";
import { adoptFloors, isBelowFloor, leaveDoubtfulDots, removeAbsentDots, removeDotsAbsentFromRefilled, unansweredStreams } from "./full.ts";
import { readOnlyUri, refused, vetSource, type Source } from "./source.ts";
import type { Stage } from "./vector.ts";
import { noteEqual, noteWitness } from "./witness.ts";

/** What came of a merge. Counts are of rows that this heart had not or that replaced its own. */
export interface MergeReport {
  /** Both had the same already: nothing was read or written beyond noting, once, that it is so. */
  readonly same: boolean;
  /** `full`: the source had pruned what this heart never saw, and all tasks were compared. */
  readonly mode: "delta" | "full";
  /** The other replica, 16 bytes in hex. */
  readonly replica: string;
  readonly messages: number;
  readonly forgotten: number;
  readonly tasksAdded: number;
  readonly tasksRemoved: number;
  /** Values by namespace: "memory", "task", "state" … */
  readonly values: Readonly<Record<string, number>>;
  readonly entries: number;
  readonly incidents: number;
  /** Writing sessions that brought something. */
  readonly sessions: number;
  /** Rows of a newer version, carried on unread. */
  readonly aside: number;
  /** Values that lost against a concurrent write and are kept. */
  readonly conflicts: number;
  /** Rows from a clock more than five minutes ahead: taken, and not followed. */
  readonly fenced: { readonly rows: number; readonly furthest: Millis | null };
}

export interface MergeContext {
  readonly db: SqlDatabase;
  readonly mac: RowMac;
  readonly crypto: HeartCrypto;
  /** This heart's own file, for errors. */
  readonly file: string;
  readonly now: Millis;
  /** Rows whose bodies are about to be deleted: the search index forgets them first. */
  readonly unindex: (table: "message" | "entry", rows: readonly number[]) => void;
  /** Tasks changed, for what is derived from them: those that `query` yields as `elem`, or all. */
  readonly tasksChanged: (query: string) => void;
}

/**
 * Takes into this heart what `sourceFile` has and it lacks: a pure function of the two files, in one transaction.
 * The caller has looked at the file (`refuseFile`). With `dryRun` everything is done, counted and undone.
 *
 * Errors: `foreign`; `damaged` or `io` naming the source, with this heart untouched; and this heart's own.
 */
export function merge(context: MergeContext, sourceFile: string, dryRun: boolean): Result<MergeReport, HeartError> {
  const { db, file } = context;
  let reading = sourceFile;
  try {
    db.run("attach ? as s", readOnlyUri(sourceFile));
    db.exec(ROOM);
  } catch (error) {
    return err(sourceError(error, sourceFile));
  }
  try {
    db.exec("begin immediate");
    const report = take(context, sourceFile, () => (reading = file));
    db.exec(dryRun ? "rollback" : "commit");
    return ok(report);
  } catch (error) {
    rollback(db);
    return err(reading === file ? heartErrorOf(error, file) : sourceError(error, sourceFile));
  } finally {
    detach(db);
  }
}

/**
 * 32 MiB of pages, and 16 of the other file. With SQLite's 2 MiB a large merge reads pages of the source again and again, and writes its own out before it
 * ends, with a sync each time.
 */
const ROOM = "pragma main.cache_size = -32768; pragma s.cache_size = -16384";

function take(context: MergeContext, sourceFile: string, readAll: () => void): MergeReport {
  const { db, mac, crypto, file, now } = context;
  const own = readSummary(db, mac, "main");
  if (own === null) throw refused(file, "the summary of its version vector was altered");
  const source = vetSource(db, mac, sourceFile);
  const heads = readHeads(db, mac, { file: sourceFile, most: source.summary.hot.rows + source.summary.cold.rows });
  if (sameStreams(own, source.summary) && !hasGaps(db)) {
    // A repair may have lost some here.
    keepHeads(db, mac, heads);
    noteEqual(db, source.device, digestOf(own));
    return { ...NOTHING, same: true, replica: source.device.toHex() };
  }

  const full = isBelowFloor(db, mac, source);
  // Streams that both call settled are equal when their digests are: they need no comparing one by one.
  const settled =
    !full && own.cold.streams === source.summary.cold.streams && own.cold.digest.toHex() === source.summary.cold.digest.toHex();
  const stage: Stage = { db, mac, crypto, source, own, file, fence: fenceAt(now), settled, full };
  const delta = stageDelta(stage);
  setExtrasAside(stage);
  readAll();
  const report = apply(context, source, delta, full);
  followClock(context, source, stage.fence);
  noteWitness(db, source.device, settled);
  keepHeads(db, mac, heads);
  for (const table of MERGED) db.exec(`drop table ${staged(table)}`);
  db.exec("drop table temp.x_aside; drop table temp.d; drop table temp.changed; drop table if exists temp.y");
  return report;
}

/** In the order in which one thing forbids the next: redactions before texts, removes before tasks. */
function apply(context: MergeContext, source: Source, delta: Delta, full: boolean): MergeReport {
  const { db, mac, file } = context;
  const tally = new Tally();
  const sessions = applyRegister(db, ACTOR, tally).rows;
  const forgotten = applyRedactions(db, tally);
  if (forgotten > 0) forgetBodies(context);
  const [messages = 0, entries = 0] = BODIED.map((table) => {
    const silent = unexplainedSilence(db, table);
    if (silent !== null) throw refused(source.file, `the text of ${table.name} ${silent} is gone, and nobody forgot it`);
    return applyBodied(db, table, tally);
  });
  const leaves = applyGrown(db, LEAF, tally);
  listChangedTasks(db);
  const { conflicts } = applyRegister(db, CELL, tally);
  dropForgottenConflicts(db);
  const values = countByNamespace(db);
  const absent = (full ? removeAbsentDots(db, tally) : 0) + removeDotsAbsentFromRefilled(db, tally);
  const leavesGaps = leaveDoubtfulDots(db, mac, source);
  const removed = applyRemoves(db, tally);
  const tasksAdded = applyRegister(db, TASK_DOT, tally).rows;
  const incidents = applyRegister(db, INCIDENT, tally).rows;
  const aside = applyAside(db, tally);
  const floors = adoptFloors(db);
  const unanswered = full ? unansweredStreams(db) : [];
  bookStreams(db, mac, file, { delta, tally, floors, leavesGaps, unanswered });
  context.tasksChanged(absent > 0 ? "all" : CHANGED_TASKS);
  const { rows, furthest } = delta.fenced;
  return {
    same: false,
    mode: full ? "full" : "delta",
    replica: source.device.toHex(),
    messages,
    forgotten,
    tasksAdded,
    tasksRemoved: removed + absent,
    values,
    entries: entries + leaves,
    incidents,
    sessions,
    aside,
    conflicts,
    fenced: { rows, furthest: furthest === 0 ? null : millisOf(furthest) },
  };
}

function forgetBodies({ db, unindex }: MergeContext): void {
  for (const [table, forget] of [
    ["message", forgetMessageBodies],
    ["entry", forgetEntryBodies],
  ] as const) {
    const rows = bodiesToForget(db, table);
    if (rows.length === 0) continue;
    unindex(table, rows);
    forget(db, rows);
  }
}

interface Booked {
  readonly delta: Delta;
  readonly tally: Tally;
  readonly floors: boolean;
  /** Gaps were filled but for dots. */
  readonly leavesGaps: boolean;
  /** Streams that have a gap from now on. */
  readonly unanswered: readonly number[];
}

/** What has a gap is asked for again, and so is not settled. */
const GAP = { gap: true, cold: false } as const;

/** The vector comes last: what it says is here then. */
function bookStreams(db: SqlDatabase, mac: RowMac, file: string, { delta, tally, floors, leavesGaps, unanswered }: Booked): void {
  const book = new StreamBook(db, mac, file);
  for (const [actor, { rows, total }] of tally.streams) {
    if (!delta.streams.has(actor)) book.apply({ actor, seq: null, rows, total });
  }
  for (const row of db.all("select actor, tv, low from temp.d")) {
    const actor = Number(row["actor"]);
    const stream = delta.streams.get(actor);
    if (stream === undefined) continue;
    const { rows, total } = tally.streams.get(actor) ?? { rows: 0, total: 0 };
    book.apply({ actor, seq: stream.seq, rows, total });
    const tv = Number(row["tv"]);
    const stays = leavesGaps && Number(row["low"]) < tv;
    if (stream.gap && stream.seq > tv) book.mark(actor, GAP);
    else if (!stream.gap && stream.seq >= tv && !stays) book.mark(actor, { gap: false });
  }
  for (const actor of unanswered) book.mark(actor, GAP);
  if (floors) book.floorsMoved();
  book.save();
}

/** Copies with the same gaps need not lack the same rows. */
const hasGaps = (db: SqlDatabase): boolean => db.get("select 1 from main.vv indexed by vv_gap where gap is not null limit 1") !== null;

function followClock({ db, mac }: MergeContext, source: Source, fence: Hlc): void {
  const last = Number(readMeta(db, "hlc")?.["v"] ?? 0);
  if (source.last > last && source.last <= fence) writeMeta(db, mac, ["hlc", source.last]);
}

const CHANGED_TASKS = "select elem from temp.changed";

/** Before anything is applied: what loses is no longer staged then. A task's attribute is the cell `<id in hex>.<name>`. */
function listChangedTasks(db: SqlDatabase): void {
  db.exec("drop table if exists temp.changed; create temp table changed (elem primary key) without rowid");
  db.exec(`insert or ignore into temp.changed select elem from ${staged(TASK_DOT)} union all select elem from ${staged(TASK_REMOVE)}
    union all select unhex(substr(k, 1, 32)) from ${staged(CELL)} where ns = '${Namespace.TASK}' and unhex(substr(k, 1, 32)) is not null`);
}

function countByNamespace(db: SqlDatabase): Record<string, number> {
  const rows = db.all(`select ns, count(*) as n from ${staged(CELL)} group by ns`);
  return Object.fromEntries(rows.map((row) => [String(row["ns"]), Number(row["n"])]));
}

/** What SQLite says while the source is read is about the source: a broken page, a stick that was pulled. */
function sourceError(error: unknown, file: string): HeartError {
  if (error instanceof SqlError && (error.code === "SQLITE_ERROR" || error.code.startsWith("SQLITE_CONSTRAINT"))) {
    return { kind: "damaged", path: file, detail: error.message };
  }
  return heartErrorOf(error, file);
}

function detach(db: SqlDatabase): void {
  try {
    db.exec("detach s");
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
  }
}

const NOTHING: MergeReport = {
  same: false,
  mode: "delta",
  replica: "",
  messages: 0,
  forgotten: 0,
  tasksAdded: 0,
  tasksRemoved: 0,
  values: {},
  entries: 0,
  incidents: 0,
  sessions: 0,
  aside: 0,
  conflicts: 0,
  fenced: { rows: 0, furthest: null },
};
