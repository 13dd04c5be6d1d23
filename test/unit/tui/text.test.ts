import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { exactRows, exactText } from "../../../tui/text/exact.ts";
import { cells, fit, justify, pad, wrap } from "../../../tui/text/rows.ts";
import { chatText, styledText } from "../../../tui/text/sanitise.ts";

/** Strings as an attacker would send them: any code unit, lone surrogates and control characters included. */
const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.string({ unit: "grapheme", maxLength: 100 }),
  fc
    .array(
      fc.constantFrom(
        "\u001b[2J",
        "\u001b]52;c;aGk=\u0007",
        "\u001b[8m",
        "\u202e",
        "\u200b",
        "a\u0301\u0301\u0301\u0301",
        "👨‍👩‍👧",
        "👍🏽",
        "⚠️",
        "क्षि",
        "漢",
        "x",
        " ",
        "\t",
        "\n",
        "\r",
        "\u009b31m",
        "\ud800",
        "\u001bP0q\u001b\\",
      ),
      { maxLength: 40 },
    )
    .map((parts) => parts.join("")),
);
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/u;
const STEERING = /\p{Default_Ignorable_Code_Point}|\p{Bidi_Control}|[\u2028\u2029]/u;

describe("chatText", () => {
  test.each([
    ["a\u001b[31mred\u001b[0m", "ared"],
    ["\u001b]8;;http://evil\u0007link\u001b]8;;\u0007", "link"],
    ["abc\u202edef", "abcdef"],
    ["a\tb", "a    b"],
    ["a\r\nb\rc", "a\nbc"],
    ["⚠️ mind 👍🏽", "⚠ mind 👍"],
    ["👨‍👩‍👧", "👨"],
    ["Zo\u0308e", "Zo\u0308e"],
    ["z\u0301\u0302\u0303\u0304", "z\u0301\u0302"],
    ["漢字 क्षि ไทย", "漢字 क्षि ไทย"],
  ] as const)("%j → %j", (input, output) => {
    expect(chatText(input)).toBe(output);
  });

  test("nothing that steers a terminal or hides survives, and it is idempotent", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const safe = chatText(text);
        expect(CONTROL.test(safe)).toBe(false);
        expect(STEERING.test(safe)).toBe(false);
        expect(safe.isWellFormed()).toBe(true);
        expect(chatText(safe)).toBe(safe);
      }),
      { numRuns: 1000 },
    );
  });

  test("plain text is left alone", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "Z", " ", ".", "/", "\\", "'", "[", "<", "\n", "漢", "é") }), (text) =>
        expect(chatText(text)).toBe(text),
      ),
    );
  });
});

describe("styledText", () => {
  test("keeps harmless styling and nothing else", () => {
    expect(styledText("\u001b[1mbold\u001b[22m \u001b[35mpink\u001b[39m")).toBe("\u001b[1mbold\u001b[22m \u001b[35mpink\u001b[39m");
    expect(styledText("\u001b[8mhidden\u001b[28m\u001b[2Jx\u001b[38;5;1my\u001b]52;c;aGk=\u0007z")).toBe("hiddenxyz");
  });

  test("whatever comes in, only allowed SGR goes out", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        // oxlint-disable-next-line no-control-regex -- escape sequences are what this is about
        const rest = styledText(text).replace(/\u001b\[(?:0|1|2|3|4|7|9|22|23|24|27|29|39|3[0-7]|9[0-7])(?:;[0-9]+)*m/gu, "");
        expect(CONTROL.test(rest)).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("exactText", () => {
  test.each([
    ["rm -rf ~\u202e# x", "rm -rf ~\\u{202e}# x", 1],
    ["a\u200bb", "a\\u{200b}b", 1],
    ["x\u001b[8mh", "x\\u{1b}[8mh", 1],
    ["\ud800", "\\u{d800}", 1],
    ["a\u00a0b", "a\\u{a0}b", 1],
    ["e\u0301\u0301\u0301", "e\u0301\u0301\\u{301}", 1],
    ["a\tb\\c", "a\\tb\\\\c", 0],
    ["\u{e0041}", "\\u{e0041}", 1],
    ["\u3164", "\\u{3164}", 1],
    ["plain é 漢", "plain é 漢", 0],
  ] as const)("%j → %j", (input, text, odd) => {
    expect(exactText(input, { spelled: false })).toEqual({ text, odd });
  });

  test("right-to-left letters are spelled out, and what was spelled out before keeps its backslashes", () => {
    expect(exactText("שלום", { spelled: false }).odd).toBe(4);
    expect(exactText("a\\u{202e}b", { spelled: true })).toEqual({ text: "a\\u{202e}b", odd: 0 });
  });

  test("two different texts never look the same", () => {
    const how = { spelled: false };
    fc.assert(
      fc.property(hostile, hostile, (a, b) => a === b || exactText(a, how).text !== exactText(b, how).text),
      { numRuns: 2000 },
    );
  });

  test("rows hold every character in order and are cut at the cell", () => {
    fc.assert(
      fc.property(hostile, fc.integer({ min: 4, max: 80 }), (text, width) => {
        const shown = exactText(text, { spelled: false }).text;
        const rows = exactRows(shown, width);
        expect(rows.map((row) => row.slice(1)).join("")).toBe(shown.replaceAll("\n", ""));
        expect(rows.filter((row) => !row.startsWith("↪")).length).toBe(shown.split("\n").length);
        for (const row of rows) expect(cells(row)).toBeLessThanOrEqual(width);
      }),
      { numRuns: 500 },
    );
  });
});

describe("rows", () => {
  const styled = fc
    .array(fc.constantFrom("\u001b[1m", "\u001b[22m", "\u001b[31m", "\u001b[39m", "漢字", "word ", "longerword", " ", "👍", "é"), {
      maxLength: 40,
    })
    .map((parts) => parts.join(""));

  test("fit, pad, justify and wrap keep to the width, whatever it is", () => {
    fc.assert(
      fc.property(styled, styled, fc.integer({ min: 0, max: 60 }), (left, right, width) => {
        expect(cells(fit(left, width))).toBeLessThanOrEqual(width);
        expect(cells(pad(left, width))).toBe(width);
        expect(cells(justify(left, right, width))).toBe(width);
        if (width >= 2) for (const row of wrap(left, width)) expect(cells(row)).toBeLessThanOrEqual(width);
      }),
      { numRuns: 500 },
    );
  });

  test("wrap loses no word", () => {
    expect(wrap("one two three four", 9).map((row) => row.trimEnd())).toEqual(["one two", "three", "four"]);
    expect(wrap("漢字漢字漢字", 5).join("")).toBe("漢字漢字漢字");
  });
});
