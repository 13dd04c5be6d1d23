/** Cells that `text` takes on the screen; styling takes none. */
export const cells = (text: string): number => Bun.stringWidth(text);

/** Cut at the cell if too long, with an ellipsis; styles are closed. Never throws, whatever the width. */
export function fit(text: string, width: number): string {
  if (width <= 0) return "";
  if (cells(text) <= width) return text;
  const cut = Bun.sliceAnsi(text, 0, width - 1);
  // A slice keeps a wide character that its end goes through.
  return `${cells(cut) < width ? cut : Bun.sliceAnsi(text, 0, width - 2)}…`;
}

/** Exactly `width` cells. */
export function pad(text: string, width: number): string {
  const fitted = fit(text, width);
  return fitted + " ".repeat(Math.max(0, width - cells(fitted)));
}

/** Left and right at the ends of one row; the left gives way first. */
export function justify(left: string, right: string, width: number): string {
  const end = fit(right, width);
  const room = width - cells(end);
  return room <= 1 ? pad(end, width) : pad(left, room) + end;
}

/** Word-wrapped; words longer than a row are cut. Styles go on from row to row. */
export function wrap(text: string, width: number): string[] {
  if (width <= 0) return [];
  return text
    .split("\n")
    .flatMap((line) => (cells(line) <= width ? [line] : wrapLine(line, width)))
    .map((row) => (cells(row) <= width ? row : fit(row.trimEnd(), width)));
}

// oxlint-disable-next-line no-control-regex -- escape sequences are what this is about
const BREAK = /^((?:\u001b\[[0-9;]*m)*) (?! )/u;

/**
 * `trim: false` keeps the indentation of lists and code, and with it the blank at which a row was broken when that blank did
 * not fit: it would begin the next row.
 */
function wrapLine(line: string, width: number): string[] {
  const [first = "", ...rest] = Bun.wrapAnsi(line, width, { hard: true, trim: false }).split("\n");
  return [first, ...rest.map((row) => row.replace(BREAK, "$1"))];
}

/** 986 MB, 4.7 GB. */
export const sizeText = (bytes: number): string => (bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);
