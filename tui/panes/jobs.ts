import type { Job } from "../../src/session/event.ts";
import { cells, fit, wrap } from "../text/rows.ts";
import { chatText } from "../text/sanitise.ts";
import type { Theme } from "../theme.ts";

const SIGNS: Record<Job["state"], string> = { running: "▶", done: "✓", failed: "✗", cancelled: "–" };
/** Narrower than this, what is said of a job stands below its name. */
const ROOMY = 50;
/** Why something failed is read in full; anything longer than this is not a reason. */
const MAX_REASON = 4;

/** Running jobs first, newest first, then the last ones that ended; at most `max` rows, the last of which may count the rest. */
export function jobRows(jobs: readonly Job[], max: number, width: number, theme: Theme): string[] {
  const newestFirst = jobs.toReversed();
  const ordered = [...newestFirst.filter((job) => job.state === "running"), ...newestFirst.filter((job) => job.state !== "running")];
  const rows: string[] = [];
  for (const [index, job] of ordered.entries()) {
    const last = index === ordered.length - 1;
    const room = max - rows.length - (last ? 0 : 1);
    if (room <= 0) return max <= 0 ? [] : [...rows, theme.dim(fit(` +${ordered.length - index} more (Ctrl-T)`, width))];
    rows.push(...rowsOf(job, width, theme).slice(0, room));
  }
  return rows;
}

function rowsOf(job: Job, width: number, theme: Theme): string[] {
  const style = job.state === "failed" ? theme.danger : job.state === "running" ? (text: string) => text : theme.dim;
  const percent = job.state === "running" && job.fraction !== null ? ` ${Math.floor(job.fraction * 100)}%` : "";
  const label = chatText(job.label);
  const detail = chatText(job.detail).replaceAll("\n", " ");
  const head = ` ${SIGNS[job.state]} ${fit(label, Math.max(4, width - 3 - cells(percent)))}${percent}`;
  const oneRow = `${head}  ${detail}`;
  if (detail === "" || cells(oneRow) <= width) return [style(fit(detail === "" ? head : oneRow, width))];
  if (width >= ROOMY && job.state !== "failed") return [style(fit(oneRow, width))];
  const reason = wrap(detail, Math.max(4, width - 3)).slice(0, job.state === "failed" ? MAX_REASON : 1);
  return [style(fit(head, width)), ...reason.map((row) => fit(`   ${job.state === "failed" ? row : theme.dim(row)}`, width))];
}
