import type { HeartAudit, LeafPlace } from "../heart/audit.ts";
import type { HeartError } from "../heart/port.ts";
import type { Label } from "../lib/label.ts";
import type { Random } from "../lib/ports.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type AuditEntry, certificateText, entryText, originOf } from "./entry.ts";
import { maximalHeads, unanswered } from "./heads.ts";
import { Frontier, leafHasher, type Sha256 } from "./merkle.ts";
import { checkpointText, noteSigner } from "./note.ts";
import type { Verify } from "./verify.ts";

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
  /** What each session says first of all: which rules are in force, for one. */
  readonly opening?: () => readonly Draft[];
  /** Who else writes right now; without it nobody does. */
  readonly presence?: SittingPresence;
}

/** Tells a call that still runs in another process from one that was cut off. */
export interface SittingPresence {
  /** Until it is disposed, or this process ends. */
  hold(session: string): Disposable;
  isHeld(session: string): boolean;
}

/** Where an entry stands. */
export interface EntryRef {
  readonly session: string;
  readonly seq: number;
}

type Common = "version" | "session" | "seq" | "hlc" | "payload" | "reference" | "where";
type Kind = Exclude<AuditEntry["kind"], "genesis">;
/** What a caller says; the log adds who, when and where. What is about an intent names it by its place. */
type DraftOf<K extends Kind> = {
  readonly [P in keyof Extract<AuditEntry, { kind: K }> as Exclude<P, Common>]: P extends "of"
    ? EntryRef
    : Extract<AuditEntry, { kind: K }>[P];
};
export type Draft = { [K in Kind]: DraftOf<K> }[Kind];
type Said<K extends Kind> = Omit<DraftOf<K>, "kind">;

/** What lies apart from its entry. */
export interface Payload {
  readonly body: string;
  readonly label: Label;
}
export interface Written {
  readonly draft: Draft;
  readonly payload?: Payload;
}

export type AuditFailure = { readonly kind: "key"; readonly detail: string } | { readonly kind: "heart"; readonly error: HeartError };

export interface AuditLog {
  /** All of it in one durable commit; none of it where that fails. */
  write(entries: readonly Written[]): Result<readonly EntryRef[], AuditFailure>;
  /** Durable when it returns. */
  intent(entry: Said<"intent">, payload: string): Result<EntryRef, AuditFailure>;
  approval(entry: Said<"approval">): Result<EntryRef, AuditFailure>;
  outcome(entry: Said<"outcome">, payload: string, label: Label): Result<EntryRef, AuditFailure>;
  grant(entry: Said<"grant">): Result<EntryRef, AuditFailure>;
  parent(entry: Said<"parent">): Result<EntryRef, AuditFailure>;
  incident(entry: Said<"incident">): Result<EntryRef, AuditFailure>;
  /** Says that the session ended in order. Nothing where nothing was written. */
  end(reason: string): Result<void, AuditFailure>;
  /** This process's session; null while it has written nothing. */
  readonly session: string | null;
  /** What earlier sessions began and no outcome tells of, as sentences; known once this one has begun. */
  readonly interrupted: readonly string[];
}

/**
 * Entries after which a session gives way to the next, once nothing in it waits for its outcome. It bounds what a proof reads, and how much one key that
 * was stolen from a process's memory could speak for.
 */
export const SESSION_LIMIT = 500;

interface OpenSession {
  readonly id: string;
  /** Its log's name. */
  readonly origin: string;
  /** A checkpoint's text as its key signs it. */
  readonly signed: (text: string) => string;
  frontier: Frontier;
  /** As it stands in the heart. */
  note: string | null;
  /** Seqs of intents without an outcome. */
  readonly waiting: Set<number>;
  readonly presence: Disposable | null;
}

/** An entry that waits for its place. */
interface Item {
  readonly payload: Payload | null;
  /** Null where there turns out to be nothing to say. */
  readonly make: (session: string, seq: number, place: LeafPlace) => AuditEntry | null;
}

/**
 * One session's log: a Merkle tree of entries under a key of its own, which the stick's key certifies and which is never stored. A thief with the
 * stick's key can add a session; he cannot rewrite an old one. The session begins with its first entry, so that a process that writes nothing leaves none.
 */
export function auditLog(deps: AuditDeps): AuditLog {
  const hashOf = leafHasher(deps.crypto.sha256);
  let open: OpenSession | null = null;
  let interrupted: readonly string[] = [];

  /** Every leaf of `items`, the checkpoint over all of them, in one commit. */
  const append = (
    session: OpenSession,
    items: readonly Item[],
    { remember, isLast = false }: { readonly remember?: readonly string[]; readonly isLast?: boolean } = {},
  ): Result<"moved" | readonly LeafPlace[], AuditFailure> => {
    const { id, origin, signed } = session;
    // Built beside the tree that stands: the commit may fail.
    let next = session.frontier;
    let note = "";
    let given: readonly LeafPlace[] = [];
    const written = deps.heart.append({
      session: id,
      after: session.note,
      payloads: items.map(({ payload }) => payload),
      make: (places) => {
        given = places;
        next = session.frontier.copy();
        const leaves: string[] = [];
        for (const [i, { make }] of items.entries()) {
          const entry = make(id, next.size, places[i] ?? { hlc: 0 as never, clock: 0, payload: null });
          if (entry === null) continue;
          const leaf = entryText(entry);
          next.push(hashOf(leaf));
          leaves.push(leaf);
        }
        note = signed(checkpointText({ origin, size: next.size, root: next.root() }));
        return { leaves, checkpoint: note };
      },
      ...(remember && { remember }),
      isLast,
    });
    if (!written.ok) return err({ kind: "heart", error: written.error });
    if (written.value === "moved") return ok("moved");
    session.frontier = next;
    session.note = note;
    return ok(given);
  };

  const itemOf = ({ draft, payload }: Written): Item => ({
    payload: payload ?? null,
    make: (session, seq, { hlc, payload: kept }) => {
      const placed: Record<string, unknown> = { ...draft, version: 1, session, seq, hlc };
      if ("of" in draft) {
        placed["of"] = draft.of.seq;
        if (draft.of.session !== session) placed["where"] = draft.of.session;
      }
      if (draft.kind === "intent" || draft.kind === "outcome") {
        placed["payload"] = kept?.hash ?? "0".repeat(64);
        placed["reference"] = kept?.id ?? "0".repeat(32);
      }
      // `entryText` holds it against the schema.
      return placed as AuditEntry;
    },
  });

  const begin = (stick: SigningKey, entries: readonly Written[], isLast: boolean): Result<readonly EntryRef[], AuditFailure> => {
    const id = deps.random.bytes(16).toHex();
    const own = deps.crypto.ephemeral();
    const origin = originOf(deps.heartId, id);
    const session: OpenSession = {
      id,
      origin,
      signed: noteSigner({ name: origin, publicKey: own.publicKey }, own.sign, deps.crypto.sha256),
      frontier: new Frontier(deps.crypto.sha256),
      note: null,
      waiting: new Set(),
      // Before its first entry is there to be seen.
      presence: deps.presence?.hold(id) ?? null,
    };
    const key = own.publicKey.toHex();
    const certificate = stick.sign(new TextEncoder().encode(certificateText({ heart: deps.heartId, session: id, key }))).toHex();
    const { heads, remember } = maximalHeads(deps);
    const cut = unanswered(
      deps.heart,
      heads.map((head) => head.session).filter((head) => deps.presence?.isHeld(head) !== true),
    );
    const genesis: Item = {
      payload: null,
      make: (of, seq, { hlc, clock }) => ({
        version: 1,
        session: of,
        seq,
        hlc,
        kind: "genesis",
        heart: deps.heartId,
        stick: stick.publicKey.toHex(),
        key,
        certificate,
        clock,
        heads: [...heads],
      }),
    };
    // Known once the transaction runs.
    const doubt: Item = {
      payload: null,
      make: (of, seq, place) =>
        place.clock === 0
          ? null
          : itemOf({ draft: { kind: "incident", what: "audit.clock", detail: clockText(place.clock), severity: 2 } }).make(of, seq, place),
    };
    const first = [
      ...cut.map((detail): Written => ({ draft: { kind: "incident", what: "audit.interrupted", detail, severity: 2 } })),
      ...(deps.opening?.() ?? []).map((draft): Written => ({ draft })),
    ];
    const begun = append(session, [genesis, doubt, ...first.map(itemOf), ...entries.map(itemOf)], { remember, isLast });
    if (!begun.ok) {
      session.presence?.[Symbol.dispose]();
      return begun;
    }
    open = session;
    interrupted = cut;
    const doubts = begun.value !== "moved" && begun.value[0]?.clock !== 0 ? 1 : 0;
    return ok(entries.map((_, i) => ({ session: id, seq: 1 + doubts + first.length + i })));
  };

  const leave = (): void => {
    open?.presence?.[Symbol.dispose]();
    open = null;
  };

  const write = (entries: readonly Written[]): Result<readonly EntryRef[], AuditFailure> => {
    const isLast = entries.at(-1)?.draft.kind === "end";
    const full = open !== null && open.frontier.size >= SESSION_LIMIT && open.waiting.size === 0;
    if (full && open !== null) {
      append(open, [itemOf({ draft: { kind: "end", reason: "full" } })], { isLast: true });
      leave();
    }
    let refs: readonly EntryRef[] | null = null;
    if (open !== null) {
      const first = open.frontier.size;
      const { id } = open;
      const appended = append(open, entries.map(itemOf), { isLast });
      if (!appended.ok) return appended;
      // Where the file was changed under us, its last word is another session's; this one cannot go on in it.
      if (appended.value !== "moved") refs = entries.map((_, i) => ({ session: id, seq: first + i }));
    }
    if (refs === null) {
      const stick = deps.stick();
      if (!stick.ok) return err({ kind: "key", detail: stick.error });
      const begun = begin(stick.value, entries, isLast);
      if (!begun.ok) return begun;
      refs = begun.value;
    }
    if (isLast) leave();
    for (const [i, { draft }] of entries.entries()) {
      if (draft.kind === "intent") open?.waiting.add(refs[i]?.seq ?? -1);
      if (draft.kind === "outcome" && draft.of.session === open?.id) open.waiting.delete(draft.of.seq);
    }
    return ok(refs);
  };
  const one = (entry: Written): Result<EntryRef, AuditFailure> => {
    const written = write([entry]);
    return written.ok ? ok(written.value[0] ?? { session: "", seq: 0 }) : written;
  };

  return {
    write,
    intent: (entry, body) => one({ draft: { ...entry, kind: "intent" }, payload: { body, label: entry.label as Label } }),
    approval: (entry) => one({ draft: { ...entry, kind: "approval" } }),
    outcome: (entry, body, label) => one({ draft: { ...entry, kind: "outcome" }, payload: { body, label } }),
    grant: (entry) => one({ draft: { ...entry, kind: "grant" } }),
    parent: (entry) => one({ draft: { ...entry, kind: "parent" } }),
    incident: (entry) => one({ draft: { ...entry, kind: "incident" } }),
    end(reason) {
      if (open === null) return ok(undefined);
      const ended = append(open, [itemOf({ draft: { kind: "end", reason } })], { isLast: true });
      leave();
      return ended.ok ? ok(undefined) : ended;
    },
    get session() {
      return open?.id ?? null;
    },
    get interrupted() {
      return interrupted;
    },
  };
}

/** Bits of the heart's `ClockFault`. */
const CLOCK: readonly (readonly [number, string])[] = [
  [1, "it stands before what the heart has seen"],
  [2, "it stands before this program was made"],
  [4, "it leapt ahead by more than 90 days"],
];
export const clockText = (faults: number): string =>
  `the clock of this computer cannot be believed: ${CLOCK.flatMap(([bit, text]) => ((faults & bit) === 0 ? [] : [text])).join(", ")}`;
