import { join } from "node:path";
import { err, ok, type Result } from "../../lib/result.ts";
import { KEY_FILE, KEY_FILE_LIMIT } from "../key-file.ts";
import { equal } from "../mac.ts";
import type { StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartDeps } from "../ports.ts";
import { changeDraft, clearDraft, draftCopy, fileHeartError, finishDraft } from "./copy.ts";
import { keyOf } from "./keys.ts";

/**
 * Makes a new replica of the heart at `target`, keys and all, for another stick. Refuses a place that has a heart or other keys already.
 *
 * Keys first: a heart that is there without its keys would only be readable, while keys without a heart are what a first start makes one
 * for. The same keys without a heart are what a fork that was cut off left; it is then done again.
 */
export function forkHeart(deps: HeartDeps, place: StoredPlace, target: StoredPlace): Result<{ readonly replica: string }, HeartError> {
  if (deps.files.exists(target.file)) return err({ kind: "exists", path: target.file });
  const key = keyOf(deps, place);
  if (!key.ok) return key;
  const keyFile = join(target.keysDir, KEY_FILE);
  const written = deps.files.create(keyFile, key.value.bytes);
  if (!written.ok) return err(fileHeartError(keyFile, written.error));
  if (written.value === "exists") {
    const there = deps.files.read(keyFile, KEY_FILE_LIMIT);
    if (!there.ok || there.value === null || !equal(there.value, key.value.bytes)) return err({ kind: "exists", path: keyFile });
  }
  const replica = deps.random.bytes(16);
  const made = copyAs(deps, place, target, { key: key.value.key.key, replica });
  if (made.ok) return ok({ replica: replica.toHex() });
  // Only what this call made: a heart's keys must not lie about where there is no heart.
  if (written.value === "created") deps.files.remove(keyFile);
  return made;
}

function copyAs(
  deps: HeartDeps,
  place: StoredPlace,
  target: StoredPlace,
  { key, replica }: { readonly key: Uint8Array; readonly replica: Uint8Array },
): Result<void, HeartError> {
  const draft = draftCopy(deps, place.file, target.file);
  if (!draft.ok) return draft;
  const changed = changeDraft(deps, draft.value, key, (db, mac) => {
    db.run("update meta set v = ?, mac = ? where k = 'replica'", replica, mac.seal("meta", ["replica", replica]));
    return ok(undefined);
  });
  if (!changed.ok) {
    clearDraft(deps, target.file);
    return changed;
  }
  return finishDraft(deps, target.file, target.keysDir);
}
