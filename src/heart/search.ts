import type { MessageId, Millis, SessionId } from "../lib/brand.ts";
import { ok } from "../lib/result.ts";
import { cellsUnder } from "./cells.ts";
import type { SqlDatabase } from "./sql.ts";
import { Namespace } from "./tables.ts";
import type { TypedStore } from "./typed-store.ts";
import type { HeartReader } from "./reader.ts";

/** Full-text search over what was said and what is remembered. The index is this copy's own, filled by searching, and never merged. */
export interface Hit {
  readonly kind: "message" | "memory";
  /** Of a message. */
  readonly message: MessageId | null;
  readonly session: SessionId | null;
  /** Of a memory. */
  readonly key: string | null;
  readonly at: Millis;
  /** Words around the first match, at most 160 characters, on one line. */
  readonly excerpt: string;
}

export interface Found {
  /** Messages by how well they match, then memories. */
  readonly hits: readonly Hit[];
  /** False while older messages still wait to be indexed: the next search goes on. */
  readonly complete: boolean;
}

/** Messages that one search puts into the index at most, about a second's worth; and how many it reads itself where it may not write. */
const INDEX_AT_ONCE = 50_000;
const BATCH = 2000;
const READ_AT_ONCE = 5000;
const EXCERPT = 160;

/** Words of a query: what a person typed is never syntax. The last word also matches its longer forms. */
export function matchOf(query: string): string | null {
  const words = query
    .toWellFormed()
    .replaceAll("\0", " ")
    .split(/\s+/u)
    .filter((word) => /[\p{L}\p{N}]/u.test(word))
    .slice(0, 16);
  if (words.length === 0) return null;
  return words.map((word, i) => `"${word.replaceAll('"', '""')}"${i === words.length - 1 ? " *" : ""}`).join(" ");
}

/** `query` empty or without letters finds nothing. Throws `HeartFailure`. */
export function searchHeart(store: TypedStore, reader: HeartReader, query: string, limit: number): Found {
  const match = matchOf(query);
  if (match === null) return { hits: [], complete: true };
  return store.reading(
    () => {
      const complete = store.writing === null ? true : catchUp(store);
      const numbers = new Set(matchingMessages(store.db, match, limit));
      if (store.writing === null) for (const n of matchingUnindexed(store.db, match, limit)) numbers.add(n);
      const messages = [...numbers].slice(0, limit).flatMap((n) => messageHit(reader, n, query));
      return { hits: [...messages, ...memoryHits(store, match, query, limit)].slice(0, limit), complete };
    },
    { hits: [], complete: true },
  );
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
 * Takes messages out of the index, by local row number, while their bodies still stand: whoever deletes a body calls this first, in the
 * same transaction. Rows that were never indexed are left alone.
 */
export function unindex(db: SqlDatabase, rows: readonly number[]): void {
  const mark = indexedUpTo(db);
  for (const n of rows) {
    if (n > mark) continue;
    const body = db.get("select body from message_body where n = ?", n)?.["body"];
    if (typeof body === "string") db.run("insert into search (search, rowid, text) values ('delete', ?, ?)", n, searchText(body));
  }
}

/** A local note; that it is not sealed costs at most a message that is not found. */
const MARK = "indexed";
const indexedUpTo = (db: SqlDatabase): number => Number(db.get("select v from meta where k = ?", MARK)?.["v"] ?? 0);

/** True when everything is indexed. */
function catchUp(store: TypedStore): boolean {
  const { db, writing } = store;
  for (let done = 0; done < INDEX_AT_ONCE; done += BATCH) {
    let taken = 0;
    const result = writing?.maintain(() => {
      const rows = db.all("select n, body from message_body where n > ? order by n limit ?", indexedUpTo(db), BATCH);
      taken = rows.length;
      const last = rows.at(-1)?.["n"];
      for (const { n, body } of rows) db.run("insert into search (rowid, text) values (?, ?)", n ?? null, searchText(String(body)));
      if (last !== undefined) db.run("insert or replace into meta (k, v, mac) values (?, ?, zeroblob(16))", MARK, last);
      return ok(undefined);
    });
    // Full, locked, pulled: what is indexed serves, and a later search goes on.
    if (result?.ok !== true) return false;
    if (taken < BATCH) return true;
  }
  return false;
}

const matchingMessages = (db: SqlDatabase, match: string, limit: number): readonly number[] =>
  db
    .all("select rowid as n from search where search match ? order by rank, rowid desc limit ?", match, limit)
    .map((row) => Number(row["n"]));

/** Where nothing may be written: the newest messages that no index has, in a temporary one. */
function matchingUnindexed(db: SqlDatabase, match: string, limit: number): readonly number[] {
  db.exec(`create virtual table if not exists temp.tail using fts5(text, content='', tokenize = "unicode61 remove_diacritics 2")`);
  db.exec("insert into temp.tail (tail) values ('delete-all')");
  for (const row of db.all("select n, body from message_body where n > ? order by n desc limit ?", indexedUpTo(db), READ_AT_ONCE)) {
    db.run("insert into temp.tail (rowid, text) values (?, ?)", row["n"] ?? null, searchText(String(row["body"])));
  }
  const found = db.all("select rowid as n from temp.tail where tail match ? order by rank, rowid desc limit ?", match, limit);
  return found.map((row) => Number(row["n"]));
}

/** Memories are few: their index is made in memory for each search, so that none of their words is ever on the medium twice. */
function memoryHits(store: TypedStore, match: string, query: string, limit: number): readonly Hit[] {
  const { db, mac } = store;
  const cells = cellsUnder(db, mac, Namespace.MEMORY).cells.filter((cell) => cell.value !== null);
  if (cells.length === 0) return [];
  db.exec(`create virtual table if not exists temp.remembered using fts5(text, content='', tokenize = "unicode61 remove_diacritics 2")`);
  db.exec("insert into temp.remembered (remembered) values ('delete-all')");
  for (const [i, { key, value }] of cells.entries()) {
    db.run("insert into temp.remembered (rowid, text) values (?, ?)", i + 1, `${key}\n${value ?? ""}`);
  }
  const rows = db.all("select rowid as n from temp.remembered where remembered match ? order by rank limit ?", match, limit);
  return rows.flatMap((row): Hit[] => {
    const cell = cells[Number(row["n"]) - 1];
    if (cell === undefined) return [];
    return [{ kind: "memory", message: null, session: null, key: cell.key, at: cell.at, excerpt: excerptOf(cell.value ?? "", query) }];
  });
}

function messageHit(reader: HeartReader, n: number, query: string): readonly Hit[] {
  const message = reader.messageAt(n);
  // Redacted or damaged meanwhile: the index is only a guess at what may be found.
  if (message === null || message.redacted) return [];
  const text = message.spans.filter((span) => span.kind !== "reasoning").map((span) => span.text);
  const excerpt = excerptOf(text.join("\n"), query);
  return [{ kind: "message", message: message.id, session: message.session, key: null, at: message.at, excerpt }];
}

/** Around the first word of the query that stands in the text, without regard to case and accents. */
function excerptOf(text: string, query: string): string {
  const flat = text.slice(0, 100_000).replace(/\s+/gu, " ").trim();
  const plain = fold(flat);
  const places = query.split(/\s+/u).flatMap((word) => {
    const at = word === "" ? -1 : plain.indexOf(fold(word));
    return at === -1 ? [] : [at];
  });
  const from = Math.max(0, Math.min(...(places.length > 0 ? places : [0])) - EXCERPT / 4);
  const cut = flat.slice(from, from + EXCERPT).toWellFormed();
  return `${from > 0 ? "…" : ""}${cut}${from + EXCERPT < flat.length ? "…" : ""}`;
}

/** One code unit for one, so that places stay the same. */
const fold = (text: string): string =>
  text
    .replace(/[^\p{ASCII}]/gu, (c) => {
      const base = c.normalize("NFD").replace(/\p{M}/gu, "");
      return base.length === c.length ? base : c;
    })
    .toLowerCase();
