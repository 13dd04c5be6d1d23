import type { HeartCrypto } from "./ports.ts";
import type { SqlValue } from "./sql.ts";

/** Bytes of a row's MAC. */
export const MAC_BYTES = 16;

/**
 * Message authentication of rows under the heart key: SQLite has no page checksums, and a flipped bit on a cheap stick must
 * not become a different sentence. It stops damage and foreign rows, not someone who has read an unwrapped stick.
 */
export interface RowMac {
  /** The MAC of a row: 16 bytes. `columns` in the order of the table, without local columns and without the MAC itself. */
  seal(table: string, columns: readonly SqlValue[]): Uint8Array;
  verify(table: string, columns: readonly SqlValue[], mac: SqlValue): boolean;
  /** The canonical bytes of a row: what its seal is over. */
  bytesOf(table: string, columns: readonly SqlValue[]): Uint8Array;
}

/** `heartKey` is never used itself: other uses of it (audit, export) derive their own. */
export function rowMac(crypto: HeartCrypto, heartKey: Uint8Array): RowMac {
  const derived = crypto.hmacSha256(heartKey)(new TextEncoder().encode("noctem row mac 1"));
  const hmac = crypto.hmacSha256(derived);
  const encode = rowEncoder();
  const seal = (table: string, columns: readonly SqlValue[]) => hmac(encode(table, columns)).slice(0, MAC_BYTES);
  return {
    seal,
    verify: (table, columns, mac) => mac instanceof Uint8Array && isBegin(mac, hmac(encode(table, columns))),
    bytesOf: (table, columns) => encode(table, columns).slice(),
  };
}

/**
 * The canonical bytes of a row: the table's name, then each value with its type and length, so that no two rows share them.
 *
 * Nulls at the end are left out. A later migration may therefore append a nullable column to a table without rewriting the MAC
 * of any row already there. The returned view is valid until the next call: one buffer serves all rows.
 */
export function rowEncoder(): (table: string, columns: readonly SqlValue[]) => Uint8Array {
  let buffer = new Uint8Array(1024);
  let view = new DataView(buffer.buffer);
  let at = 0;
  const utf8 = new TextEncoder();

  const room = (bytes: number): void => {
    if (at + bytes <= buffer.length) return;
    const larger = new Uint8Array(Math.max(buffer.length * 2, at + bytes));
    larger.set(buffer.subarray(0, at));
    buffer = larger;
    view = new DataView(buffer.buffer);
  };
  const text = (value: string): void => {
    room(5 + value.length * 3);
    // Most texts are short and plain; a copy by hand is then twice as fast as asking the encoder.
    if (value.length <= SHORT && ascii(value, buffer, at + 5)) {
      view.setUint8(at, Tag.TEXT);
      view.setUint32(at + 1, value.length);
      at += 5 + value.length;
      return;
    }
    const { written } = utf8.encodeInto(value, buffer.subarray(at + 5));
    view.setUint8(at, Tag.TEXT);
    view.setUint32(at + 1, written);
    at += 5 + written;
  };
  const put = (value: SqlValue): void => {
    if (value === null) {
      room(1);
      view.setUint8(at++, Tag.NULL);
    } else if (typeof value === "string") {
      text(value);
    } else if (typeof value === "bigint") {
      room(9);
      view.setUint8(at, Tag.INTEGER);
      view.setBigInt64(at + 1, value);
      at += 9;
    } else if (Number.isSafeInteger(value)) {
      // The same 64 bits in two halves: a merge seals every row it takes, and a bigint for each number costs half of that time.
      room(9);
      view.setUint8(at, Tag.INTEGER);
      view.setInt32(at + 1, Math.floor((value as number) / 0x1_0000_0000));
      view.setUint32(at + 5, (value as number) % 0x1_0000_0000);
      at += 9;
    } else if (typeof value === "number") {
      room(9);
      view.setUint8(at, Tag.REAL);
      view.setFloat64(at + 1, value);
      at += 9;
    } else {
      room(5 + value.length);
      view.setUint8(at, Tag.BLOB);
      view.setUint32(at + 1, value.length);
      buffer.set(value, at + 5);
      at += 5 + value.length;
    }
  };

  return (table, columns) => {
    at = 0;
    let count = columns.length;
    while (count > 0 && columns[count - 1] === null) count--;
    text(table);
    for (let i = 0; i < count; i++) put(columns[i] ?? null);
    return buffer.subarray(0, at);
  };
}

/** The table and the columns that canonical bytes are of, without the nulls at their end; null for what is none. */
export function decodeRow(bytes: Uint8Array): { readonly table: string; readonly columns: readonly SqlValue[] } | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values: SqlValue[] = [];
  try {
    for (let at = 0; at < bytes.length;) {
      const tag = view.getUint8(at);
      if (tag === Tag.TEXT || tag === Tag.BLOB) {
        const end = at + 5 + view.getUint32(at + 1);
        const part = bytes.slice(at + 5, end);
        if (end > bytes.length) return null;
        values.push(tag === Tag.BLOB ? part : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(part));
        at = end;
      } else {
        if (tag !== Tag.NULL && tag !== Tag.INTEGER && tag !== Tag.REAL) return null;
        values.push(tag === Tag.NULL ? null : tag === Tag.REAL ? view.getFloat64(at + 1) : numberOf(view.getBigInt64(at + 1)));
        at += tag === Tag.NULL ? 1 : 9;
      }
    }
  } catch (error) {
    // Cut off, or no UTF-8.
    if (error instanceof RangeError || error instanceof TypeError) return null;
    throw error;
  }
  const [table, ...columns] = values;
  return typeof table === "string" ? { table, columns } : null;
}

/** As rows come from SQLite. */
const numberOf = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

const SHORT = 64;

/** False, with some bytes written, when there is more in it than ASCII. */
function ascii(value: string, into: Uint8Array, at: number): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code > 127) return false;
    into[at + i] = code;
  }
  return true;
}

/** Without a copy: a merge asks this of every row. */
function isBegin(mac: Uint8Array, whole: Uint8Array): boolean {
  if (mac.length !== MAC_BYTES) return false;
  for (let i = 0; i < MAC_BYTES; i++) if (mac[i] !== whole[i]) return false;
  return true;
}

const Tag = { NULL: 0, INTEGER: 1, REAL: 2, TEXT: 3, BLOB: 4 } as const;

/** Not constant-time: whoever can time this process can read its memory, and the key. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
