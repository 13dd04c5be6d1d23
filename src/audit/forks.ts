import type { KeptPayload } from "../heart/audit.ts";
import type { AuditFile, LeafRow } from "../heart/audit-file.ts";
import type { CheckCrypto } from "./check.ts";
import { originOf, parseEntry } from "./entry.ts";
import { Frontier, leafHash, same } from "./merkle.ts";
import { openCheckpoint } from "./note.ts";

/** A session of which another copy has another version, signed. */
export interface Fork {
  readonly session: string;
  /** Number of the first entry that differs. */
  readonly at: number;
  /** The other copy's from there on, and the checkpoint that they were signed in. */
  readonly leaves: readonly string[];
  readonly checkpoint: string;
  /** What lies apart from these leaves, as far as it is there and the one that was signed. */
  readonly payloads: readonly KeptPayload[];
  /** This copy's own, which a merge may replace. */
  readonly ours: string;
  /** One key signed both; else the session was replaced. */
  readonly sameKey: boolean;
}

/** Of one merge, and entries of one version that are taken in. */
const MOST_FORKS = 100;
const MOST_LEAVES = 10_000;
const MOST_HANDS = 8;
/** Characters of payloads. */
const MOST_APART = 32 << 20;

/**
 * What a merge by version vector never looks at: for every session that both copies know, whether the shorter is the beginning of the longer. Only sessions
 * whose checkpoints differ are read, so the cost is that of what changed.
 */
export function findForks(own: AuditFile, other: AuditFile, crypto: CheckCrypto): readonly Fork[] {
  const [ours, theirs] = [notesOf(own), notesOf(other)];
  const forks: Fork[] = [];
  for (const [session, notes] of theirs) {
    const known = ours.get(session);
    if (known === undefined || notes.every((note) => known.includes(note))) continue;
    const here = versionsOf(session, own, known, crypto);
    for (const version of versionsOf(session, other, notes, crypto)) {
      const [first] = here;
      if (first === undefined || here.some((one) => agree(one, version, crypto)) || forks.length >= MOST_FORKS) continue;
      const at = first.hashes.findIndex((hash, i) => !same(hash, version.hashes[i] ?? new Uint8Array()));
      forks.push({
        session,
        at,
        leaves: version.leaves.slice(at, at + MOST_LEAVES),
        checkpoint: version.note,
        payloads: payloadsOf(version.leaves.slice(at, at + MOST_LEAVES), other),
        ours: first.note,
        sameKey: first.key === version.key,
      });
    }
  }
  return forks;
}

/** Their hashes stand in signed leaves, so nobody else's text is taken in. */
function payloadsOf(leaves: readonly string[], file: AuditFile): readonly KeptPayload[] {
  let left = MOST_APART;
  return leaves.flatMap((leaf) => {
    const entry = parseEntry(leaf);
    if (entry === null || !("payload" in entry) || file.isPayload(entry.reference, entry.payload) !== true) return [];
    const found = file.salted(entry.reference);
    left -= found?.body.length ?? 0;
    return found === null || left < 0 ? [] : [{ id: entry.reference, ...found }];
  });
}

/** Each session's checkpoint, and those of other versions that are kept. */
function notesOf(file: AuditFile): ReadonlyMap<string, readonly string[]> {
  const notes = new Map<string, string[]>();
  for (const { key, note } of file.checkpoints()) {
    const [session = ""] = key.split("/", 1);
    if (/^[0-9a-f]{32}$/.test(session)) notes.set(session, [...(notes.get(session) ?? []), note]);
  }
  return notes;
}

/** What a session's own key signed, each version whole; several only where copies went on apart. */
export function versionsIn(file: AuditFile, session: string, crypto: CheckCrypto): readonly (readonly string[])[] {
  return versionsOf(session, file, notesOf(file).get(session) ?? [], crypto).map(({ leaves }) => leaves);
}

interface Version {
  readonly note: string;
  readonly leaves: readonly string[];
  readonly hashes: readonly Uint8Array[];
  readonly key: string;
}

function agree(one: Version, other: Version, crypto: CheckCrypto): boolean {
  const size = Math.min(one.hashes.length, other.hashes.length);
  return same(rootOfFirst(size, one.hashes, crypto), rootOfFirst(size, other.hashes, crypto));
}

/** What its own key did not sign, or what is not here as it was signed, is no version; who keeps it finds that by verifying it. */
function versionsOf(session: string, file: AuditFile, notes: readonly string[], { sha256, verify }: CheckCrypto): readonly Version[] {
  const versions: Version[] = [];
  let candidates: readonly (readonly string[])[] = [file.leavesOf(session)];
  let walked = false;
  for (const note of notes) {
    const found = (): Version | null => {
      for (const leaves of candidates) {
        const genesis = parseEntry(leaves[0] ?? "");
        if (genesis?.kind !== "genesis") continue;
        const name = originOf(file.heart, session);
        const checkpoint = openCheckpoint(note, { name, publicKey: Uint8Array.fromHex(genesis.key) }, verify, sha256);
        if (checkpoint === null || checkpoint.size > leaves.length) continue;
        const signed = leaves.slice(0, checkpoint.size);
        const hashes = signed.map((leaf) => leafHash(sha256, new TextEncoder().encode(leaf)));
        if (same(rootOfFirst(hashes.length, hashes, { sha256 }), checkpoint.root))
          return { note, leaves: signed, hashes, key: genesis.key };
      }
      return null;
    };
    let version = found();
    if (version === null && !walked) {
      candidates = byHand(file.session(session));
      walked = true;
      version = found();
    }
    if (version !== null) versions.push(version);
  }
  return versions;
}

/** Where several hands wrote a session, or copies of one: for each, its own entries where it wrote, another's where it did not; the earlier, then the later. */
function byHand(rows: readonly LeafRow[]): readonly (readonly string[])[] {
  const bySeq = new Map<number, LeafRow[]>();
  for (const row of rows) {
    const seq = parseEntry(row.leaf)?.seq ?? -1;
    bySeq.set(seq, [...(bySeq.get(seq) ?? []), row]);
  }
  const hands = [...new Set(rows.map(({ actor }) => actor))].slice(0, MOST_HANDS);
  const chain = (hand: number, pick: 0 | -1): readonly string[] => {
    const leaves: string[] = [];
    for (let all = bySeq.get(0); all !== undefined; all = bySeq.get(leaves.length))
      leaves.push((all.filter(({ actor }) => actor === hand).at(pick) ?? all.at(pick))?.leaf ?? "");
    return leaves;
  };
  return hands.flatMap((hand) => [chain(hand, 0), chain(hand, -1)]);
}

function rootOfFirst(size: number, hashes: readonly Uint8Array[], { sha256 }: Pick<CheckCrypto, "sha256">): Uint8Array {
  const frontier = new Frontier(sha256);
  for (const hash of hashes.slice(0, size)) frontier.push(hash);
  return frontier.root();
}
