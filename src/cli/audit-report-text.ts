import type { Line, Report } from "../audit/report.ts";
import { count, localTime } from "./time-text.ts";

export const duration = (ms: number | null): string =>
  ms === null ? "nobody was asked" : ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
export const approvalRate = ({ approvals: { rate } }: Report): string =>
  rate === null ? "nobody was asked" : `${Math.round(rate * 100)} %`;

/** Lines of a list on a terminal; the file for a browser has more. */
const SHOWN = 10;

/** For a terminal; whoever prints it sanitises. */
export function reportLines(report: Report): readonly string[] {
  const { calls, approvals, files, gaps } = report;
  const period = report.from === null || report.to === null ? "nothing yet" : `${localTime(report.from)} to ${localTime(report.to)}`;
  return [
    `Period      ${period}, ${count(report.entries, "entry", "entries")}, ${count(report.sessions, "session")}`,
    `Calls       ${calls.all}: ${calls.allowed} allowed, ${calls.asked} asked about, ${calls.refused} refused; ${calls.rehearsed} rehearsals`,
    ...Object.entries(report.skills).map(
      ([name, skill]) => `            ${name}: ${skill.calls}, ${skill.refused} refused, ${skill.failed} failed`,
    ),
    `Approvals   ${approvals.allowed} allowed, ${approvals.denied} denied, ${approvals.unanswered} unanswered; rate ${approvalRate(report)}, median ${duration(approvals.medianMs)}`,
    ...Object.entries(report.grants).map(([what, n]) => `            standing permissions ${what}: ${n}`),
    `Files       ${files.written} written, ${files.leftOut} left out, ${files.refused} refused, ${files.conflicts} in conflict`,
    `Cage        ${
      Object.entries(report.sandbox)
        .map(([level, n]) => `${level} ${n}`)
        .join(", ") || "no program ran"
    }`,
    ...report.models.map(
      ({ role, name, digest, loads }) =>
        (role === "model" ? "Model" : "Adapter").padEnd(12) +
        `${name} ${digest === "" ? "(hash unknown)" : digest.slice(0, 16)}, ${loads} loads`,
    ),
    ...report.policies.map(
      ({ hash, overlay, sessions }) =>
        `Policy      ${hash.slice(0, 16)}${overlay === "" ? "" : `, overlay ${overlay.slice(0, 16)}`}, ${count(sessions, "session")}`,
    ),
    ...list(
      "Incidents",
      report.incidents.map(
        ({ what, severity, count: n, last, detail }) => `${what} (${severity}), ${n} times, last ${localTime(last)}: ${detail}`,
      ),
    ),
    ...list("Refused", report.refusals.map(said)),
    ...list("Merges", report.syncs.map(said)),
    ...list("Events", report.events.map(said)),
    ...list("Begun, and no outcome tells how it ended", report.open.map(said)),
    "",
    `Gaps        ${gaps.unfinished} sessions without an end (one that runs counts), ${gaps.payloadsGone} payloads gone, ${gaps.forgotten} texts forgotten, ${gaps.doubtful} sessions left out`,
  ];
}

const said = ({ at, entry, what }: Line): string => `${localTime(at)}  ${entry}  ${what}`;
const list = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0
    ? []
    : [
        "",
        title,
        ...lines.slice(0, SHOWN).map((text) => `  ${text}`),
        ...(lines.length > SHOWN ? [`  and ${lines.length - SHOWN} more`] : []),
      ];
