import * as v from "valibot";
import { canonicalJson, type Json } from "../lib/canonical-json.ts";
import { type FieldText, objectText, quick } from "./entry-fields.ts";

/**
 * Entries of the audit log. What is stored, hashed and verified is the canonical text (RFC 8785) itself, never a value made from it again. Integers and
 * strings only: nothing in it may have two spellings.
 */
const hex = (bytes: number) => {
  const form = new RegExp(`^[0-9a-f]{${bytes * 2}}$`);
  return quick(v.pipe(v.string(), v.regex(form)), (value) => (typeof value === "string" && form.test(value) ? `"${value}"` : null));
};
const count = quick(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), (value) =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? JSON.stringify(value) : null,
);
const LONGEST = 4000;
/** An escape can spell half a character, which has no bytes. */
const text = quick(
  v.pipe(
    v.string(),
    v.maxLength(LONGEST),
    v.check((value) => value.isWellFormed()),
  ),
  (value) => (typeof value === "string" && value.length <= LONGEST && value.isWellFormed() ? JSON.stringify(value) : null),
);
const label = v.strictObject({
  c: v.pipe(count, v.maxValue(4)),
  k: v.array(text),
  i: v.pipe(count, v.maxValue(4)),
  p: v.array(text),
});
const severity = v.pipe(count, v.maxValue(4));
const common = { version: v.literal(1), session: hex(16), seq: count, hlc: count };
/** The intent that an entry is about: its seq, and its session where that is another one. */
const about = { of: count, where: v.optional(hex(16)) };
/** SHA-256(salt ‖ payload) of what lies apart, and the row it lies in: forgetting it keeps the log valid. */
const apart = { payload: hex(32), reference: hex(16) };

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
    /** What was wrong with the host's clock: bits of `ClockFault` in the heart. */
    clock: count,
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
    ...apart,
    severity,
  }),
  v.strictObject({
    ...common,
    kind: v.literal("approval"),
    ...about,
    answer: v.picklist(["allowed", "denied", "unanswered"]),
    digest: hex(32),
    by: text,
    /** Milliseconds from the question to the answer; the question, where it waited in the heart. */
    waited: v.optional(count),
    question: v.optional(hex(16)),
  }),
  v.strictObject({ ...common, kind: v.literal("outcome"), ...about, status: text, detail: text, ...apart }),
  /** How a process ran: what really held it, as it was measured, not as it was planned. */
  v.strictObject({ ...common, kind: v.literal("execution"), ...about, level: text, view: text, code: text, stopped: text, wall: count }),
  /** What became of the files that it changed, and a digest of the names. */
  v.strictObject({
    ...common,
    kind: v.literal("difference"),
    ...about,
    applied: count,
    left: count,
    waiting: count,
    refused: count,
    conflicts: count,
    digest: hex(32),
  }),
  /** A standing permission, in its exact words. `expires` in milliseconds since 1970, 0 for never; `uses` that are left. */
  v.strictObject({
    ...common,
    kind: v.literal("grant"),
    what: v.picklist(["made", "used", "revoked", "refused"]),
    grant: text,
    skill: text,
    pattern: text,
    expires: count,
    uses: count,
    by: text,
  }),
  v.strictObject({ ...common, kind: v.literal("policy"), hash: text, overlay: text }),
  /** SHA-256 of the file in hex; empty where nobody knows it. */
  v.strictObject({ ...common, kind: v.literal("model"), role: v.picklist(["model", "adapter"]), name: text, digest: text, bytes: count }),
  /** Counts of rows that came or went. */
  v.strictObject({
    ...common,
    kind: v.literal("sync"),
    direction: v.picklist(["take", "give"]),
    replica: hex(16),
    messages: count,
    forgotten: count,
    values: count,
    entries: count,
    tasks: count,
    sessions: count,
    conflicts: count,
  }),
  /** What a person did with the heart as a whole: backup, restore, fork, repair, export, import … */
  v.strictObject({ ...common, kind: v.literal("heart"), what: text, detail: text }),
  v.strictObject({ ...common, kind: v.literal("forget"), what: text, count }),
  v.strictObject({ ...common, kind: v.literal("config"), name: text, action: text }),
  /** A key signed something other than the log itself: what for, and the SHA-256 of what was signed. */
  v.strictObject({ ...common, kind: v.literal("key"), key: hex(32), use: text, digest: hex(32) }),
  v.strictObject({ ...common, kind: v.literal("training"), what: text, detail: text, digest: text }),
  /** What concerns the parent's key: set, unlocked, locked, a wrong PIN. */
  v.strictObject({ ...common, kind: v.literal("parent"), what: text, detail: text }),
  v.strictObject({ ...common, kind: v.literal("incident"), what: text, detail: text, severity }),
  /** The last of a session that was not cut off. */
  v.strictObject({ ...common, kind: v.literal("end"), reason: text }),
]);

export type AuditEntry = v.InferOutput<typeof EntrySchema>;
/** By its kind at once: to try eighteen schemas for each of a million entries is half of what a check costs. */
const SCHEMAS = new Map<unknown, (typeof EntrySchema.options)[number]>(
  EntrySchema.options.map((schema) => [schema.entries.kind.literal, schema]),
);

function schemaOf(value: unknown): (typeof EntrySchema.options)[number] | null {
  return (typeof value === "object" && value !== null && "kind" in value ? SCHEMAS.get(value.kind) : undefined) ?? null;
}

/** Bytes of an entry at most. */
const MOST = 64 * 1024;

/** Throws on what is no entry: a bug. */
export function entryText(entry: AuditEntry): string {
  return TEXTS.get(entry.kind)?.(entry) ?? canonicalJson(v.parse(schemaOf(entry) ?? EntrySchema, entry) as unknown as Json);
}

const bySchema = (schema: v.GenericSchema, value: unknown): string | null => {
  const parsed = v.safeParse(schema, value);
  return parsed.success ? canonicalJson(parsed.output as Json) : null;
};
const TEXTS = new Map<unknown, FieldText>(EntrySchema.options.map(({ entries }) => [entries.kind.literal, objectText(entries, bySchema)]));

/** `null` when it is not an entry, or not its one canonical text: duplicate keys, other orders and other spellings all are something else. */
export function parseEntry(stored: string): AuditEntry | null {
  if (stored.length > MOST || !stored.isWellFormed()) return null;
  let value: unknown;
  try {
    value = JSON.parse(stored);
  } catch {
    return null;
  }
  const schema = schemaOf(value);
  const parsed = schema === null ? null : v.safeParse(schema, value);
  return parsed?.success === true && canonicalJson(parsed.output as unknown as Json) === stored ? parsed.output : null;
}

/** What the stick's key signs for a session. */
export const certificateText = (parts: { readonly heart: string; readonly session: string; readonly key: string }): string =>
  canonicalJson({ kind: "noctem-session-certificate", version: 1, ...parts });

export const originOf = (heart: string, session: string): string => `noctem/${heart}/${session}`;
