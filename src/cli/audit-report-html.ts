import type { Line, Report } from "../audit/report.ts";
import type { Verdict } from "../audit/verdict.ts";
import { approvalRate, duration } from "./audit-report-text.ts";
import { localTime } from "./time-text.ts";

/**
 * The report as one file for a browser without a network: no scripts, nothing fetched, and every word that came from elsewhere escaped. For somebody who
 * has never heard of any of it.
 */
export function reportHtml(report: Report): string {
  const { calls, approvals, incidents, sandbox, gaps } = report;
  const sound = report.verdict === "sound" || report.verdict === "unwitnessed";
  const period =
    report.from === null || report.to === null
      ? "Nothing was written down yet."
      : `From ${localTime(report.from)} to ${localTime(report.to)}.`;
  const body = [
    `<h1>What this assistant did</h1>`,
    `<p>${escaped(period)} ${report.entries} entries in ${report.sessions} runs of the program.</p>`,
    `<p class="verdict ${sound ? "good" : "bad"}">${escaped(VERDICTS[report.verdict])}</p>`,
    report.unwitnessed > 0 && report.verdict === "sound"
      ? `<p>${report.unwitnessed} entries are newer than that and not confirmed by it yet.</p>`
      : "",
    section(
      "What it wanted to do",
      "Every time the assistant reads a file, runs a command or reaches the network, the rules are asked first.",
      table([
        ["Actions in all", calls.all],
        ["Allowed by the rules", calls.allowed],
        ["Put before a person", calls.asked],
        ["Refused by the rules", calls.refused],
        ["Tried out, with nothing kept", calls.rehearsed],
      ]) +
        table(
          Object.entries(report.skills).map(([name, { calls: n, refused, failed }]) => [
            name,
            `${n}, of which ${refused} refused and ${failed} failed`,
          ]),
        ),
    ),
    section(
      "What a person decided",
      "A high share of quick yeses may mean that nobody reads the questions any more.",
      table([
        ["Allowed", approvals.allowed],
        ["Denied", approvals.denied],
        ["Not answered, which is a no", approvals.unanswered],
        ["Share allowed", approvalRate(report)],
        ["Usual time to decide", duration(approvals.medianMs)],
        ...Object.entries(report.grants).map(([what, n]) => [`Standing permissions ${what}`, n] as const),
      ]),
    ),
    section(
      "Incidents",
      "Things that should not happen: attempts to do what is forbidden, a clock that jumps, copies that do not fit together.",
      incidents.length === 0
        ? "<p>None.</p>"
        : table(
            incidents.map(({ what, severity, count, last, detail }) => [
              `${what} (severity ${severity} of 4)`,
              `${count} times, last ${localTime(last)}: ${detail}`,
            ]),
          ),
    ),
    section("What was refused", "The newest.", lines(report.refusals)),
    section(
      "How programs were held",
      "Programs run in a cage that the computer's kernel makes. This is what really held them.",
      Object.keys(sandbox).length === 0
        ? "<p>No program ran.</p>"
        : table(Object.entries(sandbox).map(([level, n]) => [level, `${n} times`])),
    ),
    section(
      "Files",
      "Files of yours that were changed through it.",
      table([
        ["Written", report.files.written],
        ["Left out by the rules", report.files.leftOut],
        ["Refused", report.files.refused],
        ["Changed by somebody else meanwhile, and left alone", report.files.conflicts],
      ]),
    ),
    section(
      "Models",
      "Which language models were used. The long number names the exact file.",
      report.models.length === 0
        ? "<p>None is in the log.</p>"
        : table(
            report.models.map(({ role, name, digest, loads }) => [
              `${role} ${name}`,
              `${digest === "" ? "number unknown" : digest}, loaded ${loads} times`,
            ]),
          ),
    ),
    section("Copies brought together", "Merges with other copies of the memory.", lines(report.syncs)),
    section("Other events", "Backups, exports, settings, keys.", lines(report.events)),
    section(
      "Begun and not finished",
      "The program ended, or was ended, between an action's beginning and its end. What it did then is not known.",
      lines(report.open),
    ),
    section(
      "Gaps",
      "What this report does not know.",
      table([
        ["Runs that did not end in order (a running one counts)", gaps.unfinished],
        ["Details that were forgotten or taken away", gaps.payloadsGone],
        ["Texts that were forgotten on purpose", gaps.forgotten],
        ["Runs left out because they are not as they were written", gaps.doubtful],
      ]) +
        (gaps.findings.length === 0
          ? ""
          : list(gaps.findings.map(({ session, detail }) => `${session === null ? "" : `${session.slice(0, 8)}: `}${detail}`))),
    ),
    `<p class="small">Heart ${escaped(report.heart)}. Made from signed entries alone. It cannot show what was taken away after the last confirmation from outside.</p>`,
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><title>Noctem: what was done</title>
<style>${STYLE}</style></head><body><main>
${body.filter((part) => part !== "").join("\n")}
</main></body></html>
`;
}

const VERDICTS: Readonly<Record<Verdict, string>> = {
  sound: "The record is unbroken, and something kept outside confirms it.",
  unwitnessed: "The record is unbroken as far as it can tell by itself. Nothing that was kept outside confirms that it is all there.",
  altered: "Warning: something in the record was changed after it was written. What was changed is left out below.",
  truncated: "Warning: a part of the record is missing, or this is an older copy.",
  fork: "Warning: there are two versions of a part of the record.",
  key: "Warning: a part of the record is signed by somebody unknown. It is left out below.",
  cannot: "Warning: the record could not be held against what was kept outside.",
};

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fafafa;margin:0}main{max-width:50rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin:2rem 0 .2rem}p.why{color:#555;margin:.2rem 0 .6rem}table{border-collapse:collapse;width:100%;margin:.4rem 0}
td{border-top:1px solid #ddd;padding:.3rem .6rem .3rem 0;vertical-align:top;overflow-wrap:anywhere}td:first-child{width:45%}
.verdict{padding:.6rem .8rem;border-radius:.3rem}.good{background:#e3f4e5}.bad{background:#fbe3e1}.small{color:#555;font-size:.85rem}li{overflow-wrap:anywhere}`;

const section = (title: string, why: string, content: string): string =>
  `<h2>${escaped(title)}</h2><p class="why">${escaped(why)}</p>${content}`;
const table = (rows: readonly (readonly [string, string | number])[]): string =>
  rows.length === 0
    ? ""
    : `<table>${rows.map(([name, value]) => `<tr><td>${escaped(name)}</td><td>${escaped(String(value))}</td></tr>`).join("")}</table>`;
const lines = (all: readonly Line[]): string =>
  all.length === 0 ? "<p>None.</p>" : list(all.map(({ at, entry, what }) => `${localTime(at)} (${entry}): ${what}`));
const list = (all: readonly string[]): string => `<ul>${all.map((text) => `<li>${escaped(text)}</li>`).join("")}</ul>`;

/** Also what cannot be seen, or would turn the order of letters: it is shown by its number. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => `[U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
