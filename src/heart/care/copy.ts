import { dirname } from "node:path";
import { err, ok, unreachable, type Result } from "../../lib/result.ts";
import { heartErrorOf, rollback } from "../failure.ts";
import { rowMac, type RowMac } from "../mac.ts";
import type { HeartError } from "../port.ts";
import type { FileError, FileFacts, HeartDeps } from "../ports.ts";
import { PRAGMAS, READ_ONLY_PRAGMAS } from "../schema.ts";
import type { SqlDatabase } from "../sql.ts";
import { verifyHeart } from "./verify.ts";

/**
 * Whole copies of a heart's file, the way every one of them is made: under another name, synced, opened again and verified, and only then
 * given its name. Whatever stops it in between leaves a file that nobody takes for a heart, and the next copy clears it away.
 */

/** How unfinished copies are called. */
const DRAFT = ".unfinished";
/** Free bytes that stay free. */
const SPARE = 1 << 20;

export const draftOf = (file: string): string => `${file}${DRAFT}`;

/** The name that a draft, or the journal of one, would have got; null for any other file. */
export const targetOf = (name: string): string | null => {
  const draft = name.replace(/-journal$/, "");
  return draft.endsWith(DRAFT) ? draft.slice(0, -DRAFT.length) : null;
};

/** What a draft needs: SQLite's estimate of the compacted file is at most the file itself. */
export function checkRoom(deps: HeartDeps, target: string, bytes: number): Result<void, HeartError> {
  const free = deps.files.freeBytes(dirname(target));
  return free !== null && free < bytes + SPARE ? err({ kind: "full", path: dirname(target) }) : ok(undefined);
}

/**
 * A compact, consistent copy of the heart's file as a draft of `target`, while others may be writing to it. Without what was
 * deleted: only what stands is copied.
 */
export function draftCopy(
  deps: HeartDeps,
  from: string,
  target: string,
  facts: FileFacts = deps.files.inspect(from),
): Result<string, HeartError> {
  if (facts.kind !== "file") return err({ kind: "unreadable", path: from, detail: "there is no such file" });
  const room = checkRoom(deps, target, facts.size);
  if (!room.ok) return room;
  const draft = draftOf(target);
  const cleared = clearDraft(deps, target);
  if (!cleared.ok) return cleared;
  try {
    using db = deps.sql.open(from, { create: false, readOnly: !facts.writable });
    db.exec(facts.writable ? PRAGMAS : READ_ONLY_PRAGMAS);
    db.run("vacuum into ?", draft);
    return ok(draft);
  } catch (error) {
    clearDraft(deps, target);
    return err(heartErrorOf(error, from));
  }
}

/** Runs `work` on a draft, in one transaction. */
export function changeDraft(
  deps: HeartDeps,
  draft: string,
  key: Uint8Array,
  work: (db: SqlDatabase, mac: RowMac) => Result<void, HeartError>,
): Result<void, HeartError> {
  let db: SqlDatabase | null = null;
  try {
    db = deps.sql.open(draft, { create: false, readOnly: false });
    db.exec(PRAGMAS);
    db.exec("begin immediate");
    const result = work(db, rowMac(deps.crypto, key));
    db.exec(result.ok ? "commit" : "rollback");
    return result;
  } catch (error) {
    if (db !== null) rollback(db);
    return err(heartErrorOf(error, draft));
  } finally {
    db?.[Symbol.dispose]();
  }
}

/** Syncs a draft, verifies it against the keys, and gives it its name. A draft that comes to nothing is removed. */
export function finishDraft(
  deps: HeartDeps,
  target: string,
  keysDir: string,
  { mayReplace = false }: { readonly mayReplace?: boolean } = {},
): Result<void, HeartError> {
  const sound = checkDraft(deps, target, keysDir);
  if (!sound.ok) return sound;
  const named = nameDraft(deps, target, mayReplace);
  if (!named.ok) clearDraft(deps, target);
  return named;
}

export function checkDraft(deps: HeartDeps, target: string, keysDir: string): Result<void, HeartError> {
  const draft = draftOf(target);
  const synced = deps.files.sync(draft);
  const verified = synced.ok ? verifyHeart(deps, { file: draft, keysDir }) : err(fileHeartError(target, synced.error));
  if (verified.ok && verified.value.count === 0) return ok(undefined);
  clearDraft(deps, target);
  if (!verified.ok) return err({ ...verified.error, ...("path" in verified.error ? { path: target } : {}) });
  const detail = verified.value.faults[0]?.detail ?? "";
  return err({ kind: "damaged", path: target, detail: `the copy is not sound: ${detail}` });
}

/** Leaves the draft where it cannot get its name: the caller knows whether to try again. */
export function nameDraft(deps: HeartDeps, target: string, mayReplace: boolean): Result<void, HeartError> {
  if (!mayReplace && deps.files.exists(target)) return err({ kind: "exists", path: target });
  // What another file of this name left would be rolled back into this one.
  const journal = deps.files.remove(`${target}-journal`);
  if (!journal.ok) return err(fileHeartError(target, journal.error));
  const named = deps.files.rename(draftOf(target), target);
  if (!named.ok) return err(fileHeartError(target, named.error));
  // SQLite empties its journal and leaves the file. One that cannot be removed is only untidy.
  deps.files.remove(`${draftOf(target)}-journal`);
  return ok(undefined);
}

export function clearDraft(deps: HeartDeps, target: string): Result<void, HeartError> {
  for (const path of [draftOf(target), `${draftOf(target)}-journal`]) {
    const removed = deps.files.remove(path);
    if (!removed.ok) return err(fileHeartError(path, removed.error));
  }
  return ok(undefined);
}

export function fileHeartError(path: string, { kind, detail }: FileError): HeartError {
  switch (kind) {
    case "full":
    case "read-only":
      return { kind, path: dirname(path) };
    case "denied":
      return { kind: "unreadable", path, detail };
    case "unreadable":
    case "io":
      return { kind, path, detail };
    default:
      return unreachable(kind);
  }
}
