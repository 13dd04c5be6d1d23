import { dirname } from "node:path";
import { err, ok, unreachable, type Result } from "../../lib/result.ts";
import { heartErrorOf, rollback } from "../failure.ts";
import { rowMac, type RowMac } from "../mac.ts";
import type { HeartError } from "../port.ts";
import type { FileError, HeartDeps } from "../ports.ts";
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
export function draftCopy(deps: HeartDeps, from: string, target: string): Result<string, HeartError> {
  const facts = deps.files.inspect(from);
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

/** Syncs a draft, verifies it against the keys, and gives it its name. A draft that is not sound is removed. */
export function finishDraft(deps: HeartDeps, target: string, keysDir: string): Result<void, HeartError> {
  const draft = draftOf(target);
  const synced = deps.files.sync(draft);
  if (!synced.ok) return err(fileHeartError(draft, synced.error));
  const verified = verifyHeart(deps, { file: draft, keysDir });
  if (!verified.ok || verified.value.count > 0) {
    clearDraft(deps, target);
    if (!verified.ok) return err({ ...verified.error, ...("path" in verified.error ? { path: target } : {}) });
    const detail = verified.value.faults[0]?.detail ?? "";
    return err({ kind: "damaged", path: target, detail: `the copy is not sound: ${detail}` });
  }
  const named = deps.files.rename(draft, target);
  if (!named.ok) return err(fileHeartError(target, named.error));
  // SQLite empties its journal and leaves the file. One that cannot be removed is only untidy.
  deps.files.remove(`${draft}-journal`);
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
