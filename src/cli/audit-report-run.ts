import { resolve } from "node:path";
import { makeReport } from "../audit/report.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { heartDeps } from "../platform/heart.ts";
import { openLog } from "./audit-file-desk.ts";
import { reportHtml } from "./audit-report-html.ts";
import { reportLines } from "./audit-report-text.ts";
import { judge, judgementLines, type VerifyArguments, VERDICT_CODES } from "./audit-verify-run.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { failWith, writeOnce } from "./parent-run.ts";

interface ReportArguments extends VerifyArguments {
  readonly html: string | undefined;
  readonly days: number | undefined;
}

const DAY = 86_400_000;

/** A report is made also of a log that is not sound: it says so first, leaves out what is doubtful, and ends with verify's code. */
export function report(args: ReportArguments, io: CommandIo): number {
  const opened = openLog(args, io);
  if (!opened.ok) return failWith(opened.error, args.json, io);
  using file = opened.value.file;
  const judged = judge(file, args, io);
  if (!judged.ok) return failWith(judged.error, args.json, io);
  const since = args.days === undefined ? 0 : heartDeps().clock.now() - args.days * DAY;
  const made = makeReport(file, judged.value, since);
  const { verdict } = judged.value;
  // To say that nothing witnesses it is no failure of a report.
  const code = verdict === "unwitnessed" ? ExitCode.DONE : VERDICT_CODES[verdict];
  if (args.html !== undefined) {
    const written = writeOnce(resolve(io.cwd, args.html), reportHtml(made));
    if (!written.ok) return failWith(written.error, args.json, io);
    if (args.json !== true) io.err(`noctem: ${forTerminal(resolve(io.cwd, args.html))} is for a browser; it needs no network.\n`);
  }
  if (args.json) io.out(`${JSON.stringify({ ...made, code })}\n`);
  else if (args.html === undefined)
    for (const line of [...judgementLines(judged.value), "", ...reportLines(made)]) io.out(`${forTerminal(line)}\n`);
  return code;
}
