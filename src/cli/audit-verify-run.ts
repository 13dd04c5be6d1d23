import { judgeLog, type Judgement, type Verdict } from "../audit/verdict.ts";
import type { Explained } from "../headless/result-object.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { AuditFile } from "../heart/audit-file.ts";
import { HeartFailure } from "../heart/failure.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { type AuditArguments, anchorsFrom, checkProgress, openLog, openOther, parentKeyFrom } from "./audit-file-desk.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { failWith } from "./parent-run.ts";
import { count, localTime } from "./time-text.ts";

export interface VerifyArguments extends AuditArguments {
  readonly anchor?: string | undefined;
  readonly against?: string | undefined;
  readonly "parent-key"?: string | undefined;
}

export const VERDICT_CODES: Readonly<Record<Verdict, ExitCode>> = {
  sound: ExitCode.DONE,
  unwitnessed: ExitCode.AUDIT_UNWITNESSED,
  altered: ExitCode.AUDIT_ALTERED,
  truncated: ExitCode.AUDIT_TRUNCATED,
  fork: ExitCode.AUDIT_FORK,
  key: ExitCode.AUDIT_KEY,
  cannot: ExitCode.AUDIT_CANNOT,
};

export function verifyLog(args: VerifyArguments, io: CommandIo): number {
  const opened = openLog(args, io);
  if (!opened.ok) return failWith(opened.error, args.json, io);
  using file = opened.value.file;
  const judged = judge(file, args, io);
  if (!judged.ok) return failWith(judged.error, args.json, io);
  const code = VERDICT_CODES[judged.value.verdict];
  if (args.json) io.out(`${JSON.stringify({ ...judgementJson(judged.value), code })}\n`);
  else for (const line of judgementLines(judged.value)) io.out(`${forTerminal(line)}\n`);
  return code;
}

/** With everything from outside that was named. */
export function judge(
  file: AuditFile,
  args: Pick<VerifyArguments, "anchor" | "against" | "parent-key">,
  io: CommandIo,
): Result<Judgement, Explained> {
  const anchors = anchorsFrom(args.anchor, io);
  if (!anchors.ok) return anchors;
  const parentKey = parentKeyFrom(args["parent-key"], io);
  if (!parentKey.ok) return parentKey;
  const other = args.against === undefined ? ok(null) : openOther(args.against, io);
  if (!other.ok) return other;
  const progress = checkProgress(io);
  try {
    return ok(
      judgeLog(file, { anchors: anchors.value, parentKey: parentKey.value, against: other.value, onProgress: progress.show }, auditCrypto),
    );
  } catch (error) {
    if (!(error instanceof HeartFailure)) throw error;
    return err({
      text: `The log cannot be read to its end: ${error.error.kind}${"detail" in error.error ? `, ${error.error.detail}` : ""}.`,
      code: ExitCode.AUDIT_CANNOT,
    });
  } finally {
    progress.clear();
    other.value?.[Symbol.dispose]();
  }
}

export const judgementJson = ({ verdict, checked, anchors, parent, against, reason }: Judgement): object => ({
  verdict,
  heart: checked.heart,
  entries: checked.entries,
  sessions: checked.sessions,
  payloads: checked.payloads,
  unwitnessed: checked.unwitnessed,
  heads: checked.heads,
  sticks: checked.sticks,
  anchors: anchors.map(({ time, heads }) => ({ time, heads: heads.length })),
  parent,
  against,
  findings: checked.findings,
  count: checked.count,
  ...(reason === null ? {} : { reason }),
});

const FIRST: Readonly<Record<Verdict, string>> = {
  sound: "Sound, and witnessed from outside.",
  unwitnessed:
    "Sound as far as the file itself can tell. Nothing from outside says that it is whole: give an anchor, the parent's key, or another copy.",
  altered: "ALTERED: something in the log is not what was written.",
  truncated: "INCOMPLETE: something that was in the log is not there any more, or this is an older copy.",
  fork: "FORKED: a session has two signed versions.",
  key: "BAD KEY: something is signed by a key that nobody vouches for.",
  cannot: "It cannot be checked.",
};
const SHOWN = 20;

export function judgementLines({ verdict, checked, anchors, parent, against, reason }: Judgement): readonly string[] {
  const { findings, entries, sessions, payloads, unwitnessed } = checked;
  const lines = [
    reason === null ? FIRST[verdict] : `${FIRST[verdict]} ${reason}`,
    `${count(entries, "entry", "entries")} in ${count(sessions, "session")}.`,
  ];
  if (payloads.gone > 0)
    lines.push(`${count(payloads.gone, "payload")} forgotten or taken away; the entries still say that they were there.`);
  for (const { time } of anchors) lines.push(`Held against the anchor of ${localTime(time * 1000)}.`);
  if (parent !== null) lines.push(`The parent countersigned it on ${localTime(parent * 1000)}.`);
  if (against !== null)
    lines.push(`${count(against.agree, "session")} as in the other heart; ${against.onlyHere} only here, ${against.onlyThere} only there.`);
  if (verdict === "sound" && unwitnessed > 0)
    lines.push(`${count(unwitnessed, "entry", "entries")} came later and are not witnessed by it.`);
  for (const { session, seq, detail } of findings.slice(0, SHOWN))
    lines.push(`  ${session === null ? "" : `session ${session}${seq === null ? "" : `, entry ${seq}`}: `}${detail}`);
  if (checked.count > Math.min(SHOWN, findings.length)) lines.push(`  and ${checked.count - Math.min(SHOWN, findings.length)} more`);
  return lines;
}
