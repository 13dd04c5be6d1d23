/** What a person must read before deciding, on rows of a screen. What is spelled out in it, and why: src/lib/exact.ts. */
import { spellOut } from "../../src/lib/exact.ts";

export interface ExactText {
  /** One line per line of the input. Odd characters appear as `\u{202e}`, a tab as `\t`, a backslash doubled. */
  readonly text: string;
  /** How many characters were spelled out, tabs and backslashes not counted. */
  readonly odd: number;
}

/** `spelled`: it was spelled out before, by whoever made it safe; backslashes stay as they are. */
export function exactText(text: string, { spelled }: { readonly spelled: boolean }): ExactText {
  const lines = text.split("\n").map((line) => spellOut(spelled ? line : line.replaceAll("\\", "\\\\"), false));
  return { text: lines.map((line) => line.text.replaceAll("\t", "\\t")).join("\n"), odd: lines.reduce((sum, { odd }) => sum + odd, 0) };
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * Rows of at most `width` cells, cut at the cell and never at words, so that layout hides no argument. Column 0 is ours: a
 * blank where a line begins, `↪` where it goes on.
 */
export function exactRows(text: string, width: number): string[] {
  const room = Math.max(2, width - 1);
  return text.split("\n").flatMap((line) => {
    const rows: string[] = [];
    let row = "";
    let cells = 0;
    for (const { segment } of graphemes.segment(line)) {
      const size = Math.max(1, Bun.stringWidth(segment));
      if (cells + size > room) {
        rows.push(row);
        row = "";
        cells = 0;
      }
      row += segment;
      cells += size;
    }
    rows.push(row);
    return rows.map((part, index) => (index === 0 ? " " : "↪") + part);
  });
}
