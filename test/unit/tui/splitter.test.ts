import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { InputSplitter, type InputEvent } from "../../../tui/input/splitter.ts";

const feed = (...reads: string[]): InputEvent[] => {
  const splitter = new InputSplitter();
  return [...reads.flatMap((read) => splitter.feed(read)), ...splitter.flush()];
};
const key = (raw: string, alone = true): InputEvent => ({ kind: "key", raw, alone });

describe("InputSplitter", () => {
  test.each([
    ["a letter", ["a"], [key("a")]],
    ["two in one read are not alone", ["y\r"], [key("y", false), key("\r", false)]],
    ["an arrow", ["\u001b[A"], [key("\u001b[A")]],
    ["an arrow in two reads", ["\u001b", "[A"], [key("\u001b[A", false)]],
    ["Escape", ["\u001b"], [key("\u001b")]],
    ["Escape and a command typed fast", ["\u001b", "/q"], [key("\u001b"), key("/", false), key("q", false)]],
    ["Alt-B", ["\u001bb"], [key("\u001bb")]],
    ["Alt-Enter in two reads", ["\u001b", "\r"], [key("\u001b\r", false)]],
    ["Alt-Enter", ["\u001b\r"], [key("\u001b\r")]],
    ["an emoji", ["👨‍👩‍👧"], [key("👨‍👩‍👧")]],
    ["replies are dropped", ["\u001b]11;rgb:0000/0000/0000\u001b\\\u001b[?62;c\u001b[12;40Rx"], [key("x", false)]],
    ["mouse reports are dropped", ["\u001b[<64;10;10M"], []],
    ["a paste", ["\u001b[200~rm -rf\r\n/\u001b[201~"], [{ kind: "paste", text: "rm -rf\n/", bracketed: true }]],
    ["a paste in three reads", ["\u001b[200~a", "b", "c\u001b[201~"], [{ kind: "paste", text: "abc", bracketed: true }]],
    ["an end marker inside", ["\u001b[200~safe\u001b[201~y\r\u001b[201~"], [{ kind: "paste", text: "safey\n", bracketed: true }]],
    ["control characters in it", ["\u001b[200~a\u0000\u001b[2Jb\u001b[201~"], [{ kind: "paste", text: "a[2Jb", bracketed: true }]],
    ["Ctrl-C ends a paste without an end", ["\u001b[200~lost", "\u0003"], [{ kind: "paste", text: "lost", bracketed: true }]],
    [
      "much at once is a paste",
      ["echo this was not typed\rnor this\r"],
      [{ kind: "paste", text: "echo this was not typed\nnor this\n", bracketed: false }],
    ],
    [
      "one line and Enter at once",
      ["echo this was not typed\r"],
      [{ kind: "paste", text: "echo this was not typed", bracketed: false }, key("\r", false)],
    ],
    [
      "an unmarked paste whose last read is short",
      ["echo this was not typed; ", "rm x\r", "y"],
      [{ kind: "paste", text: "echo this was not typed; rm x\ny", bracketed: false }],
    ],
    [
      "Ctrl-C right behind an unmarked paste",
      ["echo this was not typed", "\u0003"],
      [{ kind: "paste", text: "echo this was not typed", bracketed: false }, key("\u0003")],
    ],
    ["the wheel up", ["\u001b[A\u001b[A\u001b[A"], [{ kind: "wheel", rows: -3 }]],
    ["two arrows are keys", ["\u001b[B\u001b[B"], [key("\u001b[B", false), key("\u001b[B", false)]],
  ] as const)("%s", (_name, reads, events) => {
    expect(feed(...reads)).toEqual([...events]);
  });

  test("a paste whose end never comes is given up after a while, and the keyboard works again", () => {
    const splitter = new InputSplitter();
    expect(splitter.feed("\u001b[200~half")).toEqual([]);
    expect(splitter.patience).toBe(2000);
    expect(splitter.flush()).toEqual([{ kind: "paste", text: "half", bracketed: true }]);
    expect(splitter.feed("x")).toEqual([key("x")]);
  });

  test("no bytes hang it or make it keep more than it may", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary", maxLength: 30 }), { maxLength: 20 }), (reads) => {
        const splitter = new InputSplitter();
        for (const read of reads) splitter.feed(read);
        splitter.flush();
        expect(splitter.pending).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});
