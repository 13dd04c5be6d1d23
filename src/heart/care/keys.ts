import { join } from "node:path";
import { err, ok, type Result } from "../../lib/result.ts";
import { KEY_FILE, KEY_FILE_LIMIT, readKeyFile, type HeartKey } from "../key-file.ts";
import type { StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartDeps } from "../ports.ts";

/** The key that lies beside a heart, and the bytes of its file. */
export function keyOf(
  deps: HeartDeps,
  { file, keysDir }: StoredPlace,
): Result<{ readonly key: HeartKey; readonly bytes: Uint8Array }, HeartError> {
  const path = join(keysDir, KEY_FILE);
  const bytes = deps.files.read(path, KEY_FILE_LIMIT);
  if (!bytes.ok) return err({ kind: "keys-broken", path, detail: bytes.error.detail });
  if (bytes.value === null) return err({ kind: "keys-missing", path: file });
  const key = readKeyFile(bytes.value, deps.crypto);
  return key.ok ? ok({ key: key.value, bytes: bytes.value }) : err({ kind: "keys-broken", path, detail: key.error });
}
