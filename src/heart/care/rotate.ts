import { join } from "node:path";
import type { Millis } from "../../lib/brand.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { heartErrorOf } from "../failure.ts";
import type { StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartDeps } from "../ports.ts";
import { READ_ONLY_PRAGMAS } from "../schema.ts";
import { backupHeart, type Backup } from "./backup.ts";

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
/** Monday 1970-01-05. */
const FIRST_MONDAY = 4 * DAY;
const DAYS = 7;
const WEEKS = 4;
/** Backups may take four times the heart's own size, and never the last tenth of what is free. */
const TIMES_THE_HEART = 4;
const FREE_SHARE = 0.9;

const NAME = /^heart-(\d{4})-(\d{2})-(\d{2})T(\d{2})-(\d{2})-(\d{2})Z\.sqlite$/;

/** `heart-2026-11-23T08-30-00Z.sqlite`: sorts by time, and every file system takes it. */
export const backupName = (at: Millis): string => `heart-${new Date(at).toISOString().slice(0, 19).replaceAll(":", "-")}Z.sqlite`;

/** Null for a name that no rotation made: a person's own backups are never counted, and never deleted. */
export function backupTime(name: string): Millis | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  const [, y, mo, d, h, mi, s] = match.map(Number);
  const at = Date.UTC(y ?? 0, (mo ?? 1) - 1, d, h, mi, s);
  return Number.isNaN(at) ? null : (at as Millis);
}

/** Which of `files` go. Pure. Those from the future, made under a wild clock, count as of their own day and go last. */
export function planRotation(files: readonly BackupFile[], now: Millis, bounds: RotationBounds): readonly BackupFile[] {
  const newestFirst = [...files].sort((a, b) => b.at - a.at || (a.name < b.name ? 1 : -1));
  const keep = new Set<BackupFile>();
  const days = new Set<number>();
  const weeks = new Set<number>();
  for (const file of newestFirst) {
    const day = Math.floor(file.at / DAY);
    const week = Math.floor((file.at - FIRST_MONDAY) / WEEK);
    const newDay = !days.has(day) && day > Math.floor(now / DAY) - bounds.days;
    const newWeek = !weeks.has(week) && week > Math.floor((now - FIRST_MONDAY) / WEEK) - bounds.weeks;
    days.add(day);
    weeks.add(week);
    if (newDay || newWeek || keep.size === 0) keep.add(file);
  }
  let bytes = 0;
  for (const file of newestFirst) {
    if (!keep.has(file)) continue;
    bytes += file.bytes;
    if (bytes > bounds.bytes && file !== newestFirst[0]) keep.delete(file);
  }
  return newestFirst.filter((file) => !keep.has(file));
}

export interface AutoBackup {
  /** Null when none was due: today's is there, or nothing changed since the last. */
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
  const newest = files[0];
  const sameDay = newest !== undefined && Math.floor(newest.at / DAY) === Math.floor(now / DAY);
  if (sameDay) return ok({ made: null, deleted: [] });
  if (newest !== undefined) {
    const changed = isChanged(deps, place, join(folder, newest.name));
    if (!changed.ok) return changed;
    if (!changed.value) return ok({ made: null, deleted: [] });
  }
  const made = backupHeart(deps, place, join(folder, backupName(now)));
  if (!made.ok) return made;
  const free = deps.files.freeBytes(folder);
  const all = listBackups(deps, folder);
  const used = all.reduce((sum, file) => sum + file.bytes, 0);
  const bytes = Math.min(TIMES_THE_HEART * made.value.bytes, free === null ? Infinity : (used + free) * FREE_SHARE);
  const deleted: string[] = [];
  for (const { name } of planRotation(all, now, { days: DAYS, weeks: WEEKS, bytes })) {
    if (deps.files.remove(join(folder, name)).ok) deleted.push(name);
  }
  return ok({ made: made.value, deleted });
}

/** The rotation's own backups, newest first. */
export function listBackups(deps: HeartDeps, folder: string): readonly BackupFile[] {
  const files = deps.files.list(folder).flatMap(({ name, size }): BackupFile[] => {
    const at = backupTime(name);
    return at === null ? [] : [{ name, at, bytes: size }];
  });
  return files.sort((a, b) => b.at - a.at);
}

/** By the sealed summary of the streams, which every write moves. A backup that cannot be read is no backup: then another is due. */
function isChanged(deps: HeartDeps, { file }: StoredPlace, backup: string): Result<boolean, HeartError> {
  const now = vectorOf(deps, file);
  if (!now.ok) return now;
  const then = vectorOf(deps, backup);
  return ok(!then.ok || now.value !== then.value);
}

function vectorOf(deps: HeartDeps, file: string): Result<string, HeartError> {
  try {
    using db = deps.sql.open(file, { create: false, readOnly: true });
    db.exec(READ_ONLY_PRAGMAS);
    const value = db.get("select v from meta where k = 'vector'")?.["v"];
    return ok(value instanceof Uint8Array ? value.toHex() : "");
  } catch (error) {
    return err(heartErrorOf(error, file));
  }
}
