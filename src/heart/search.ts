import { SqlError, type SqlDatabase } from "./sql.ts";
import type { WritingSession } from "./writer.ts";
import { ok } from "../lib/result.ts";

/**
 * The full-text index over messages: this copy's own, filled by searching, never merged, and made anew at will. It holds words alone,
 * by local row number (`message_body.n`), and lets go of them with what is forgotten.
 */

/** Messages that one search puts into the index at most: about a second's worth on a disk. */
const INDEX_AT_ONCE = 20_000;
const BATCH = 2000;
/** Messages that a search reads itself where the index does not have them. */
const READ_AT_ONCE = 5000;
/** Matches that are weighed against each other; older ones are left out when a word is in more messages. */
const WEIGHED = 5000;
/** Of a query, in UTF-16 units; a person types less, and a phrase of a pasted page would be matched word by word. */
const QUERY_LENGTH = 1000;
/** As the table in the heart is made. */
export const TOKENIZE = 'tokenize = "unicode61 remove_diacritics 2"';

/** Words of a query: what a person typed is never syntax. The last word also matches its longer forms. */
export function matchOf(query: string): string | null {
  const words = query
    .slice(0, QUERY_LENGTH)
    .toWellFormed()
    .replaceAll("\0", " ")
    .split(/\s+/u)
    .filter((word) => /[\p{L}\p{N}]/u.test(word))
    .slice(0, 16);
  if (words.length === 0) return null;
  return words.map((word, i) => `"${word.replaceAll('"', '""')}"${i === words.length - 1 ? " *" : ""}`).join(" ");
}

/** What of a body is searched: what people and models said; not a model's reasoning. A pure function, because taking out needs it again. */
export function searchText(body: string): string {
  try {
    const spans: unknown = JSON.parse(body);
    if (!Array.isArray(spans)) return "";
    return spans
      .flatMap((span: { readonly kind?: unknown; readonly text?: unknown } | null) =>
        span !== null && typeof span.text === "string" && span.kind !== "reasoning" ? [span.text] : [],
      )
      .join("\n");
  } catch {
    return "";
  }
}

/**
 * Takes messages out of the index, by local row number, while their bodies still stand: whoever deletes bodies calls this first, in the
 * same transaction, once for all of them. Rows that were never indexed are left alone.
 *
 * FTS5 lets go of a word with `secure-delete`, except where it used the word to tell two pages of its b-tree apart (`search_idx`):
 * there it stays in plain text. When that happened the whole index is emptied, and the next search fills it again. So it is when the
 * index is damaged: what is derived must never keep a person from forgetting.
 */
export function unindex(db: SqlDatabase, rows: readonly number[]): void {
  try {
    const texts: string[] = [];
    for (const n of rows) {
      if (db.get("select 1 from search_docsize where id = ?", n) === null) continue;
      const body = db.get("select body from message_body where n = ?", n)?.["body"];
      if (typeof body !== "string") continue;
      texts.push(searchText(body));
      db.run("insert into search (search, rowid, text) values ('delete', ?, ?)", n, texts.at(-1) ?? "");
    }
    if (texts.length === 0) return;
    db.exec("insert into search (search) values ('flush')");
    if (leavesWords(db, texts)) emptyIndex(db);
  } catch (error) {
    if (!isDamagedIndex(error)) throw error;
    emptyIndex(db);
  }
}

/** Says of the index that nothing is in it. Freed pages are zeroed (`secure_delete`), so that nothing of it stays in the file. */
export function emptyIndex(db: SqlDatabase): void {
  db.exec("insert into search (search) values ('delete-all')");
  db.run("delete from meta where k = ?", MARK);
}

export const isDamagedIndex = (error: unknown): boolean => error instanceof SqlError && error.code.startsWith("SQLITE_CORRUPT");

/**
 * Whether a word of `texts` marks the border of two pages although no indexed word begins with it any more. Marks are short in a
 * language's text, and a message's rare words seldom stand at a border, so that most forgetting costs one pass over the marks.
 */
function leavesWords(db: SqlDatabase, texts: readonly string[]): boolean {
  const words = wordsOf(db, texts);
  db.exec("create virtual table if not exists temp.standing using fts5vocab(main, search, instance)");
  // Every mark begins with one byte that names the index; FTS5 has only one here.
  for (const row of db.all("select hex(substr(term, 2)) as mark from search_idx where length(term) > 1")) {
    const mark = String(row["mark"]);
    if (!beginsOne(words, mark)) continue;
    const next = db.get("select hex(cast(term as blob)) as term from temp.standing where term >= cast(unhex(?) as text) limit 1", mark);
    if (next === null || !String(next["term"]).startsWith(mark)) return true;
  }
  return false;
}

/** The words of `texts` as FTS5 sees them, as sorted hex of their UTF-8: marks may end within a character. */
function wordsOf(db: SqlDatabase, texts: readonly string[]): readonly string[] {
  db.exec(`create virtual table if not exists temp.forgotten using fts5(text, content='', ${TOKENIZE})`);
  db.exec("create virtual table if not exists temp.forgotten_words using fts5vocab(temp, forgotten, row)");
  for (const [i, text] of texts.entries()) db.run("insert into temp.forgotten (rowid, text) values (?, ?)", i + 1, text);
  const words = db.all("select hex(cast(term as blob)) as term from temp.forgotten_words order by 1").map((row) => String(row["term"]));
  db.exec("insert into temp.forgotten (forgotten) values ('delete-all')");
  return words;
}

function beginsOne(sorted: readonly string[], prefix: string): boolean {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? "") < prefix) low = middle + 1;
    else high = middle;
  }
  return sorted[low]?.startsWith(prefix) ?? false;
}

/**
 * How far the index reaches, and which streams had gaps then: a whole copy may since have brought texts of rows that stand below.
 * A local note; that it is not sealed costs at most a message that is not found.
 */
const MARK = "indexed";
const NO_GAPS = "0:0";
function readMark(db: SqlDatabase): { readonly upTo: number; readonly gaps: string } {
  const [upTo, gaps] = String(db.get("select v from meta where k = ?", MARK)?.["v"] ?? "").split(" ");
  return { upTo: Number(upTo) || 0, gaps: gaps ?? NO_GAPS };
}
/** Stands for the set: thousands of streams may have gaps after a repair. */
const gapsOf = (db: SqlDatabase): string =>
  String(db.get("select count(*) || ':' || coalesce(sum(actor % 1000003), 0) as gaps from vv where gap = 1")?.["gaps"]);

/** Indexes messages up to the newest. True when there is none left. */
export function catchUp(db: SqlDatabase, writing: WritingSession): boolean {
  // Without a write lock: most searches find nothing to do.
  const mark = readMark(db);
  const waiting = mark.gaps !== gapsOf(db) || db.get("select 1 from message_body where n > ? limit 1", mark.upTo) !== null;
  if (!waiting) return true;
  for (let done = 0; done < INDEX_AT_ONCE; done += BATCH) {
    const taken = writing.maintain(() => ok(indexSome(db)));
    // Full, locked, pulled: what is indexed serves, and a later search goes on.
    if (!taken.ok) return false;
    if (taken.value < BATCH) return true;
  }
  return false;
}

/** Returns how many rows were looked at. */
function indexSome(db: SqlDatabase): number {
  const mark = readMark(db);
  const gaps = gapsOf(db);
  const from = mark.gaps === gaps ? mark.upTo : 0;
  const rows = db.all(UNINDEXED, from, BATCH);
  for (const { n, body, known } of rows) {
    if (known === 0) db.run("insert into search (rowid, text) values (?, ?)", n ?? null, searchText(String(body)));
  }
  const upTo = Number(rows.at(-1)?.["n"] ?? from);
  db.run("insert or replace into meta (k, v, mac) values (?, ?, zeroblob(16))", MARK, `${upTo} ${gaps}`);
  return rows.length;
}
const UNINDEXED = `select n, body, exists (select 1 from search_docsize d where d.id = b.n) as known
  from message_body b where n > ? order by n limit ?`;

/** Row numbers of messages that match, the best first; equally good ones the newest first. */
export const MATCHING = `select n from (select rowid as n, rank as score from search where search match ? order by rowid desc limit ${WEIGHED})
  order by score, n desc limit ?`;
export const matching = (db: SqlDatabase, match: string, limit: number): readonly number[] =>
  db.all(MATCHING, match, limit).map((row) => Number(row["n"]));

/** The same among the newest messages that `index` does not have, by an index in memory. Writes nothing to the medium. */
export function matchingUnindexed(
  db: SqlDatabase,
  match: string,
  limit: number,
  index: "whole" | "none",
): { readonly found: readonly number[]; readonly complete: boolean } {
  db.exec(`create virtual table if not exists temp.tail using fts5(text, content='', ${TOKENIZE})`);
  db.exec("insert into temp.tail (tail) values ('delete-all')");
  const from = index === "whole" ? readMark(db).upTo : 0;
  const rows = db.all("select n, body from message_body where n > ? order by n desc limit ?", from, READ_AT_ONCE);
  for (const { n, body } of rows) db.run("insert into temp.tail (rowid, text) values (?, ?)", n ?? null, searchText(String(body)));
  const found = db.all("select rowid as n from temp.tail where tail match ? order by rank, rowid desc limit ?", match, limit);
  db.exec("insert into temp.tail (tail) values ('delete-all')");
  return { found: found.map((row) => Number(row["n"])), complete: rows.length < READ_AT_ONCE };
}
