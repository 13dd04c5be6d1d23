import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { consistencyProof, Frontier, inclusionProof, isConsistent, isIncluded, leafHash, rootOf } from "../../../src/audit/merkle.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => Uint8Array.from(new Bun.CryptoHasher("sha256").update(bytes).digest());
const leaves = (n: number): Uint8Array[] => Array.from({ length: n }, (_, i) => leafHash(sha256, new TextEncoder().encode(`leaf ${i}`)));

describe("Merkle trees", () => {
  test("the roots of RFC 6962's test vectors", () => {
    // From the tests of certificate-transparency and of Go's x/mod/sumdb/tlog: the inputs and roots of RFC 6962's reference implementation.
    const inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const hashes = inputs.map((hex) => leafHash(sha256, Uint8Array.fromHex(hex)));
    expect(rootOf(sha256, []).toHex()).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(rootOf(sha256, hashes.slice(0, 1)).toHex()).toBe("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    expect(rootOf(sha256, hashes.slice(0, 2)).toHex()).toBe("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    expect(rootOf(sha256, hashes.slice(0, 3)).toHex()).toBe("aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    expect(rootOf(sha256, hashes).toHex()).toBe("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
  });

  test("a growing tree has the roots of whole ones, and a copy grows apart", () => {
    const all = leaves(70);
    const frontier = new Frontier(sha256);
    for (const [i, leaf] of all.entries()) {
      const copy = frontier.copy();
      copy.push(leafHash(sha256, new Uint8Array([1])));
      frontier.push(leaf);
      expect(frontier.root().toHex()).toBe(rootOf(sha256, all.slice(0, i + 1)).toHex());
      expect(copy.root().toHex()).not.toBe(frontier.root().toHex());
    }
  });

  test("each leaf is proved in its place, and in no other place, tree or form", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat(), (n, a, b) => {
        const all = leaves(n);
        const [index, other] = [a % n, b % n];
        const [leaf, root, proof] = [all[index] as Uint8Array, rootOf(sha256, all), inclusionProof(sha256, all, index)];
        expect(isIncluded(sha256, leaf, index, n, proof, root)).toBe(true);
        if (other !== index) expect(isIncluded(sha256, leaf, other, n, proof, root)).toBe(false);
        expect(isIncluded(sha256, leafHash(sha256, leaf), index, n, proof, root)).toBe(false);
        expect(isIncluded(sha256, leaf, index, n, [...proof, root], root)).toBe(false);
        if (proof.length > 0) expect(isIncluded(sha256, leaf, index, n, proof.slice(1), root)).toBe(false);
        expect(isIncluded(sha256, leaf, 0, 0, [], root)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test("a log is proved to begin with each of its beginnings, and with nothing else", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat(), (n, a, at) => {
        const all = leaves(n);
        const before = 1 + (a % n);
        const [old, root, proof] = [rootOf(sha256, all.slice(0, before)), rootOf(sha256, all), consistencyProof(sha256, all, before)];
        expect(isConsistent(sha256, before, n, old, root, proof)).toBe(true);
        const forged = leaves(before);
        forged[at % before] = leafHash(sha256, new Uint8Array([9]));
        expect(isConsistent(sha256, before, n, rootOf(sha256, forged), root, proof)).toBe(false);
        expect(isConsistent(sha256, 0, n, old, root, proof)).toBe(false);
        expect(isConsistent(sha256, before, n, old, root, [...proof, root])).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});
