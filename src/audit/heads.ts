import type { HeartAudit } from "../heart/audit.ts";
import { originOf, parseEntry, type AuditEntry } from "./entry.ts";
import type { Sha256 } from "./merkle.ts";
import { openCheckpoint } from "./note.ts";
import type { Verify } from "./verify.ts";

/** A log as another one commits to it. */
export interface Head {
  readonly session: string;
  readonly size: number;
  /** 32 bytes in hex. */
  readonly root: string;
}

/** Sessions that a beginning commits to at most, so that it stays an entry that is read (64 KiB); the newest of them, should there be more that nobody committed to. */
export const MOST_HEADS = 400;

interface HeadDeps {
  readonly heart: HeartAudit;
  readonly heartId: string;
  readonly crypto: { readonly sha256: Sha256; readonly verify: Verify };
}

/** Sessions that were committed to and may go on all the same, because another process writes them: so many are looked at once more. */
const MOST_LIVE = 8;

/**
 * The heads that no other session's beginning commits to: with them all the others are committed to as well. `remember` is what the next beginning has
 * to look at again, in a form of its own.
 *
 * What was maximal when this file's last session began is remembered in it, so that only sessions that came since are looked at: a start costs the
 * same after ten sessions and after 36,500.
 */
export function maximalHeads({ heart, heartId, crypto }: HeadDeps): {
  readonly heads: readonly Head[];
  readonly remember: readonly string[];
} {
  /** Sessions, and up to which size others commit to them. */
  const sizes = new Map<string, number>();
  const take = (leaf: string): void => {
    const genesis = parseEntry(leaf);
    if (genesis?.kind !== "genesis") return;
    sizes.set(genesis.session, sizes.get(genesis.session) ?? 0);
    for (const { session, size } of genesis.heads) sizes.set(session, Math.max(size, sizes.get(session) ?? 0));
  };
  const since = heart.newBeginnings();
  if (since === null) for (const { session } of heart.checkpoints()) take(heart.beginning(session) ?? heart.leaves(session)[0] ?? "");
  else {
    sizes.set(since.session, 0);
    for (const text of since.remembered) {
      const [session = "", size = "0"] = text.split(":");
      sizes.set(session, Number(size));
    }
    for (const leaf of since.leaves) take(leaf);
  }
  const found = [...sizes].flatMap(([session, committed]) => {
    const note = heart.checkpoint(session);
    // Before its signature is looked at, which costs more than all the rest.
    if (note === null || Number(note.split("\n", 2)[1]) <= committed) return [];
    const genesis = parseEntry(heart.beginning(session) ?? heart.leaves(session)[0] ?? "");
    if (genesis?.kind !== "genesis") return [];
    const name = originOf(heartId, session);
    const checkpoint = openCheckpoint(note, { name, publicKey: Uint8Array.fromHex(genesis.key) }, crypto.verify, crypto.sha256);
    return checkpoint === null ? [] : [{ session, size: checkpoint.size, root: checkpoint.root.toHex(), at: genesis.hlc }];
  });
  found.sort((a, b) => b.at - a.at);
  const heads = found.slice(0, MOST_HEADS).map(({ session, size, root }) => ({ session, size, root }));
  const before = [...sizes].filter(([session, size]) => size > 0 && !heads.some((head) => head.session === session));
  return {
    heads,
    remember: [
      ...found.slice(MOST_HEADS).map(({ session }) => `${session}:${sizes.get(session) ?? 0}`),
      ...[
        ...heads.map(({ session, size }) => `${session}:${size}`),
        ...before.toReversed().map(([session, size]) => `${session}:${size}`),
      ].slice(0, MOST_LIVE),
    ],
  };
}

/** Sessions that are looked at for what was begun and never told the end of, the newest; and what is told of at most. */
const LOOKED_AT = 8;
const MOST_TOLD = 20;

/**
 * Intents without an outcome in sessions that nothing follows yet: a program was killed between the two, or still runs on another computer. Told once,
 * because the session that tells of them is what follows.
 */
export function unanswered(heart: HeartAudit, sessions: readonly string[]): readonly string[] {
  const told: string[] = [];
  for (const session of sessions.slice(0, LOOKED_AT)) {
    for (const { seq, entry } of openIntents(heart.leaves(session).map(parseEntry)))
      told.push(`${session}:${seq} ${entry.subject} ${entry.operation} ${entry.object}`.slice(0, 300).toWellFormed());
  }
  return told.slice(0, MOST_TOLD);
}

/** Of one session's entries. Refused ones do not count: nothing was to follow. */
function openIntents(
  entries: readonly (AuditEntry | null)[],
): readonly { readonly seq: number; readonly entry: Extract<AuditEntry, { kind: "intent" }> }[] {
  const open = new Map<number, Extract<AuditEntry, { kind: "intent" }>>();
  for (const entry of entries) {
    if (entry?.kind === "intent") open.set(entry.seq, entry);
    if (entry?.kind === "outcome") open.delete(entry.of);
  }
  return [...open].map(([seq, entry]) => ({ seq, entry }));
}
