import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { exact, exactName, oddIn, spellOut } from "../../src/lib/exact.ts";

/** A few of each kind, which chance rarely brings together: twins, their scripts, East Asian, right to left, marks, wide forms, signs. */
const AWKWARD = [
  "a",
  "α",
  "Α",
  "а",
  "А",
  "ց",
  "Ꮲ",
  "ꓮ",
  "㐀",
  "あ",
  "\u05d0",
  "\u074d",
  "\u0301",
  "\uff52",
  "\u2215",
  "\u{20000}",
  "1",
  " ",
  "\\",
  "u",
  "{",
];

describe("text that is shown as it is", () => {
  test.each([
    ["a Cyrillic letter in a Latin word", "p\u0430ypal.com", "p\\u{430}ypal.com"],
    ["a Greek one", "g\u03bfogle", "g\\u{3bf}ogle"],
    ["a Latin letter in a Cyrillic word", "примерa", "\\u{43f}\\u{440}\\u{438}\\u{43c}\\u{435}\\u{440}a"],
    ["a Greek letter among Cyrillic ones", "мοря", "м\\u{3bf}ря"],
    ["a Hebrew letter beside them", "caf\u05d0", "caf\\u{5d0}"],
  ])("%s is spelled out in every text", (_, text, shown) => {
    expect(exact(text)).toBe(shown);
    expect(exactName(text)).toBe(shown);
  });

  test.each([
    "plain words",
    "Größe café naïve",
    "привет мир",
    "Γειά σου",
    "Tシャツ x轴",
    "日本語のテキスト",
    "ภาษาไทย",
    "5 µm, 2³ ½",
    "Kraków – “x” don’t",
  ])("what is honest stays: %s", (text) => {
    expect(spellOut(text, false)).toEqual({ text, odd: 0 });
  });

  test.each([
    ["a word of look-alikes alone", "\u0440\u0430\u0443\u0440\u0430\u04cf", false],
    ["and one that is a whole", "сосо", true],
    ["wide letters", "\uff52\uff4d", true],
    ["mathematical letters", "\u{1d42b}\u{1d426}", true],
    ["a slash that is none", "etc\u2215passwd", true],
    ["a dot that is none", "a\u2024b", true],
    ["a hyphen that is none", "\u2013rf", true],
    ["a ligature", "\ufb01le", true],
  ])("in names %s", (_, text, isSpelled) => {
    expect(exactName(text).includes("\\u{")).toBe(isSpelled);
    expect(oddIn(exactName(text)) > 0).toBe(isSpelled);
    expect(exact(text)).not.toContain("\\u{");
  });

  test.each([
    ["before an East Asian letter", "\u0391\u3400"],
    ["before a letter of another script", "\u0391\u0426"],
    ["before one that is read from the right", "\u0391\u074d"],
    ["before a heap of marks", "\u0391\u0301\u0301\u0301\u0416"],
  ])("in names nothing that looks Latin is left %s", (_, text) => {
    expect(exactName(text)).toStartWith("\\u{391}");
    expect(spellOut(exactName(text), true).odd).toBe(0);
  });

  test("honest names of other scripts stay as they are", () => {
    for (const name of ["привет.txt", "Größe", "日本語", "фото-2024/море.jpg", "μικρό"]) expect(exactName(name)).toBe(name);
  });

  test("nothing is dropped, and what comes out is left alone the second time", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.oneof(fc.string({ unit: "binary", minLength: 1, maxLength: 1 }), fc.constantFrom(...AWKWARD)) }),
        fc.boolean(),
        (text, name) => {
          const { text: shown, odd } = spellOut(text, name);
          const back = shown.replaceAll(/\\u\{([0-9a-f]+)\}/gu, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)));
          expect(back).toBe(text.replaceAll(/\\u\{([0-9a-f]+)\}/gu, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16))));
          expect(spellOut(shown, name).odd).toBe(0);
          expect(shown === text).toBe(odd === 0);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
