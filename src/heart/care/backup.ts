import { basename, dirname, join } from "node:path";
import { err, ok, type Result } from "../../lib/result.ts";
import { heartErrorOf } from "../failure.ts";
import type { StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartDeps } from "../ports.ts";
import { READ_ONLY_PRAGMAS } from "../schema.ts";
import type { SqlRow } from "../sql.ts";
import { changeDraft, clearDraft, draftCopy, fileHeartError, finishDraft } from "./copy.ts";
import { keyOf } from "./keys.ts";
import { applyRedactions, redactionsOf, standsDespite } from "./scrub.ts";
import { verifyHeart } from "./verify.ts";

/** A backup is a heart's file without its keys: of no use to whoever finds it, and mergeable like any copy. */
export interface Backup {
  readonly file: string;
  readonly bytes: number;
}

/**
 * Copies the heart into `target`, verified before it is called a backup. Never replaces a file (`exists`).
 * The heart may be in use meanwhile; the backup is of one moment.
 */
export function backupHeart(deps: HeartDeps, place: StoredPlace, target: string): Result<Backup, HeartError> {
  if (deps.files.exists(target)) return err({ kind: "exists", path: target });
  const folder = deps.files.makeFolder(dirname(target));
  if (!folder.ok) return err(fileHeartError(dirname(target), folder.error));
  const draft = draftCopy(deps, place.file, target);
  if (!draft.ok) return draft;
  const finished = finishDraft(deps, target, place.keysDir);
  if (!finished.ok) return finished;
  const facts = deps.files.inspect(target);
  return ok({ file: target, bytes: facts.kind === "file" ? facts.size : 0 });
}

/** What became of backups that held a text which was forgotten since. */
export interface Scrubbed {
  readonly rewritten: readonly string[];
  /** Could not be rewritten: what they say is to be told to a person. */
  readonly left: readonly { readonly file: string; readonly error: HeartError }[];
}

/** Takes out of every backup in `folder` what this heart has forgotten. Backups of other hearts are left alone. */
export function scrubBackups(deps: HeartDeps, place: StoredPlace, folder: string): Result<Scrubbed, HeartError> {
  const key = keyOf(deps, place);
  if (!key.ok) return key;
  const redactions = readRedactions(deps, place);
  if (!redactions.ok) return redactions;
  const rewritten: string[] = [];
  const left: { file: string; error: HeartError }[] = [];
  for (const { name } of deps.files.list(folder)) {
    if (!name.endsWith(".sqlite")) continue;
    const file = join(folder, name);
    const needed = needsScrub(deps, { file, keysDir: place.keysDir }, key.value.key.heart, redactions.value);
    if (!needed.ok) left.push({ file, error: needed.error });
    if (!needed.ok || !needed.value) continue;
    const done = rewrite(deps, { file, keysDir: place.keysDir }, key.value.key.key, redactions.value);
    if (done.ok) rewritten.push(file);
    else left.push({ file, error: done.error });
  }
  return ok({ rewritten, left });
}

export function readRedactions(deps: HeartDeps, { file }: StoredPlace): Result<readonly SqlRow[], HeartError> {
  try {
    using db = deps.sql.open(file, { create: false, readOnly: true });
    db.exec(READ_ONLY_PRAGMAS);
    return ok(redactionsOf(db));
  } catch (error) {
    return err(heartErrorOf(error, file));
  }
}

function needsScrub(deps: HeartDeps, { file }: StoredPlace, heart: string, redactions: readonly SqlRow[]): Result<boolean, HeartError> {
  try {
    using db = deps.sql.open(file, { create: false, readOnly: true });
    db.exec(READ_ONLY_PRAGMAS);
    const id = db.get("select v from meta where k = 'heart'")?.["v"];
    return ok(id instanceof Uint8Array && id.toHex() === heart && standsDespite(db, redactions) > 0);
  } catch (error) {
    return err(heartErrorOf(error, file));
  }
}

function rewrite(deps: HeartDeps, place: StoredPlace, key: Uint8Array, redactions: readonly SqlRow[]): Result<void, HeartError> {
  const draft = draftCopy(deps, place.file, place.file);
  if (!draft.ok) return draft;
  const changed = changeDraft(deps, draft.value, key, (db, mac) => {
    applyRedactions(db, mac, place.file, redactions);
    return ok(undefined);
  });
  if (!changed.ok) {
    clearDraft(deps, place.file);
    return changed;
  }
  return finishDraft(deps, place.file, place.keysDir);
}

export interface Restored {
  /** Where the heart that was there lies now; null when there was none. */
  readonly before: string | null;
  /** It could not be read any more and was moved as it was. */
  readonly beforeWasDamaged: boolean;
  /** Texts in the backup that were forgotten since, and stay so. */
  readonly forgotten: number;
}

/**
 * Puts a backup in the heart's place. What was there is kept in `aside` first, what was forgotten since stays forgotten, and the
 * restored heart is a replica of its own, so that it merges with other copies as the older one that it is.
 */
export function restoreHeart(deps: HeartDeps, place: StoredPlace, backup: string, aside: string): Result<Restored, HeartError> {
  const key = keyOf(deps, place);
  if (!key.ok) return key;
  const sound = verifyHeart(deps, { file: backup, keysDir: place.keysDir });
  if (!sound.ok) return sound;
  if (sound.value.count > 0) return err({ kind: "damaged", path: backup, detail: sound.value.faults[0]?.detail ?? "it is not sound" });
  if (deps.files.isSame(backup, place.file)) return err({ kind: "same-file", path: backup });
  const kept = keepPresent(deps, place, aside);
  if (!kept.ok) return kept;
  const draft = draftCopy(deps, backup, place.file);
  if (!draft.ok) return draft;
  let forgotten = 0;
  const changed = changeDraft(deps, draft.value, key.value.key.key, (db, mac) => {
    forgotten = applyRedactions(db, mac, place.file, kept.value.redactions);
    const replica = deps.random.bytes(16);
    db.run("update meta set v = ?, mac = ? where k = 'replica'", replica, mac.seal("meta", ["replica", replica]));
    return ok(undefined);
  });
  if (!changed.ok) {
    clearDraft(deps, place.file);
    return changed;
  }
  // A journal of the heart that was there would be rolled back into the one that comes.
  const journal = deps.files.remove(`${place.file}-journal`);
  if (!journal.ok) return err(fileHeartError(place.file, journal.error));
  const finished = finishDraft(deps, place.file, place.keysDir);
  return finished.ok ? ok({ before: kept.value.file, beforeWasDamaged: kept.value.damaged, forgotten }) : finished;
}

interface Kept {
  readonly file: string | null;
  readonly damaged: boolean;
  readonly redactions: readonly SqlRow[];
}

function keepPresent(deps: HeartDeps, place: StoredPlace, aside: string): Result<Kept, HeartError> {
  if (!deps.files.exists(place.file)) return ok({ file: null, damaged: false, redactions: [] });
  const backup = backupHeart(deps, place, aside);
  if (backup.ok) {
    const redactions = readRedactions(deps, place);
    return redactions.ok ? ok({ file: aside, damaged: false, redactions: redactions.value }) : redactions;
  }
  if (backup.error.kind !== "damaged") return backup;
  // What is broken is kept as it is, with the journal that belongs to it: a repair may get more out of it.
  const redactions = readRedactions(deps, place);
  const moved = join(dirname(aside), basename(aside).replace(/\.sqlite$/, ".damaged.sqlite"));
  const first = deps.files.rename(place.file, moved);
  if (!first.ok) return err(fileHeartError(place.file, first.error));
  if (deps.files.exists(`${place.file}-journal`)) deps.files.rename(`${place.file}-journal`, `${moved}-journal`);
  return ok({ file: moved, damaged: true, redactions: redactions.ok ? redactions.value : [] });
}
