import { same, type Sha256 } from "./merkle.ts";
import { keyId, type NoteKey, parseNote, signatureLine } from "./note.ts";
import type { Verify } from "./verify.ts";

/**
 * Cosignatures over a checkpoint (C2SP `tlog-cosignature`, "cosignature/v1"): who adds one says that at this time the log had this head and was
 * consistent with everything that they had cosigned before.
 */
const COSIGNATURE = 4;

const cosignedBytes = (text: string, time: number): Uint8Array => new TextEncoder().encode(`cosignature/v1\ntime ${time}\n${text}`);

/** The note with one more signature line. `time` in seconds since 1970. Throws where it is no note: a bug. */
export function cosign(
  note: string,
  key: NoteKey & { readonly sign: (bytes: Uint8Array) => Uint8Array },
  time: number,
  sha256: Sha256,
): string {
  const parsed = parseNote(note);
  if (parsed === null) throw new Error("only a note can be cosigned");
  const signature = key.sign(cosignedBytes(parsed.text, time));
  const bytes = new Uint8Array(8 + signature.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(time));
  bytes.set(signature, 8);
  return note + signatureLine(key, bytes, sha256, COSIGNATURE);
}

/** When this key cosigned the note, in seconds; `"invalid"` where a line claims so and is none; null without one. */
export function cosignedAt(note: string, key: NoteKey, verify: Verify, sha256: Sha256): number | "invalid" | null {
  const parsed = parseNote(note);
  if (parsed === null) return null;
  const id = keyId(key, sha256, COSIGNATURE);
  const own = parsed.signatures.filter(({ name, bytes }) => name === key.name && same(bytes.slice(0, 4), id));
  if (own.length === 0) return null;
  const times = own.flatMap(({ bytes }) => {
    if (bytes.length !== 76) return [];
    const time = Number(new DataView(bytes.buffer, bytes.byteOffset + 4).getBigUint64(0));
    if (!Number.isSafeInteger(time)) return [];
    return verify(key.publicKey, cosignedBytes(parsed.text, time), bytes.slice(12)) ? [time] : [];
  });
  return times.length === 0 ? "invalid" : Math.max(...times);
}
