/**
 * Security labels (c, k, i, p) and their lattice. They live in lib because the heart stores them and bark decides by them.
 * A label travels with every piece of text from the edge to the model and back.
 */
export const Confidentiality = { PUBLIC: 0, INTERNAL: 1, PERSONAL: 2, SECRET: 3, SEALED: 4 } as const;
export const Integrity = { UNTRUSTED: 0, SIGNED_SKILL: 1, PARENT_REMOTE: 2, PARENT_CONSOLE: 3, POLICY: 4 } as const;

export type ConfidentialityLevel = 0 | 1 | 2 | 3 | 4;
export type IntegrityLevel = 0 | 1 | 2 | 3 | 4;

export interface Label {
  /** Confidentiality; join takes the maximum. */
  readonly c: ConfidentialityLevel;
  /** Categories, sorted, without repeats; join takes the union. */
  readonly k: readonly string[];
  /** Integrity; join takes the minimum. */
  readonly i: IntegrityLevel;
  /** Source ids, sorted, for explanation only; join takes the union. */
  readonly p: readonly string[];
}

/** The identity of `join`: public, without categories, of the highest integrity. */
export const BOTTOM: Label = { c: 0, k: [], i: 4, p: [] };

const union = (a: readonly string[], b: readonly string[]): readonly string[] =>
  b.length === 0 ? a : a.length === 0 ? b : [...new Set([...a, ...b])].sort();

/** Least upper bound: what a reader of both `a` and `b` carries. Associative, commutative, idempotent. */
export function join(a: Label, b: Label): Label {
  return {
    c: a.c > b.c ? a.c : b.c,
    k: union(a.k, b.k),
    i: a.i < b.i ? a.i : b.i,
    p: union(a.p, b.p),
  };
}
