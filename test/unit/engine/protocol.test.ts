import { describe, expect, test } from "bun:test";
import { decodeChild, decodeHost, encode } from "../../../src/engine/protocol.ts";

describe("protocol", () => {
  test("what one side writes the other reads", () => {
    const request = { op: "count", id: 7, model: "m", messages: [{ role: "user", text: 'a\nb\u2028"' }] } as const;
    expect(decodeHost(encode(request).trimEnd())).toEqual(request);
    expect(encode(request).indexOf("\n")).toBe(encode(request).length - 1);
    const chunk = { type: "chunk", id: 1, chunk: { type: "text", text: "ß", tokens: 1 } } as const;
    expect(decodeChild(encode(chunk).trimEnd())).toEqual(chunk);
  });

  test("what is no message is nothing, on both sides", () => {
    for (const line of [
      "",
      "{",
      "null",
      "[]",
      '{"type":"ready"}',
      '{"op":"load","id":1}',
      '{"op":"cancel","id":0}',
      '{"op":"cancel","id":1,"more":1}',
    ]) {
      expect(decodeHost(line)).toBeNull();
      expect(decodeChild(line)).toBeNull();
    }
  });

  test("text that native code printed without a newline does not cost the message behind it", () => {
    const message = { type: "alive", stalledMs: 3 } as const;
    expect(decodeChild(`llama: {"loading" ... ${encode(message).trimEnd()}`)).toEqual(message);
    expect(decodeChild('noise {"type":"nonsense"}')).toBeNull();
  });
});
