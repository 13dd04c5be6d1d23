import * as v from "valibot";
import { err, ok, type Result } from "../lib/result.ts";
import type { ReadAnchor } from "./anchor.ts";
import type { CheckCrypto } from "./check.ts";
import { certificateText, originOf, parseEntry, type AuditEntry } from "./entry.ts";
import { consistencyProof, inclusionProof, inclusionProofs, isConsistent, isIncluded, leafHash } from "./merkle.ts";
import { openCheckpoint } from "./note.ts";

/**
 * Proofs for somebody who has no copy of the heart. An inclusion proof (RFC 6962, 2.1.1) leads from one entry to the signed head of its session; the
 * session's beginning is proved in the same tree and carries the certificate of the key. A consistency proof (2.1.2) shows that a session begins with
 * what an anchor named.
 */
const bytes = (length: number) =>
  v.pipe(
    v.string(),
    v.base64(),
    v.transform((text) => Uint8Array.fromBase64(text)),
    v.check((value) => value.length === length),
  );
const hashes = v.pipe(v.array(bytes(32)), v.maxLength(64));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const id = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/));

const Inclusion = v.strictObject({
  kind: v.literal("noctem-inclusion-proof"),
  version: v.literal(1),
  heart: id,
  index: count,
  size: count,
  /** The leaf's bytes as text. */
  entry: v.pipe(v.string(), v.maxLength(65_536)),
  proof: hashes,
  beginning: v.pipe(v.string(), v.maxLength(200_000)),
  beginningProof: hashes,
  checkpoint: v.pipe(v.string(), v.maxLength(4000)),
  /** From the size that an anchor names to this one; absent without an anchor. */
  since: v.optional(v.strictObject({ size: count, proof: hashes })),
});
const Consistency = v.strictObject({
  kind: v.literal("noctem-consistency-proof"),
  version: v.literal(1),
  heart: id,
  sessions: v.pipe(
    v.array(
      v.strictObject({
        session: id,
        from: count,
        to: count,
        proof: hashes,
        beginning: v.pipe(v.string(), v.maxLength(200_000)),
        beginningProof: hashes,
        checkpoint: v.pipe(v.string(), v.maxLength(4000)),
      }),
    ),
    v.minLength(1),
    v.maxLength(3000),
  ),
});
const Proof = v.variant("kind", [Inclusion, Consistency]);

export const PROOF_LIMIT = 4 << 20;

const base64 = (list: readonly Uint8Array[]): string[] => list.map((hash) => hash.toBase64());
const leafHashes = (leaves: readonly string[], { sha256 }: CheckCrypto): Uint8Array[] =>
  leaves.map((leaf) => leafHash(sha256, new TextEncoder().encode(leaf)));

/** Of entry `index` of a session. `anchored`: the size that an anchor names of it, 0 without one. */
export function proveInclusion(
  {
    heart,
    leaves,
    checkpoint,
    index,
    anchored,
  }: {
    readonly heart: string;
    readonly leaves: readonly string[];
    readonly checkpoint: string;
    readonly index: number;
    readonly anchored: number;
  },
  crypto: CheckCrypto,
): object {
  const all = leafHashes(leaves, crypto);
  const [path = [], first = []] = inclusionProofs(crypto.sha256, all, [index, 0]);
  return {
    kind: "noctem-inclusion-proof",
    version: 1,
    heart,
    index,
    size: all.length,
    entry: leaves[index],
    proof: base64(path),
    beginning: leaves[0],
    beginningProof: base64(first),
    checkpoint,
    ...(anchored === 0 || anchored > all.length
      ? {}
      : { since: { size: anchored, proof: base64(consistencyProof(crypto.sha256, all, anchored)) } }),
  };
}

export function proveConsistency(
  heart: string,
  sessions: readonly { readonly session: string; readonly leaves: readonly string[]; readonly checkpoint: string; readonly from: number }[],
  crypto: CheckCrypto,
): object {
  return {
    kind: "noctem-consistency-proof",
    version: 1,
    heart,
    sessions: sessions.map(({ session, leaves, checkpoint, from }) => {
      const all = leafHashes(leaves, crypto);
      return {
        session,
        from,
        to: all.length,
        proof: base64(consistencyProof(crypto.sha256, all, from)),
        beginning: leaves[0],
        beginningProof: base64(inclusionProof(crypto.sha256, all, 0)),
        checkpoint,
      };
    }),
  };
}

interface ProofFault {
  readonly kind: "altered" | "key" | "malformed";
  readonly detail: string;
}
export type ProofVerdict =
  | {
      readonly kind: "proved";
      readonly entry: AuditEntry | null;
      readonly stick: string;
      readonly vouched: boolean;
      readonly heart: string;
    }
  | ProofFault;

/** `anchors`: what is believed; a proof that none of them speaks of is sound and not witnessed. */
export function checkProof(text: string, anchors: readonly ReadAnchor[], crypto: CheckCrypto): ProofVerdict {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), Proof), text);
  if (!parsed.success) return { kind: "malformed", detail: "It is no proof of noctem audit prove." };
  const proof = parsed.output;
  if (anchors.some(({ heart }) => heart !== proof.heart)) return { kind: "malformed", detail: "The anchor is of another heart." };
  const heads = anchors.flatMap((anchor) => anchor.heads);
  const sticks = new Set(anchors.flatMap((anchor) => anchor.sticks));
  if (proof.kind === "noctem-inclusion-proof") {
    const entry = parseEntry(proof.entry);
    if (entry === null || entry.seq !== proof.index) return { kind: "altered", detail: "Its entry is none, or not the one of its place." };
    const opened = openTree({ ...proof, session: entry.session }, crypto);
    if (!opened.ok) return opened.error;
    const tree = opened.value;
    const leaf = leafHash(crypto.sha256, new TextEncoder().encode(proof.entry));
    if (tree.size !== proof.size || !isIncluded(crypto.sha256, leaf, proof.index, proof.size, proof.proof, tree.root))
      return { kind: "altered", detail: "The entry is not in the tree that was signed." };
    const head = heads.find(({ session }) => session === entry.session);
    const { since } = proof;
    if (head !== undefined && since !== undefined) {
      if (
        since.size !== head.size ||
        !isConsistent(crypto.sha256, head.size, tree.size, Uint8Array.fromHex(head.root), tree.root, since.proof)
      )
        return { kind: "altered", detail: "Its session does not begin with what the anchor names." };
      return { kind: "proved", entry, stick: tree.stick, vouched: proof.index < head.size || sticks.has(tree.stick), heart: proof.heart };
    }
    if (anchors.length > 0 && !sticks.has(tree.stick))
      return { kind: "key", detail: "It is certified by a stick's key that the anchor does not know." };
    return { kind: "proved", entry, stick: tree.stick, vouched: sticks.has(tree.stick), heart: proof.heart };
  }
  let stick = "";
  for (const one of proof.sessions) {
    const opened = openTree({ ...one, heart: proof.heart, size: one.to }, crypto);
    if (!opened.ok) return opened.error;
    const tree = opened.value;
    stick = tree.stick;
    const head = heads.find(({ session }) => session === one.session);
    if (head === undefined)
      return { kind: "malformed", detail: "It speaks of sessions that the anchor does not name. Give the anchor that it was made with." };
    if (
      head.size !== one.from ||
      tree.size !== one.to ||
      !isConsistent(crypto.sha256, one.from, one.to, Uint8Array.fromHex(head.root), tree.root, one.proof)
    )
      return { kind: "altered", detail: `Session ${one.session.slice(0, 8)} does not begin with what the anchor names.` };
  }
  const missing = heads.find(({ session }) => !proof.sessions.some((one) => one.session === session));
  if (missing !== undefined)
    return { kind: "altered", detail: `Session ${missing.session.slice(0, 8)}, which the anchor names, is not in it.` };
  return { kind: "proved", entry: null, stick, vouched: true, heart: proof.heart };
}

interface SignedTree {
  readonly root: Uint8Array;
  readonly size: number;
  readonly stick: string;
}

/** The session's key is certified by the stick's, has signed the checkpoint, and the beginning that says so is in the tree. */
function openTree(
  {
    heart,
    session,
    beginning,
    beginningProof,
    checkpoint,
    size,
  }: {
    readonly heart: string;
    readonly session: string;
    readonly beginning: string;
    readonly beginningProof: readonly Uint8Array[];
    readonly checkpoint: string;
    readonly size: number;
  },
  { sha256, verify }: CheckCrypto,
): Result<SignedTree, ProofFault> {
  const genesis = parseEntry(beginning);
  if (genesis?.kind !== "genesis" || genesis.session !== session || genesis.heart !== heart)
    return err({ kind: "altered", detail: "The beginning of its session is not in it." });
  const certificate = new TextEncoder().encode(certificateText({ heart, session, key: genesis.key }));
  if (!verify(Uint8Array.fromHex(genesis.stick), certificate, Uint8Array.fromHex(genesis.certificate)))
    return err({ kind: "key", detail: "The session's key is not certified by the stick's that it names." });
  const name = originOf(heart, session);
  const opened = openCheckpoint(checkpoint, { name, publicKey: Uint8Array.fromHex(genesis.key) }, verify, sha256);
  if (opened === null || opened.origin !== name) return err({ kind: "key", detail: "The session's key did not sign its head." });
  const leaf = leafHash(sha256, new TextEncoder().encode(beginning));
  if (opened.size !== size || !isIncluded(sha256, leaf, 0, size, beginningProof, opened.root))
    return err({ kind: "altered", detail: "The beginning of its session is not in the tree that was signed." });
  return ok({ root: opened.root, size: opened.size, stick: genesis.stick });
}
