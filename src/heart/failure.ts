import { unreachable } from "../lib/result.ts";
import type { HeartError } from "./port.ts";
import { SqlError, type SqlDatabase } from "./sql.ts";

/**
 * Thrown by the reading methods of a heart, which return plain values: the medium went away under an open heart, or a page
 * of it is broken. Not a bug; whoever reads shows `error` like that of a write.
 */
export class HeartFailure extends Error {
  readonly error: HeartError;
  constructor(error: HeartError) {
    super(`the heart cannot be read: ${error.kind}`);
    this.name = "HeartFailure";
    this.error = error;
  }
}

/** What a SQLite error means to a person. A code that only a bug of ours yields is thrown on. */
export function heartErrorOf(error: unknown, path: string): HeartError {
  if (error instanceof HeartFailure) return error.error;
  if (!(error instanceof SqlError)) throw error;
  const kind = classify(error.code);
  switch (kind) {
    case "bug":
      throw error;
    case "damaged":
    case "io":
    case "unreadable":
      return { kind, path, detail: error.message };
    case "locked":
    case "full":
    case "read-only":
      return { kind, path };
    default:
      return unreachable(kind);
  }
}

type Class = "bug" | "damaged" | "io" | "unreadable" | "locked" | "full" | "read-only";

function classify(code: string): Class {
  // The file was renamed or deleted under us, or its folder was: what is written now would be lost.
  if (code === "SQLITE_READONLY_DBMOVED" || code === "SQLITE_READONLY_DIRECTORY") return "io";
  const primary = code.split("_").slice(0, 2).join("_");
  switch (primary) {
    case "SQLITE_BUSY":
    case "SQLITE_LOCKED":
      return "locked";
    case "SQLITE_FULL":
      return "full";
    case "SQLITE_READONLY":
      return "read-only";
    case "SQLITE_CORRUPT":
    case "SQLITE_NOTADB":
      return "damaged";
    case "SQLITE_IOERR":
    case "SQLITE_CANTOPEN":
    case "SQLITE_PROTOCOL":
    case "SQLITE_NOMEM":
    case "SQLITE_NOLFS":
      return "io";
    case "SQLITE_PERM":
    case "SQLITE_AUTH":
      return "unreadable";
    default:
      return "bug";
  }
}

/** Ends a transaction after a failure. SQLite may have ended it by itself, or the medium may be gone: neither adds anything. */
export function rollback(db: SqlDatabase): void {
  try {
    db.exec("rollback");
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
  }
}
