import * as v from "valibot";
import { canonicalJson } from "../lib/canonical-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { HeartCrypto } from "./ports.ts";

/**
 * `keys/heart.json`: which heart, and its key. It describes itself, because a person will look at it and a later version
 * will wrap the key under a passphrase (`protection` then names how).
 */
export const KEY_FILE = "heart.json";
/** Stands in `keys/` while a first heart is being made: an empty heart file beside it is then unfinished, not damaged. */
export const MAKING_FILE = "heart.making";
/** No key file comes near this; a larger one is not read. */
export const KEY_FILE_LIMIT = 16_384;

const KIND = "noctem-heart-key";
const VERSION = 1;

export interface HeartKey {
  /** 16 random bytes in hex: which heart this is. Replicas of one heart share it. */
  readonly heart: string;
  /** 32 random bytes. */
  readonly key: Uint8Array;
}

const hex = (digits: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${digits}}$`)));
const KeyFile = v.strictObject({
  kind: v.literal(KIND),
  version: v.literal(VERSION),
  heart: hex(32),
  protection: v.literal("none"),
  key: hex(64),
  check: hex(16),
});
/** Enough of any version to say which it is. */
const AnyKeyFile = v.looseObject({ kind: v.literal(KIND), version: v.pipe(v.number(), v.integer()) });

export function writeKeyFile(key: HeartKey, crypto: HeartCrypto): Uint8Array {
  const text = canonicalJson({
    kind: KIND,
    version: VERSION,
    heart: key.heart,
    protection: "none",
    key: key.key.toHex(),
    check: checkOf(key, crypto),
  });
  return new TextEncoder().encode(text + "\n");
}

/** The error is one sentence without secrets in it. */
export function readKeyFile(bytes: Uint8Array, crypto: HeartCrypto): Result<HeartKey, string> {
  const json = parseJson(bytes);
  if (json === undefined) return err("it is not JSON");
  const parsed = v.safeParse(KeyFile, json);
  if (!parsed.success) {
    const any = v.safeParse(AnyKeyFile, json);
    if (any.success && any.output.version > VERSION) return err(`it has version ${any.output.version}, this program knows ${VERSION}`);
    return err("it is not a heart key, or part of it is missing");
  }
  const key: HeartKey = { heart: parsed.output.heart, key: Uint8Array.fromHex(parsed.output.key) };
  // Without this, one changed digit would make the right heart look foreign.
  if (checkOf(key, crypto) !== parsed.output.check) return err("its check value does not match: a digit was changed");
  return ok(key);
}

const checkOf = (key: HeartKey, crypto: HeartCrypto): string =>
  crypto
    .sha256(new TextEncoder().encode(`noctem heart key 1 ${key.heart} ${key.key.toHex()}`))
    .slice(0, 8)
    .toHex();

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
