/**
 * Text that a person must see as it is before deciding: nothing is dropped, and everything that could be invisible,
 * reordered or taken for something else is spelled out and counted.
 */
export interface ExactText {
  /** One line per line of the input. Odd characters appear as `\u{202e}` or `\x1b`, a tab as `\t`, a backslash doubled. */
  readonly text: string;
  /** How many characters were spelled out, tabs and backslashes not counted. */
  readonly odd: number;
}

export interface ExactOptions {
  /** Command lines and paths: right-to-left letters are spelled out too, because terminals reorder them unasked. */
  readonly argv: boolean;
  /** It was spelled out before, by whoever made it safe: backslashes stay as they are. */
  readonly spelled?: true;
}

const INVISIBLE = /[\p{Cf}\p{Default_Ignorable_Code_Point}\u115f\u1160\u3164\uffa0\u2800\u00ad]/u;
const UNSHOWN = /[\p{Cc}\p{Cs}\p{Cn}\p{Co}\p{Zl}\p{Zp}]/u;
const ODD_SPACE = /\p{Zs}/u;
const MARK = /\p{M}/u;
const RIGHT_TO_LEFT =
  /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Samaritan}\p{Script=Mandaic}\p{Script=Adlam}\p{Script=Hanifi_Rohingya}]/u;
const MAX_MARKS = 2;

export function exactText(text: string, { argv, spelled: wasSpelled }: ExactOptions): ExactText {
  let out = "";
  let odd = 0;
  let marks = 0;
  for (const character of text) {
    marks = MARK.test(character) ? marks + 1 : 0;
    if (character === "\n") out += "\n";
    else if (character === "\t") out += "\\t";
    else if (character === "\\") out += wasSpelled ? "\\" : "\\\\";
    else if (isOdd(character, marks, argv)) {
      odd++;
      out += spelled(character);
    } else out += character;
  }
  return { text: out, odd };
}

function isOdd(character: string, marks: number, argv: boolean): boolean {
  if (character >= " " && character <= "~") return false;
  return (
    UNSHOWN.test(character) ||
    INVISIBLE.test(character) ||
    (ODD_SPACE.test(character) && character !== " ") ||
    marks > MAX_MARKS ||
    (argv && RIGHT_TO_LEFT.test(character))
  );
}

function spelled(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x20 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
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
