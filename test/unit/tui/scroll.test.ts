import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Anchor, highlightRow, layoutOf, type Segment } from "../../../tui/panes/scroll.ts";

/** Segments of the given heights; each row says which it is. `rendered` counts what was asked to render. */
function segments(heights: readonly number[], rendered: string[] = []): Segment[] {
  return heights.map((height, segment) => {
    const rows = Array.from({ length: height }, (_, row) => ` ┊ s${segment}r${row}`);
    const id = `${segment}`;
    return { id, rows: () => (rendered.push(id), rows), height: () => (rendered.push(id), height) };
  });
}
const all = (heights: readonly number[], tail: readonly string[]) => [...segments(heights).flatMap((segment) => segment.rows()), ...tail];
const heights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 });
const tailOf = (rows: number) => Array.from({ length: rows }, (_, row) => ` ┊ tail${row}`);

describe("a window on a transcript", () => {
  test("follows the end", () => {
    expect(layoutOf(segments([3, 3]), tailOf(2)).window(null, 4)).toEqual({
      rows: [" ┊ s1r1", " ┊ s1r2", " ┊ tail0", " ┊ tail1"],
      places: [
        { id: "1", offset: 1 },
        { id: "1", offset: 2 },
        { id: "tail", offset: 0 },
        { id: "tail", offset: 1 },
      ],
      top: null,
      below: 0,
    });
  });

  test("wherever it is scrolled to, it shows consecutive rows and knows how many are below", () => {
    fc.assert(
      fc.property(
        heights,
        fc.nat(5),
        fc.integer({ min: 1, max: 12 }),
        fc.array(fc.integer({ min: -15, max: 15 })),
        (some, tail, room, moves) => {
          const layout = layoutOf(segments(some), tailOf(tail));
          const whole = all(some, tailOf(tail));
          let top: Anchor | null = null;
          let expected = Math.max(0, whole.length - room);
          for (const by of moves) {
            top = layout.scroll(top, by, room);
            expected = Math.max(0, Math.min(whole.length - room, expected + by));
            const window = layout.window(top, room);
            expect(window.rows).toEqual(whole.slice(Math.max(0, expected), Math.max(0, expected) + room));
            expect(window.below).toBe(Math.max(0, whole.length - room - Math.max(0, expected)));
            expect(top === null).toBe(expected >= whole.length - room);
          }
        },
      ),
    );
  });

  test("the end costs what is seen, however long the conversation", () => {
    const rendered: string[] = [];
    layoutOf(
      segments(
        Array.from({ length: 5000 }, () => 4),
        rendered,
      ),
      [],
    ).window(null, 10);
    expect(new Set(rendered).size).toBeLessThanOrEqual(3);
  });

  test("a place keeps its place when the heights change, as they do with another width", () => {
    const top = layoutOf(segments([4, 4, 4, 4, 4]), []).scroll(null, -9, 6);
    expect(top).toEqual({ id: "1", offset: 1 });
    expect(layoutOf(segments([9, 7, 8, 8, 8]), []).window(top, 6).rows[0]).toBe(" ┊ s1r1");
    // Shorter now: the nearest row that there is.
    expect(layoutOf(segments([1, 1, 9, 9, 9]), []).window(top, 6).rows[0]).toBe(" ┊ s1r0");
  });

  test("a place in an answer that has become a message meanwhile stays in it; one that is gone is the end", () => {
    const writing = layoutOf(segments([2]), tailOf(20));
    const top = writing.scroll(null, -5, 5);
    expect(top).toEqual({ id: "tail", offset: 10 });
    expect(layoutOf(segments([2, 21]), []).window(top, 5).rows[0]).toBe(" ┊ s1r10");
    expect(layoutOf(segments([9, 9]), []).window({ id: "gone", offset: 0 }, 5).top).toBeNull();
  });

  test("counts what was added since", () => {
    const then = layoutOf(segments([3, 3]), tailOf(4)).extent;
    expect(layoutOf(segments([3, 3]), tailOf(6)).grownSince(then)).toBe(2);
    expect(layoutOf(segments([3, 3, 9]), []).grownSince(then)).toBe(5);
    expect(layoutOf(segments([3]), []).grownSince(then)).toBe(0);
  });
});

describe("finding", () => {
  const wrapped: Segment[] = [
    [" you  Why does the", "      build fail?", ""],
    [" ┊ The linker cannot", " ┊ find zstd.", " ┊ │ ld: Cannot find -lzstd", ""],
  ].map((rows, id) => ({ id: `${id}`, rows: () => rows, height: () => rows.length }));
  const layout = layoutOf(wrapped, []);

  test("across the ends of rows, whatever the case, and not in what we drew", () => {
    expect(layout.matches("the build")).toEqual([{ id: "0", offset: 0 }]);
    expect(layout.matches("CANNOT FIND")).toEqual([
      { id: "1", offset: 0 },
      { id: "1", offset: 2 },
    ]);
    expect(layout.matches("┊")).toEqual([]);
    expect(layout.matches("")).toEqual([]);
  });

  test("what is found is set off, wide characters and styles notwithstanding", () => {
    const mark = (text: string) => `<${text}>`;
    expect(highlightRow(" ┊ 漢字 zstd and ZSTD", "zstd", mark)).toBe(" ┊ 漢字 <zstd> and <ZSTD>");
    expect(Bun.stripANSI(highlightRow(" ┊ \u001b[1mbold zstd\u001b[22m rest", "zstd", mark))).toBe(" ┊ bold <zstd> rest");
    expect(highlightRow("no match", "zstd", mark)).toBe("no match");
    expect(highlightRow("İi", "i", mark)).toBe("İi");
  });
});
