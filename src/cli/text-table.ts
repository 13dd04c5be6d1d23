/** Rows of text as aligned columns, two spaces apart; the last column is not padded. Ends with a newline. */
export function columns(rows: readonly (readonly string[])[], align: readonly ("left" | "right")[], indent = ""): string {
  const widths = align.map((_, column) => Math.max(0, ...rows.map((row) => Bun.stringWidth(row[column] ?? ""))));
  return rows
    .map((row) => {
      const cells = row.map((cell, column) => {
        const pad = " ".repeat(Math.max(0, (widths[column] ?? 0) - Bun.stringWidth(cell)));
        if (align[column] === "right") return pad + cell;
        return column === row.length - 1 ? cell : cell + pad;
      });
      return `${indent}${cells.join("  ").trimEnd()}\n`;
    })
    .join("");
}
