import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import * as fc from "fast-check";
import { decodeRow, rowEncoder, rowMac } from "../../src/heart/mac.ts";
import { readKeyFile, writeKeyFile } from "../../src/heart/key-file.ts";
import type { SqlValue } from "../../src/heart/sql.ts";
import { heartDeps } from "../../src/platform/heart.ts";

const { crypto } = heartDeps();
const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.maxSafeInteger(),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
  fc.double({ noNaN: true, noInteger: true }),
  fc.string({ unit: "grapheme" }),
  fc.uint8Array({ maxLength: 40 }),
);
const row = fc.array(value, { maxLength: 6 });
const hex = (table: string, columns: readonly SqlValue[]): string => rowEncoder()(table, columns).toHex();
const trimmed = (columns: readonly SqlValue[]): string => {
  const end = columns.findLastIndex((column) => column !== null) + 1;
  return columns
    .slice(0, end)
    .map((v) => (v instanceof Uint8Array ? `b${v.toHex()}` : `${typeof v} ${String(v)}`))
    .join("\u0000|");
};

describe("canonical rows", () => {
  test("two rows have the same bytes exactly when they are equal but for nulls at the end", () => {
    fc.assert(
      fc.property(row, row, (a, b) => expect(hex("t", a) === hex("t", b)).toBe(trimmed(a) === trimmed(b))),
      { numRuns: 1000 },
    );
  });

  test("moving a boundary between columns, a type or a table's name changes them", () => {
    const all = [["ab", "c"], ["a", "bc"], ["abc"], [new Uint8Array([97, 98, 99])], [1], ["1"], [1.5], [null, 1], [1, null, 0]];
    const seen = new Set(all.flatMap((columns) => [hex("t", columns), hex("u", columns)]));
    expect(seen.size).toBe(all.length * 2);
  });

  test("a nullable column appended later leaves the seals of older rows as they are", () => {
    expect(hex("t", [1, "a"])).toBe(hex("t", [1, "a", null]));
  });

  test("say what the row was, and nothing else is taken for one", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), row, (table, columns) => {
        const bytes = rowEncoder()(table, columns).slice();
        expect(decodeRow(bytes)).toEqual({ table, columns: columns.slice(0, columns.findLastIndex((column) => column !== null) + 1) });
        // Cut off within a value, or with something behind it.
        for (let end = 1; end < bytes.length; end++) {
          const part = decodeRow(bytes.subarray(0, end));
          if (part !== null) expect(rowEncoder()(part.table, part.columns).length).toBeLessThanOrEqual(end);
        }
        expect(decodeRow(new Uint8Array([...bytes, 9]))).toBeNull();
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        const found = decodeRow(bytes);
        if (found !== null) expect(rowEncoder()(found.table, found.columns).length).toBeLessThanOrEqual(bytes.length);
      }),
    );
    expect(decodeRow(new Uint8Array())).toBeNull();
    expect(decodeRow(rowEncoder()("t", []).slice(0, 4))).toBeNull();
    // A text that is no UTF-8, a table that is no text.
    expect(decodeRow(new Uint8Array([3, 0, 0, 0, 1, 0xff]))).toBeNull();
    expect(decodeRow(new Uint8Array([0]))).toBeNull();
  });

  test("one encoder serves rows of any size, one after the other", () => {
    const encode = rowEncoder();
    const large = "ü".repeat(100_000);
    const first = encode("t", [large, 1]).toHex();
    encode("t", [2]);
    expect(encode("t", [large, 1]).toHex()).toBe(first);
  });
});

describe("row MAC", () => {
  test("is the first half of HMAC-SHA256 under a key derived from the heart key", () => {
    const key = new Uint8Array(32).fill(7);
    const derived = createHmac("sha256", key).update("noctem row mac 1").digest();
    const expected = createHmac("sha256", derived)
      .update(rowEncoder()("t", [1, "x"]))
      .digest()
      .subarray(0, 16);
    expect(rowMac(crypto, key).seal("t", [1, "x"]).toHex()).toBe(expected.toString("hex"));
  });

  test("verifies what it sealed and nothing else", () => {
    const mac = rowMac(crypto, new Uint8Array(32).fill(1));
    const other = rowMac(crypto, new Uint8Array(32).fill(2));
    const seal = mac.seal("t", [1, "x"]);
    expect(mac.verify("t", [1, "x"], seal)).toBe(true);
    expect(mac.verify("t", [2, "x"], seal)).toBe(false);
    expect(mac.verify("u", [1, "x"], seal)).toBe(false);
    expect(other.verify("t", [1, "x"], seal)).toBe(false);
    expect(mac.verify("t", [1, "x"], seal.slice(0, 15))).toBe(false);
    expect(mac.verify("t", [1, "x"], null)).toBe(false);
  });
});

describe("key file", () => {
  const key = { heart: "00112233445566778899aabbccddeeff", key: new Uint8Array(32).fill(9) };
  const bytes = writeKeyFile(key, crypto);

  test("survives the round trip", () => {
    expect(readKeyFile(bytes, crypto)).toEqual({ ok: true, value: key });
  });

  test("any changed byte is noticed", () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 2), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const altered = bytes.slice();
        altered[at] = (altered[at] ?? 0) ^ change;
        const read = readKeyFile(altered, crypto);
        // White space around a token may change into other white space; the key may not change at all.
        if (read.ok) expect(read.value).toEqual(key);
      }),
      { numRuns: 500 },
    );
  });

  test("cut off, empty and newer ones say what they are", () => {
    for (let length = 0; length < bytes.length - 2; length += 7) expect(readKeyFile(bytes.slice(0, length), crypto).ok).toBe(false);
    const newer = new TextEncoder().encode('{"kind":"noctem-heart-key","version":2,"wrapped":"…"}');
    expect(readKeyFile(newer, crypto)).toEqual({ ok: false, error: "it has version 2, this program knows 1" });
  });
});
