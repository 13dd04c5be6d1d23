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
  readonly note: string;
  /** Leaves. */
  readonly size: number;
}

const PREFIX = "head:";
/** What follows every key that begins so. */
const END = "head;";
const SESSION = /^[0-9a-f]{32}$/;
const natural = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const Head = v.pipe(v.string(), v.parseJson(), v.strictObject({ actor: natural, note: v.string(), size: natural }));

export const headKey = (session: string): string => `${PREFIX}${session}`;

/** In canonical form. */
export const headText = ({ actor, note, size }: LiveHead): string => `{"actor":${actor},"note":${JSON.stringify(note)},"size":${size}}`;

/** Null for what this version does not understand. */
export function parseHead(value: SqlValue | undefined): LiveHead | null {
  const parsed = v.safeParse(Head, value);
  return parsed.success ? parsed.output : null;
}

/** `mac` is null where the keys are missing: notes are then taken as they are. */
export function liveHead(db: SqlDatabase, mac: RowMac | null, session: string): LiveHead | null {
  const row = db.get("select k, v, mac from meta where k = ?", headKey(session));
  return row === null ? null : headOf(row, mac);
}

/** Of all sessions. */
export function liveHeads(db: SqlDatabase, mac: RowMac | null): readonly (LiveHead & { readonly session: string })[] {
  return db.all("select k, v, mac from meta where k >= ? and k < ?", PREFIX, END).flatMap((row) => {
    const session = String(row["k"]).slice(PREFIX.length);
    const head = SESSION.test(session) ? headOf(row, mac) : null;
    return head === null ? [] : [{ ...head, session }];
  });
}

export const dropHead = (db: SqlDatabase, session: string): void => void db.run("delete from meta where k = ?", headKey(session));

function headOf(row: SqlRow, mac: RowMac | null): LiveHead | null {
  const { k, v: value = null, mac: seal = null } = row;
  return mac === null || mac.verify("meta", [k ?? null, value], seal) ? parseHead(value) : null;
}

/** Sessions under way, or cut off, in another file; more is nobody's. */
const MOST = 10_000;

/** In a merge, once the rows are in: what the attached file knows of sessions that had not ended there. Throws `HeartFailure` where that was altered. */
export function carryHeads(db: SqlDatabase, mac: RowMac, file: string): void {
  for (const row of db.all("select k, v, mac from s.meta where k >= ? and k < ? limit ?", PREFIX, END, MOST)) {
    const key = String(row["k"]);
    const session = key.slice(PREFIX.length);
    const theirs = headOf(row, mac);
    if (theirs === null || !SESSION.test(session))
      throw refused(file, `the head of session ${JSON.stringify(session.slice(0, 40))} was altered`);
    if (theirs.size > (liveHead(db, mac, session)?.size ?? 0)) writeMeta(db, mac, [key, row["v"] ?? null]);
  }
  dropEnded(db);
}

/** Notes of sessions whose end came from elsewhere. */
export function dropEnded(db: SqlDatabase): void {
  const ended = "select 1 from main.cell c where c.ns = ? and c.k = substr(main.meta.k, ?)";
  db.run(`delete from main.meta where k >= ? and k < ? and exists (${ended})`, PREFIX, END, Namespace.AUDIT, PREFIX.length + 1);
}
