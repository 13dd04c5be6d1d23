import type { RepairReport } from "../heart/care/repair.ts";
import type { VerifyReport } from "../heart/care/verify.ts";
import { count } from "./time-text.ts";

/** Faults shown to a person; `--json` has more. */
const SHOWN = 20;

/** `own`: the heart in use, which can be repaired in its place. */
export function verifyText({ faults, count: all, rows, streams, gaps }: VerifyReport, file: string, own: boolean): string {
  const gapText =
    gaps === 0
      ? []
      : [
          `${count(gaps, "writing session")} ${gaps === 1 ? "has" : "have"} rows missing since a repair or a restore; a sync with a whole copy fills them in.`,
        ];
  if (all === 0) {
    return [`Sound: ${count(rows, "row")} of ${count(streams, "writing session")}, each as it was written.`, ...gapText, ""].join("\n");
  }
  const shown = faults.slice(0, SHOWN).map(({ table, detail }) => `  ${table === "" ? "" : `${table}: `}${detail}`);
  const advice = own
    ? 'Take a backup back ("noctem heart restore FILE"), or save what is sound: noctem heart repair'
    : "Do not rely on it; another backup or copy may be sound.";
  return [
    `${file} is damaged: ${count(all, "fault")}.`,
    ...shown,
    ...(all > shown.length ? [`  … and ${all - shown.length} more`] : []),
    ...gapText,
    advice,
    "",
  ].join("\n");
}

export function repairText({ file, kept, lost, missing, gaps }: RepairReport): string {
  const sum = (of: Readonly<Record<string, number>>): number => Object.values(of).reduce((all, n) => all + n, 0);
  const listed = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .filter(([, n]) => n > 0)
      .map(([table, n]) => `${n} of ${table}`)
      .join(", ");
  const lostAll = sum(lost);
  return [
    `Saved ${count(sum(kept), "row")} into ${file}.`,
    lostAll === 0 ? "No row that could be read was altered." : `Left out, not being what was written: ${listed(lost)}.`,
    missing === null
      ? "What else is missing cannot be told: the version vector was lost too."
      : missing === 0
        ? "Nothing else is missing."
        : `Nowhere to be found: ${count(missing, "row")}, of ${count(gaps, "writing session")}. A sync with a whole copy fills them in.`,
    `Put it in place with: noctem heart restore ${file}`,
    "",
  ].join("\n");
}
