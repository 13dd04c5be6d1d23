import type { Sha256 } from "./merkle.ts";
import { keyId, NOTE_NAME, type NoteKey } from "./note.ts";

/**
 * A public key as people hand it on: the verifier key of a signed note (C2SP `signed-note`), `NAME+HASH+KEY` on one line. The hash is over name and key,
 * so that a slip in either is found before anything is checked with it.
 */
export const verifierKeyText = (key: NoteKey, sha256: Sha256): string =>
  `${key.name}+${keyId(key, sha256).toHex()}+${Uint8Array.of(ED25519, ...key.publicKey).toBase64()}`;

const ED25519 = 1;

/** Null when it is none, or of another algorithm. Blanks around it are forgiven, as a file ends in a newline. */
export function parseVerifierKey(text: string, sha256: Sha256): NoteKey | null {
  const [, name = "", hash, encoded = ""] = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/u.exec(text.trim()) ?? [];
  if (!NOTE_NAME.test(name)) return null;
  const bytes = fromBase64(encoded);
  if (bytes === null || bytes.length !== 33 || bytes[0] !== ED25519) return null;
  const key = { name, publicKey: bytes.slice(1) };
  return keyId(key, sha256).toHex() === hash ? key : null;
}

function fromBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return null;
  }
}
