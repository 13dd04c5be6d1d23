import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { renderMarkdown, splitBlocks } from "../../../tui/markdown.ts";
import { cells } from "../../../tui/text/rows.ts";
import { themeFor } from "../../../tui/theme.ts";

const theme = themeFor({ setting: "dark", noColor: false, colorfgbg: undefined });
const bare = themeFor({ setting: "dark", noColor: true, colorfgbg: undefined });
const seen = (source: string, width = 60) => renderMarkdown(source, width, theme).map((row) => Bun.stripANSI(row).trimEnd());

const SAMPLE = [
  "# Title\n\n",
  "Some **bold** words and `code`, and a [link](http://example.test/x).\n\n",
  "```ts\nconst a: number = 1; // note\n\nexport { a };\n```\n\n",
  "- one\n- two\n\n1. first\n2. second\n\n",
  "| a | b |\n|---|---|\n| 1 | 漢字 |\n\n",
  "> quoted\n\n",
  "~~~python\ndef f():\n    return '```'\n~~~\n",
  "last line",
];

describe("splitBlocks", () => {
  test("cuts at blank lines, not inside fences", () => {
    expect(splitBlocks("a\nb\n\n```js\nx\n\ny\n```\nc")).toEqual({
      closed: [
        { kind: "prose", source: "a\nb\n" },
        { kind: "code", language: "js", source: "x\n\ny" },
      ],
      open: { kind: "prose", source: "c" },
      consumed: 20,
    });
  });

  test("an open fence stays open and shows what there is", () => {
    expect(splitBlocks("```py\nprint(1)").open).toEqual({ kind: "code", language: "py", source: "print(1)" });
  });

  test("streaming gives the same blocks, however the text is chopped", () => {
    const whole = SAMPLE.join("");
    const closedOf = (text: string) => {
      const split = splitBlocks(text);
      return split.open ? [...split.closed, split.open] : split.closed;
    };
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 12 }), (cuts) => {
        const blocks = [];
        let rest = "";
        let from = 0;
        for (const cut of [...cuts.toSorted((a, b) => a - b), whole.length]) {
          rest += whole.slice(from, cut);
          from = cut;
          const split = splitBlocks(rest);
          blocks.push(...split.closed);
          rest = rest.slice(split.consumed);
        }
        expect([...blocks, ...closedOf(rest)]).toEqual([...closedOf(whole)]);
      }),
      { numRuns: 300 },
    );
  });
});

describe("renderMarkdown", () => {
  test("headings, emphasis, lists, tables, quotes and links with their address", () => {
    const rows = seen(SAMPLE.join(""));
    expect(rows.join("\n")).toContain("Title");
    expect(rows.join("\n")).toContain("link (http://example.test/x)");
    expect(rows.some((row) => row.includes("• one"))).toBe(true);
    expect(rows.some((row) => /│ 1\s+│ 漢字\s+│/u.test(row))).toBe(true);
    expect(rows.some((row) => row === "│ const a: number = 1; // note")).toBe(true);
  });

  test("code is coloured by its language, and not at all without colours", () => {
    const coloured = renderMarkdown("```py\ndef f(): return 'a'\n```", 60, theme).join("\n");
    expect(coloured).toContain("\u001b[35mdef\u001b[39m");
    const plain = renderMarkdown("```py\ndef f(): return 'a'\n```\n`x` **b**", 60, bare).join("\n");
    // oxlint-disable-next-line no-control-regex -- escape sequences are what this is about
    expect(plain).not.toMatch(/\u001b\[(?:3[0-7]|9)/u);
    expect(plain).toContain("\u001b[1mb");
  });

  test("what an entity or a link hides does not reach the screen", () => {
    const rows = renderMarkdown("&#x202E;abc &#27;[2J [x](http://a\u001b]52;c;aGk=\u0007) \u001b[31mred", 60, theme).join("\n");
    expect(rows).not.toContain("\u202e");
    expect(rows).not.toContain("\u001b[2J");
    expect(rows).not.toContain("\u001b]");
    expect(Bun.stripANSI(rows)).toContain("red");
  });

  test("no row is wider than asked, whatever the source", () => {
    const source = fc
      .array(fc.oneof(fc.constantFrom(...SAMPLE), fc.string({ unit: "binary", maxLength: 60 })), { maxLength: 8 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(source, fc.integer({ min: 8, max: 120 }), (text, width) => {
        for (const row of renderMarkdown(text, width, theme)) expect(cells(row)).toBeLessThanOrEqual(width);
      }),
      { numRuns: 200 },
    );
  });
});
