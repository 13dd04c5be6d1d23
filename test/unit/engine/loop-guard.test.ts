import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { LoopGuard, MAX_UNIT, MIN_UNIT } from "../../../src/engine/loop-guard.ts";

/** Feeds `text` in the given pieces; the text that was taken when it tripped, and what is to be folded off it. */
function feed(parts: readonly string[]): { readonly taken: string; readonly repeated: number } | null {
  const guard = new LoopGuard();
  let taken = "";
  for (const part of parts) {
    taken += part;
    const repeated = guard.push(part);
    if (repeated > 0) return { taken, repeated };
  }
  return null;
}

const SENTENCE = "The quick brown fox jumps over the lazy dog. ";
const honest: Record<string, string> = {
  "a rule": `${"-".repeat(400)}\n`.repeat(3),
  "a rule of pairs": "=-".repeat(400),
  "a table's empty rows": `|${" ".repeat(20)}|${" ".repeat(20)}|${" ".repeat(20)}|\n`.repeat(12),
  "a table's rules": "|:--------------------|:--------------------|--------------------:|\n".repeat(8),
  "a table": Array.from({ length: 30 }, (_, row) => `| row number ${row} of the table | some value here | ${row * 17} |\n`).join(""),
  "a box": `┌${"─".repeat(60)}┐\n${`│${" ".repeat(60)}│\n`.repeat(10)}└${"─".repeat(60)}┘`,
  "deep indentation": `${" ".repeat(40)}}\n`.repeat(20),
  dots: ". ".repeat(500),
  "a laugh": "ha".repeat(500),
  numbers: Array.from({ length: 300 }, (_, n) => `${n}, `).join(""),
  "three times": SENTENCE.repeat(3),
  "a refrain between verses": Array.from(
    { length: 8 },
    (_, n) => `Verse ${n} tells of number ${n * n}.\nAnd so we sail away, away, over the wide blue sea.\n`,
  ).join(""),
};

describe("LoopGuard", () => {
  for (const [name, text] of Object.entries(honest)) {
    test(`${name} is no loop`, () => {
      expect(feed([text])).toBeNull();
      expect(feed(text.split(""))).toBeNull();
    });
  }

  test("a sentence that comes for the fourth time is one, and all but the first is folded", () => {
    const tripped = feed(["Well. ", ...SENTENCE.repeat(10).split("")]);
    expect(tripped?.taken).toBe(`Well. ${SENTENCE.repeat(4)}`.slice(0, tripped?.taken.length));
    // The full stop before the first one makes the fourth complete a character or two early.
    expect(tripped?.taken.slice(0, -(tripped?.repeated ?? 0))).toBe(`Well. ${SENTENCE}`.slice(0, -2));
  });

  test("ornaments inside the unit do not hide it", () => {
    const row = `| the same cell | again and again |${"-".repeat(30)}|\n`;
    expect(feed([row.repeat(5)])).not.toBeNull();
  });

  test("any unit of words trips at its fourth coming, however it is cut, and folding leaves one", () => {
    const word = fc.string({ unit: fc.constantFrom(..."abcdefghij".split("")), minLength: 2, maxLength: 8 });
    const unit = fc
      .array(word, { minLength: 8, maxLength: 30 })
      .map((words) => `${words.join(" ")}. `)
      .filter((text) => text.length >= MIN_UNIT && isPrimitive(text));
    fc.assert(
      fc.property(
        unit,
        fc.string({ unit: fc.constantFrom(..."klmnop ".split("")), maxLength: 60 }),
        fc.integer({ min: 1, max: 50 }),
        (text, before, size) => {
          const stream = `${before}# ${text.repeat(6)}`;
          const tripped = feed(stream.match(new RegExp(`[^]{1,${size}}`, "gu")) ?? []);
          expect(tripped).not.toBeNull();
          const left = tripped?.taken.slice(0, -tripped.repeated) ?? "";
          // One whole unit stays, less what the words before it happen to share with its end.
          expect(left.length).toBeGreaterThanOrEqual(text.length);
          expect(left.length).toBeLessThanOrEqual(before.length + 2 + text.length);
          expect(stream.startsWith(left)).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("units of up to the longest are seen, and longer ones are left to the token limit", () => {
    const long = (length: number): string => {
      let state = 1;
      return Array.from({ length }, () => {
        state = (state * 48_271) % 2_147_483_647;
        return String.fromCharCode(97 + (state % 26));
      }).join("");
    };
    expect(feed([long(MAX_UNIT).repeat(4)])).not.toBeNull();
    expect(feed([long(MAX_UNIT + 1).repeat(5)]) === null).toBe(true);
  });

  test("scripts without spaces count as words", () => {
    expect(feed(["今日は天気がとても良いので散歩に行きましょうと彼女は言いましたが私は断りました。".repeat(4)])).not.toBeNull();
  });
});

function isPrimitive(text: string): boolean {
  return (text + text).indexOf(text, 1) === text.length;
}
