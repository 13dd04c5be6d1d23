import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type ReplyFormat, ReplySplitter } from "../../../src/engine/reply-splitter.ts";

const THINK = { open: "<think>", close: "</think>" };
const plain: ReplyFormat = { reasoning: null, startsInReasoning: false, stops: [] };
const thinking: ReplyFormat = { reasoning: THINK, startsInReasoning: false, stops: [] };

function split(format: ReplyFormat, parts: readonly string[]): { text: string; reasoning: string; stopped: boolean } {
  const splitter = new ReplySplitter(format);
  const pieces = [...parts.flatMap((part) => splitter.push(part)), ...splitter.end()];
  const of = (type: string): string => pieces.map((piece) => (piece.type === type ? piece.text : "")).join("");
  return { text: of("text"), reasoning: of("reasoning"), stopped: splitter.stopped };
}

describe("ReplySplitter", () => {
  test("passes plain text through at once", () => {
    const splitter = new ReplySplitter(plain);
    expect(splitter.push("a <think> b")).toEqual([{ type: "text", text: "a <think> b" }]);
  });

  test("tells reasoning from answer", () => {
    expect(split(thinking, ["<think>\nhm\n</think>\n\nYes."])).toEqual({ reasoning: "\nhm\n", text: "Yes.", stopped: false });
    expect(split({ ...thinking, startsInReasoning: true }, ["hm</think>Yes."])).toEqual({ reasoning: "hm", text: "Yes.", stopped: false });
  });

  test("a tag in the middle of an answer is part of the answer", () => {
    expect(split(thinking, ["Use <think>x</think> tags"])).toEqual({ reasoning: "", text: "Use <think>x</think> tags", stopped: false });
    expect(split(thinking, ["<think>a</think>Then <think>b</think>"])).toEqual({
      reasoning: "a",
      text: "Then <think>b</think>",
      stopped: false,
    });
  });

  test("reasoning that was cut off stays reasoning", () => {
    expect(split(thinking, ["<think>so lo", "ng</thi"])).toEqual({ reasoning: "so long</thi", text: "", stopped: false });
  });

  test("an answer that only begins like a tag is not lost", () => {
    expect(split(thinking, ["  <thi"])).toEqual({ reasoning: "", text: "  <thi", stopped: false });
    expect(split(thinking, ["<the"])).toEqual({ reasoning: "", text: "<the", stopped: false });
  });

  test("stops at a stop text, which is not part of the reply", () => {
    expect(split({ ...plain, stops: ["### User", "\n\nQ:"] }, ["fine", "\n", "\nQ: more", " and more"])).toEqual({
      reasoning: "",
      text: "fine",
      stopped: true,
    });
    expect(split({ ...plain, stops: ["### User"] }, ["## ##", "# Use"])).toEqual({ reasoning: "", text: "## ### Use", stopped: false });
  });

  test("it does not matter how the stream is cut", () => {
    const soup = fc.array(fc.constantFrom("<think>", "</think>", "<th", "ink>", "### User", "##", " ", "\n", "a", "é"), { maxLength: 12 });
    const format = fc.record({
      reasoning: fc.constantFrom(THINK, null),
      startsInReasoning: fc.boolean(),
      stops: fc.constantFrom([], ["### User"]),
    });
    fc.assert(
      fc.property(format, soup, (how, parts) => {
        const whole = split(how, [parts.join("")]);
        expect(split(how, parts)).toEqual(whole);
        expect(split(how, parts.join("").split(""))).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  });
});
