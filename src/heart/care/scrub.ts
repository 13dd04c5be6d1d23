import type { RowMac } from "../mac.ts";
import { unindex } from "../search.ts";
import type { SqlDatabase, SqlRow } from "../sql.ts";
import { StreamBook } from "../streams.ts";
import { REDACTION } from "../tables.ts";
import type { HeartFiles } from "../ports.ts";
import { filePages, pageRows, readPageOf } from "./pages.ts";

/** Redactions of a heart, as they are sealed. */
export const redactionsOf = (db: SqlDatabase): readonly SqlRow[] =>
  db.all(`select ${[...REDACTION.columns, "mac"].join(", ")} from redaction`);

/**
 * The same of a file that SQLite cannot read any more: what was forgotten there stays forgotten in what takes its place. Their seals are
 * for `applyRedactions` to check.
 */
export function redactionsOnPages(files: HeartFiles, file: string, size: number): readonly SqlRow[] {
  const found: SqlRow[] = [];
  const readPage = readPageOf(files, file, size);
  for (const [number, page] of filePages(files, file, size)) {
    for (const { rowid, values } of pageRows(page, number, readPage)) {
      if (rowid !== null || values.length !== REDACTION.columns.length + 1) continue;
      // By its key first: (target, actor, seq).
      const [target, actor, seq, hlc, mac] = values;
      const isOne = target instanceof Uint8Array && mac instanceof Uint8Array && [actor, seq, hlc].every((n) => typeof n === "number");
      if (isOne) found.push({ target, hlc: hlc ?? null, actor: actor ?? null, seq: seq ?? null, mac });
    }
  }
  return found;
}

/**
 * Takes out of an older copy what was forgotten since: text, search entry, and the redaction itself goes in, so that the copy stays one
 * that can be verified, merged and restored. Its stream is then marked as having a gap, because rows between are not there.
 * In a transaction of `db`. Returns how many texts went.
 */
export function applyRedactions(db: SqlDatabase, mac: RowMac, file: string, redactions: readonly SqlRow[]): number {
  const book = new StreamBook(db, mac, file);
  let gone = 0;
  for (const row of redactions) {
    const columns = REDACTION.columns.map((name) => row[name] ?? null);
    if (!mac.verify(REDACTION.name, columns, row["mac"] ?? null)) continue;
    const [target, actor, seq] = [row["target"] ?? null, Number(row["actor"]), Number(row["seq"])];
    const message = db.get("select n, session from message where id = ?", target);
    const entry = db.get("select n from entry where id = ?", target);
    if (message === null && entry === null) continue;
    if (db.get("select 1 from redaction where target = ? and actor = ? and seq = ?", target, actor, seq) !== null) continue;
    db.run(`insert into redaction (${[...REDACTION.columns, "mac"].join(", ")}) values (?, ?, ?, ?, ?)`, ...columns, row["mac"] ?? null);
    const reached = Number(db.get("select seq from vv where actor = ?", actor)?.["seq"] ?? 0);
    book.apply({ actor, seq: Math.max(seq, reached), rows: 1, total: seq });
    if (seq > reached) book.mark(actor, { gap: true });
    if (message !== null) {
      const n = Number(message["n"]);
      unindex(db, [n]);
      const { changes } = db.run("delete from message_body where n = ?", n);
      db.run("update session_overview set live = max(live - ?, 0) where session = ?", changes, message["session"] ?? null);
      gone += changes;
    }
    if (entry !== null) gone += db.run("delete from entry_body where n = ?", entry["n"] ?? null).changes;
  }
  book.save();
  return gone;
}

/** Texts in this copy that one of these redactions names. */
export function standsDespite(db: SqlDatabase, redactions: readonly SqlRow[]): number {
  let found = 0;
  for (const row of redactions) {
    const target = row["target"] ?? null;
    const text = db.get(
      `select 1 from message m join message_body b on b.n = m.n where m.id = ?1
        union all select 1 from entry e join entry_body b on b.n = e.n where e.id = ?1 limit 1`,
      target,
    );
    if (text !== null) found++;
  }
  return found;
}
