/**
 * Text of a model, a file or a web page, made safe to show in a chat: what could steer the terminal or reorder or hide
 * words is dropped. (`exact.ts` is the other policy, for approvals: there nothing is dropped and everything is spelled out.)
 */

/** C0 but tab and newline, DEL, C1; directional marks, embeddings, isolates, line separators, byte order mark. */
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const DROPPED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb]/gu;
/** Invisible, though harmless inside an emoji: joiners, variation selectors, soft hyphen, Hangul fillers, tags. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;
/** Skin tones: terminals disagree on the width of a modified emoji (tmux counts 4 cells, others 2), so the tone goes. */
const MODIFIERS = /[\u{1f3fb}-\u{1f3ff}]/gu;
// oxlint-disable-next-line no-control-regex -- the fast path: printable ASCII and newlines
const SIMPLE = /^[\u0020-\u007e\n]*$/u;

const MAX_CLUSTER = 32;
const MAX_MARKS = 2;
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * Printable text of the same meaning. Tabs become spaces; emoji lose variation selectors, skin tones and what a joiner
 * ties to them, because terminals and multiplexers do not agree on their width and a row of unknown width breaks the screen.
 */
export function chatText(text: string): string {
  const stripped = Bun.stripANSI(text.toWellFormed()).replaceAll("\r\n", "\n").replace(DROPPED, "").replaceAll("\t", "    ");
  if (SIMPLE.test(stripped)) return stripped;
  let out = "";
  for (const { segment } of graphemes.segment(stripped)) out += cluster(segment);
  return out;
}

function cluster(segment: string): string {
  if (segment.length === 1) return segment.replace(INVISIBLE, "");
  const [head = ""] = segment.split("\u200d", 1);
  const bare = head.replace(MODIFIERS, "").replace(INVISIBLE, "");
  if (bare === "") return "";
  // A character under a heap of combining marks reaches into the rows around it.
  let marks = 0;
  let out = "";
  for (const character of bare.slice(0, MAX_CLUSTER)) {
    if (/\p{M}/u.test(character) && ++marks > MAX_MARKS) continue;
    out += character;
  }
  return out.toWellFormed();
}

/** SGR sequences of 16 colours and plain attributes; conceal (8) and blink (5, 6) are not among them. */
// oxlint-disable-next-line no-control-regex -- escape sequences are what this is about
const SEQUENCE = /\u001b(?:\[([0-9;]*)([\u0040-\u007e])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[^[\]])?/gu;
const ALLOWED = new Set([0, 1, 2, 3, 4, 7, 9, 22, 23, 24, 27, 29, 39, ...range(30, 37), ...range(90, 97)]);

/** What a renderer made of sanitised text, with nothing left in it but harmless styling: an entity may have become a control. */
export function styledText(rendered: string): string {
  let out = "";
  let from = 0;
  for (const match of rendered.matchAll(SEQUENCE)) {
    out += chatText(rendered.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] !== "m") continue;
    const codes = (match[1] ?? "").split(";").map(Number);
    if (codes.every((code) => ALLOWED.has(code))) out += match[0];
  }
  return out + chatText(rendered.slice(from));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
