import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { LineReader } from "../../../src/engine/lines.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("LineReader", () => {
  test("any cut of the stream gives the same lines", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" })), fc.array(fc.nat({ max: 40 })), (lines, cuts) => {
        const clean = lines.map((line) => line.replaceAll("\n", " "));
        const stream = bytes(clean.map((line) => `${line}\n`).join(""));
        const reader = new LineReader(1 << 20);
        const seen: string[] = [];
        let from = 0;
        for (const cut of [...cuts, stream.length]) {
          for (const event of reader.push(stream.subarray(from, from + cut))) seen.push(event.type === "line" ? event.text : "too long");
          from += cut;
        }
        expect(seen).toEqual(clean.map((line) => line.toWellFormed()));
      }),
    );
  });

  test("a line above the limit is dropped as a whole and the next one is read", () => {
    const reader = new LineReader(10);
    const events = "0123456789abcdef\nnext\n".split("").flatMap((character) => reader.push(bytes(character)));
    expect(events).toEqual([{ type: "too-long" }, { type: "line", text: "next" }]);
  });

  test("the limit is about bytes and holds exactly", () => {
    expect(new LineReader(4).push(bytes("ääx\n"))).toEqual([{ type: "too-long" }]);
    expect(new LineReader(4).push(bytes("ää\n"))).toEqual([{ type: "line", text: "ää" }]);
  });

  test("what stands after the last newline comes at the end", () => {
    const reader = new LineReader(10);
    expect(reader.push(bytes("a\nb"))).toEqual([{ type: "line", text: "a" }]);
    expect(reader.end()).toEqual([{ type: "line", text: "b" }]);
    expect(reader.end()).toEqual([]);
  });

  test("a chunk's memory may be reused by the stream", () => {
    const reader = new LineReader(10);
    const chunk = bytes("ab");
    reader.push(chunk);
    chunk.fill(0x78);
    expect(reader.push(bytes("\n"))).toEqual([{ type: "line", text: "ab" }]);
  });
});
