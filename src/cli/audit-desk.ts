import { type AuditFailure, type AuditLog, auditLog, type Draft } from "../audit/log.ts";
import type { StickLayout } from "../config/layout.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { MergeReport } from "../heart/merge/merge.ts";
import type { OpenHeart } from "../heart/open.ts";
import { auditCrypto, stickKey } from "../platform/audit-crypto.ts";
import { sittingPresence } from "../platform/audit-presence.ts";
import { heartDeps } from "../platform/heart.ts";
import type { CommandIo } from "./command.ts";
import { heartErrorText } from "./error-text.ts";
import { openStickHeart } from "./heart-access.ts";
import { heartExists } from "./stick.ts";

/** The log of an open heart, under the keys beside it. `opening`: what each of its sessions begins with. */
export function stickLog(
  layout: Pick<StickLayout, "keys">,
  heart: Pick<OpenHeart, "audit" | "id">,
  opening: () => readonly Draft[] = () => [],
): AuditLog {
  return auditLog({
    // Asked each time: a heart that was opened anew has another hand to write with.
    get heart() {
      return heart.audit;
    },
    heartId: heart.id,
    crypto: auditCrypto,
    random: heartDeps().random,
    stick: () => stickKey(layout.keys, heart.id),
    opening,
    presence: sittingPresence,
  });
}

export const auditFailureText = (failure: AuditFailure): string =>
  failure.kind === "key" ? failure.detail : heartErrorText(failure.error).text;

/**
 * Writes down what a person has just done with a command of its own, as a session of its own. What was done is done: where the log cannot be written,
 * that is said in one line.
 */
export function noteInLog(layout: StickLayout, drafts: readonly Draft[], io: Pick<CommandIo, "err">): void {
  // No heart is made to say that something was done: what can be done without one concerns nobody's history.
  if (drafts.length === 0 || !heartExists(layout)) return;
  const opened = openStickHeart(layout);
  if (!opened.ok) return io.err(`noctem: This could not be written to the log. ${forTerminal(heartErrorText(opened.error).text)}\n`);
  using heart = opened.value;
  // Read-only, or without its keys: whoever opened it for the command was told.
  if (heart.mode.kind !== "stored") return;
  const log = stickLog(layout, heart);
  const written = log.write([...drafts.map((draft) => ({ draft })), { draft: { kind: "end", reason: "done" } }]);
  if (!written.ok) io.err(`noctem: This could not be written to the log. ${forTerminal(auditFailureText(written.error))}\n`);
}

/** What a merge brought, for the log; null where it brought nothing but entries of logs, which speak for themselves. */
export function syncDraft(direction: "take" | "give", report: MergeReport): Draft | null {
  const { same, replica, messages, forgotten, tasksAdded, tasksRemoved, entries, incidents, aside, sessions, conflicts } = report;
  const values = Object.entries(report.values).reduce((sum, [name, n]) => sum + (name === "audit" ? 0 : n), 0);
  if (same || messages + forgotten + tasksAdded + tasksRemoved + values + incidents + aside + conflicts === 0) return null;
  return { kind: "sync", direction, replica, messages, forgotten, values, entries, tasks: tasksAdded + tasksRemoved, sessions, conflicts };
}
