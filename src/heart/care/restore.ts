import { basename, dirname, join } from "node:path";
import { err, ok, type Result } from "../../lib/result.ts";
import { heartErrorOf, rollback } from "../failure.ts";
import type { StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { FileFacts, HeartDeps } from "../ports.ts";
import { PRAGMAS } from "../schema.ts";
import type { SqlDatabase, SqlRow } from "../sql.ts";
import { backupOf, readRedactions } from "./backup.ts";
import { changeDraft, checkDraft, checkRoom, clearDraft, draftCopy, fileHeartError, nameDraft } from "./copy.ts";
import { keyOf } from "./keys.ts";
import { applyRedactions, redactionsOnPages } from "./scrub.ts";
import { verifyHeart } from "./verify.ts";

export interface Restored {
  /** Where the heart that was there lies now; null when there was none. */
  readonly before: string | null;
  /** It could not be read any more and was put aside as it was. */
  readonly beforeWasDamaged: boolean;
  /** Texts in the backup that were forgotten since, and stay so. */
  readonly forgotten: number;
}

/**
 * Puts a backup in the heart's place. What was there is kept in `aside` first, what was forgotten since stays forgotten, and the
 * restored heart is a replica of its own, so that it merges with other copies as the older one that it is.
 *
 * The new file is whole before the old one is touched, and takes its place in one step: whenever this ends, there is a heart.
 * Other processes cannot write in between; one that has the old file open is told by SQLite that it moved, and opens the new one.
 */
export function restoreHeart(deps: HeartDeps, place: StoredPlace, backup: string, aside: string): Result<Restored, HeartError> {
  const key = keyOf(deps, place);
  if (!key.ok) return key;
  const sound = verifyHeart(deps, { file: backup, keysDir: place.keysDir });
  if (!sound.ok) return sound;
  if (sound.value.count > 0) return err({ kind: "damaged", path: backup, detail: sound.value.faults[0]?.detail ?? "it is not sound" });
  if (deps.files.isSame(backup, place.file)) return err({ kind: "same-file", path: backup });
  if (deps.files.exists(aside)) return err({ kind: "exists", path: aside });
  const [source, present] = [deps.files.inspect(backup), deps.files.inspect(place.file)];
  if (present.kind !== "file" && present.kind !== "absent") {
    const detail = present.kind === "no-folder" ? "its folder does not exist" : present.detail;
    return err({ kind: "unreadable", path: place.file, detail });
  }
  const room = checkRoom(deps, place.file, sizeOf(source) + sizeOf(present));
  if (!room.ok) return room;
  const draft = draftCopy(deps, backup, place.file, source);
  if (!draft.ok) return draft;
  const restored = exchange(deps, { place, aside, draft: draft.value, present, key: key.value.key.key });
  if (!restored.ok) clearDraft(deps, place.file);
  return restored;
}

const sizeOf = (facts: FileFacts): number => (facts.kind === "file" ? facts.size : 0);

interface Exchange {
  readonly place: StoredPlace;
  readonly aside: string;
  readonly draft: string;
  readonly present: FileFacts;
  readonly key: Uint8Array;
}

function exchange(deps: HeartDeps, { place, aside, draft, present, key }: Exchange): Result<Restored, HeartError> {
  const held = holdWriters(deps, place.file, present);
  if (!held.ok) return held;
  const hold = held.value;
  try {
    const kept = keepPresent(deps, place, aside, present);
    if (!kept.ok) return kept;
    let forgotten = 0;
    const changed = changeDraft(deps, draft, key, (db, mac) => {
      forgotten = applyRedactions(db, mac, place.file, kept.value.redactions);
      const replica = deps.random.bytes(16);
      db.run("update meta set v = ?, mac = ? where k = 'replica'", replica, mac.seal("meta", ["replica", replica]));
      return ok(undefined);
    });
    if (!changed.ok) return changed;
    const sound = checkDraft(deps, place.file, place.keysDir);
    if (!sound.ok) return sound;
    let named = nameDraft(deps, place.file, true);
    if (!named.ok && hold.db !== null) {
      // Windows gives no open file's name away, not even to the process that has it open.
      hold.release();
      named = nameDraft(deps, place.file, true);
    }
    return named.ok ? ok({ before: kept.value.file, beforeWasDamaged: kept.value.damaged, forgotten }) : named;
  } finally {
    hold.release();
  }
}

interface Hold {
  /** Null where there is nothing to write to, or nothing that SQLite would. */
  readonly db: SqlDatabase | null;
  release(): void;
}

/**
 * Takes the heart's write lock, so that nothing is acknowledged that the copy aside does not have; readers go on. The lock is lost when
 * this process opens and closes the file by any other way than SQLite's (POSIX), so nobody looks at it until it is released.
 */
function holdWriters(deps: HeartDeps, file: string, present: FileFacts): Result<Hold, HeartError> {
  let db: SqlDatabase | null = null;
  const release = (): void => {
    if (db === null) return;
    rollback(db);
    db[Symbol.dispose]();
    db = null;
  };
  if (present.kind !== "file") return ok({ db, release });
  try {
    db = deps.sql.open(file, { create: false, readOnly: false });
    db.exec(PRAGMAS);
    db.exec("begin immediate");
    return ok({ db, release });
  } catch (error) {
    release();
    const failure = heartErrorOf(error, file);
    return failure.kind === "damaged" ? ok({ db: null, release }) : err(failure);
  }
}

interface Kept {
  readonly file: string | null;
  readonly damaged: boolean;
  readonly redactions: readonly SqlRow[];
}

function keepPresent(deps: HeartDeps, place: StoredPlace, aside: string, present: FileFacts): Result<Kept, HeartError> {
  if (present.kind !== "file") return ok({ file: null, damaged: false, redactions: [] });
  const backup = backupOf(deps, place, aside, present);
  if (backup.ok) {
    const redactions = readRedactions(deps, place);
    return redactions.ok ? ok({ file: aside, damaged: false, redactions: redactions.value }) : redactions;
  }
  if (backup.error.kind !== "damaged") return backup;
  // What is broken is kept as it is, with the journal that belongs to it: a repair may get more out of it. (Reading it takes the lock
  // away; what is written to a broken heart just then is lost with it.)
  const redactions = redactionsOnPages(deps.files, place.file, present.size);
  const target = join(dirname(aside), basename(aside).replace(/\.sqlite$/, ".damaged.sqlite"));
  const folder = deps.files.makeFolder(dirname(target));
  if (!folder.ok) return err(fileHeartError(dirname(target), folder.error));
  for (const end of ["", "-journal"]) {
    if (!deps.files.exists(`${place.file}${end}`)) continue;
    // Copied, not moved: a heart that was away for a moment would be made anew by whoever opens it in that moment.
    const copied = deps.files.copy(`${place.file}${end}`, `${target}${end}`);
    if (!copied.ok) return err(fileHeartError(target, copied.error));
  }
  return ok({ file: target, damaged: true, redactions });
}
