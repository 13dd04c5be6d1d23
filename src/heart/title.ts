import { visibleText, type Span } from "../lib/message.ts";

/** Code points shown of a first message. */
const TITLE_LENGTH = 80;
/** Only so much of a message is looked at: it may be a megabyte of pasted text. */
const LOOK = 2_000;

/** One line for a list of conversations: the first words, without control characters, cut at a word where one is near. */
export function titleOf(spans: readonly Span[]): string {
  const line = visibleText(spans)
    .slice(0, LOOK)
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ")
    .toWellFormed()
    .trim();
  const points = Array.from(line);
  if (points.length <= TITLE_LENGTH) return line;
  const cut = points.slice(0, TITLE_LENGTH - 1).join("");
  const space = cut.lastIndexOf(" ");
  return `${(space > TITLE_LENGTH / 2 ? cut.slice(0, space) : cut).trimEnd()}…`;
}
