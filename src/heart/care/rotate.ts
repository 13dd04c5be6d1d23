import { join } from "node:path";
import type { Millis } from "../../lib/brand.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { heartErrorOf } from "../failure.ts";
import { millisOf, type Hlc } from "../hlc.ts";
import type { StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartDeps } from "../ports.ts";
import { READ_ONLY_PRAGMAS } from "../schema.ts";
import { backupHeart, type Backup } from "./backup.ts";
import { targetOf } from "./copy.ts";

/** Rotating backups: the last of each of seven days and of each of four weeks, within a bound of bytes. */
export interface BackupFile {
  readonly name: string;
  readonly at: Millis;
  readonly bytes: number;
}

export interface RotationBounds {
  readonly days: number;
  readonly weeks: number;
  /** All backups together; the newest stays whatever its size. */
  readonly bytes: number;
}

const DAY = 86_400_000;
const WEEK = 7 * DAY;
const HOUR = 3_600_000;
/** Monday 1970-01-05. */
const FIRST_MONDAY = 4 * DAY;
const DAYS = 7;
const WEEKS = 4;
/**
 * Of the room that backups have: what is free, and what they take already. Rejected: a multiple of the heart's size, because eleven whole
 * copies are what seven days and four weeks are, and anything less lets weeks go while the stick is empty.
 */
const SHARE_OF_ROOM = 1 / 4;

const NAME = /^heart-(\d{4})-(\d{2})-(\d{2})T(\d{2})-(\d{2})-(\d{2})Z\.sqlite$/;

/** `heart-2026-11-23T08-30-00Z.sqlite`: sorts by time, and every file system takes it. */
export const backupName = (at: Millis): string => `heart-${new Date(at).toISOString().slice(0, 19).replaceAll(":", "-")}Z.sqlite`;

/** Null for a name that no rotation made: a person's own backups are never counted, and never deleted. */
export function backupTime(name: string): Millis | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  const [, y, mo, d, h, mi, s] = match.map(Number);
  const at = Date.UTC(y ?? 0, (mo ?? 1) - 1, d, h, mi, s) as Millis;
  // The 31st of June is nobody's day.
  return Number.isNaN(at) || backupName(at) !== name ? null : at;
}

/**
 * Which of `files` go. Pure.
 *
 * Counts days and weeks that have a backup, not days since now: after a summer in a drawer, or at a host whose clock is years off, as much
 * stays as ever. Those dated more than a day ahead are counted by themselves, because one of two clocks was wrong then, today's or the one
 * they were made by, and neither may push the other's backups out.
 */
export function planRotation(files: readonly BackupFile[], now: Millis, bounds: RotationBounds): readonly BackupFile[] {
  const newestFirst = [...files].sort((a, b) => b.at - a.at || (a.name < b.name ? 1 : -1));
  const past = keepIn(
    newestFirst.filter((file) => file.at <= now + DAY),
    bounds,
  );
  const ahead = keepIn(
    newestFirst.filter((file) => file.at > now + DAY),
    bounds,
  );
  const keep = new Set<BackupFile>();
  let bytes = 0;
  // By turns, so that where room is scarce either clock's newest stay.
  for (let i = 0; i < Math.max(past.length, ahead.length); i++) {
    for (const file of [past[i], ahead[i]]) {
      if (file === undefined) continue;
      bytes += file.bytes;
      if (bytes <= bounds.bytes || keep.size === 0) keep.add(file);
    }
  }
  return newestFirst.filter((file) => !keep.has(file));
}

function keepIn(newestFirst: readonly BackupFile[], bounds: RotationBounds): readonly BackupFile[] {
  const days = new Set<number>();
  const weeks = new Set<number>();
  return newestFirst.filter(({ at }) => {
    // Both sets are filled in any case: the newest of a day is often the newest of its week as well.
    const byDay = isNew(days, Math.floor(at / DAY), bounds.days);
    return isNew(weeks, Math.floor((at - FIRST_MONDAY) / WEEK), bounds.weeks) || byDay;
  });
}

/** Whether this is the first file of one of the `most` newest days or weeks. */
function isNew(seen: Set<number>, period: number, most: number): boolean {
  if (seen.has(period) || seen.size >= most) return false;
  seen.add(period);
  return true;
}

export interface AutoBackup {
  /** Null when none was due: today's is there, nothing changed since the last, or the heart is not a day old. */
  readonly made: Backup | null;
  readonly deleted: readonly string[];
}

/**
 * Makes today's backup when the heart changed since the last one, then lets old ones go. At most one a day, so that it costs the flash
 * little. A clock that is wrong makes a backup too many or too few, never none for good.
 */
export function autoBackup(deps: HeartDeps, place: StoredPlace, folder: string): Result<AutoBackup, HeartError> {
  const now = deps.clock.now();
  const files = listBackups(deps, folder);
  if (files.some(({ at }) => Math.floor(at / DAY) === Math.floor(now / DAY))) return ok({ made: null, deleted: [] });
  const heart = standOf(deps, place.file);
  if (!heart.ok) return heart;
  const { vector, begun } = heart.value;
  // A heart of today has nothing yet that anybody would miss.
  if (begun === null || Math.floor(begun / DAY) === Math.floor(now / DAY)) return ok({ made: null, deleted: [] });
  // Any of them, because the newest by its name may have been made under a wild clock. One that cannot be read is no backup.
  const isKept = files.some(({ name }) => {
    const then = standOf(deps, join(folder, name));
    return then.ok && then.value.vector === vector;
  });
  if (isKept) return ok({ made: null, deleted: [] });
  clearStaleDrafts(deps, folder, now);
  const made = backupHeart(deps, place, join(folder, backupName(now)));
  if (!made.ok) return made;
  const free = deps.files.freeBytes(folder);
  const all = listBackups(deps, folder);
  const used = all.reduce((sum, file) => sum + file.bytes, 0);
  const bytes = free === null ? Infinity : (used + free) * SHARE_OF_ROOM;
  const deleted: string[] = [];
  for (const { name } of planRotation(all, now, { days: DAYS, weeks: WEEKS, bytes })) {
    if (deps.files.remove(join(folder, name)).ok) deleted.push(name);
  }
  return ok({ made: made.value, deleted });
}

/** What killed backups left, each under a name of its own. One of this hour may be another process's, still in the making. */
function clearStaleDrafts(deps: HeartDeps, folder: string, now: Millis): void {
  for (const { name } of deps.files.list(folder)) {
    const at = backupTime(targetOf(name) ?? "");
    if (at !== null && Math.abs(now - at) > HOUR) deps.files.remove(join(folder, name));
  }
}

/** The rotation's own backups, newest first. */
export function listBackups(deps: HeartDeps, folder: string): readonly BackupFile[] {
  const files = deps.files.list(folder).flatMap(({ name, size }): BackupFile[] => {
    const at = backupTime(name);
    return at === null ? [] : [{ name, at, bytes: size }];
  });
  return files.sort((a, b) => b.at - a.at);
}

interface Stand {
  /** The sealed summary of the streams, which every write moves. */
  readonly vector: string;
  /** When the first writing session began; null when nothing was ever written. */
  readonly begun: Millis | null;
}

function standOf(deps: HeartDeps, file: string): Result<Stand, HeartError> {
  try {
    using db = deps.sql.open(file, { create: false, readOnly: true });
    db.exec(READ_ONLY_PRAGMAS);
    const vector = db.get("select v from meta where k = 'vector'")?.["v"];
    const first = db.get("select min(hlc) as first from actor")?.["first"];
    return ok({
      vector: vector instanceof Uint8Array ? vector.toHex() : "",
      begun: typeof first === "number" ? millisOf(first as Hlc) : null,
    });
  } catch (error) {
    return err(heartErrorOf(error, file));
  }
}
