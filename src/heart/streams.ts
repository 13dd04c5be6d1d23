import { HeartFailure } from "./failure.ts";
import { equal, MAC_BYTES, type RowMac } from "./mac.ts";
import { type MetaFact, writeMeta } from "./meta.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";
import { MERGED, type MergedTable } from "./tables.ts";

/**
 * The bookkeeping of streams: the version vector, how many rows of each stream stand in this file, and one sealed summary of it all.
 *
 * A version vector alone can be made to lie: raise one cell and every later row counts as merged; take out a row and nobody misses
 * it. So each row of `vv` says how many rows of its stream are here and what their numbers add up to, each is sealed, and a summary
 * that is sealed too says how many rows `vv` has. It moves with every commit at a cost that does not depend on the heart's size.
 */

/** What a commit did to one stream. `seq` is its new end, or `null` when it stays. */
export interface StreamChange {
  readonly actor: number;
  readonly seq: number | null;
  /** Rows that came, less rows that were replaced or removed. */
  readonly rows: number;
  /** The same for the sum of their numbers. */
  readonly total: number;
}

/** Sums over some rows of `vv`. */
export interface StreamSums {
  /** XOR over the seals of (actor, seq, gap): equal exactly when the streams are. */
  readonly digest: Uint8Array;
  readonly streams: number;
  readonly seqs: number;
  readonly rows: number;
  readonly total: number;
}

/** `cold`: streams that ended and that every live replica has. */
export interface StreamSummary {
  readonly hot: StreamSums;
  readonly cold: StreamSums;
  /** Rows of `remove_floor`, and the sum of their numbers. */
  readonly floors: { readonly rows: number; readonly seqs: number };
}

const VECTOR = "vector";
const SUMS_BYTES = MAC_BYTES + 4 * 8;
const SUMMARY_BYTES = 2 * SUMS_BYTES + 2 * 8;

/** The columns of `vv` that its seal covers. */
export const VV_COLUMNS = ["actor", "seq", "held", "total", "cold", "gap"] as const;

const PUT_VV = `insert into vv (actor, seq, held, total, cold, gap, mac) values (?, ?, ?, ?, ?, ?, ?)
  on conflict (actor) do update set seq = excluded.seq, held = excluded.held, total = excluded.total,
    cold = excluded.cold, gap = excluded.gap, mac = excluded.mac`;
/** Of a stream that stays as settled and as whole as it was: an upsert that may change `cold` writes a page of the index `vv_hot` as well. */
const MOVE_VV = "update vv set seq = ?, held = ?, total = ?, mac = ? where actor = ?";
const GET_VV = "select actor, seq, held, total, cold, gap, mac from vv where actor = ?";

export interface Stream {
  readonly actor: number;
  readonly seq: number;
  readonly rows: number;
  readonly total: number;
  readonly cold: boolean;
  readonly gap: boolean;
}

/** What stands of the bookkeeping. `stream`: one of the streams, the last that was moved; null for none. */
export interface Bookkept {
  /** Null when it is not what was written. */
  readonly summary: StreamSummary | null;
  readonly stream: Stream | null;
  /** What stands for that stream in the digest, where it is known. */
  readonly seal?: Uint8Array | null;
}

/** Throws `HeartFailure` when the row is not what was written. */
export function trustedStream(row: SqlRow, mac: RowMac, file: string): Stream {
  const stream = readStream(row, mac);
  if (stream === null) throw damaged(file, `the version vector of writing session ${String(row["actor"])} was altered`);
  return stream;
}

/** `null` when the row is not what was written. */
export function readStream(row: SqlRow, mac: RowMac): Stream | null {
  const columns = VV_COLUMNS.map((name) => row[name] ?? null);
  if (!mac.verify("vv", columns, row["mac"] ?? null)) return null;
  const { actor, seq, held, total, cold, gap } = row;
  if (![actor, seq, held, total].every((value) => typeof value === "number")) return null;
  return { actor: Number(actor), seq: Number(seq), rows: Number(held), total: Number(total), cold: cold === 1, gap: gap === 1 };
}

/**
 * Applies what a transaction did to the streams. The caller holds the transaction.
 * A change to a stream that this heart has no vector for, and that does not begin one, is left out: memory-only copies have none.
 */
export class StreamBook {
  readonly #db: SqlDatabase;
  readonly #mac: RowMac;
  readonly #file: string;
  #hot: Sums;
  #cold: Sums;
  #floors: StreamSummary["floors"];
  /** One stream as it stands. */
  #known: Stream | null;
  #seal: Uint8Array | null;

  /** `read`: what the caller knows to stand. Throws `HeartFailure` when the summary is not what was written. */
  constructor(db: SqlDatabase, mac: RowMac, file: string, read: Bookkept = { summary: readSummary(db, mac, "main"), stream: null }) {
    this.#db = db;
    this.#mac = mac;
    this.#file = file;
    this.#known = read.stream;
    this.#seal = read.seal ?? null;
    const { summary } = read;
    if (summary === null) throw damaged(file, "the summary of its version vector was altered");
    this.#hot = new Sums(summary.hot);
    this.#cold = new Sums(summary.cold);
    this.#floors = summary.floors;
  }

  apply(change: StreamChange): void {
    const before = this.#read(change.actor);
    if (before === null && change.seq === null) return;
    const rows = (before?.rows ?? 0) + change.rows;
    const total = (before?.total ?? 0) + change.total;
    // A stream that goes on is not cold any more.
    const goesOn = change.seq !== null && change.seq > (before?.seq ?? 0);
    this.#put(before, {
      actor: change.actor,
      seq: Math.max(change.seq ?? 0, before?.seq ?? 0),
      rows,
      total,
      cold: before !== null && before.cold && !goesOn,
      gap: before?.gap ?? false,
    });
  }

  /** Marks a stream as whole or not, as settled or not. */
  mark(actor: number, marks: { readonly cold?: boolean; readonly gap?: boolean }): void {
    const before = this.#read(actor);
    if (before !== null) this.#put(before, { ...before, ...marks });
  }

  /** To be said when rows of `remove_floor` were written. */
  floorsMoved(): void {
    this.#floors = sumFloors(this.#db, "main");
  }

  /** `also`: facts of `meta` that are written with the summary. Returns what stands then. */
  save(...also: readonly MetaFact[]): Bookkept {
    const summary = { hot: this.#hot.value(), cold: this.#cold.value(), floors: this.#floors };
    writeMeta(this.#db, this.#mac, ...also, [VECTOR, packSummary(summary)]);
    return { summary, stream: this.#known, seal: this.#seal };
  }

  #read(actor: number): Stream | null {
    if (this.#known?.actor === actor) return this.#known;
    const row = this.#db.get(GET_VV, actor);
    return row === null ? null : trustedStream(row, this.#mac, this.#file);
  }

  #put(before: Stream | null, after: Stream): void {
    if (after.rows < 0 || after.total < 0) throw damaged(this.#file, `rows of writing session ${after.actor} are missing`);
    const left = before === this.#known ? this.#seal : null;
    if (before !== null) (before.cold ? this.#cold : this.#hot).add(before, left ?? streamSeal(this.#mac, before), -1);
    this.#seal = streamSeal(this.#mac, after);
    (after.cold ? this.#cold : this.#hot).add(after, this.#seal, 1);
    const columns = vvColumns(after);
    const seal = this.#mac.seal("vv", columns);
    if (before?.cold === after.cold && before.gap === after.gap)
      this.#db.run(MOVE_VV, after.seq, after.rows, after.total, seal, after.actor);
    else this.#db.run(PUT_VV, ...columns, seal);
    this.#known = after;
  }
}

/** Counts everything anew, for a heart that is made, migrated or repaired. Streams keep their marks. */
export function rebuildStreams(db: SqlDatabase, mac: RowMac): void {
  const hot = new Sums(null);
  const cold = new Sums(null);
  const counted = countStreams(db, "main");
  for (const row of db.all("select actor, seq, cold, gap from vv")) {
    const actor = Number(row["actor"]);
    const { rows, total } = counted.get(actor) ?? { rows: 0, total: 0 };
    const stream: Stream = { actor, seq: Number(row["seq"]), rows, total, cold: row["cold"] === 1, gap: row["gap"] === 1 };
    (stream.cold ? cold : hot).add(stream, streamSeal(mac, stream), 1);
    const columns = vvColumns(stream);
    db.run(PUT_VV, ...columns, mac.seal("vv", columns));
  }
  writeMeta(db, mac, [VECTOR, packSummary({ hot: hot.value(), cold: cold.value(), floors: sumFloors(db, "main") })]);
}

/** `most`: rows to read at most, of a file that is not to be trusted. */
export function sumFloors(db: SqlDatabase, schema: "main" | "s", most = -1): StreamSummary["floors"] {
  const row = db.get(`select count(*) as n, coalesce(sum(seq), 0) as seqs from (select seq from ${schema}.remove_floor limit ?)`, most);
  return { rows: Number(row?.["n"] ?? 0), seqs: Number(row?.["seqs"] ?? 0) };
}

/** Rows that stand in the merged tables, by stream. Reads every table's index of dots. `tables`: those that an older heart has. */
export function countStreams(
  db: SqlDatabase,
  schema: "main" | "s",
  tables: readonly MergedTable[] = MERGED,
): Map<number, { rows: number; total: number }> {
  const counted = new Map<number, { rows: number; total: number }>();
  const sources = tables.map(({ name, dot }) => `${schema}.${name} indexed by ${dot} where true`);
  for (const source of [...sources, `${schema}.aside where true`]) {
    for (const row of db.all(`select actor, count(*) as n, sum(seq) as total from ${source} group by actor`)) {
      const at = counted.get(Number(row["actor"])) ?? { rows: 0, total: 0 };
      counted.set(Number(row["actor"]), { rows: at.rows + Number(row["n"]), total: at.total + Number(row["total"]) });
    }
  }
  return counted;
}

/** `null` when there is none, or when it is not what was written. */
export function readSummary(db: SqlDatabase, mac: RowMac, schema: "main" | "s"): StreamSummary | null {
  return summaryOf(db.get(`select v, mac from ${schema}.meta where k = ?`, VECTOR), mac);
}

/** `row`: value and seal. */
export function summaryOf(row: SqlRow | null, mac: RowMac): StreamSummary | null {
  const value = row?.["v"];
  if (!(value instanceof Uint8Array) || value.length !== SUMMARY_BYTES) return null;
  if (!mac.verify("meta", [VECTOR, value], row?.["mac"] ?? null)) return null;
  return { hot: unpackSums(value, 0), cold: unpackSums(value, SUMS_BYTES), floors: unpackFloors(value) };
}

/** What a summary, whose seal was checked, says of floors; `null` when it is none. */
export const floorsOf = (summary: SqlValue | undefined): StreamSummary["floors"] | null =>
  summary instanceof Uint8Array && summary.length === SUMMARY_BYTES ? unpackFloors(summary) : null;

function unpackFloors(summary: Uint8Array): StreamSummary["floors"] {
  const view = new DataView(summary.buffer, summary.byteOffset + 2 * SUMS_BYTES);
  return { rows: Number(view.getBigUint64(0)), seqs: Number(view.getBigUint64(8)) };
}

function packSummary(summary: StreamSummary): Uint8Array {
  const value = new Uint8Array(SUMMARY_BYTES);
  packSums(value, 0, summary.hot);
  packSums(value, SUMS_BYTES, summary.cold);
  const view = new DataView(value.buffer, 2 * SUMS_BYTES);
  setNumber(view, 0, summary.floors.rows);
  setNumber(view, 8, summary.floors.seqs);
  return value;
}

/** Both hold the same streams up to the same ends. Which are cold may differ. */
export function sameStreams(a: StreamSummary, b: StreamSummary): boolean {
  return a.hot.streams + a.cold.streams === b.hot.streams + b.cold.streams && equal(digestOf(a), digestOf(b));
}

/** 16 bytes that stand for all streams. */
export const digestOf = ({ hot, cold }: Pick<StreamSummary, "hot" | "cold">): Uint8Array => xor(hot.digest, cold.digest);

/** The digest of a summary over these streams, reckoned anew. */
export const streamDigest = (mac: RowMac, streams: readonly Pick<Stream, "actor" | "seq" | "gap">[]): Uint8Array =>
  streams.reduce<Uint8Array>((digest, stream) => xor(digest, streamSeal(mac, stream)), new Uint8Array(MAC_BYTES));

const streamSeal = (mac: RowMac, { actor, seq, gap }: Pick<Stream, "actor" | "seq" | "gap">): Uint8Array =>
  mac.seal("stream", [actor, seq, gap ? 1 : null]);

const vvColumns = ({ actor, seq, rows, total, cold, gap }: Stream): SqlValue[] => [
  actor,
  seq,
  rows,
  total,
  cold ? 1 : null,
  gap ? 1 : null,
];

class Sums {
  #digest: Uint8Array;
  #streams: number;
  #seqs: number;
  #rows: number;
  #total: number;

  constructor(from: StreamSums | null) {
    this.#digest = from?.digest ?? new Uint8Array(MAC_BYTES);
    this.#streams = from?.streams ?? 0;
    this.#seqs = from?.seqs ?? 0;
    this.#rows = from?.rows ?? 0;
    this.#total = from?.total ?? 0;
  }

  add(stream: Stream, seal: Uint8Array, sign: 1 | -1): void {
    this.#digest = xor(this.#digest, seal);
    this.#streams += sign;
    this.#seqs += sign * stream.seq;
    this.#rows += sign * stream.rows;
    this.#total += sign * stream.total;
  }

  value(): StreamSums {
    return { digest: this.#digest, streams: this.#streams, seqs: this.#seqs, rows: this.#rows, total: this.#total };
  }
}

export function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length);
  for (let i = 0; i < a.length; i++) out[i] = (a[i] ?? 0) ^ (b[i] ?? 0);
  return out;
}

function packSums(into: Uint8Array, at: number, { digest, streams, seqs, rows, total }: StreamSums): void {
  into.set(digest, at);
  const view = new DataView(into.buffer, into.byteOffset + at + MAC_BYTES);
  setNumber(view, 0, streams);
  setNumber(view, 8, seqs);
  setNumber(view, 16, rows);
  setNumber(view, 24, total);
}

/** 64 bits in two halves, without a bigint for each. `value` is whole and not negative. */
function setNumber(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 0x1_0000_0000));
  view.setUint32(at + 4, value % 0x1_0000_0000);
}

function unpackSums(from: Uint8Array, at: number): StreamSums {
  const view = new DataView(from.buffer, from.byteOffset + at + MAC_BYTES);
  const number = (i: number): number => Number(view.getBigUint64(i * 8));
  return { digest: from.slice(at, at + MAC_BYTES), streams: number(0), seqs: number(1), rows: number(2), total: number(3) };
}

const damaged = (path: string, detail: string): HeartFailure => new HeartFailure({ kind: "damaged", path, detail });
