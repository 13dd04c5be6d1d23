import * as v from "valibot";
import { canonicalJson, type Json } from "../lib/canonical-json.ts";

/**
 * Entries of the audit log. What is stored, hashed and verified is the canonical text (RFC 8785) itself, never a value made from it again. Integers and
 * strings only: nothing in it may have two spellings.
 */
const hex = (bytes: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const text = v.pipe(v.string(), v.maxLength(4000));
const label = v.strictObject({
  c: v.pipe(count, v.maxValue(4)),
  k: v.array(text),
  i: v.pipe(count, v.maxValue(4)),
  p: v.array(text),
});
const common = { version: v.literal(1), session: hex(16), seq: count, hlc: count };

const EntrySchema = v.variant("kind", [
  /** The first of a session: who signs, and which logs it could see by then. Past sessions cannot be dropped or changed without breaking it. */
  v.strictObject({
    ...common,
    kind: v.literal("genesis"),
    heart: hex(16),
    /** Public keys; the stick's has signed the session's (`certificateText`). */
    stick: hex(32),
    key: hex(32),
    certificate: hex(64),
    heads: v.array(v.strictObject({ session: hex(16), size: count, root: hex(32) })),
  }),
  /** Committed before the effect. */
  v.strictObject({
    ...common,
    kind: v.literal("intent"),
    subject: text,
    operation: text,
    object: text,
    label,
    decision: v.picklist(["allow", "ask", "deny"]),
    rule: text,
    policy: text,
    /** Digest of the exact effect. */
    effect: hex(32),
    /** SHA-256(salt ‖ payload) of what lies apart, and the row it lies in: forgetting it keeps the log valid. */
    payload: hex(32),
    reference: hex(16),
    severity: v.pipe(count, v.maxValue(4)),
  }),
  v.strictObject({
    ...common,
    kind: v.literal("approval"),
    /** Seq of the intent. */
    of: count,
    answer: v.picklist(["allowed", "denied", "unanswered"]),
    digest: hex(32),
    by: text,
  }),
  v.strictObject({
    ...common,
    kind: v.literal("outcome"),
    of: count,
    status: text,
    detail: text,
    payload: hex(32),
    reference: hex(16),
  }),
  v.strictObject({ ...common, kind: v.literal("incident"), what: text, detail: text, severity: v.pipe(count, v.maxValue(4)) }),
]);

export type AuditEntry = v.InferOutput<typeof EntrySchema>;
/** Bytes of an entry at most. */
const MOST = 64 * 1024;

/** Throws on what is no entry: a bug. */
export function entryText(entry: AuditEntry): string {
  return canonicalJson(v.parse(EntrySchema, entry) as Json);
}

/** `null` when it is not an entry, or not its one canonical text: duplicate keys, other orders and other spellings all are something else. */
export function parseEntry(stored: string): AuditEntry | null {
  if (stored.length > MOST || !stored.isWellFormed()) return null;
  let value: unknown;
  try {
    value = JSON.parse(stored);
  } catch {
    return null;
  }
  const parsed = v.safeParse(EntrySchema, value);
  return parsed.success && canonicalJson(parsed.output) === stored ? parsed.output : null;
}

/** What the stick's key signs for a session. */
export const certificateText = (parts: { readonly heart: string; readonly session: string; readonly key: string }): string =>
  canonicalJson({ kind: "noctem-session-certificate", version: 1, ...parts });

export const originOf = (heart: string, session: string): string => `noctem/${heart}/${session}`;
