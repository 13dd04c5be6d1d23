import { renderApproval } from "../bark/approvals.ts";
import { exact, exactName } from "../lib/exact.ts";
import type { PreparedCall } from "../bark/call.ts";
import { waitingCall, type Waiting } from "../bark/pending.ts";
import type { CallReport } from "../bark/monitor/monitor.ts";
import type { Decision, PlanDigest } from "../bark/types.ts";
import { diffOf } from "../bark/workspace/diff.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { Label } from "../lib/label.ts";
import { diffTexts } from "../platform/workspace/writer.ts";
import { type BarkDesk, barkDesk, pendingOf } from "./bark-desk.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { stickOf } from "./stick.ts";
import { localTime } from "./time-text.ts";

interface PendingArguments {
  readonly json: boolean | undefined;
  readonly heart: string | undefined;
  readonly id: string;
}

export function listPending({ json, heart }: Omit<PendingArguments, "id">, io: CommandIo): number {
  const all = pendingOf(stickOf(io, heart)).list();
  if (json) io.out(`${JSON.stringify({ pending: all.map(pendingJson) })}\n`);
  else if (all.length === 0) io.err("noctem: Nothing waits for you.\n");
  else
    for (const { id, at, workspace, changes } of all) {
      const names = changes.slice(0, 5).map(({ change }) => exactName(change.path));
      const more = changes.length > 5 ? ` and ${changes.length - 5} more` : "";
      io.out(`${id}  ${localTime(at)}  ${exactName(workspace)}: ${names.join(", ")}${more}\n`);
    }
  return ExitCode.DONE;
}

const pendingJson = ({ id, at, workspace, changes }: Waiting): object => ({
  id,
  at,
  workspace,
  changes: changes.map(({ change: { path, kind }, rule, reason }) => ({ path, kind, rule, reason })),
});

/** All of it: who wants to read only a part has a pager. */
export function showPending({ json, heart, id }: PendingArguments, io: CommandIo): number {
  const found = pendingOf(stickOf(io, heart)).get(id);
  if (found === null) return unknown(id, json, io);
  if (json) {
    io.out(`${JSON.stringify(pendingJson(found))}\n`);
    return ExitCode.DONE;
  }
  const texts = diffTexts(found.workspace);
  for (const { change, reason } of found.changes) {
    io.out(`${exactName(change.path)}: ${forTerminal(reason)}\n`);
    for (const line of diffOf(change, texts)) io.out(`  | ${exact(line)}\n`);
  }
  return ExitCode.DONE;
}

export async function applyPending({ json, heart, id }: PendingArguments, io: CommandIo): Promise<number> {
  const found = pendingOf(stickOf(io, heart)).get(id);
  if (found === null) return unknown(id, json, io);
  const made = barkDesk({ json, heart, workspace: found.workspace }, io);
  if (!made.ok) return fail(made.error.text, made.error.code, json, io);
  using desk = made.value;
  const report = await decideWaiting(desk, id, io.signal);
  if (report === null) return unknown(id, json, io);
  const { status, text, executed, blocked } = report;
  if (json) io.out(`${JSON.stringify({ status, text, blocked, undo: executed?.workspace?.undo ?? null })}\n`);
  else {
    io.err(`noctem: ${forTerminal(text)}\n`);
    if (status === "done") io.err("noctem: Take it back with: noctem bark undo\n");
    if (status === "unanswered") io.err(`noctem: There is nobody to ask: run it in a terminal. It goes on waiting.\n`);
  }
  return {
    done: ExitCode.DONE,
    failed: ExitCode.SKILL_FAILED,
    denied: ExitCode.DENIED,
    unanswered: ExitCode.NO_APPROVAL,
    "no-cage": ExitCode.NO_CAGE,
  }[status];
}

export function discardPending({ json, heart, id }: PendingArguments, io: CommandIo): number {
  if (!pendingOf(stickOf(io, heart)).discard(id)) return unknown(id, json, io);
  io.out(json ? `${JSON.stringify({ discarded: id })}\n` : `${id} is gone.\n`);
  return ExitCode.DONE;
}

/** It came from a program: whoever decides about it is told so. */
const FROM_OUTSIDE: Label = { c: 1, k: ["files"], i: 0, p: ["a program that ran in the cage"] };

/** Asks, and does what is answered: a yes writes it, a no drops it, and without an answer it goes on waiting. Null when there is none of that name. */
export async function decideWaiting(desk: BarkDesk, id: string, signal: AbortSignal): Promise<CallReport | null> {
  const waiting = desk.pending.get(id);
  if (waiting === null || waiting.workspace !== desk.workspace) return null;
  const prepared = waitingCall(waiting, diffTexts(desk.workspace));
  const request = { skill: "file_ops", args: { operation: "apply", id }, prepared, context: FROM_OUTSIDE, said: [], plan: null };
  const report = await desk.monitor.call({ ...request, remark: null, signal });
  // What could not be shown was not answered by anybody: it goes on waiting.
  const answered = report.decision.outcome === "ask" && report.status === "denied" && canBeShown(prepared, report.decision);
  if (report.status === "done" || answered) desk.pending.discard(id);
  return report;
}

function canBeShown(prepared: PreparedCall, decision: Decision): boolean {
  const effect = "" as PlanDigest;
  const question = { skill: "file_ops", prepared, decision, context: FROM_OUTSIDE, effect, policy: "", remark: null };
  return renderApproval({ ...question, mayRehearse: false, rehearsal: null }).kind === "lines";
}

const unknown = (id: string, json: boolean | undefined, io: CommandIo): number =>
  fail(`Nothing waits under the name ${exact(id)}: noctem bark pending list shows what does.`, ExitCode.USAGE, json, io);

function fail(text: string, code: number, json: boolean | undefined, io: CommandIo): number {
  if (json) io.out(`${JSON.stringify({ error: { message: text, code } })}\n`);
  io.err(`noctem: ${forTerminal(text)}\n`);
  return code;
}
