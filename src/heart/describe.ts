import type { Millis } from "../lib/brand.ts";
import { millisOf, type Hlc } from "./hlc.ts";
import type { RowMac } from "./mac.ts";
import { CELL, isSealedCell } from "./rows.ts";
import type { SqlDatabase, SqlValue } from "./sql.ts";
import { Namespace } from "./tables.ts";
import { readMeta } from "./meta.ts";

/** Who wrote something, as far as this copy knows the writing session. */
export interface Scribe {
  /** The replica, 16 bytes in hex; empty where the writing session is not known. */
  readonly replica: string;
  readonly here: boolean;
  readonly label: string;
  readonly host: string;
}

export function scribeOf(db: SqlDatabase, actor: number): Scribe {
  const row = db.get("select device, label, host from actor where actor = ?", actor);
  const replica = hexOf(row?.["device"] ?? null);
  return {
    replica,
    here: replica !== "" && replica === hexOf(readMeta(db, "replica")?.["v"] ?? null),
    label: String(row?.["label"] ?? ""),
    host: String(row?.["host"] ?? ""),
  };
}

/** The title of the task whose attribute is the cell `key`; null when there is none to be believed. */
export function taskTitleOf(db: SqlDatabase, mac: RowMac, key: string): string | null {
  const row = db.get(CELL, Namespace.TASK, `${key.slice(0, 32)}.title`);
  const value = row !== null && isSealedCell(row, mac) ? row["v"] : null;
  return typeof value === "string" ? textIn(value) : null;
}

/** Attributes of tasks are JSON; a person reads the text in it. */
export function textIn(value: string): string {
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === "string" ? parsed : value;
  } catch {
    return value;
  }
}

export interface HeartFacts {
  readonly format: number;
  /** Bytes of one page, pages of the file, and of those the ones that hold nothing. */
  readonly pageSize: number;
  readonly pages: number;
  readonly freePages: number;
  readonly conversations: number;
  readonly messages: number;
  /** Of those, messages whose text was forgotten. */
  readonly forgotten: number;
  readonly tasks: number;
  readonly memories: number;
  readonly entries: number;
  readonly incidents: number;
  readonly sessions: number;
  /** Times of the oldest and the newest message; null without any. */
  readonly oldest: Millis | null;
  readonly newest: Millis | null;
}

/** What the file is and how much it holds: counts as the tables give them, nothing is checked. */
export function heartFacts(db: SqlDatabase): HeartFacts {
  const one = (sql: string): number => Number(Object.values(db.get(sql) ?? {})[0] ?? 0);
  const bounds = db.get("select min(first_hlc) as oldest, max(last_hlc) as newest from session_overview");
  return {
    format: one("pragma user_version"),
    pageSize: one("pragma page_size"),
    pages: one("pragma page_count"),
    freePages: one("pragma freelist_count"),
    conversations: one("select count(*) from session_overview where live > 0"),
    messages: one("select count(*) from message"),
    forgotten: one("select (select count(*) from message) - (select count(*) from message_body)"),
    tasks: one("select count(distinct elem) from task_dot"),
    memories: one(`select count(*) from cell where ns = '${Namespace.MEMORY}' and v is not null`),
    entries: one("select (select count(*) from entry) + (select count(*) from leaf)"),
    incidents: one("select coalesce(sum(count), 0) from incident"),
    sessions: one("select count(*) from actor"),
    oldest: timeOrNull(bounds?.["oldest"]),
    newest: timeOrNull(bounds?.["newest"]),
  };
}

const timeOrNull = (stamp: SqlValue | undefined): Millis | null => (typeof stamp === "number" ? millisOf(stamp as Hlc) : null);
const hexOf = (value: SqlValue): string => (value instanceof Uint8Array ? value.toHex() : "");
