import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { badChunks, formatChunks, parseChunks } from "../../../src/models/chunks.ts";
import { emptyRecord, factsFor, formatRecord, onHost, parseRecord, threadsOn, withHost } from "../../../src/models/record.ts";

const host = (index: number): string => index.toString(16).padStart(16, "0");
const empty = emptyRecord([{ name: "a.gguf", size: 10 }]);
const threads = { prompt: 4, generate: 2, measured: [{ threads: 2, promptTokensPerSecond: 100.5, generateTokensPerSecond: 12.25 }] };

describe("the record beside a model", () => {
  test("comes back as it was written", () => {
    const record = withHost(empty, host(1), { threads, readBytesPerSecond: 2e7 });
    expect(parseRecord(formatRecord(record))).toEqual(record);
  });

  test("keeps what one computer measured from another", () => {
    const record = withHost(withHost(empty, host(1), { threads }), host(2), { readBytesPerSecond: 5 });
    expect(threadsOn(record, host(1))).toEqual(threads);
    expect(threadsOn(record, host(2))).toBeNull();
    expect(onHost(record, host(2))?.readBytesPerSecond).toBe(5);
    expect(onHost(withHost(record, host(1), { readBytesPerSecond: 7 }), host(1))).toEqual({
      host: host(1),
      threads,
      readBytesPerSecond: 7,
    });
  });

  test("forgets the computer that was away longest", () => {
    let record = empty;
    for (let index = 0; index < 40; index++) record = withHost(record, host(index), { threads });
    expect(record.hosts).toHaveLength(16);
    expect(threadsOn(record, host(39))).toEqual(threads);
    expect(threadsOn(record, host(23))).toBeNull();
    expect(parseRecord(formatRecord(record))).toEqual(record);
  });

  test("of another version, with more in it, or cut off is as good as none", () => {
    const text = formatRecord(empty);
    expect(parseRecord(null)).toBeNull();
    expect(parseRecord(text.replace('"version": 1', '"version": 2'))).toBeNull();
    expect(parseRecord(text.replace("{", '{"more": 1,'))).toBeNull();
    expect(parseRecord(text.replace("a.gguf", "../a.gguf"))).toBeNull();
    for (let length = 0; length < text.length - 1; length++) expect(parseRecord(text.slice(0, length))).toBeNull();
  });

  test("whatever stands there, nothing throws", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseRecord(text)));
  });

  test("header facts hold while size and time do, give or take FAT's two seconds", () => {
    const header = { type: "model" } as never;
    const record = { ...empty, facts: { size: 10, mtimeMs: 5000, header } };
    expect(factsFor(record, { size: 10, mtimeMs: 6000, inode: 1 })).toBe(header);
    expect(factsFor(record, { size: 11, mtimeMs: 5000, inode: 1 })).toBeNull();
    expect(factsFor(record, { size: 10, mtimeMs: 9000, inode: 1 })).toBeNull();
  });
});

describe("the chunk list", () => {
  const hash = { sha256: "a".repeat(64), size: 20 << 20, chunks: ["1", "2", "3"].map((digit) => digit.repeat(64)) };

  test("comes back as it was written, and names the chunks that differ", () => {
    const list = parseChunks(formatChunks(hash));
    expect(list).toMatchObject(hash);
    expect(list && badChunks(list, { ...hash, chunks: [hash.chunks[0] ?? "", "f".repeat(64)] })).toEqual([1, 2]);
  });

  test("with too few or too many chunks for its size is none", () => {
    expect(parseChunks(formatChunks({ ...hash, size: 30 << 20 }))).toBeNull();
    expect(parseChunks(formatChunks({ ...hash, size: 8 << 20 }))).toBeNull();
    expect(parseChunks("[]")).toBeNull();
  });
});
