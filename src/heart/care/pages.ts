import type { HeartFiles } from "../ports.ts";
import type { SqlValue } from "../sql.ts";

/**
 * Rows as they stand on single pages of a SQLite file, without the way that leads to them: what is left of a heart whose first page, or
 * a page in the middle of a table's tree, is gone. Pure, and made for pages that say anything: nothing here is believed that the bytes
 * do not bear out, and whoever calls holds every row against its seal. (SQLite's file format, sections 1.5, 1.6 and 2.1.)
 */
export interface PageRow {
  /** Of a table with row numbers; null for one that is kept by its key. */
  readonly rowid: SqlValue;
  /** In the order in which they are stored. */
  readonly values: readonly SqlValue[];
}

/** The bytes of a page, counted from 1; null when it cannot be read or is beyond the end. */
export type ReadPage = (number: number) => Uint8Array | null;

/** Hearts never had another (see PRAGMAS). */
export const PAGE_BYTES = 4096;

const PAGES_AT_ONCE = 256;

export function readPageOf(files: HeartFiles, file: string, size: number): ReadPage {
  const pages = Math.floor(size / PAGE_BYTES);
  return (number) => {
    if (number < 1 || number > pages) return null;
    const read = files.readAt(file, (number - 1) * PAGE_BYTES, PAGE_BYTES);
    return read.ok && read.value.length === PAGE_BYTES ? read.value : null;
  };
}

/** Every page that can be read, with its number. */
export function* filePages(files: HeartFiles, file: string, size: number): Generator<readonly [number, Uint8Array]> {
  const pages = Math.floor(size / PAGE_BYTES);
  const readPage = readPageOf(files, file, size);
  for (let first = 1; first <= pages; first += PAGES_AT_ONCE) {
    const count = Math.min(PAGES_AT_ONCE, pages - first + 1);
    const chunk = files.readAt(file, (first - 1) * PAGE_BYTES, count * PAGE_BYTES);
    for (let i = 0; i < count; i++) {
      // One bad block makes the whole of a large read fail.
      const page = chunk.ok ? chunk.value.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES) : readPage(first + i);
      if (page?.length === PAGE_BYTES) yield [first + i, page];
    }
  }
}

const INTERIOR_INDEX = 0x02;
const LEAF_INDEX = 0x0a;
const LEAF_TABLE = 0x0d;
/** Of the first page, before its tree. */
const FILE_HEADER = 100;
/** The largest row that is put together: many times the largest message. */
const MOST_BYTES = 64 << 20;
const SMALLEST_CELL = 4;

/** Keys of a table without row numbers stand in the inner pages of its tree as well, once each. Never more than the page can hold. */
export function* pageRows(page: Uint8Array, number: number, readPage: ReadPage): Generator<PageRow> {
  if (page.length !== PAGE_BYTES) return;
  const view = viewOf(page);
  const start = number === 1 ? FILE_HEADER : 0;
  const type = view.getUint8(start);
  if (type !== INTERIOR_INDEX && type !== LEAF_INDEX && type !== LEAF_TABLE) return;
  const pointers = start + (type === INTERIOR_INDEX ? 12 : 8);
  // A broken count must not hide the cells that are there.
  const count = Math.min(view.getUint16(start + 3), Math.floor((PAGE_BYTES - pointers) / (2 + SMALLEST_CELL)));
  for (let i = 0; i < count; i++) {
    const at = view.getUint16(pointers + 2 * i);
    if (at < pointers || at > PAGE_BYTES - SMALLEST_CELL) continue;
    const row = rowAt(page, type === INTERIOR_INDEX ? at + 4 : at, type === LEAF_TABLE, readPage);
    if (row !== null) yield row;
  }
}

function rowAt(page: Uint8Array, start: number, isTable: boolean, readPage: ReadPage): PageRow | null {
  const size = varint(page, start);
  if (size === null || size.value > MOST_BYTES) return null;
  const rowid = isTable ? varint(page, size.end) : null;
  if (isTable && rowid === null) return null;
  const total = Number(size.value);
  const from = rowid === null ? size.end : rowid.end;
  const local = localBytes(total, isTable);
  if (from + local + (local < total ? 4 : 0) > PAGE_BYTES) return null;
  const here = page.subarray(from, from + local);
  // Before other pages are read for it: a row that cannot be one would cost as much as the largest.
  const types = typesOf(here, total);
  if (types === null) return null;
  const payload = local === total ? here : wholePayload(here, total, viewOf(page).getUint32(from + local), readPage);
  if (payload === null) return null;
  const values = valuesOf(payload, types);
  return values === null ? null : { rowid: rowid === null ? null : plain(BigInt.asIntN(64, rowid.value)), values };
}

/** How much of a row stands on its page; the rest is on overflow pages. */
function localBytes(total: number, isTable: boolean): number {
  const most = isTable ? PAGE_BYTES - 35 : Math.floor(((PAGE_BYTES - 12) * 64) / 255) - 23;
  if (total <= most) return total;
  const least = Math.floor(((PAGE_BYTES - 12) * 32) / 255) - 23;
  const rest = least + ((total - least) % (PAGE_BYTES - 4));
  return rest <= most ? rest : least;
}

function wholePayload(here: Uint8Array, total: number, first: number, readPage: ReadPage): Uint8Array | null {
  const payload = new Uint8Array(total);
  payload.set(here);
  let next = first;
  // Each turn brings bytes that are missing, so a chain that bites its tail ends as well.
  for (let at = here.length; at < total;) {
    const page = next === 0 ? null : readPage(next);
    if (page?.length !== PAGE_BYTES) return null;
    const part = page.subarray(4, 4 + Math.min(PAGE_BYTES - 4, total - at));
    payload.set(part, at);
    at += part.length;
    next = viewOf(page).getUint32(0);
  }
  return payload;
}

interface Types {
  readonly codes: readonly number[];
  /** Where the values begin. */
  readonly end: number;
}

/** The kinds of a row's values; null unless they fill exactly its `total` bytes. */
function typesOf(start: Uint8Array, total: number): Types | null {
  const header = varint(start, 0);
  if (header === null || header.value > start.length) return null;
  const end = Number(header.value);
  const codes: number[] = [];
  let [at, bytes] = [header.end, end];
  while (at < end) {
    const code = varint(start, at);
    if (code === null || code.value > MOST_BYTES * 2 + 13 || code.value === 10n || code.value === 11n) return null;
    codes.push(Number(code.value));
    bytes += bytesOf(Number(code.value));
    at = code.end;
  }
  return at === end && bytes === total ? { codes, end } : null;
}

const FIXED = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0] as const;
const bytesOf = (code: number): number => FIXED[code] ?? Math.floor((code - 12) / 2);

function valuesOf(payload: Uint8Array, { codes, end }: Types): SqlValue[] | null {
  const view = viewOf(payload);
  let at = end;
  try {
    return codes.map((code) => {
      const bytes = bytesOf(code);
      at += bytes;
      return valueOf(view, payload, code, at - bytes, bytes);
    });
  } catch (error) {
    // A text that is none.
    if (error instanceof TypeError) return null;
    throw error;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function valueOf(view: DataView, payload: Uint8Array, code: number, at: number, bytes: number): SqlValue {
  if (code === 0) return null;
  if (code === 8 || code === 9) return code - 8;
  if (code === 7) return view.getFloat64(at);
  if (code >= 12) return code % 2 === 0 ? payload.slice(at, at + bytes) : utf8.decode(payload.subarray(at, at + bytes));
  let value = 0n;
  for (let i = 0; i < bytes; i++) value = (value << 8n) | BigInt(payload[at + i] ?? 0);
  return plain(BigInt.asIntN(bytes * 8, value));
}

const plain = (value: bigint): SqlValue => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

/** SQLite's: seven bits a byte, the ninth has eight. */
function varint(bytes: Uint8Array, start: number): { readonly value: bigint; readonly end: number } | null {
  let small = 0;
  let value = 0n;
  for (let i = 0; i < 9; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) return null;
    if (i < 4) {
      small = small * 128 + (byte & 0x7f);
      if (byte < 0x80) return { value: BigInt(small), end: start + i + 1 };
      value = BigInt(small);
    } else {
      value = i === 8 ? (value << 8n) | BigInt(byte) : (value << 7n) | BigInt(byte & 0x7f);
      if (byte < 0x80 || i === 8) return { value, end: start + i + 1 };
    }
  }
  return null;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
