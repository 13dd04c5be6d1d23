import type { Random } from "../lib/ports.ts";
import { err, type Result } from "../lib/result.ts";
import { heartErrorOf, HeartFailure, rollback } from "./failure.ts";
import type { RowMac } from "./mac.ts";
import type { HeartError } from "./port.ts";
import type { HeartCrypto } from "./ports.ts";
import { versionOf } from "./schema.ts";
import type { SqlDatabase } from "./sql.ts";
import type { Stamps, WritingSession } from "./writer.ts";

/** What the typed parts of a heart (tasks, memory, incidents, entries, state, search) share. */
export interface TypedStore {
  readonly db: SqlDatabase;
  /** Null where the keys are missing: rows are then taken as they are. */
  readonly mac: RowMac | null;
  readonly crypto: HeartCrypto;
  readonly random: Random;
  readonly file: string;
  /** Null for a heart that is only read. */
  readonly writing: WritingSession | null;
  /** For writes; a heart that is written always has its keys. */
  sealing(): RowMac;
  /**
   * Runs `work` on one state of the file, whatever other processes commit meanwhile; `otherwise` where a heart of an older version, which is
   * only read, has no such table. Not inside a transaction. Throws `HeartFailure`.
   */
  reading<T>(work: () => T, otherwise: T): T;
}

export function typedStore(parts: Omit<TypedStore, "sealing" | "reading">): TypedStore {
  const { db, mac, file } = parts;
  return {
    ...parts,
    sealing() {
      if (mac === null) throw new Error("a heart without keys is not written");
      return mac;
    },
    reading(work, otherwise) {
      try {
        db.exec("begin");
        const known = versionOf(db) >= 2;
        const result = known ? work() : otherwise;
        db.exec("commit");
        return result;
      } catch (error) {
        rollback(db);
        throw new HeartFailure(heartErrorOf(error, file));
      }
    },
  };
}

/** A transaction, or `read-only` for a heart that is not written. */
export function transactIn<T>(store: TypedStore, work: (stamps: Stamps) => Result<T, HeartError>): Result<T, HeartError> {
  return store.writing === null ? err({ kind: "read-only", path: store.file }) : store.writing.transact(work);
}
