import type { LeafRow } from "../heart/audit-file.ts";
import type { CheckCrypto, Finding } from "./check.ts";
import { originOf, parseEntry } from "./entry.ts";
import { Frontier, leafHash, same } from "./merkle.ts";
import { type Checkpoint, openCheckpoint } from "./note.ts";

export interface Judged {
  readonly findings: readonly Omit<Finding, "session">[];
  /** Roots that the versions have at this size, in hex; empty where none is so long. */
  readonly roots: (size: number) => readonly string[];
  /** Entries of the longest. */
  readonly longest: number;
}

interface Leaf {
  readonly hash: Uint8Array;
  readonly actor: number;
  used: boolean;
}

/** Versions of one session that are told apart at most. */
const MOST_VERSIONS = 8;

/**
 * A session of which some entries stand twice, or that has two checkpoints. Copies that met bring the rows of both versions; each was written by another
 * hand (`actor`), on top of a beginning that they share, or by copies of one. So for each signed checkpoint the rows of one hand are preferred, each in
 * turn, the earlier and the later, until they make its tree. Two trees under the session's own key, neither the beginning of the other, are a fork; what is in no signed tree was put there.
 */
export function judgeVersions(
  rows: readonly LeafRow[],
  notes: readonly { readonly note: string; readonly actor: number }[],
  { heart, session }: { readonly heart: string; readonly session: string },
  { sha256, verify }: CheckCrypto,
): Judged {
  const bySeq = new Map<number, Leaf[]>();
  const keys = new Set<string>();
  let copied: number | null = null;
  for (const { leaf, actor } of rows) {
    const entry = parseEntry(leaf);
    if (entry === null || entry.session !== session) continue;
    if (entry.kind === "genesis") keys.add(entry.key);
    const hash = leafHash(sha256, new TextEncoder().encode(leaf));
    const all = bySeq.get(entry.seq) ?? [];
    if (all.some((other) => same(other.hash, hash))) copied ??= entry.seq;
    else bySeq.set(entry.seq, [...all, { hash, actor, used: false }]);
  }
  const actors = [...new Set(rows.map(({ actor }) => actor))].slice(0, MOST_VERSIONS);
  const chain = (size: number, preferred: number, pick: 0 | -1): Leaf[] | null => {
    const leaves: Leaf[] = [];
    for (let seq = 0; seq < size; seq++) {
      const all = bySeq.get(seq);
      const leaf = all?.filter(({ actor }) => actor === preferred).at(pick) ?? all?.at(pick);
      if (leaf === undefined) return null;
      leaves.push(leaf);
    }
    return leaves;
  };
  const findings: Omit<Finding, "session">[] = [];
  const trees: { readonly checkpoint: Checkpoint; readonly key: string; readonly leaves: readonly Leaf[] }[] = [];
  for (const { note, actor } of notes.slice(0, MOST_VERSIONS)) {
    const opened = [...keys].flatMap((key) => {
      const name = originOf(heart, session);
      const checkpoint = openCheckpoint(note, { name, publicKey: Uint8Array.fromHex(key) }, verify, sha256);
      return checkpoint === null ? [] : [{ checkpoint, key }];
    })[0];
    if (opened === undefined) {
      findings.push({ kind: "altered", seq: null, detail: "one of its checkpoints is not signed by the key that it began with" });
      continue;
    }
    const { checkpoint, key } = opened;
    const found = [actor, ...actors.filter((other) => other !== actor)]
      .flatMap((preferred) => [chain(checkpoint.size, preferred, 0), chain(checkpoint.size, preferred, -1)])
      .find((leaves) => leaves !== null && same(rootOfLeaves(leaves), checkpoint.root));
    if (found === undefined || found === null) {
      const missing = Array.from({ length: checkpoint.size }, (_, seq) => seq).find((seq) => !bySeq.has(seq));
      findings.push(
        missing === undefined
          ? { kind: "altered", seq: null, detail: "its entries are not those that were signed" }
          : { kind: "truncated", seq: missing, detail: `entry ${missing} of ${checkpoint.size} that were signed is missing` },
      );
      continue;
    }
    for (const leaf of found) leaf.used = true;
    trees.push({ checkpoint, key, leaves: found });
  }
  for (const [i, one] of trees.entries()) {
    for (const other of trees.slice(i + 1)) {
      const size = Math.min(one.leaves.length, other.leaves.length);
      const at = Array.from({ length: size }, (_, seq) => seq).find((seq) => one.leaves[seq] !== other.leaves[seq]);
      if (at === undefined) continue;
      findings.push(
        one.key === other.key
          ? { kind: "fork", seq: at, detail: `two versions of it were signed by its own key; they part at entry ${at}` }
          : { kind: "altered", seq: at, detail: "it was replaced: two sessions under different keys have its name" },
      );
    }
  }
  // Of two versions each may hold what they share in a row of its own, with entries that they do not share.
  if (copied !== null && !findings.some(({ kind }) => kind === "fork"))
    findings.unshift({ kind: "altered", seq: copied, detail: `entry ${copied} stands there twice` });
  const stray = [...bySeq].filter(([, leaves]) => leaves.some(({ used }) => !used)).map(([seq]) => seq);
  const [first] = stray.sort((a, b) => a - b);
  if (first !== undefined && trees.length > 0)
    findings.push({ kind: "altered", seq: first, detail: `a version of entry ${first} that nobody signed stands there` });
  const longest = Math.max(0, ...trees.map(({ leaves }) => leaves.length));
  return {
    findings,
    longest: trees.length === 0 ? bySeq.size : longest,
    roots: (size) => trees.flatMap(({ leaves }) => (leaves.length >= size ? [rootOfLeaves(leaves.slice(0, size)).toHex()] : [])),
  };

  function rootOfLeaves(leaves: readonly Leaf[]): Uint8Array {
    const frontier = new Frontier(sha256);
    for (const { hash } of leaves) frontier.push(hash);
    return frontier.root();
  }
}
