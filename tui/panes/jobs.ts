import type { Job } from "../../src/session/event.ts";
import { fit } from "../text/rows.ts";
import { chatText } from "../text/sanitise.ts";
import type { Theme } from "../theme.ts";

const SIGNS: Record<Job["state"], string> = { running: "▶", done: "✓", failed: "✗", cancelled: "–" };

/** Running jobs first, newest first, then the last ones that ended; at most `max` rows, the last of which may count the rest. */
export function jobRows(jobs: readonly Job[], max: number, width: number, theme: Theme): string[] {
  const newestFirst = jobs.toReversed();
  const ordered = [...newestFirst.filter((job) => job.state === "running"), ...newestFirst.filter((job) => job.state !== "running")];
  if (max <= 0) return [];
  const shown = ordered.length > max ? ordered.slice(0, max - 1) : ordered;
  const rows = shown.map((job) => jobRow(job, width, theme));
  const rest = ordered.length - shown.length;
  return rest > 0 ? [...rows, theme.dim(fit(` +${rest} more (Ctrl-T)`, width))] : rows;
}

function jobRow(job: Job, width: number, theme: Theme): string {
  const percent = job.state === "running" && job.fraction !== null ? ` ${Math.floor(job.fraction * 100)}%` : "";
  const row = fit(` ${SIGNS[job.state]} ${chatText(job.label)}${percent}  ${chatText(job.detail).replaceAll("\n", " ")}`, width);
  return job.state === "failed" ? theme.danger(row) : job.state === "running" ? row : theme.dim(row);
}
