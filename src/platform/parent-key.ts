/** The parent's key: Ed25519, its secret half only ever in a file under a passphrase (argon2id, AES-256-GCM). */
import { argon2, createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import * as v from "valibot";
import type { SigningKey } from "../audit/log.ts";
import { NOTE_NAME, type NoteKey } from "../audit/note.ts";
import { parseVerifierKey, verifierKeyText } from "../audit/verifier-key.ts";
import { canonicalJson, type Json } from "../lib/canonical-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { auditCrypto, signingKey } from "./audit-crypto.ts";
import { heartFiles } from "./key-store.ts";

/** A key that signs under a name, as notes and cosignatures want it. */
export interface NamedSigner extends SigningKey {
  readonly name: string;
}

/** How long one guess takes: 1.2 s and 256 MiB on two cores. `memory` in KiB. */
export interface Stretching {
  readonly memory: number;
  readonly passes: number;
}
export const STRETCHING: Stretching = { memory: 256 * 1024, passes: 3 };
/** A file from elsewhere must not take the computer's memory, nor an afternoon. */
const MOST: Stretching = { memory: 1024 * 1024, passes: 10 };
export const LEAST_PASSPHRASE = 8;

const hex = (bytes: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)));
const upTo = (most: number) => v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(most));
const KeyFile = v.strictObject({
  kind: v.literal("noctem-parent-key"),
  version: v.literal(1),
  name: v.pipe(v.string(), v.regex(NOTE_NAME)),
  public: hex(32),
  kdf: v.strictObject({ name: v.literal("argon2id"), memory: upTo(MOST.memory), passes: upTo(MOST.passes), salt: hex(16) }),
  cipher: v.strictObject({ name: v.literal("aes-256-gcm"), nonce: hex(12) }),
  /** The 32 secret bytes and the tag of 16, under everything above as additional data. */
  wrapped: hex(48),
});
type KeyFile = v.InferOutput<typeof KeyFile>;
const LIMIT = 16_384;

/** The text of a key file, and its public half. */
export async function makeParentKey(
  name: string,
  passphrase: string,
  stretching: Stretching = STRETCHING,
): Promise<{ readonly file: string; readonly key: NoteKey }> {
  const seed = new Uint8Array(randomBytes(32));
  const { publicKey } = signingKey(seed);
  const head = {
    kind: "noctem-parent-key",
    version: 1,
    name,
    public: publicKey.toHex(),
    kdf: { name: "argon2id", ...stretching, salt: randomBytes(16).toString("hex") },
    cipher: { name: "aes-256-gcm", nonce: randomBytes(12).toString("hex") },
  } as const;
  const cipher = createCipheriv("aes-256-gcm", await stretched(passphrase, head.kdf), Buffer.from(head.cipher.nonce, "hex"));
  cipher.setAAD(additional(head));
  const wrapped = Buffer.concat([cipher.update(seed), cipher.final(), cipher.getAuthTag()]).toString("hex");
  seed.fill(0);
  return { file: `${canonicalJson({ ...head, wrapped })}\n`, key: { name, publicKey } };
}

export type UnlockFailure =
  | { readonly kind: "missing"; readonly path: string }
  | { readonly kind: "broken"; readonly path: string; readonly detail: string }
  /** Also what a file says whose unencrypted part was changed: the tag covers both. */
  | { readonly kind: "wrong-passphrase"; readonly path: string };

/** Takes about a second of one core, on purpose, and does not hold up what else this process does. */
export async function unlockParentKey(path: string, passphrase: string): Promise<Result<NamedSigner, UnlockFailure>> {
  const file = readKeyFile(path);
  if (!file.ok) return file;
  const { wrapped, ...head } = file.value;
  const bytes = Buffer.from(wrapped, "hex");
  const decipher = createDecipheriv("aes-256-gcm", await stretched(passphrase, head.kdf), Buffer.from(head.cipher.nonce, "hex"));
  decipher.setAAD(additional(head));
  decipher.setAuthTag(bytes.subarray(32));
  let seed: Uint8Array;
  try {
    seed = Buffer.concat([decipher.update(bytes.subarray(0, 32)), decipher.final()]);
  } catch {
    return err({ kind: "wrong-passphrase", path });
  }
  const key = signingKey(seed);
  seed.fill(0);
  if (key.publicKey.toHex() !== head.public) return err({ kind: "broken", path, detail: "its two halves do not belong together" });
  return ok({ ...key, name: head.name });
}

/** The public half that stands in a key file, unchecked until it is unlocked. */
export function publicHalf(path: string): Result<NoteKey, UnlockFailure> {
  const file = readKeyFile(path);
  return file.ok ? ok({ name: file.value.name, publicKey: Uint8Array.fromHex(file.value.public) }) : file;
}

/** `keys/parent.pub`; null where this stick has no parent. The error is a sentence: with it nothing may go on as if there were none. */
export function readParentPublic(path: string): Result<NoteKey | null, string> {
  const read = heartFiles.read(path, LIMIT);
  if (!read.ok) return err(`${path} cannot be read: ${read.error.detail}.`);
  if (read.value === null) return ok(null);
  const key = parseVerifierKey(new TextDecoder().decode(read.value), auditCrypto.sha256);
  return key === null
    ? err(`${path} is no parent's key: it has to be one line, NAME+HASH+KEY, as "noctem parent keygen" prints it.`)
    : ok(key);
}

export const publicLine = (key: NoteKey): string => `${verifierKeyText(key, auditCrypto.sha256)}\n`;

function readKeyFile(path: string): Result<KeyFile, UnlockFailure> {
  const read = heartFiles.read(path, LIMIT);
  if (!read.ok) return err({ kind: "broken", path, detail: read.error.detail });
  if (read.value === null) return err({ kind: "missing", path });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(read.value));
  } catch {
    return err({ kind: "broken", path, detail: "it is not JSON" });
  }
  const parsed = v.safeParse(KeyFile, value);
  return parsed.success ? ok(parsed.output) : err({ kind: "broken", path, detail: "it is no parent's key, or one of a newer version" });
}

/** One spelling of a passphrase, whatever keyboard composed its accents. */
export function stretched(secret: string, { memory, passes, salt }: Stretching & { readonly salt: string }): Promise<Buffer> {
  const message = Buffer.from(secret.normalize("NFC"), "utf8");
  const parameters = { message, nonce: Buffer.from(salt, "hex"), parallelism: 1, tagLength: 32, memory, passes };
  return new Promise((resolve, reject) =>
    argon2("argon2id", parameters, (error, key) => (error === null || error === undefined ? resolve(key) : reject(error))),
  );
}

const additional = (head: Omit<KeyFile, "wrapped">): Buffer => Buffer.from(canonicalJson(head as unknown as Json), "utf8");
