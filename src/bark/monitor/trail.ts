import type { AuditFailure, AuditLog, Draft } from "../../audit/log.ts";
import { canonicalJson } from "../../lib/canonical-json.ts";
import { BOTTOM, type Label } from "../../lib/label.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { networkJson } from "../proxy/report.ts";
import { shownPath } from "../workspace/types.ts";
import type { AuditTrail, IntentRef, OutcomeEntry } from "./monitor.ts";
import type { WorkspaceReport } from "../outcome.ts";

/** Names of paths and hosts may be as long as an attacker likes; the log keeps what a person would read. */
const MOST_TEXT = 1000;
/** Of a payload: what came out is kept, not all that came out. */
const MOST_PAYLOAD = 16_000;
const MOST_BLOCKED = 50;

/** The monitor's trail on the audit log, and its incidents in the heart's counters as well. */
export function auditTrail(
  log: AuditLog,
  count: (kind: string, severity: 3 | 4, detail: string) => void,
  explain: (failure: AuditFailure) => string,
  sha256: (bytes: Uint8Array) => Uint8Array,
): AuditTrail {
  const labels = new Map<string, Label>();
  const said = <T>(result: Result<T, AuditFailure>): Result<T, { readonly detail: string }> =>
    result.ok ? result : err({ detail: explain(result.error) });
  return {
    intent(entry) {
      const { skill, operation, object, label, decision, policy, effect, args } = entry;
      const written = log.intent(
        {
          subject: short(skill),
          operation,
          object: short(object),
          label: { ...label, k: [...label.k], p: label.p.map(short) },
          decision: decision.outcome,
          rule: decision.rule,
          policy,
          effect,
          severity: decision.incident ? 3 : 0,
        },
        canonicalJson({ skill, args }).slice(0, MOST_PAYLOAD),
      );
      if (written.ok) labels.set(keyOf(written.value), label);
      return said(written);
    },
    outcome(ref: IntentRef, { status, detail, output, blocked, network, cage, ran, changed }) {
      const label = labels.get(keyOf(ref)) ?? BOTTOM;
      labels.delete(keyOf(ref));
      const kept = output.toWellFormed().slice(0, MOST_PAYLOAD).toWellFormed();
      const shown = blocked
        .slice(0, MOST_BLOCKED)
        .map(({ what, rule, reason, instead }) => ({ what: short(what), rule, reason: short(reason), instead }));
      const asked = network === null ? {} : { network: networkJson(network) };
      const held = cage === null ? {} : { cage };
      const payload = canonicalJson({ status, output: kept, blocked: shown, ...asked, ...held });
      // How it ran stands beside how it ended, in the same commit.
      const written = log.write([
        ...(ran === null ? [] : [{ draft: executionOf(ref, ran) }]),
        ...(changed === null ? [] : [{ draft: differenceOf(ref, changed, sha256) }]),
        { draft: { kind: "outcome", of: ref, status, detail: short(detail) }, payload: { body: payload, label } },
      ]);
      return written.ok ? ok(undefined) : said(written);
    },
    approval(ref, { answer, digest, by, waitedMs, question }) {
      const more = { ...(waitedMs === null ? {} : { waited: waitedMs }), ...(question === null ? {} : { question }) };
      const written = log.approval({ of: ref, answer, digest, by: short(by), ...more });
      return written.ok ? ok(undefined) : said(written);
    },
    incident(kind, detail) {
      log.incident({ what: short(kind), detail: short(detail), severity: 3 });
      count(kind, 3, short(detail));
    },
  };
}

const executionOf = (of: IntentRef, ran: NonNullable<OutcomeEntry["ran"]>): Draft => ({
  kind: "execution",
  of,
  level: ran.level,
  view: ran.view ?? "none",
  code: ran.code === null ? (ran.signal ?? "signal") : String(ran.code),
  stopped: ran.stopped ?? "",
  wall: Math.max(0, Math.round(ran.wallMs)),
});

const differenceOf = (of: IntentRef, changed: WorkspaceReport, sha256: (bytes: Uint8Array) => Uint8Array): Draft => {
  const { applied, leftOut, pending, refused, conflicts } = changed;
  const names = (judged: WorkspaceReport["refused"]): string[] => judged.map(({ change }) => shownPath(change).toWellFormed());
  const all = {
    applied: applied.map((name) => name.toWellFormed()),
    left: names(leftOut),
    waiting: names(pending),
    refused: names(refused),
    conflicts: conflicts.map((name) => name.toWellFormed()),
  };
  return {
    kind: "difference",
    of,
    applied: applied.length,
    left: leftOut.length,
    waiting: pending.length,
    refused: refused.length,
    conflicts: conflicts.length,
    digest: sha256(new TextEncoder().encode(canonicalJson(all))).toHex(),
  };
};

const keyOf = ({ session, seq }: IntentRef): string => `${session}:${seq}`;

const short = (text: string): string => {
  const whole = text.toWellFormed();
  return whole.length <= MOST_TEXT ? whole : `${whole.slice(0, MOST_TEXT - 1).toWellFormed()}…`;
};
