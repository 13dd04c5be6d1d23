import type { AuditFile } from "../heart/audit-file.ts";
import { type Hlc, millisOf } from "../heart/hlc.ts";
import { type AuditEntry, parseEntry } from "./entry.ts";
import type { Judgement, Verdict } from "./verdict.ts";
import type { Finding } from "./check.ts";

/**
 * What was done here, computed from the bytes of entries whose session was found sound, and from nothing else: no index, no counter, no derived table. A
 * session with a finding is named and left out.
 */
export interface Report {
  readonly heart: string;
  readonly verdict: Verdict;
  /** Milliseconds since 1970; null for a log without entries. */
  readonly from: number | null;
  readonly to: number | null;
  readonly entries: number;
  readonly sessions: number;
  readonly unwitnessed: number;
  readonly anchors: readonly number[];
  readonly parent: number | null;
  readonly calls: {
    readonly all: number;
    readonly allowed: number;
    readonly asked: number;
    readonly refused: number;
    readonly rehearsed: number;
  };
  readonly skills: Readonly<Record<string, { readonly calls: number; readonly refused: number; readonly failed: number }>>;
  readonly approvals: {
    readonly allowed: number;
    readonly denied: number;
    readonly unanswered: number;
    /** Of those that were answered in time; null where nobody was asked. */
    readonly medianMs: number | null;
    /** Share of questions that were answered with yes; null where none was asked. */
    readonly rate: number | null;
  };
  readonly grants: Readonly<Record<string, number>>;
  readonly incidents: readonly {
    readonly what: string;
    readonly severity: number;
    readonly count: number;
    readonly last: number;
    readonly detail: string;
  }[];
  readonly sandbox: Readonly<Record<string, number>>;
  readonly files: { readonly written: number; readonly leftOut: number; readonly refused: number; readonly conflicts: number };
  readonly models: readonly { readonly role: string; readonly name: string; readonly digest: string; readonly loads: number }[];
  readonly policies: readonly { readonly hash: string; readonly overlay: string; readonly sessions: number }[];
  readonly refusals: readonly Line[];
  readonly syncs: readonly Line[];
  readonly events: readonly Line[];
  /** Begun, and no outcome tells how it ended. */
  readonly open: readonly Line[];
  readonly gaps: {
    /** Sessions that were cut off: no last entry. The one that is running now is one of them. */
    readonly unfinished: number;
    readonly payloadsGone: number;
    readonly forgotten: number;
    readonly doubtful: number;
    readonly findings: readonly Finding[];
  };
}

export interface Line {
  readonly at: number;
  readonly entry: string;
  readonly what: string;
}

/** Lines of a list, the newest. */
const MOST_LINES = 50;
const MOST_KINDS = 200;
/** Answers whose time is kept for the median; beyond it the newest count. */
const MOST_TIMES = 100_000;

class Newest {
  readonly #lines: Line[] = [];
  add(line: Line): void {
    this.#lines.push(line);
    if (this.#lines.length > 4 * MOST_LINES) this.cut();
  }
  cut(): readonly Line[] {
    this.#lines.sort((a, b) => b.at - a.at);
    this.#lines.length = Math.min(this.#lines.length, MOST_LINES);
    return this.#lines;
  }
}

/** `since`: milliseconds since 1970; entries before it are left out. */
export function makeReport(file: AuditFile, judgement: Judgement, since = 0): Report {
  const { checked } = judgement;
  const calls = { all: 0, allowed: 0, asked: 0, refused: 0, rehearsed: 0 };
  const skills = new Map<string, { calls: number; refused: number; failed: number }>();
  const approvals = { allowed: 0, denied: 0, unanswered: 0 };
  const grants: Record<string, number> = {};
  const incidents = new Map<string, { what: string; severity: number; count: number; last: number; detail: string }>();
  const sandbox = new Map<string, number>();
  const files = { written: 0, leftOut: 0, refused: 0, conflicts: 0 };
  const models = new Map<string, { role: string; name: string; digest: string; loads: number }>();
  const policies = new Map<string, { hash: string; overlay: string; sessions: number }>();
  const open = new Map<string, Line & { readonly skill: string }>();
  const unfinished = new Set<string>();
  const [refusals, syncs, events] = [new Newest(), new Newest(), new Newest()];
  let times: number[] = [];
  let [entries, forgotten, from, to] = [0, 0, Infinity, 0];
  const skillOf = (name: string) => {
    const key = skills.has(name) || skills.size < MOST_KINDS ? name : "others";
    const found = skills.get(key) ?? { calls: 0, refused: 0, failed: 0 };
    skills.set(key, found);
    return found;
  };
  const take = (entry: AuditEntry, at: number, line: (what: string) => Line): void => {
    switch (entry.kind) {
      case "genesis":
        unfinished.add(entry.session);
        return;
      case "end":
        unfinished.delete(entry.session);
        return;
      case "intent": {
        const what = `${entry.subject} ${entry.operation} ${entry.object}`;
        if (entry.operation === "rehearse") calls.rehearsed++;
        else {
          calls.all++;
          skillOf(entry.subject).calls++;
          if (entry.decision === "allow") calls.allowed++;
          if (entry.decision === "ask") calls.asked++;
          if (entry.decision === "deny") {
            calls.refused++;
            skillOf(entry.subject).refused++;
            refusals.add(line(`${what} (${entry.rule})`));
          }
        }
        open.set(`${entry.session}:${entry.seq}`, { ...line(what), skill: entry.subject });
        return;
      }
      case "outcome": {
        const key = `${entry.where ?? entry.session}:${entry.of}`;
        const intent = open.get(key);
        if (intent !== undefined && (entry.status === "failed" || entry.status === "no-cage")) skillOf(intent.skill).failed++;
        open.delete(key);
        return;
      }
      case "approval":
        // Whoever answered for another process says so as well; the asker's own entry is what came of it.
        if (entry.where !== undefined) return;
        approvals[entry.answer]++;
        if (entry.waited !== undefined && entry.answer !== "unanswered") times.push(entry.waited);
        if (times.length > 2 * MOST_TIMES) times = times.slice(-MOST_TIMES);
        return;
      case "grant":
        grants[entry.what] = (grants[entry.what] ?? 0) + 1;
        if (entry.what !== "used") events.add(line(`standing permission ${entry.what} by ${entry.by}: ${entry.skill} ${entry.pattern}`));
        return;
      case "incident": {
        const key = incidents.has(entry.what) || incidents.size < MOST_KINDS ? entry.what : "others";
        const found = incidents.get(key);
        const newer = found === undefined || found.last < at;
        incidents.set(key, {
          what: key,
          severity: Math.max(entry.severity, found?.severity ?? 0),
          count: (found?.count ?? 0) + 1,
          last: newer ? at : found.last,
          detail: newer ? entry.detail : found.detail,
        });
        return;
      }
      case "execution":
        sandbox.set(entry.level, (sandbox.get(entry.level) ?? 0) + 1);
        return;
      case "difference":
        files.written += entry.applied;
        files.leftOut += entry.left;
        files.refused += entry.refused;
        files.conflicts += entry.conflicts;
        return;
      case "model": {
        const key = `${entry.role} ${entry.name} ${entry.digest}`;
        const found = models.get(key);
        if (found !== undefined || models.size < MOST_KINDS)
          models.set(key, { role: entry.role, name: entry.name, digest: entry.digest, loads: (found?.loads ?? 0) + 1 });
        return;
      }
      case "policy": {
        const key = `${entry.hash} ${entry.overlay}`;
        const found = policies.get(key);
        if (found !== undefined || policies.size < MOST_KINDS)
          policies.set(key, { hash: entry.hash, overlay: entry.overlay, sessions: (found?.sessions ?? 0) + 1 });
        return;
      }
      case "sync":
        syncs.add(
          line(
            `${entry.direction === "take" ? "took from" : "gave to"} replica ${entry.replica.slice(0, 8)}: ${entry.messages} messages, ${entry.values} values, ${entry.conflicts} conflicts`,
          ),
        );
        return;
      case "forget":
        forgotten += entry.count;
        events.add(line(`forgot ${entry.count} of a ${entry.what}`));
        return;
      case "heart":
        events.add(line(`${entry.what}${entry.detail === "" ? "" : `: ${entry.detail}`}`));
        return;
      case "config":
        events.add(line(`setting ${entry.name} ${entry.action}`));
        return;
      case "key":
        events.add(line(`key ${entry.key.slice(0, 16)} signed ${entry.use}`));
        return;
      case "parent":
      case "training":
        events.add(line(`${entry.kind}: ${entry.what}${entry.detail === "" ? "" : `, ${entry.detail}`}`));
        return;
    }
  };
  file.each(({ session, leaf }) => {
    if (checked.doubtful.has(session)) return;
    const entry = parseEntry(leaf);
    if (entry === null) return;
    const at = millisOf(entry.hlc as Hlc);
    if (at < since) return;
    entries++;
    from = Math.min(from, at);
    to = Math.max(to, at);
    take(entry, at, (what) => ({ at, entry: `${entry.session.slice(0, 8)}:${entry.seq}`, what }));
  });
  const asked = approvals.allowed + approvals.denied + approvals.unanswered;
  return {
    heart: checked.heart,
    verdict: judgement.verdict,
    from: entries === 0 ? null : from,
    to: entries === 0 ? null : to,
    entries,
    sessions: checked.sessions,
    unwitnessed: checked.unwitnessed,
    anchors: judgement.anchors.map(({ time }) => time * 1000),
    parent: judgement.parent === null ? null : judgement.parent * 1000,
    calls,
    skills: Object.fromEntries(skills),
    approvals: { ...approvals, medianMs: median(times), rate: asked === 0 ? null : approvals.allowed / asked },
    grants,
    incidents: [...incidents.values()].sort((a, b) => b.severity - a.severity || b.last - a.last),
    sandbox: Object.fromEntries(sandbox),
    files,
    models: [...models.values()],
    policies: [...policies.values()],
    refusals: refusals.cut(),
    syncs: syncs.cut(),
    events: events.cut(),
    open: [...open.values()].map(({ at, entry, what }) => ({ at, entry, what })).slice(-MOST_LINES),
    gaps: {
      unfinished: unfinished.size,
      payloadsGone: checked.payloads.gone,
      forgotten,
      doubtful: checked.doubtful.size,
      findings: checked.findings.slice(0, MOST_LINES),
    },
  };
}

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [high, low] = [sorted[middle], sorted[middle - 1]];
  if (high === undefined) return null;
  return sorted.length % 2 === 1 || low === undefined ? high : (low + high) / 2;
}
