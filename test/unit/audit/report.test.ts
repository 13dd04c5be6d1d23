import { expect, test } from "bun:test";
import type { Report } from "../../../src/audit/report.ts";
import { reportHtml } from "../../../src/cli/audit-report-html.ts";
import { reportLines } from "../../../src/cli/audit-report-text.ts";

/** What a hostile program, page or person could have brought into the log as a name. */
const EVIL = `<script>alert(1)</script>" onload='x' &amp; \u202Egnp.exe\u0000 \u001b[31m <img src=x>`;
const line = { at: 1_800_000_000_000, entry: EVIL, what: EVIL };
const report: Report = {
  heart: "0".repeat(32),
  verdict: "altered",
  from: 1_800_000_000_000,
  to: 1_800_000_000_000,
  entries: 1,
  sessions: 1,
  unwitnessed: 0,
  anchors: [],
  parent: null,
  calls: { all: 1, allowed: 0, asked: 1, refused: 0, rehearsed: 0 },
  skills: { [EVIL]: { calls: 1, refused: 0, failed: 0 } },
  approvals: { allowed: 1, denied: 1, unanswered: 0, medianMs: 1500, rate: 0.5 },
  grants: { [EVIL]: 1 },
  incidents: [{ what: EVIL, severity: 4, count: 1, last: 1_800_000_000_000, detail: EVIL }],
  sandbox: { [EVIL]: 1 },
  files: { written: 0, leftOut: 0, refused: 0, conflicts: 0 },
  models: [{ role: "model", name: EVIL, digest: EVIL, loads: 1 }],
  policies: [],
  refusals: [line],
  syncs: [line],
  events: [line],
  open: [line],
  gaps: { unfinished: 0, payloadsGone: 0, forgotten: 0, doubtful: 1, findings: [{ kind: "altered", session: EVIL, seq: 1, detail: EVIL }] },
};

test("a report for a browser has no tag, no attribute and no hidden character of anybody else's", () => {
  const html = reportHtml(report);
  const clean = reportHtml(JSON.parse(JSON.stringify(report).replaceAll(JSON.stringify(EVIL), '"plain"')) as Report);
  const tags = (text: string): readonly string[] => text.match(/<[^>]*>/gu) ?? [];
  expect(tags(html)).toEqual(tags(clean));
  expect(html.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(html).toContain("[U+202E]");
  expect(html).toContain("default-src 'none'");
  expect(html).toContain("Warning: something in the record was changed");
});

test("figures are said in words: share and median, and that nobody was asked", () => {
  expect(reportLines(report).join("\n")).toContain("1 allowed, 1 denied, 0 unanswered; rate 50 %, median 1.5 s");
  const none = reportLines({ ...report, approvals: { allowed: 0, denied: 0, unanswered: 0, medianMs: null, rate: null } });
  expect(none.join("\n")).toContain("rate nobody was asked, median nobody was asked");
});
