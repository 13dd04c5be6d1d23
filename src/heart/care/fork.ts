import { join } from "node:path";
import { err, ok, type Result } from "../../lib/result.ts";
import { KEY_FILE } from "../key-file.ts";
import type { StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartDeps } from "../ports.ts";
import { changeDraft, clearDraft, draftCopy, fileHeartError, finishDraft } from "./copy.ts";
import { keyOf } from "./keys.ts";

/**
 * Makes a new replica of the heart at `target`, keys and all, for another stick. Refuses a place that has a heart or keys already.
 *
 * Keys first: a heart that is there without its keys would only be readable, while keys without a heart are what a first start makes one for.
 */
export function forkHeart(deps: HeartDeps, place: StoredPlace, target: StoredPlace): Result<{ readonly replica: string }, HeartError> {
  for (const path of [target.file, join(target.keysDir, KEY_FILE)]) {
    if (deps.files.exists(path)) return err({ kind: "exists", path });
  }
  const key = keyOf(deps, place);
  if (!key.ok) return key;
  const keyFile = join(target.keysDir, KEY_FILE);
  const written = deps.files.create(keyFile, key.value.bytes);
  if (!written.ok) return err(fileHeartError(keyFile, written.error));
  const replica = deps.random.bytes(16);
  const made = copyAs(deps, place, target, { key: key.value.key.key, replica });
  // Only what this call made: a heart's keys must not lie about where there is no heart.
  if (!made.ok) deps.files.remove(keyFile);
  return made.ok ? ok({ replica: replica.toHex() }) : made;
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
