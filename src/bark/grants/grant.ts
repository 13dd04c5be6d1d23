import * as v from "valibot";
import { same } from "../../audit/merkle.ts";
import type { SigningKey } from "../../audit/log.ts";
import type { Dossier } from "../../heart/dossiers.ts";
import type { Millis } from "../../lib/brand.ts";
import { canonicalJson } from "../../lib/canonical-json.ts";
import { type GrantPattern, parsePattern } from "./pattern.ts";

const hex = (bytes: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

/** Of a grant, whoever makes it. */
export const MOST_USES = 500;
export const MOST_DAYS = 365;
export const DAY = 86_400_000;

const GrantSchema = v.strictObject({
  kind: v.literal("grant"),
  version: v.literal(1),
  pattern: v.pipe(v.string(), v.maxLength(4000)),
  /** SHA-256 that stands for the workspace: no path of a computer stands in a heart. */
  place: hex(32),
  /** Files that the call goes by, as they were when somebody agreed: with other bytes it is another call. Null: whatever they hold. */
  inputs: v.nullable(v.pipe(v.array(v.strictObject({ path: v.string(), sha256: hex(32) })), v.maxLength(300))),
  /** Milliseconds since the epoch. */
  expires: count,
  uses: v.pipe(count, v.maxValue(MOST_USES)),
  /** Its name. */
  nonce: hex(16),
  /** Who signed: the stick's key, or the parent's where the stick has one. */
  key: hex(32),
  signature: hex(64),
});
export type GrantBody = v.InferOutput<typeof GrantSchema>;

const NoteSchema = v.variant("kind", [
  v.strictObject({ kind: v.literal("use"), version: v.literal(1) }),
  v.strictObject({ kind: v.literal("revoked"), version: v.literal(1), by: v.string() }),
]);

export const useText = canonicalJson({ kind: "use", version: 1 });
export const revokedText = (by: string): string => canonicalJson({ kind: "revoked", version: 1, by });

/** What is signed: never bytes that could mean something else to another part of Noctem. */
const signedBytes = ({ signature: _, ...rest }: GrantBody): Uint8Array =>
  new TextEncoder().encode(`noctem grant, version 1\n${canonicalJson(rest)}`);

export function grantText(draft: Omit<GrantBody, "kind" | "version" | "key" | "signature">, key: SigningKey): string {
  const body: GrantBody = { kind: "grant", version: 1, ...draft, key: key.publicKey.toHex(), signature: "" };
  return canonicalJson({ ...body, signature: key.sign(signedBytes(body)).toHex() });
}

export interface Grant {
  readonly id: string;
  readonly body: GrantBody;
  readonly pattern: GrantPattern;
  readonly madeAt: Millis;
  readonly left: number;
  readonly state: "good" | "expired" | "used-up" | "revoked";
}

export interface GrantCrypto {
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly verify: (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array) => boolean;
}

/**
 * Null where it is no grant that counts here: not signed by `key` (this stick's, or its parent's), or not readable. A note that cannot be read may have been its end, and is taken
 * for it.
 */
export function grantOf({ opened, notes }: Dossier, now: Millis, key: Uint8Array, { verify }: GrantCrypto): Grant | null {
  const body = parsed(GrantSchema, opened.body);
  if (body === null || !same(Uint8Array.fromHex(body.key), key)) return null;
  if (!verify(key, signedBytes(body), Uint8Array.fromHex(body.signature))) return null;
  const pattern = parsePattern(body.pattern);
  if (!pattern.ok) return null;
  const read = notes.map((note) => parsed(NoteSchema, note.body));
  const left = Math.max(0, body.uses - read.filter((note) => note?.kind === "use").length);
  const revoked = read.some((note) => note === null || note.kind === "revoked");
  const expired = now > body.expires;
  const state = revoked ? "revoked" : expired ? "expired" : left === 0 ? "used-up" : "good";
  return { id: opened.id, body, pattern: pattern.value, madeAt: opened.at, left, state };
}

export const placeOf = (workspace: string, sha256: GrantCrypto["sha256"]): string =>
  sha256(new TextEncoder().encode(`noctem workspace\n${workspace}`)).toHex();

function parsed<S extends v.GenericSchema>(schema: S, body: string | null): v.InferOutput<S> | null {
  if (body === null) return null;
  try {
    const result = v.safeParse(schema, JSON.parse(body));
    return result.success ? result.output : null;
  } catch {
    return null;
  }
}
