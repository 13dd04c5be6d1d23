import { join } from "node:path";
import { err, ok, type Result } from "../../lib/result.ts";
import { heartErrorOf } from "../failure.ts";
import { KEY_FILE, KEY_FILE_LIMIT, readKeyFile } from "../key-file.ts";
import { rowMac, type RowMac } from "../mac.ts";
import { withStoredHeart, type StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartDeps } from "../ports.ts";
import { isExactSchema, READ_ONLY_PRAGMAS, SCHEMA_VERSION, versionOf } from "../schema.ts";
import type { SqlDatabase } from "../sql.ts";
import { readMeta } from "../meta.ts";

/** A heart on a connection of its own that cannot write. */
export interface ReadableHeart extends Disposable {
  readonly db: SqlDatabase;
  /** Null where the keys are missing: rows are then taken as they are. */
  readonly mac: RowMac | null;
  readonly id: string;
}

/**
 * Opens a heart that exists for reading: also on a read-only stick, and without the keys. One of an older version is brought up to date
 * first where that is possible, and `outdated` where it is not.
 *
 * Rejected: `openHeart`, which shows conversations and little else; and copying the heart into memory.
 */
export function openReadable(deps: HeartDeps, place: StoredPlace): Result<ReadableHeart, HeartError> {
  // What only a writer can do comes first: the new version's tables, and taking back a write that was cut off.
  const mended = withStoredHeart(deps, place, () => ok(null));
  if (!mended.ok && mended.error.kind !== "read-only" && mended.error.kind !== "keys-missing") return mended;
  let db: SqlDatabase | null = null;
  try {
    db = deps.sql.open(place.file, { create: false, readOnly: true });
    db.exec(READ_ONLY_PRAGMAS);
    const checked = check(deps, place, db);
    if (!checked.ok) db[Symbol.dispose]();
    return checked;
  } catch (error) {
    db?.[Symbol.dispose]();
    return err(heartErrorOf(error, place.file));
  }
}

/** Runs `work` on a readable heart, and closes it. What SQLite throws meanwhile becomes an error that names the file. */
export function withReadableHeart<T>(
  deps: HeartDeps,
  place: StoredPlace,
  work: (heart: ReadableHeart) => Result<T, HeartError>,
): Result<T, HeartError> {
  const opened = openReadable(deps, place);
  if (!opened.ok) return opened;
  using heart = opened.value;
  try {
    return work(heart);
  } catch (error) {
    return err(heartErrorOf(error, place.file));
  }
}

function check(deps: HeartDeps, { file, keysDir }: StoredPlace, db: SqlDatabase): Result<ReadableHeart, HeartError> {
  const close = () => db[Symbol.dispose]();
  if (versionOf(db) < SCHEMA_VERSION) return err({ kind: "outdated", path: file });
  if (!isExactSchema(db, deps)) return err({ kind: "damaged", path: file, detail: "its tables are not those of a heart" });
  const row = readMeta(db, "heart");
  const id = row?.["v"];
  if (!(id instanceof Uint8Array)) return err({ kind: "damaged", path: file, detail: "it does not say which heart it is" });
  const bytes = deps.files.read(join(keysDir, KEY_FILE), KEY_FILE_LIMIT);
  if (!bytes.ok) return err({ kind: "keys-broken", path: join(keysDir, KEY_FILE), detail: bytes.error.detail });
  if (bytes.value === null) return ok({ db, mac: null, id: id.toHex(), [Symbol.dispose]: close });
  const key = readKeyFile(bytes.value, deps.crypto);
  if (!key.ok) return err({ kind: "keys-broken", path: join(keysDir, KEY_FILE), detail: key.error });
  if (id.toHex() !== key.value.heart) return err({ kind: "foreign", path: file });
  const mac = rowMac(deps.crypto, key.value.key);
  if (!mac.verify("meta", ["heart", id], row?.["mac"] ?? null)) {
    return err({ kind: "damaged", path: file, detail: "its identity was altered" });
  }
  return ok({ db, mac, id: key.value.heart, [Symbol.dispose]: close });
}
