import { certificateText, originOf, parseEntry, type AuditEntry } from "./entry.ts";
import { leafHash, rootOf, same, type Sha256 } from "./merkle.ts";
import { openCheckpoint } from "./note.ts";

/** Ed25519. Bad lengths and bad points are no signature, never an error. */
export type Verify = (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array) => boolean;

export interface VerifyCrypto {
  readonly sha256: Sha256;
  readonly verify: Verify;
}

/** What is wrong with one session's log. */
export type SessionFault =
  /** A leaf is no entry, or not the one of its place. */
  | { readonly kind: "leaf"; readonly index: number; readonly detail: string }
  | { readonly kind: "certificate"; readonly detail: string }
  | { readonly kind: "checkpoint"; readonly detail: string }
  /** The checkpoint speaks of more leaves than are here. */
  | { readonly kind: "truncated"; readonly size: number; readonly found: number };

/**
 * Whether the leaves of a session, as they are stored, are those that its checkpoint was signed over by a key that the stick certified. Computed from
 * the stored bytes alone, never from index tables. An empty list means sound; it does not mean complete: who cuts the log and signs anew with the
 * session's own key is found by what was anchored elsewhere.
 */
export function verifySession(
  leaves: readonly string[],
  note: string | null,
  expected: { readonly heart: string; readonly session: string; readonly stick: Uint8Array },
  crypto: VerifyCrypto,
): readonly SessionFault[] {
  const faults: SessionFault[] = [];
  const utf8 = new TextEncoder();
  const entries = leaves.map((leaf, index): AuditEntry | null => {
    const entry = parseEntry(leaf);
    if (entry === null) faults.push({ kind: "leaf", index, detail: "it is no entry in its canonical form" });
    else if (entry.session !== expected.session) faults.push({ kind: "leaf", index, detail: "it belongs to another session" });
    else if (entry.seq !== index) faults.push({ kind: "leaf", index, detail: `it is number ${entry.seq}` });
    else if ((entry.kind === "genesis") !== (index === 0))
      faults.push({ kind: "leaf", index, detail: `a ${entry.kind} has no place there` });
    return entry;
  });
  const [genesis] = entries;
  if (genesis === undefined || genesis === null || genesis.kind !== "genesis")
    return [...faults, { kind: "certificate", detail: "the session has no beginning" }];
  const certificate = utf8.encode(certificateText({ heart: expected.heart, session: expected.session, key: genesis.key }));
  if (genesis.heart !== expected.heart) faults.push({ kind: "certificate", detail: "it is of another heart" });
  if (!same(Uint8Array.fromHex(genesis.stick), expected.stick))
    faults.push({ kind: "certificate", detail: "it names another stick's key" });
  if (!crypto.verify(expected.stick, certificate, Uint8Array.fromHex(genesis.certificate)))
    faults.push({ kind: "certificate", detail: "the stick's key did not sign the session's" });
  if (note === null) return [...faults, { kind: "checkpoint", detail: "there is none" }];
  const origin = originOf(expected.heart, expected.session);
  const checkpoint = openCheckpoint(note, { name: origin, publicKey: Uint8Array.fromHex(genesis.key) }, crypto.verify, crypto.sha256);
  if (checkpoint === null || checkpoint.origin !== origin)
    return [...faults, { kind: "checkpoint", detail: "the session's key did not sign it" }];
  if (checkpoint.size > leaves.length) faults.push({ kind: "truncated", size: checkpoint.size, found: leaves.length });
  else if (checkpoint.size < leaves.length)
    faults.push({ kind: "checkpoint", detail: `it covers ${checkpoint.size} of ${leaves.length} entries` });
  else if (
    !same(
      rootOf(
        crypto.sha256,
        leaves.map((leaf) => leafHash(crypto.sha256, utf8.encode(leaf))),
      ),
      checkpoint.root,
    )
  )
    faults.push({ kind: "checkpoint", detail: "the entries are not those that were signed" });
  return faults;
}
