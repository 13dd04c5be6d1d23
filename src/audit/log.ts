import type { HeartAudit, LeafPlace } from "../heart/audit.ts";
import type { HeartError } from "../heart/port.ts";
import type { Label } from "../lib/label.ts";
import type { Random } from "../lib/ports.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type AuditEntry, certificateText, entryText, originOf, parseEntry } from "./entry.ts";
import { Frontier, leafHash, type Sha256 } from "./merkle.ts";
import type { Verify } from "./verify.ts";
import { checkpointText, openCheckpoint, signNote } from "./note.ts";

/** A key that signs; the secret half never leaves whoever made it. */
export interface SigningKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}

export interface AuditCrypto {
  readonly sha256: Sha256;
  readonly verify: Verify;
  /** A key that exists in this process alone. */
  ephemeral(): SigningKey;
}

export interface AuditDeps {
  readonly heart: HeartAudit;
  readonly heartId: string;
  readonly crypto: AuditCrypto;
  readonly random: Random;
  /** The stick's key, made on first need; the error is a sentence. */
  readonly stick: () => Result<SigningKey, string>;
}

/** What a caller says; the log adds who, when and where. */
type Said<K extends AuditEntry["kind"]> = Omit<
  Extract<AuditEntry, { kind: K }>,
  "version" | "session" | "seq" | "hlc" | "kind" | "payload" | "reference"
>;

export type AuditFailure = { readonly kind: "key"; readonly detail: string } | { readonly kind: "heart"; readonly error: HeartError };

/** Where an entry stands. */
export interface EntryRef {
  readonly session: string;
  readonly seq: number;
}

export interface AuditLog {
  /** Durable when it returns. */
  intent(entry: Said<"intent">, payload: string): Result<EntryRef, AuditFailure>;
  approval(entry: Said<"approval">): Result<EntryRef, AuditFailure>;
  outcome(entry: Said<"outcome">, payload: string, label: Label): Result<EntryRef, AuditFailure>;
  incident(entry: Said<"incident">): Result<EntryRef, AuditFailure>;
  /** This process's session; null while it has written nothing. */
  readonly session: string | null;
}

/** Sessions that a beginning commits to at most; the newest of them, should there be more that nobody committed to. */
const MOST_HEADS = 1000;

/**
 * One session's log: a Merkle tree of entries under a key of its own, which the stick's key certifies and which is never stored. A thief with the
 * stick's key can add a session; he cannot rewrite an old one. The session begins with its first entry, so that a process that writes nothing leaves none.
 */
export function auditLog(deps: AuditDeps): AuditLog {
  let open: { readonly id: string; readonly key: SigningKey; frontier: Frontier } | null = null;

  const append = (
    session: NonNullable<typeof open>,
    payload: { readonly body: string; readonly label: Label } | null,
    make: (common: { version: 1; session: string; seq: number; hlc: number }, place: LeafPlace) => AuditEntry,
  ): Result<EntryRef, AuditFailure> => {
    const { id, key, frontier } = session;
    const seq = frontier.size;
    let next: Frontier | null = null;
    const written = deps.heart.append(id, payload, (place) => {
      const leaf = entryText(make({ version: 1, session: id, seq, hlc: place.hlc }, place));
      // Built beside the tree that stands: the commit may fail.
      next = frontier.copy();
      next.push(leafHash(deps.crypto.sha256, new TextEncoder().encode(leaf)));
      const origin = originOf(deps.heartId, id);
      const text = checkpointText({ origin, size: next.size, root: next.root() });
      return { leaf, checkpoint: signNote(text, { name: origin, publicKey: key.publicKey }, key.sign, deps.crypto.sha256) };
    });
    if (!written.ok) return err({ kind: "heart", error: written.error });
    session.frontier = next ?? frontier;
    return ok({ session: id, seq });
  };

  const begin = (): Result<NonNullable<typeof open>, AuditFailure> => {
    if (open !== null) return ok(open);
    const stick = deps.stick();
    if (!stick.ok) return err({ kind: "key", detail: stick.error });
    const session = { id: deps.random.bytes(16).toHex(), key: deps.crypto.ephemeral(), frontier: new Frontier(deps.crypto.sha256) };
    const key = session.key.publicKey.toHex();
    const certificate = stick.value
      .sign(new TextEncoder().encode(certificateText({ heart: deps.heartId, session: session.id, key })))
      .toHex();
    const heads = maximalHeads(deps);
    const begun = append(session, null, (common) => ({
      ...common,
      kind: "genesis",
      heart: deps.heartId,
      stick: stick.value.publicKey.toHex(),
      key,
      certificate,
      heads: [...heads],
    }));
    if (!begun.ok) return begun;
    open = session;
    return ok(session);
  };

  const write = (
    payload: { readonly body: string; readonly label: Label } | null,
    make: Parameters<typeof append>[2],
  ): Result<EntryRef, AuditFailure> => {
    const session = begin();
    return session.ok ? append(session.value, payload, make) : session;
  };
  const NOTHING = { hash: "0".repeat(64), id: "0".repeat(32) };

  return {
    intent: (entry, payload) =>
      write({ body: payload, label: entry.label as Label }, (common, { payload: kept }) => {
        const { hash, id } = kept ?? NOTHING;
        return { ...entry, ...common, kind: "intent", payload: hash, reference: id };
      }),
    approval: (entry) => write(null, (common) => ({ ...entry, ...common, kind: "approval" })),
    outcome: (entry, payload, label) =>
      write({ body: payload, label }, (common, { payload: kept }) => {
        const { hash, id } = kept ?? NOTHING;
        return { ...entry, ...common, kind: "outcome", payload: hash, reference: id };
      }),
    incident: (entry) => write(null, (common) => ({ ...entry, ...common, kind: "incident" })),
    get session() {
      return open?.id ?? null;
    },
  };
}

/** The heads that no other session's beginning commits to: with them all the others are committed to as well. */
function maximalHeads({ heart, heartId, crypto }: AuditDeps): readonly { session: string; size: number; root: string }[] {
  const covered = new Set<string>();
  const heads = heart.checkpoints().flatMap(({ session, note }) => {
    const genesis = parseEntry(heart.leaves(session)[0] ?? "");
    if (genesis?.kind !== "genesis") return [];
    for (const head of genesis.heads) covered.add(head.session);
    const origin = originOf(heartId, session);
    const checkpoint = openCheckpoint(note, { name: origin, publicKey: Uint8Array.fromHex(genesis.key) }, crypto.verify, crypto.sha256);
    return checkpoint === null ? [] : [{ session, size: checkpoint.size, root: checkpoint.root.toHex(), at: genesis.hlc }];
  });
  return heads
    .filter(({ session }) => !covered.has(session))
    .sort((a, b) => b.at - a.at)
    .slice(0, MOST_HEADS)
    .map(({ session, size, root }) => ({ session, size, root }));
}
