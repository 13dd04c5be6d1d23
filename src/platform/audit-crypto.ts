/** Ed25519 for the audit log, and the stick's own key in `keys/`. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, verify } from "node:crypto";
import { join } from "node:path";
import * as v from "valibot";
import type { AuditCrypto, SigningKey } from "../audit/log.ts";
import { canonicalJson } from "../lib/canonical-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { heartFiles } from "./key-store.ts";

/** RFC 8410: what stands before the 32 bytes of a key in DER. */
const PRIVATE = Uint8Array.fromHex("302e020100300506032b657004220420");
const PUBLIC = Uint8Array.fromHex("302a300506032b6570032100");

const privateKey = (seed: Uint8Array): KeyObject => createPrivateKey({ key: Buffer.concat([PRIVATE, seed]), format: "der", type: "pkcs8" });
const rawPublic = (key: KeyObject): Uint8Array =>
  Uint8Array.from(createPublicKey(key).export({ format: "der", type: "spki" }).subarray(PUBLIC.length));

/** An Ed25519 key from its 32 secret bytes. */
export const signingKey = (seed: Uint8Array): SigningKey => signer(privateKey(seed));

const signer = (key: KeyObject): SigningKey => ({
  publicKey: rawPublic(key),
  // A copy: the program's own arrays are no buffers of node's.
  sign: (bytes) => new Uint8Array(sign(null, bytes, key)),
});

export const auditCrypto: AuditCrypto = {
  // A third of the time of a hasher made for each: a check is made of little else.
  sha256: (bytes) => Bun.SHA256.hash(bytes) as Uint8Array,
  verify(publicKey, bytes, signature) {
    if (publicKey.length !== 32 || signature.length !== 64) return false;
    try {
      return verify(null, bytes, createPublicKey({ key: Buffer.concat([PUBLIC, publicKey]), format: "der", type: "spki" }), signature);
    } catch {
      // Not a point of the curve.
      return false;
    }
  },
  ephemeral: () => signer(generateKeyPairSync("ed25519").privateKey),
};

export const STICK_KEY_FILE = "stick.json";
const hex = (bytes: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)));
const KeyFile = v.strictObject({
  kind: v.literal("noctem-stick-key"),
  version: v.literal(1),
  heart: hex(16),
  protection: v.literal("none"),
  seed: hex(32),
  public: hex(32),
});
const LIMIT = 16_384;

/** The key that certifies sessions, made on first need. Anchors and attestations that it signs begin otherwise than a certificate. The error is a sentence without secrets in it. */
export function stickKey(keysDir: string, heart: string): Result<SigningKey, string> {
  const path = join(keysDir, STICK_KEY_FILE);
  const read = heartFiles.read(path, LIMIT);
  if (!read.ok) return err(`${path} cannot be read: ${read.error.detail}.`);
  if (read.value !== null) return parseKey(path, read.value, heart);
  const key = privateKey(randomBytes(32));
  const seed = key.export({ format: "der", type: "pkcs8" }).subarray(PRIVATE.length).toString("hex");
  const text = canonicalJson({
    kind: "noctem-stick-key",
    version: 1,
    heart,
    protection: "none",
    seed,
    public: rawPublic(key).toHex(),
  });
  const made = heartFiles.create(path, new TextEncoder().encode(`${text}\n`));
  if (!made.ok) return err(`The stick's key cannot be written to ${path}: ${made.error.detail}.`);
  // Another process may have been first; its key is the stick's then.
  const stands = heartFiles.read(path, LIMIT);
  return stands.ok && stands.value !== null ? parseKey(path, stands.value, heart) : err(`${path} cannot be read.`);
}

function parseKey(path: string, bytes: Uint8Array, heart: string): Result<SigningKey, string> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return err(`${path} is damaged. Restore it from the other stick; a new one would not be the one that signed.`);
  }
  const parsed = v.safeParse(KeyFile, value);
  if (!parsed.success) return err(`${path} is no stick's key, or one of a newer version.`);
  if (parsed.output.heart !== heart) return err(`${path} belongs to another heart.`);
  const key = signer(privateKey(Uint8Array.fromHex(parsed.output.seed)));
  return key.publicKey.toHex() === parsed.output.public ? ok(key) : err(`${path} is damaged: its two halves do not belong together.`);
}
