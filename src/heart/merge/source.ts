import { HeartFailure } from "../failure.ts";
import type { Hlc } from "../hlc.ts";
import type { RowMac } from "../mac.ts";
import type { HeartError } from "../port.ts";
import type { FileFacts } from "../ports.ts";
import { judgeHeader } from "../schema.ts";
import type { SqlDatabase, SqlRow } from "../sql.ts";
import { readSummary, type StreamSummary } from "../streams.ts";
import { shapeOf, type SourceShape } from "./shape.ts";

/**
 * The other file: hostile until its seals say otherwise. It is attached as `s`, read-only, and nothing of its schema may run: no views
 * and no triggers, and only tables that are ours to the letter.
 */
export interface Source {
  readonly file: string;
  readonly summary: StreamSummary;
  /** 16 bytes: the replica that the file calls itself. */
  readonly device: Uint8Array;
  /** Its newest own stamp. */
  readonly last: Hlc;
  readonly shape: SourceShape;
}

/** The name to attach a file by, so that nothing in a path reads as an option of SQLite's. */
export const readOnlyUri = (file: string): string => `file:${file.replace(/[%?#]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)}?mode=ro`;

/** What can be said of a file before SQLite touches it; `null` when it may be attached. */
export function refuseFile(file: string, facts: FileFacts, journal: FileFacts): HeartError | null {
  switch (facts.kind) {
    case "absent":
      return { kind: "unreadable", path: file, detail: "there is no such file" };
    case "no-folder":
      return { kind: "unreadable", path: file, detail: "its folder does not exist" };
    case "not-a-file":
      return { kind: "damaged", path: file, detail: `it is ${facts.detail}` };
    case "unreadable":
    case "io":
      return { kind: facts.kind, path: file, detail: facts.detail };
    case "file":
      break;
  }
  const header = judgeHeader(facts.head);
  if (header.kind === "not-sqlite") {
    return { kind: "damaged", path: file, detail: facts.size === 0 ? "it is empty" : "it is not a SQLite file" };
  }
  if (header.kind === "not-heart") return { kind: "damaged", path: file, detail: "it is a SQLite file, but not a heart" };
  // Bytes 18 and 19: 2 means a write-ahead log, which a heart never has and which reading would have to write.
  if (facts.head[18] !== 1 || facts.head[19] !== 1) {
    return { kind: "damaged", path: file, detail: "it is kept in a way that Noctem never uses (a write-ahead log)" };
  }
  if (header.kind === "heart" && header.version < 2) return { kind: "outdated", path: file };
  // Only a connection that may write can roll back what was under way. By its first byte, as SQLite does: until the journal is synced it is zero, and
  // the file itself is untouched.
  if (journal.kind === "file" && journal.size > 0 && journal.head[0] !== 0) return { kind: "unfinished", path: file };
  return null;
}

/**
 * Judges the attached file. The caller holds a transaction, so that everything here and later is about one state of it.
 * Throws `HeartFailure`: `foreign`, `outdated`, or `damaged` with the reason.
 */
export function vetSource(db: SqlDatabase, mac: RowMac, file: string): Source {
  const shape = shapeOf(db);
  if ("fault" in shape) throw refused(file, shape.fault);
  const id = sealedMeta(db, mac, "heart");
  if (!(id.value instanceof Uint8Array)) throw refused(file, "it does not say which heart it is");
  const ours = db.get("select v from main.meta where k = 'heart'")?.["v"];
  if (!(ours instanceof Uint8Array) || id.value.toHex() !== ours.toHex()) throw new HeartFailure({ kind: "foreign", path: file });
  if (!id.sealed) throw refused(file, "its identity was altered");
  const summary = readSummary(db, mac, "s");
  if (summary === null) throw refused(file, "the summary of its version vector was altered");
  const device = sealedMeta(db, mac, "replica");
  if (!device.sealed || !(device.value instanceof Uint8Array)) throw refused(file, "the name of its replica was altered");
  const last = sealedMeta(db, mac, "hlc");
  if (!last.sealed || typeof last.value !== "number") throw refused(file, "its clock was altered");
  return { file, summary, device: device.value, last: last.value as Hlc, shape };
}

function sealedMeta(db: SqlDatabase, mac: RowMac, key: string): { readonly value: SqlRow[string] | undefined; readonly sealed: boolean } {
  const row = db.get("select v, mac from s.meta where k = ?", key);
  return { value: row?.["v"], sealed: row !== null && mac.verify("meta", [key, row["v"] ?? null], row["mac"] ?? null) };
}

export const refused = (path: string, detail: string): HeartFailure => new HeartFailure({ kind: "damaged", path, detail });
