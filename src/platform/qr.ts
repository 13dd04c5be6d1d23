import makeCode from "qrcode-generator";

/** Bytes that a QR code of the largest size holds at the lowest correction. */
const MOST = 2900;

/**
 * A text as a QR code in half blocks, dark on light with the border that readers need, two rows of it in one line of text. Null when it is too long.
 * Drawn in colours of its own, because on a dark terminal dark and light would be exchanged.
 */
export function qrLines(text: string): readonly string[] | null {
  if (new TextEncoder().encode(text).length > MOST) return null;
  const code = makeCode(0, "L");
  code.addData(text, "Byte");
  code.make();
  const size = code.getModuleCount();
  const dark = (row: number, column: number): boolean => row >= 0 && column >= 0 && row < size && column < size && code.isDark(row, column);
  const lines: string[] = [];
  for (let row = -BORDER; row < size + BORDER; row += 2) {
    let line = "";
    for (let column = -BORDER; column < size + BORDER; column++)
      line += HALVES[Number(dark(row, column)) + 2 * Number(dark(row + 1, column))] ?? " ";
    lines.push(line);
  }
  return lines;
}

const BORDER = 4;
/** By what is dark: nothing, the upper half, the lower half, both. */
const HALVES = [" ", "▀", "▄", "█"];
/** Black on white, and back. */
export const QR_COLOURS = { on: "\u001b[30;107m", off: "\u001b[0m" };
