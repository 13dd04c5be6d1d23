import { dirname, join } from "node:path";
import { err, ok, type Result } from "../../lib/result.ts";
import { heartErrorOf } from "../failure.ts";
import type { StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { FileFacts, HeartDeps } from "../ports.ts";
import { READ_ONLY_PRAGMAS } from "../schema.ts";
import type { SqlRow } from "../sql.ts";
import { changeDraft, clearDraft, draftCopy, fileHeartError, finishDraft } from "./copy.ts";
import { keyOf } from "./keys.ts";
import { applyRedactions, redactionsOf, standsDespite } from "./scrub.ts";

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
  return backupOf(deps, place, target, deps.files.inspect(place.file));
}

/** With what is known of the file already: whoever holds a lock on it must not have it opened and closed (see restore.ts). */
export function backupOf(deps: HeartDeps, place: StoredPlace, target: string, present: FileFacts): Result<Backup, HeartError> {
  if (deps.files.exists(target)) return err({ kind: "exists", path: target });
  const folder = deps.files.makeFolder(dirname(target));
  if (!folder.ok) return err(fileHeartError(dirname(target), folder.error));
  const draft = draftCopy(deps, place.file, target, present);
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
  return finishDraft(deps, place.file, place.keysDir, { mayReplace: true });
}
