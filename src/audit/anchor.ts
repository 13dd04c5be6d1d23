import { err, ok, type Result } from "../lib/result.ts";
import type { Head } from "./heads.ts";
import { leafHash, rootOf, same, type Sha256 } from "./merkle.ts";
import { checkpointText, keyId, type NoteKey, parseNote, signatureLine } from "./note.ts";
import type { Verify } from "./verify.ts";

/**
 * What is kept outside so that the log can be held against it later: the heads that nothing follows, which commit to all the others, and the keys of the
 * sticks that had signed by then. It is a signed note in the form of a checkpoint (C2SP): origin, number of lines, root over the lines, the lines
 * themselves. So short that it fits on paper, in a message, or into a QR code.
 */
export interface Anchor {
  readonly heart: string;
  /** Seconds since 1970. */
  readonly time: number;
  readonly heads: readonly Head[];
  /** Public keys in hex. */
  readonly sticks: readonly string[];
}

const ORIGIN = /^noctem\/([0-9a-f]{32})\/heads$/;
export const anchorOrigin = (heart: string): string => `noctem/${heart}/heads`;
const MOST_LINES = 3000;
/** Bytes of a file with anchors in it. */
export const ANCHOR_LIMIT = 1 << 20;

function anchorText({ heart, time, heads, sticks }: Anchor, sha256: Sha256): string {
  const lines = [
    `time ${time}`,
    ...heads.map(({ session, size, root }) => `head ${session} ${size} ${Uint8Array.fromHex(root).toBase64()}`),
    ...sticks.map((key) => `stick ${Uint8Array.fromHex(key).toBase64()}`),
  ];
  return (
    checkpointText({ origin: anchorOrigin(heart), size: lines.length, root: rootOfLines(lines, sha256) }) +
    lines.map((line) => `${line}\n`).join("")
  );
}

const rootOfLines = (lines: readonly string[], sha256: Sha256): Uint8Array =>
  rootOf(
    sha256,
    lines.map((line) => leafHash(sha256, new TextEncoder().encode(line))),
  );

/** The stick's signature only guards against a slip of the pen; what an anchor is worth is where it was kept. Null: unsigned, where there are no keys. */
export function writeAnchor(
  anchor: Anchor,
  stick: { readonly publicKey: Uint8Array; readonly sign: (bytes: Uint8Array) => Uint8Array } | null,
  sha256: Sha256,
): string {
  const text = anchorText(anchor, sha256);
  if (stick === null) return `${text}\n`;
  const key: NoteKey = { name: anchorOrigin(anchor.heart), publicKey: stick.publicKey };
  return `${text}\n${signatureLine(key, stick.sign(new TextEncoder().encode(text)), sha256)}`;
}

export interface ReadAnchor extends Anchor {
  readonly note: string;
}

/** One or more, one after the other: an anchor taken on each stick may stand in one file. The error is a sentence. */
export function readAnchors(
  file: string,
  crypto: { readonly sha256: Sha256; readonly verify: Verify },
): Result<readonly ReadAnchor[], string> {
  const notes = file
    .replaceAll("\r\n", "\n")
    .split(/\n(?=noctem\/[0-9a-f]{32}\/heads\n)/u)
    .map((note) => (note.endsWith("\n") ? note : `${note}\n`));
  const anchors: ReadAnchor[] = [];
  for (const note of notes) {
    const anchor = readAnchor(note, crypto);
    if (!anchor.ok) return anchor;
    anchors.push(anchor.value);
  }
  return ok(anchors);
}

function readAnchor(note: string, { sha256, verify }: { readonly sha256: Sha256; readonly verify: Verify }): Result<ReadAnchor, string> {
  // Without any signature its last line is empty, and an editor may have taken that away.
  const parsed = parseNote(note) ?? parseNote(`${note.replace(/\n+$/u, "\n")}\n`);
  const [origin = "", size = "", root = "", ...rest] = parsed?.text.split("\n") ?? [];
  const heart = ORIGIN.exec(origin)?.[1];
  const lines = rest.slice(0, -1);
  if (parsed === null || heart === undefined || lines.length > MOST_LINES) return err("It is no anchor of noctem audit anchor.");
  if (size !== String(lines.length) || root !== rootOfLines(lines, sha256).toBase64())
    return err("It was changed: its lines are not those that it was made of.");
  const heads: Head[] = [];
  const sticks: string[] = [];
  let time = 0;
  for (const line of lines) {
    const [kind = "", ...words] = line.split(" ");
    const head = kind === "head" ? headOf(words) : null;
    const key = kind === "stick" ? bytesOf(words[0], 32) : null;
    if (head !== null) heads.push(head);
    else if (key !== null) sticks.push(key.toHex());
    else if (kind === "time" && /^\d{1,12}$/u.test(words[0] ?? "")) time = Number(words[0]);
    else return err(`It has a line that no anchor has: ${line.slice(0, 60)}`);
  }
  // A log of no entries proves nothing, and neither does an anchor of none.
  if (heads.length === 0 || heads.some((head) => head.size === 0)) return err("It names no entries, so nothing can be held against it.");
  const name = anchorOrigin(heart);
  const bytes = new TextEncoder().encode(parsed.text);
  for (const signature of parsed.signatures) {
    if (signature.name !== name) continue;
    const stick = sticks.find((key) => same(keyId({ name, publicKey: Uint8Array.fromHex(key) }, sha256), signature.bytes.slice(0, 4)));
    if (stick === undefined || !verify(Uint8Array.fromHex(stick), bytes, signature.bytes.slice(4)))
      return err("It was changed: the stick's signature is not over these lines.");
  }
  return ok({ heart, time, heads, sticks, note });
}

function headOf([session = "", size = "", encoded]: readonly string[]): Head | null {
  const root = bytesOf(encoded, 32);
  return /^[0-9a-f]{32}$/u.test(session) && /^(?:0|[1-9]\d{0,15})$/u.test(size) && root !== null
    ? { session, size: Number(size), root: root.toHex() }
    : null;
}

function bytesOf(text: string | undefined, length: number): Uint8Array | null {
  try {
    const bytes = Uint8Array.fromBase64(text ?? "");
    return bytes.length === length && bytes.toBase64() === text ? bytes : null;
  } catch {
    return null;
  }
}
