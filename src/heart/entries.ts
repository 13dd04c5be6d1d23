import type { Millis } from "../lib/brand.ts";
import type { Label } from "../lib/label.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { labelOf } from "./cells.ts";
import { millisOf, type Hlc } from "./hlc.ts";
import { equal } from "./mac.ts";
import type { HeartError } from "./port.ts";
import { bodyHash, labelColumns } from "./rows.ts";
import type { SqlRow, SqlValue } from "./sql.ts";
import { ENTRY } from "./tables.ts";
import { transactIn, type TypedStore } from "./typed-store.ts";
import type { Stamps } from "./writer.ts";

/** A record of a set that only grows. Its body can be forgotten; that it was there cannot. */
export interface Entry {
  /** 16 bytes in hex. */
  readonly id: string;
  readonly kind: EntryKind;
  readonly at: Millis;
  readonly label: Label;
  /** What it is about, in hex; null when nothing in particular. */
  readonly ref: string | null;
  /** Null when it was forgotten, or is damaged. */
  readonly body: string | null;
  /** Its body is not what was written, or is missing although nobody forgot it. A record that is itself not what was written is left out. */
  readonly damaged: boolean;
}

/** One table for all of them: they differ in what their bodies say, which is the matter of whoever writes them. */
export const ENTRY_KINDS = ["skill", "approval", "grant", "example", "report", "audit"] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

export interface HeartEntries {
  append(entry: {
    readonly kind: EntryKind;
    readonly body: string;
    readonly label: Label;
    readonly ref?: string;
  }): Result<Entry, HeartError>;
  /** The newest first. */
  recent(kind: EntryKind, limit: number): readonly Entry[];
  get(id: string): Entry | null;
  /** Takes its body away here and wherever this merges. */
  forget(id: string): Result<void, HeartError>;
}

const NAMES = [...ENTRY.columns, "mac"];
const INSERT = `insert into entry (${NAMES.join(", ")}) values (${NAMES.map(() => "?").join(", ")})`;
/** Beside the row that was just inserted. Asking for its number with `returning` costs that insert half as much again (measured). */
const INSERT_BODY = "insert into entry_body (n, salt, body) values (last_insert_rowid(), ?, ?)";
export const SELECT_ENTRY = `select ${NAMES.map((name) => `e.${name}`).join(", ")},
  (select salt from entry_body b where b.n = e.n) as salt, (select body from entry_body b where b.n = e.n) as body,
  exists (select 1 from redaction r where r.target = e.id) as forgotten from entry e`;
export const RECENT_ENTRIES = `${SELECT_ENTRY} where e.kind = ? order by e.hlc desc, e.id desc limit ?`;

export function heartEntries(store: TypedStore): HeartEntries {
  const { db } = store;
  const read = entryReader(store);
  const get = (id: string): Entry | null =>
    /^[0-9a-f]{32}$/.test(id) ? (db.all(`${SELECT_ENTRY} where e.id = ?`, Uint8Array.fromHex(id)).flatMap(read)[0] ?? null) : null;
  return {
    append({ kind, body, label, ref }) {
      const about = ref === undefined ? null : Uint8Array.fromHex(ref);
      return transactIn(store, (stamps) => {
        const id = insertEntry(store, stamps, { kind, body: body.toWellFormed(), salt: store.random.bytes(16), label, ref: about });
        const entry = get(id);
        return entry === null ? err({ kind: "not-found", what: id }) : ok(entry);
      });
    },
    recent: (kind, limit) => store.reading(() => db.all(RECENT_ENTRIES, kind, limit).flatMap(read), []),
    get: (id) => store.reading(() => get(id), null),
    forget: (id) =>
      transactIn(store, (stamps) => {
        const target = /^[0-9a-f]{32}$/.test(id) ? Uint8Array.fromHex(id) : null;
        const row = target === null ? null : db.get("select n, hlc from entry where id = ? and kind <> 'audit'", target);
        // What was written to the log stays; its payloads, which lie apart, may go.
        if (row === null) return err({ kind: "not-found", what: id });
        if (db.get("select 1 from redaction where target = ? limit 1", target) !== null) return ok(undefined);
        const columns: SqlValue[] = [target, stamps.stamp(Number(row["hlc"]) as Hlc), stamps.actor, stamps.seq()];
        db.run(
          "insert into redaction (target, hlc, actor, seq, mac) values (?, ?, ?, ?, ?)",
          ...columns,
          store.sealing().seal("redaction", columns),
        );
        db.run("delete from entry_body where n = ?", row["n"] ?? null);
        return ok(undefined);
      }),
  };
}

/** Reads a row of `SELECT_ENTRY`: none where it is not what was written. */
export function entryReader({ mac, crypto }: Pick<TypedStore, "mac" | "crypto">): (row: SqlRow) => readonly Entry[] {
  return (row) => {
    const columns = ENTRY.columns.map((name) => row[name] ?? null);
    if (mac !== null && !mac.verify(ENTRY.name, columns, row["mac"] ?? null)) return [];
    const { id, kind, ref, hlc, salt, body, body_hash: hash } = row;
    const label = labelOf(row);
    if (!(id instanceof Uint8Array) || !isKind(kind) || label === null) return [];
    // A redaction wins even over a body that some tool put back.
    const forgotten = row["forgotten"] !== 0;
    const whole =
      !forgotten &&
      salt instanceof Uint8Array &&
      typeof body === "string" &&
      hash instanceof Uint8Array &&
      equal(bodyHash(salt, body, crypto), hash);
    return [
      {
        id: id.toHex(),
        kind,
        at: millisOf(Number(hlc) as Hlc),
        label,
        ref: ref instanceof Uint8Array ? ref.toHex() : null,
        body: whole ? body : null,
        damaged: !whole && !forgotten,
      },
    ];
  };
}

/** Inside a transaction of `stamps`; `body` is well-formed. Returns the entry's id in hex. */
export function insertEntry(
  store: TypedStore,
  stamps: Stamps,
  entry: {
    readonly kind: EntryKind;
    readonly body: string;
    readonly salt: Uint8Array;
    readonly label: Label;
    readonly ref: Uint8Array | null;
    /** 16 bytes that nothing has; without them they are drawn. */
    readonly id?: Uint8Array;
    /** An id whose neighbour in the index a drawn one is to be: what is committed together is then on fewer pages. */
    readonly near?: Uint8Array;
    /** The stamp of what it answers, which it comes after whatever the clock says. */
    readonly after?: Hlc;
  },
): string {
  const { db, random, crypto } = store;
  const { kind, body, salt, label, ref } = entry;
  const seq = stamps.seq();
  const id = entry.id ?? random.bytes(16);
  if (entry.id === undefined && entry.near !== undefined) id.set(placeNear(entry.near, seq));
  const dot: SqlValue[] = [stamps.stamp(entry.after ?? 0), stamps.actor, seq];
  const columns: SqlValue[] = [id, kind, ref, ...dot, ...labelColumns(label), bodyHash(salt, body, crypto)];
  db.run(INSERT, ...columns, store.sealing().seal(ENTRY.name, columns));
  db.run(INSERT_BODY, salt, body);
  return id.toHex();
}

/** The first four bytes of an id that is to stand near another's, after those of smaller numbers. Twelve are left to tell it from all others. */
const placeNear = (near: Uint8Array, number: number): readonly number[] => {
  const last = Math.min(number, 0xffff);
  return [near[0] ?? 0, near[1] ?? 0, last >> 8, last & 0xff];
};

const isKind = (value: SqlValue | undefined): value is EntryKind => ENTRY_KINDS.some((kind) => kind === value);
