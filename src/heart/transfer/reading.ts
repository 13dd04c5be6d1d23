import { join } from "node:path";
import { err, type Result } from "../../lib/result.ts";
import { heartErrorOf } from "../failure.ts";
import { KEY_FILE, KEY_FILE_LIMIT, readKeyFile } from "../key-file.ts";
import { rowMac, type RowMac } from "../mac.ts";
import { withStoredHeart, type StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartDeps } from "../ports.ts";
import { isExactSchema, READ_ONLY_PRAGMAS, SCHEMA_VERSION } from "../schema.ts";
import type { SqlDatabase } from "../sql.ts";
import { readMeta } from "../writer.ts";

/** A heart on a connection that nothing is written through. */
export interface ReadableHeart {
  readonly db: SqlDatabase;
  /** Null where the keys are missing: rows are then taken as they are. */
  readonly mac: RowMac | null;
  readonly id: string;
}

/**
 * Runs `work` on a heart that exists, for reading: also on a read-only stick, and without the keys. A heart of an older version is brought
 * up to date where that is possible, and `outdated` where it is not. The connection is closed afterwards.
 *
 * Rejected: `openHeart`, which answers conversations only; and copying the heart into memory.
 */
export function withReadableHeart<T>(
  deps: HeartDeps,
  place: StoredPlace,
  work: (heart: ReadableHeart) => Result<T, HeartError>,
): Result<T, HeartError> {
  let entered = false;
  const stored = withStoredHeart(deps, place, (heart) => {
    entered = true;
    return guarded(place.file, () => work(heart));
  });
  if (entered || stored.ok) return stored;
  const { kind } = stored.error;
  return kind === "read-only" || kind === "keys-missing" ? readOnly(deps, place, work) : stored;
}

function readOnly<T>(deps: HeartDeps, { file, keysDir }: StoredPlace, work: (heart: ReadableHeart) => Result<T, HeartError>) {
  return guarded(file, (): Result<T, HeartError> => {
    const bytes = deps.files.read(join(keysDir, KEY_FILE), KEY_FILE_LIMIT);
    if (!bytes.ok) return err({ kind: "keys-broken", path: join(keysDir, KEY_FILE), detail: bytes.error.detail });
    const key = bytes.value === null ? null : readKeyFile(bytes.value, deps.crypto);
    if (key !== null && !key.ok) return err({ kind: "keys-broken", path: join(keysDir, KEY_FILE), detail: key.error });
    using db = deps.sql.open(file, { create: false, readOnly: true });
    db.exec(READ_ONLY_PRAGMAS);
    if (Number(db.get("pragma user_version")?.["user_version"] ?? 0) < SCHEMA_VERSION) return err({ kind: "outdated", path: file });
    if (!isExactSchema(db, deps.sql)) return err({ kind: "damaged", path: file, detail: "its tables are not those of a heart" });
    const row = readMeta(db, "heart");
    const id = row?.["v"];
    if (!(id instanceof Uint8Array)) return err({ kind: "damaged", path: file, detail: "it does not say which heart it is" });
    if (key === null) return work({ db, mac: null, id: id.toHex() });
    if (id.toHex() !== key.value.heart) return err({ kind: "foreign", path: file });
    const mac = rowMac(deps.crypto, key.value.key);
    if (!mac.verify("meta", ["heart", id], row?.["mac"] ?? null)) {
      return err({ kind: "damaged", path: file, detail: "its identity was altered" });
    }
    return work({ db, mac, id: key.value.heart });
  });
}

/** What SQLite throws while a heart is read becomes an error that names the file. */
function guarded<T>(file: string, work: () => Result<T, HeartError>): Result<T, HeartError> {
  try {
    return work();
  } catch (error) {
    return err(heartErrorOf(error, file));
  }
}
