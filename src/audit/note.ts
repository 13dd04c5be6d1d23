import type { Sha256 } from "./merkle.ts";
import { same } from "./merkle.ts";

/**
 * Checkpoints of a log as signed notes: the C2SP formats `tlog-checkpoint` and `signed-note` (c2sp.org), so that tools and witnesses that know them can
 * read and cosign ours. Three lines of text (origin, size, root), an empty line, then signatures.
 */
export interface Checkpoint {
  /** Names the log. */
  readonly origin: string;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** Of a signed note: its name and Ed25519 key. */
export interface NoteKey {
  readonly name: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

const ED25519 = 1;
export const NOTE_NAME = /^[^\s+\p{Cc}]{1,200}$/u;

export const checkpointText = ({ origin, size, root }: Checkpoint): string => `${origin}\n${size}\n${root.toBase64()}\n`;

/** Throws where the key's name is none that a note can carry: a bug. */
export const signNote = (text: string, key: NoteKey, sign: (bytes: Uint8Array) => Uint8Array, sha256: Sha256): string =>
  noteSigner(key, sign, sha256)(text);

/** For one key and many texts. */
export function noteSigner(key: NoteKey, sign: (bytes: Uint8Array) => Uint8Array, sha256: Sha256): (text: string) => string {
  if (!NOTE_NAME.test(key.name)) throw new Error("not a name for a note's key");
  const id = keyId(key, sha256, ED25519);
  const utf8 = new TextEncoder();
  return (text) => `${text}\n${lineOf(key.name, id, sign(utf8.encode(text)))}`;
}

/** `signature`: for a cosignature, with its time before it. */
export function signatureLine(key: NoteKey, signature: Uint8Array, sha256: Sha256, type = ED25519): string {
  return lineOf(key.name, keyId(key, sha256, type), signature);
}

function lineOf(name: string, id: Uint8Array, signature: Uint8Array): string {
  const bytes = new Uint8Array(id.length + signature.length);
  bytes.set(id);
  bytes.set(signature, id.length);
  return `\u2014 ${name} ${bytes.toBase64()}\n`;
}

export interface ParsedNote {
  /** What is signed, with its last newline. */
  readonly text: string;
  /** `bytes`: four of the key's id, then the signature. */
  readonly signatures: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/** Null for what is no signed note. Lines that are no signatures make it none: nothing may hide beside them. */
export function parseNote(note: string): ParsedNote | null {
  const border = note.lastIndexOf("\n\n");
  if (border < 0 || !note.endsWith("\n")) return null;
  const lines = note
    .slice(border + 2)
    .split("\n")
    .slice(0, -1);
  const signatures = lines.flatMap((line) => {
    const [, name = "", encoded = ""] = /^\u2014 (\S+) ([A-Za-z0-9+/]+=*)$/.exec(line) ?? [];
    const bytes = fromBase64(encoded);
    return NOTE_NAME.test(name) && bytes !== null && bytes.length > 4 ? [{ name, bytes }] : [];
  });
  return signatures.length === lines.length ? { text: note.slice(0, border + 1), signatures } : null;
}

/** SHA-256(name ‖ 0x0a ‖ type ‖ key), its first four bytes. `type`: 1 for plain Ed25519, 4 for a cosignature. */
export function keyId({ name, publicKey }: NoteKey, sha256: Sha256, type = ED25519): Uint8Array {
  const utf8 = new TextEncoder().encode(name);
  const bytes = new Uint8Array(utf8.length + 2 + publicKey.length);
  bytes.set(utf8);
  bytes.set([0x0a, type], utf8.length);
  bytes.set(publicKey, utf8.length + 2);
  return sha256(bytes).slice(0, 4);
}

/** Lines that a note may have; more is no checkpoint of ours. */
const MOST = 4000;

/** The checkpoint, when the note carries this key's signature over it; else null. Other signatures are allowed and ignored, as the format says. */
export function openCheckpoint(
  note: string,
  key: NoteKey,
  verify: (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array) => boolean,
  sha256: Sha256,
): Checkpoint | null {
  const parsed = note.length > MOST ? null : parseNote(note);
  if (parsed === null) return null;
  const id = keyId(key, sha256);
  const signed = parsed.signatures.some(
    ({ name, bytes }) =>
      name === key.name &&
      bytes.length === 68 &&
      same(bytes.slice(0, 4), id) &&
      verify(key.publicKey, new TextEncoder().encode(parsed.text), bytes.slice(4)),
  );
  return signed ? parse(parsed.text) : null;
}

function parse(text: string): Checkpoint | null {
  const [origin = "", size = "", encoded = "", ...rest] = text.split("\n");
  const root = fromBase64(encoded);
  // Only as we write it: a size with leading zeros or extension lines would be a second text for the same tree.
  if (origin === "" || !/^(?:0|[1-9]\d{0,15})$/.test(size) || root === null || root.length !== 32 || rest.join("") !== "") return null;
  const checkpoint = { origin, size: Number(size), root };
  return checkpointText(checkpoint) === text ? checkpoint : null;
}

function fromBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return null;
  }
}
