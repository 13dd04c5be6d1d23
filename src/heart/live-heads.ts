import * as v from "valibot";
import { refused } from "./merge/source.ts";
import type { RowMac } from "./mac.ts";
import { writeMeta } from "./meta.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";
import { Namespace } from "./tables.ts";

/**
 * Checkpoints of sessions of the log that have not ended: notes in `meta`, whose page every commit writes anyway. As the register that it becomes with
 * the session's end, it would be two more pages and a statement in each commit.
 *
 * They are facts of a file, without stamps, and copies are told apart by size: a log only grows. A session that was cut off keeps its note for good.
 */
export interface LiveHead {
  /** The writing session that the leaves are of. */
  readonly actor: number;
  /** Its second line is the number of leaves. */
  readonly note: string;
}

const PREFIX = "head:";
/** What follows every key that begins so. */
const END = "head;";
const SESSION = /^[0-9a-f]{32}$/;
const Head = v.pipe(
  v.string(),
  v.parseJson(),
  v.strictObject({
    actor: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
    note: v.pipe(
      v.string(),
      v.check((note) => sizeOf(note) > 0),
    ),
  }),
);

export const headKey = (session: string): string => `${PREFIX}${session}`;
const sessionOf = (row: SqlRow): string => String(row["k"]).slice(PREFIX.length);

/** In canonical form. */
export const headText = ({ actor, note }: LiveHead): string => `{"actor":${actor},"note":${JSON.stringify(note)}}`;

/** Leaves that a checkpoint is over; 0 for what is none. */
export function sizeOf(note: string): number {
  const [, size = ""] = note.split("\n", 2);
  return /^[1-9]\d{0,14}$/.test(size) ? Number(size) : 0;
}

/** Null for what this version does not understand. */
export function parseHead(value: SqlValue | undefined): LiveHead | null {
  const parsed = v.safeParse(Head, value);
  return parsed.success ? parsed.output : null;
}

/** `mac` is null where the keys are missing: notes are then taken as they are. */
export function liveHead(db: SqlDatabase, mac: RowMac | null, session: string): LiveHead | null {
  const row = db.get("select k, v, mac from meta where k = ?", headKey(session));
  return row !== null && isSealed(row, mac) ? parseHead(row["v"]) : null;
}

/** Of all sessions. */
export function liveHeads(db: SqlDatabase, mac: RowMac | null): readonly (LiveHead & { readonly session: string })[] {
  return db.all("select k, v, mac from meta where k >= ? and k < ?", PREFIX, END).flatMap((row) => {
    const head = SESSION.test(sessionOf(row)) && isSealed(row, mac) ? parseHead(row["v"]) : null;
    return head === null ? [] : [{ ...head, session: sessionOf(row) }];
  });
}

const isSealed = (row: SqlRow, mac: RowMac | null): boolean =>
  mac === null || mac.verify("meta", [row["k"] ?? null, row["v"] ?? null], row["mac"] ?? null);

export const dropHead = (db: SqlDatabase, session: string): void => void db.run("delete from meta where k = ?", headKey(session));

const ENDED = `k >= '${PREFIX}' and k < '${END}' and exists
  (select 1 from cell c where c.ns = '${Namespace.AUDIT}' and c.k = substr(meta.k, ${PREFIX.length + 1}))`;

/** Sessions that have ended and have a note all the same: the same commit takes it away, so somebody put an earlier one back. */
export const leftBehind = (db: SqlDatabase): readonly string[] => db.all(`select k from meta where ${ENDED}`).map(sessionOf);

/** Notes of sessions whose end came from elsewhere. */
export const dropEnded = (db: SqlDatabase): void => void db.run(`delete from main.meta where ${ENDED}`);

interface CarriedHead {
  readonly session: string;
  readonly size: number;
  readonly value: SqlValue;
}

/**
 * What the attached file knows of sessions that have not ended there. Of a form that this version does not understand: left out. `most`: rows of its
 * streams, which a session has one of at least. Throws `HeartFailure` where a note is not what was written.
 */
export function readHeads(
  db: SqlDatabase,
  mac: RowMac,
  { file, most }: { readonly file: string; readonly most: number },
): readonly CarriedHead[] {
  const rows = db.all("select k, v, mac from s.meta where k >= ? and k < ? limit ?", PREFIX, END, most + 1);
  if (rows.length > most) throw refused(file, "it has notes of more sessions than it can have");
  return rows.flatMap((row) => {
    const session = sessionOf(row);
    if (!isSealed(row, mac)) throw refused(file, `the note of session ${JSON.stringify(session.slice(0, 40))} was altered`);
    const head = SESSION.test(session) ? parseHead(row["v"]) : null;
    return head === null ? [] : [{ session, size: sizeOf(head.note), value: row["v"] ?? null }];
  });
}

/** The longer of two notes stays; none does of a session that has ended. */
export function keepHeads(db: SqlDatabase, mac: RowMac, heads: readonly CarriedHead[]): void {
  for (const { session, size, value } of heads)
    if (size > sizeOf(liveHead(db, mac, session)?.note ?? "")) writeMeta(db, mac, [headKey(session), value]);
  dropEnded(db);
}
