import * as v from "valibot";
import type { Dossier } from "../../heart/dossiers.ts";
import type { Entry } from "../../heart/entries.ts";
import type { Millis } from "../../lib/brand.ts";
import { canonicalJson } from "../../lib/canonical-json.ts";
import type { Label } from "../../lib/label.ts";

/**
 * A question that waits in the heart, and what was said about it. All of it is data of the heart, sealed row by row; what it means is said here, as functions of what
 * stands there.
 */
const hex = (bytes: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const text = (most: number) => v.pipe(v.string(), v.maxLength(most));
/** A question has 400 lines of 2,000 characters at most, and a rehearsal's below them. */
const lines = v.pipe(v.array(text(4000)), v.maxLength(800));
const level = v.picklist([0, 1, 2, 3, 4]);

const PendingSchema = v.strictObject({
  kind: v.literal("pending"),
  version: v.literal(1),
  /** Whose question: a conversation's id, or "console". An answer to one is none to another. */
  session: text(100),
  skill: text(100),
  tier: level,
  rule: text(200),
  /** As a person names it; for lists. */
  object: text(300),
  /** Digest of the exact effect: command, input, environment, mounts, limits, and the files that it names, by their hashes. */
  effect: hex(32),
  policy: text(100),
  context: v.strictObject({ c: level, k: v.array(text(200)), i: level, p: v.array(text(1000)) }),
  /** Where the call stands in the log; null where it stands in none. */
  intent: v.nullable(v.strictObject({ session: hex(16), seq: count })),
  nonce: hex(16),
  /** Milliseconds since the epoch. */
  expires: count,
  mayRehearse: v.boolean(),
  /** What a person is shown, whole. */
  lines,
});
export type Pending = v.InferOutput<typeof PendingSchema>;

const NoteSchema = v.variant("kind", [
  v.strictObject({
    kind: v.literal("decision"),
    version: v.literal(1),
    answer: v.picklist(["allowed", "denied", "unanswered"]),
    /** Of the question as whoever answered saw it. */
    digest: hex(32),
    by: text(100),
    /** For the model; null without one. */
    reason: v.nullable(text(1000)),
  }),
  /** The answer was used: it is good once. */
  v.strictObject({ kind: v.literal("spent"), version: v.literal(1), digest: hex(32) }),
  /** A person wants to see first what it would do. */
  v.strictObject({ kind: v.literal("wish"), version: v.literal(1) }),
  /** What it would do. */
  v.strictObject({ kind: v.literal("rehearsal"), version: v.literal(1), lines }),
]);
export type Note = v.InferOutput<typeof NoteSchema>;

export const pendingText = (pending: Omit<Pending, "kind" | "version">): string =>
  canonicalJson({ kind: "pending", version: 1, ...pending });

type Unversioned<T> = T extends unknown ? Omit<T, "version"> : never;
export const noteText = (note: Unversioned<Note>): string => canonicalJson({ version: 1, ...note });

/** SHA-256 over all of a question: what is done, why it was asked, who asked, until when, and every line that is shown. */
export const digestOf = (pending: Pending, sha256: (bytes: Uint8Array) => Uint8Array): string =>
  sha256(new TextEncoder().encode(`noctem approval, version 1\n${canonicalJson(pending)}`)).toHex();

export type State =
  | { readonly kind: "open" }
  /** `at`: when. */
  | { readonly kind: "decided"; readonly decision: Extract<Note, { kind: "decision" }>; readonly at: Millis; readonly spent: boolean }
  /** Its time has passed, or what stands there can no longer be read: both are a no. */
  | { readonly kind: "closed"; readonly because: "expired" | "unreadable" };

export interface Question {
  readonly id: string;
  readonly pending: Pending;
  readonly digest: string;
  readonly openedAt: Millis;
  readonly state: State;
  /** What a rehearsal showed last; null before one. */
  readonly rehearsal: readonly string[] | null;
  /** Wishes that nobody has answered yet. */
  readonly wishes: number;
  readonly rehearsals: number;
}

/** Null when it is no question that this version can read: then it has no answer either. */
export function questionOf({ opened, notes }: Dossier, now: Millis, sha256: (bytes: Uint8Array) => Uint8Array): Question | null {
  const pending = parsed(PendingSchema, opened);
  if (pending === null) return null;
  const digest = digestOf(pending, sha256);
  const read = notes.map((entry) => ({ at: entry.at, note: parsed(NoteSchema, entry) }));
  const seen = read.flatMap(({ note }) => (note?.kind === "rehearsal" ? [note.lines] : []));
  const wished = read.filter(({ note }) => note?.kind === "wish").length;
  return {
    id: opened.id,
    pending,
    digest,
    openedAt: opened.at,
    state: stateOf(pending, digest, read, now),
    rehearsal: seen.at(-1) ?? null,
    wishes: wished - seen.length,
    rehearsals: seen.length,
  };
}

/**
 * The first decision counts. Two copies may have been decided differently before they met: then a no counts, whichever came first. A note that cannot be read closes the
 * question, since it may have been a no.
 */
function stateOf(
  pending: Pending,
  digest: string,
  notes: readonly { readonly at: Millis; readonly note: Note | null }[],
  now: Millis,
): State {
  if (notes.some(({ note }) => note === null)) return { kind: "closed", because: "unreadable" };
  const decisions = notes.flatMap(({ at, note }) => (note?.kind === "decision" ? [{ at, decision: note }] : []));
  const first = decisions.find(({ decision }) => decision.answer !== "allowed") ?? decisions[0];
  const spent = notes.some(({ note }) => note?.kind === "spent");
  if (first === undefined) return spent || now > pending.expires ? { kind: "closed", because: "expired" } : { kind: "open" };
  const { decision, at } = first;
  // An answer to other words, or one that came too late, is none: and there is no second one.
  if (decision.answer === "allowed" && (decision.digest !== digest || at > pending.expires)) return { kind: "closed", because: "expired" };
  return { kind: "decided", decision, at, spent };
}

function parsed<S extends v.GenericSchema>(schema: S, { body, damaged }: Entry): v.InferOutput<S> | null {
  if (body === null || damaged) return null;
  try {
    const result = v.safeParse(schema, JSON.parse(body));
    return result.success ? result.output : null;
  } catch {
    return null;
  }
}

/** Same question by the same asker, but for its nonce, its end and its place in the log: who was cut off while waiting may go on with the one that stands. */
export const isSame = (a: Pending, b: Pending): boolean => {
  const bare = ({ nonce: _n, expires: _e, intent: _i, ...rest }: Pending): string => canonicalJson(rest);
  return bare(a) === bare(b);
};

/** As it stands in the heart, with its order made one. */
export const plainLabel = ({ c, k, i, p }: Label): Pending["context"] => ({ c, k: [...k], i, p: p.map((source) => source.slice(0, 1000)) });
