import type { MessageId, Millis, SessionId } from "../lib/brand.ts";
import { ok } from "../lib/result.ts";
import { getCell } from "./cells.ts";
import { heartErrorOf, HeartFailure } from "./failure.ts";
import type { HeartReader } from "./reader.ts";
import { catchUp, emptyIndex, isDamagedIndex, matching, matchingUnindexed, matchOf, TOKENIZE } from "./search.ts";
import { Namespace } from "./tables.ts";
import type { TypedStore } from "./typed-store.ts";

/** Full-text search over what was said and what is remembered. */
export interface Hit {
  readonly kind: "message" | "memory";
  /** Of a message. */
  readonly message: MessageId | null;
  readonly session: SessionId | null;
  /** Of a memory. */
  readonly key: string | null;
  readonly at: Millis;
  /** Words around the first match, at most 160 characters, on one line, without control characters. */
  readonly excerpt: string;
}

export interface Found {
  /**
   * Memories first, but at most a quarter of them where messages match too: they are few, and what a person had remembered must not drown
   * in what was said. Each kind by how well it matches, then the newest first.
   */
  readonly hits: readonly Hit[];
  /** False while older messages were not looked at. Where the heart is written, the next search goes on; else they are not searched. */
  readonly complete: boolean;
}

const EXCERPT = 160;
/** Matches that are read for one hit wanted: a redacted or damaged message in the index is no hit. */
const SPARE = 2;

/** `query` empty or without letters finds nothing. Throws `HeartFailure`. */
export function searchHeart(store: TypedStore, reader: HeartReader, query: string, limit: number): Found {
  const match = matchOf(query);
  if (match === null || limit < 1) return { hits: [], complete: true };
  try {
    const { numbers, complete } = matchingMessages(store, match, limit * SPARE);
    const messages = numbers.flatMap((n) => messageHit(reader, n, query));
    const memories = memoryHits(store, match, query, limit * SPARE);
    const first = memories.slice(0, Math.max(Math.ceil(limit / 4), limit - messages.length));
    return { hits: [...first, ...messages].slice(0, limit), complete };
  } catch (error) {
    throw new HeartFailure(heartErrorOf(error, store.file));
  }
}

/** By the index as far as it reaches, and beyond it by reading. */
function matchingMessages(
  store: TypedStore,
  match: string,
  limit: number,
): { readonly numbers: readonly number[]; readonly complete: boolean } {
  const { db, writing } = store;
  // A heart of the first version, which is only read, has no index.
  let index: "whole" | "none" = store.reading(() => "whole", "none");
  let indexed: readonly number[] = [];
  if (index === "whole") {
    try {
      const complete = writing !== null && catchUp(db, writing);
      indexed = matching(db, match, limit);
      if (complete) return { numbers: indexed, complete };
    } catch (error) {
      if (!isDamagedIndex(error)) throw error;
      // Derived, so it is made anew; by the next search, for this one may only read.
      writing?.maintain(() => ok(emptyIndex(db)));
      index = "none";
    }
  }
  const { found, complete } = matchingUnindexed(db, match, limit, index);
  const numbers = [...new Set([...found, ...indexed])].slice(0, limit);
  return { numbers, complete: complete && writing === null };
}

/**
 * Memories are few: their index is made in memory for each search, so that none of their words is ever on the medium twice. Seals are
 * checked of those that match.
 */
function memoryHits({ db, mac }: TypedStore, match: string, query: string, limit: number): readonly Hit[] {
  db.exec(`create virtual table if not exists temp.remembered using fts5(text, content='', ${TOKENIZE});
    create table if not exists temp.remembered_keys (n integer primary key, k text, v text)`);
  const clear = "insert into temp.remembered (remembered) values ('delete-all'); delete from temp.remembered_keys";
  db.exec(clear);
  // Whole statements: a row at a time took three times as long.
  db.run(
    "insert into temp.remembered_keys (k, v) select k, v from cell where ns = ? and typeof(v) = 'text' order by hlc",
    Namespace.MEMORY,
  );
  db.exec("insert into temp.remembered (rowid, text) select n, k || char(10) || v from temp.remembered_keys");
  const keys = db.all(
    `select k from (select rowid as n, rank as score from temp.remembered where remembered match ? order by score, rowid desc limit ?)
      join temp.remembered_keys using (n) order by score, n desc`,
    match,
    limit,
  );
  db.exec(clear);
  return keys.flatMap(({ k }): Hit[] => {
    const cell = getCell(db, mac, Namespace.MEMORY, String(k));
    if (cell === null || cell === "damaged" || cell.value === null) return [];
    return [{ kind: "memory", message: null, session: null, key: cell.key, at: cell.at, excerpt: excerptOf(cell.value, query) }];
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
  const flat = text
    .slice(0, 100_000)
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ")
    .trim();
  const plain = fold(flat);
  const places = query.split(/\s+/u).flatMap((word) => {
    const at = word === "" ? -1 : plain.indexOf(fold(word));
    return at === -1 ? [] : [at];
  });
  const from = Math.max(0, Math.min(...(places.length > 0 ? places : [0])) - EXCERPT / 4);
  // A character of two units is not cut in half.
  const cut = flat
    .slice(from, from + EXCERPT)
    .replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, "")
    .toWellFormed();
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
