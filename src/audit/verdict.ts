import { COSIGNED_CELL } from "../heart/audit.ts";
import type { AuditFile } from "../heart/audit-file.ts";
import { type ReadAnchor, readAnchors } from "./anchor.ts";
import { type Checked, checkLog, type CheckCrypto, type Claim, type Finding } from "./check.ts";
import { cosignedAt } from "./cosign.ts";
import { Frontier, leafHash } from "./merkle.ts";
import type { NoteKey } from "./note.ts";

export type Verdict = "sound" | "unwitnessed" | Finding["kind"] | "cannot";

export interface Judgement {
  readonly verdict: Verdict;
  readonly checked: Checked;
  readonly anchors: readonly ReadAnchor[];
  /** When the parent last cosigned what was checked, in seconds; null where they have not, or no parent's key was given. */
  readonly parent: number | null;
  /** Of the other heart; null without one. */
  readonly against: AgainstOther | null;
  /** Why nothing could be checked; only with "cannot". */
  readonly reason: string | null;
}

export interface AgainstOther {
  /** Sessions that both know and that agree as far as both go. */
  readonly agree: number;
  readonly onlyThere: number;
  readonly onlyHere: number;
}

export interface Outside {
  readonly anchors: readonly ReadAnchor[];
  readonly parentKey: NoteKey | null;
  readonly against: AuditFile | null;
  readonly onProgress: (done: number, rows: number) => void;
}

/** Checks the log in `file`, with everything from outside that there is to hold it against. */
export function judgeLog(file: AuditFile, outside: Outside, crypto: CheckCrypto): Judgement {
  const { parentKey, against, onProgress } = outside;
  const keyFindings: Finding[] = [];
  const kept = file.checkpoints().find(({ key }) => key === COSIGNED_CELL)?.note;
  const stored = parentKey === null || kept === undefined ? null : readAnchors(kept, crypto);
  const anchors = [...outside.anchors];
  let parent: number | null = null;
  if (parentKey !== null) {
    for (const anchor of [...outside.anchors, ...(stored?.ok === true ? stored.value : [])]) {
      const at = cosignedAt(anchor.note, parentKey, crypto.verify, crypto.sha256);
      if (at === "invalid")
        keyFindings.push({ kind: "key", session: null, seq: null, detail: "a countersignature in the parent's name is not the parent's" });
      else if (at !== null) {
        parent = Math.max(parent ?? 0, at);
        if (!anchors.includes(anchor)) anchors.push(anchor);
      }
    }
  }
  const foreign = [...anchors.map(({ heart }) => heart), ...(against === null ? [] : [against.heart])].find(
    (heart) => heart !== file.heart,
  );
  const other = against === null || foreign !== undefined ? null : compare(file, against, crypto);
  const checked = checkLog(file, { anchors: foreign === undefined ? anchors : [], claims: other?.claims ?? [], onProgress }, crypto);
  const findings = [...keyFindings, ...(other?.findings ?? [])];
  const whole: Checked = { ...checked, findings: [...findings, ...checked.findings], count: checked.count + findings.length };
  const common = { checked: whole, anchors, parent, against: other?.summary ?? null };
  if (foreign !== undefined)
    return {
      ...common,
      verdict: "cannot",
      reason: `It is another heart (${file.heart.slice(0, 8)}) than what it is held against (${foreign.slice(0, 8)}).`,
    };
  return { ...common, verdict: verdictOf(whole, findings, anchors.length > 0 || against !== null), reason: null };
}

/** The gravest: what was changed, then what was said twice, then by whom, then what is missing. */
const GRAVITY = ["altered", "fork", "key", "truncated"] as const;

function verdictOf({ findings, count, faults }: Checked, extra: readonly Finding[], witnessed: boolean): Verdict {
  if (count === 0) return witnessed ? "sound" : "unwitnessed";
  // By session: whatever else is wrong with one under a wrong key, that it is there is the matter.
  const kinds = new Set([
    ...faults,
    ...[...extra, ...findings].filter(({ session }) => session === null).map(({ kind }) => kind),
    ...extra.map(({ kind }) => kind),
  ]);
  return GRAVITY.find((kind) => kinds.has(kind)) ?? "altered";
}

/**
 * Two copies of one log. Of each session that both know, the shorter has to be the beginning of the longer: what the shorter one's checkpoint says is held
 * against the leaves of the longer.
 */
function compare(
  file: AuditFile,
  other: AuditFile,
  crypto: CheckCrypto,
): { readonly claims: readonly Claim[]; readonly findings: readonly Finding[]; readonly summary: AgainstOther } {
  const quiet = { anchors: [], onProgress: () => undefined };
  const theirs = checkLog(other, { ...quiet, claims: [] }, crypto);
  const findings: Finding[] = theirs.findings.map((finding) => ({ ...finding, detail: `in the other heart: ${finding.detail}` }));
  const claims: Claim[] = [];
  const notes = new Map(file.checkpoints().map(({ key, note }) => [key, note]));
  let onlyThere = 0;
  let both = 0;
  for (const [session, { checkpoint, key }] of theirs.signed) {
    const note = notes.get(session);
    if (note === undefined) {
      onlyThere++;
      continue;
    }
    both++;
    const [, size = "0", root = ""] = note.split("\n", 3);
    const here = Number(size);
    if (theirs.doubtful.has(session)) continue;
    const longer = here >= checkpoint.size ? file : other;
    const [at, signed] = here >= checkpoint.size ? [checkpoint.size, checkpoint.root.toBase64()] : [here, root];
    if (at > 0 && rootAt(longer, session, at, crypto) !== signed) {
      const genesis = [file, other].map((copy) => copy.leavesOf(session)[0] ?? "");
      const kind = genesis[0]?.includes(`"key":"${key}"`) === true && genesis[1] === genesis[0] ? "fork" : "altered";
      findings.push({ kind, session, seq: null, detail: "the other heart has another version of it" });
    } else if (here >= checkpoint.size)
      claims.push({ session, size: checkpoint.size, root: checkpoint.root.toHex(), by: "the other heart" });
  }
  return {
    claims,
    findings,
    summary: {
      agree: both - findings.filter(({ detail }) => detail.startsWith("the other heart has")).length,
      onlyThere,
      onlyHere: [...notes.keys()].filter((key) => /^[0-9a-f]{32}$/.test(key)).length - both,
    },
  };
}

function rootAt(file: AuditFile, session: string, size: number, { sha256 }: CheckCrypto): string | null {
  const leaves = file.leavesOf(session);
  if (leaves.length < size) return null;
  const frontier = new Frontier(sha256);
  for (const leaf of leaves.slice(0, size)) frontier.push(leafHash(sha256, new TextEncoder().encode(leaf)));
  return frontier.root().toBase64();
}
