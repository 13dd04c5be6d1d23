/**
 * Merkle trees over the leaves of a log, hashed as RFC 6962 (section 2.1) says: leaves and nodes are told apart by their first byte, and a tree of n
 * leaves splits at the largest power of two below n. Pure; the hash is an argument.
 */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

const LEAF = 0;
const NODE = 1;

export function leafHash(sha256: Sha256, leaf: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + leaf.length);
  bytes[0] = LEAF;
  bytes.set(leaf, 1);
  return sha256(bytes);
}

/** The same of texts, in a buffer that serves all of them. */
export function leafHasher(sha256: Sha256): (leaf: string) => Uint8Array {
  const utf8 = new TextEncoder();
  let buffer = new Uint8Array(4096);
  return (leaf) => {
    // No character of UTF-16 is more than three bytes.
    if (buffer.length <= leaf.length * 3) buffer = new Uint8Array(1 + leaf.length * 3);
    buffer[0] = LEAF;
    const { written } = utf8.encodeInto(leaf, buffer.subarray(1));
    return sha256(buffer.subarray(0, 1 + written));
  };
}

function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + left.length + right.length);
  bytes[0] = NODE;
  bytes.set(left, 1);
  bytes.set(right, 1 + left.length);
  return sha256(bytes);
}

/** The root that a log of these leaf hashes has; that of none is the hash of nothing. */
export function rootOf(sha256: Sha256, leaves: readonly Uint8Array[]): Uint8Array {
  const frontier = new Frontier(sha256);
  for (const leaf of leaves) frontier.push(leaf);
  return frontier.root();
}

/** The right edge of a growing tree: appending and the root cost O(log n), and nothing else of the log is kept. */
export class Frontier {
  readonly #sha256: Sha256;
  /** Roots of whole subtrees, the largest first; their sizes are the bits of `size`. */
  #edge: Uint8Array[] = [];
  #size = 0;

  constructor(sha256: Sha256) {
    this.#sha256 = sha256;
  }

  copy(): Frontier {
    const other = new Frontier(this.#sha256);
    other.#edge = [...this.#edge];
    other.#size = this.#size;
    return other;
  }

  get size(): number {
    return this.#size;
  }

  push(leaf: Uint8Array): void {
    let hash = leaf;
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2) hash = nodeHash(this.#sha256, this.#edge.pop() ?? hash, hash);
    this.#edge.push(hash);
    this.#size++;
  }

  root(): Uint8Array {
    const [last, ...rest] = this.#edge.toReversed();
    return last === undefined ? this.#sha256(new Uint8Array()) : rest.reduce((right, left) => nodeHash(this.#sha256, left, right), last);
  }
}

/** The hashes that lead from leaf `index` to the root of the first `size` leaves (RFC 6962, 2.1.1). Throws where there is no such leaf. */
export function inclusionProof(sha256: Sha256, leaves: readonly Uint8Array[], index: number, size = leaves.length): readonly Uint8Array[] {
  return inclusionProofs(sha256, leaves, [index], size)[0] ?? [];
}

/**
 * Of several leaves, with every node hashed once. Level by level from below: what has no partner at the right edge moves up as it is, which makes the very
 * tree that the recursion of the RFC makes.
 */
export function inclusionProofs(
  sha256: Sha256,
  leaves: readonly Uint8Array[],
  indexes: readonly number[],
  size = leaves.length,
): readonly (readonly Uint8Array[])[] {
  if (size > leaves.length || indexes.some((index) => index < 0 || index >= size)) throw new RangeError(`no such leaf among ${size}`);
  const proofs = indexes.map((index): { readonly path: Uint8Array[]; at: number } => ({ path: [], at: index }));
  for (let level: readonly Uint8Array[] = leaves.slice(0, size); level.length > 1;) {
    for (const proof of proofs) {
      const other = level[proof.at % 2 === 0 ? proof.at + 1 : proof.at - 1];
      if (other !== undefined) proof.path.push(other);
      proof.at = Math.floor(proof.at / 2);
    }
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const [left, right] = [level[i], level[i + 1]];
      if (left !== undefined) above.push(right === undefined ? left : nodeHash(sha256, left, right));
    }
    level = above;
  }
  return proofs.map(({ path }) => path);
}

/** Whether `leaf` is number `index` of the log with this root. A size of zero proves nothing. */
export function isIncluded(
  sha256: Sha256,
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  // RFC 9162, 2.1.3.2: fn and sn walk up from the leaf and from the last one.
  let [fn, sn, hash] = [index, size - 1, leaf];
  for (const other of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(sha256, other, hash);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [fn / 2, Math.floor(sn / 2)];
    } else hash = nodeHash(sha256, hash, other);
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && same(hash, root);
}

/** The hashes that show that the first `before` leaves are the beginning of the first `size` (RFC 6962, 2.1.2). */
export function consistencyProof(
  sha256: Sha256,
  leaves: readonly Uint8Array[],
  before: number,
  size = leaves.length,
): readonly Uint8Array[] {
  if (before <= 0 || before > size || size > leaves.length) throw new RangeError(`no consistency of ${before} with ${size}`);
  const path = (m: number, from: number, to: number, whole: boolean): readonly Uint8Array[] => {
    const n = to - from;
    if (m === n) return whole ? [] : [rootOf(sha256, leaves.slice(from, to))];
    const k = split(n);
    return m <= k
      ? [...path(m, from, from + k, whole), rootOf(sha256, leaves.slice(from + k, to))]
      : [...path(m - k, from + k, to, false), rootOf(sha256, leaves.slice(from, from + k))];
  };
  return path(before, 0, size, true);
}

/** Whether the log of `size` leaves begins with that of `before` (RFC 9162, 2.1.4.2). Sizes of zero are an error, never a pass. */
export function isConsistent(
  sha256: Sha256,
  before: number,
  size: number,
  oldRoot: Uint8Array,
  newRoot: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!Number.isSafeInteger(before) || !Number.isSafeInteger(size) || before <= 0 || before > size) return false;
  if (before === size) return proof.length === 0 && same(oldRoot, newRoot);
  const isPower = Number.isInteger(Math.log2(before));
  const path = isPower ? [oldRoot, ...proof] : [...proof];
  const [first, ...rest] = path;
  if (first === undefined) return false;
  let [fn, sn] = [before - 1, size - 1];
  while (fn % 2 === 1) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  let [old, fresh] = [first, first];
  for (const hash of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      old = nodeHash(sha256, hash, old);
      fresh = nodeHash(sha256, hash, fresh);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [fn / 2, Math.floor(sn / 2)];
    } else fresh = nodeHash(sha256, fresh, hash);
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && same(old, oldRoot) && same(fresh, newRoot);
}

/** The largest power of two below `n`. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}
