import type { Summary } from "./stats.ts";

/** One line of a bench's table. */
export interface Row {
  readonly what: string;
  readonly unit: string;
  /** Null where it could not be measured; `note` then says why. */
  readonly value: Summary | null;
  readonly target?: { readonly at: "most" | "least"; readonly value: number };
  readonly note?: string;
}

export const skipped = (what: string, reason: string): Row => ({ what, unit: "", value: null, note: `skipped: ${reason}` });

/** Null without a target. A missed target is news, not a failure of the bench. */
export function met({ value, target }: Row): boolean | null {
  if (!target || !value) return null;
  return target.at === "most" ? value.median <= target.value : value.median >= target.value;
}

export function formatTable(area: string, rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const { value, target, note = "" } = row;
    if (!value) return [row.what, "-", "", "", "", note];
    const goal = target ? `${target.at === "most" ? "≤" : "≥"} ${target.value}` : "";
    const sign = { true: "✓", false: "✗", null: "" }[String(met(row)) as "true" | "false" | "null"];
    const spread = value.n > 1 ? `${number(value.min)} – ${number(value.max)}, n ${value.n}` : "";
    return [row.what, `${number(value.median)} ${row.unit}`.trim(), spread, goal, sign, note];
  });
  const header = [area, "median", "min – max", "target", "", ""];
  const widths = header.map((_, column) => Math.max(...[header, ...lines].map((line) => Bun.stringWidth(line[column] ?? ""))));
  const show = (line: readonly string[]) =>
    line
      .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - Bun.stringWidth(cell)))
      .join("  ")
      .trimEnd();
  return [show(header), ...lines.map(show)].join("\n");
}

function number(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return value.toFixed(digits);
}
