import type { MergeReport } from "../heart/merge/merge.ts";
import { count, localTime } from "./time-text.ts";

export interface SyncWords {
  /** How the person called the copy. */
  readonly other: string;
  readonly dryRun: boolean;
  readonly direction: "take" | "give";
  readonly verbose: boolean;
}

/** What came of a merge, for a person: one line of what it brought, then what deserves a look. */
export function syncText(report: MergeReport, words: SyncWords): string {
  if (report.same) return words.direction === "take" ? "Both have the same already.\n" : `${words.other} has the same already.\n`;
  const things = thingsIn(report);
  const taking = words.direction === "take";
  const verb = words.dryRun ? (taking ? "Would take" : "Would give") : taking ? "Took" : "Gave";
  const head =
    things.length === 0
      ? `${words.dryRun ? "Would find nothing" : "Nothing"} new ${taking ? `in ${words.other}` : `for ${words.other}`}.`
      : `${verb} ${taking ? "from" : "to"} ${words.other}: ${things.join(", ")}.`;
  return [head, ...notes(report, words), ...(words.verbose ? details(report) : []), ""].join("\n");
}

function thingsIn(report: MergeReport): readonly string[] {
  const values = (namespace: string): number => report.values[namespace] ?? 0;
  const all: readonly (readonly [n: number, text: string])[] = [
    [report.messages, count(report.messages, "message")],
    [report.forgotten, `${count(report.forgotten, "text")} forgotten`],
    [report.tasksAdded, count(report.tasksAdded, "task")],
    // A task that came brings its attributes along; they are news only of one that was here.
    [report.tasksAdded > 0 ? 0 : values("task"), count(values("task"), "change to tasks", "changes to tasks")],
    [report.tasksRemoved, `${count(report.tasksRemoved, "task")} removed`],
    [values("memory"), count(values("memory"), "memory", "memories")],
    [values("state"), count(values("state"), "setting")],
    [report.entries, count(report.entries, "log entry", "log entries")],
    [report.incidents + values("incident"), count(report.incidents + values("incident"), "change to incidents", "changes to incidents")],
    [values("leaf"), count(values("leaf"), "choice of what is shown", "choices of what is shown")],
    [values("replica"), count(values("replica"), "retired replica")],
    [report.aside, `${count(report.aside, "row")} of a newer version, carried on unread`],
  ];
  return all.filter(([n]) => n > 0).map(([, text]) => text);
}

function notes({ conflicts, fenced }: MergeReport, { dryRun, direction, other }: SyncWords): readonly string[] {
  const lines: string[] = [];
  if (conflicts > 0) {
    const lost = `${count(conflicts, "value")} ${dryRun ? "would lose" : "lost"} against a concurrent write`;
    const where = direction === "take" ? "noctem heart conflicts" : `listed on ${other}`;
    lines.push(dryRun ? `${lost}.` : `${lost} and ${conflicts === 1 ? "is" : "are"} kept: ${where}`);
  }
  if (fenced.rows > 0 && fenced.furthest !== null) {
    const day = localTime(fenced.furthest).slice(0, 10);
    const one = fenced.rows === 1;
    const clock = direction === "take" ? "your" : "its";
    lines.push(
      `${count(fenced.rows, "row")} ${one ? "is" : "are"} stamped ${one ? "on" : "up to"} ${day} by a clock that ran ahead; ` +
        (dryRun
          ? `${one ? "it" : "they"} would be taken, and ${clock} clock not moved.`
          : `${one ? "it was" : "they were"} taken, ${clock} clock was not moved.`),
    );
  }
  return lines;
}

function details(report: MergeReport): readonly string[] {
  const how =
    report.mode === "full"
      ? "all tasks were compared, because the other had pruned what this heart never saw"
      : "only what changed was read";
  return [
    `  compared    ${report.mode === "full" ? "in full" : "by what is new"}: ${how}`,
    `  replica     ${report.replica}`,
    `  sessions    ${report.sessions} of writing`,
    ...Object.entries(report.values).map(([namespace, n]) => `  values      ${n} of ${namespace}`),
  ];
}
