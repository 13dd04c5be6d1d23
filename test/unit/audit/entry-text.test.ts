import { expect, test } from "bun:test";
import fc from "fast-check";
import { type AuditEntry, entryText, parseEntry } from "../../../src/audit/entry.ts";
import { MOST_HEADS } from "../../../src/audit/heads.ts";
import { canonicalJson, type Json } from "../../../src/lib/canonical-json.ts";

const hex = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => value.toHex());
const count = fc.maxSafeNat();
const text = fc.string({ unit: "grapheme", maxLength: 60 });
const label = fc.record({ c: fc.nat(4), k: fc.array(text), i: fc.nat(4), p: fc.array(text) });
const common = { version: fc.constant(1), session: hex(16), seq: count, hlc: count };
const ENTRIES = fc.oneof(
  fc.record({ ...common, kind: fc.constant("heart"), what: text, detail: text }),
  fc.record({ ...common, kind: fc.constant("end"), reason: text }),
  fc.record({ ...common, kind: fc.constant("incident"), what: text, detail: text, severity: fc.nat(4) }),
  fc.record({ ...common, kind: fc.constant("key"), key: hex(32), use: text, digest: hex(32) }),
  fc.record({
    ...common,
    kind: fc.constant("intent"),
    subject: text,
    operation: text,
    object: text,
    label,
    decision: fc.constantFrom("allow", "ask", "deny"),
    rule: text,
    policy: text,
    effect: hex(32),
    payload: hex(32),
    reference: hex(16),
    severity: fc.nat(4),
  }),
  fc.record(
    {
      ...common,
      kind: fc.constant("approval"),
      of: count,
      where: hex(16),
      answer: fc.constantFrom("allowed", "denied", "unanswered"),
      digest: hex(32),
      by: text,
      waited: count,
      question: hex(16),
    },
    { requiredKeys: ["version", "session", "seq", "hlc", "kind", "of", "answer", "digest", "by"] },
  ),
  fc.record({
    ...common,
    kind: fc.constant("genesis"),
    heart: hex(16),
    stick: hex(32),
    key: hex(32),
    certificate: hex(64),
    clock: count,
    heads: fc.array(fc.record({ session: hex(16), size: count, root: hex(32) }), { maxLength: 3 }),
  }),
) as fc.Arbitrary<AuditEntry>;

/** What no field of an entry may hold, or the wrong one. */
const WRONG = fc.constantFrom<unknown>(
  null,
  undefined,
  -1,
  1.5,
  Number.NaN,
  2 ** 53,
  "\ud800",
  "x".repeat(4001),
  "AB".repeat(16),
  `${"ab".repeat(16)}\n`,
  {},
  [],
  true,
);

test("an entry is written in its one canonical form, which reads as that entry", () => {
  fc.assert(
    fc.property(ENTRIES, (entry) => {
      const written = entryText(entry);
      expect(written).toBe(canonicalJson(entry as unknown as Json));
      expect(parseEntry(written) as unknown).toEqual({ ...entry });
    }),
  );
});

test("a beginning that commits to as many sessions as one may is read", () => {
  const head = { session: "a".repeat(32), size: Number.MAX_SAFE_INTEGER, root: "b".repeat(64) };
  const written = entryText({
    version: 1,
    session: "0".repeat(32),
    seq: 0,
    hlc: Number.MAX_SAFE_INTEGER,
    kind: "genesis",
    heart: "0".repeat(32),
    stick: "0".repeat(64),
    key: "0".repeat(64),
    certificate: "0".repeat(128),
    clock: 0,
    heads: Array.from({ length: MOST_HEADS }, () => head),
  });
  expect(parseEntry(written)?.kind).toBe("genesis");
});

test("what a reader would not take for an entry is not written", () => {
  fc.assert(
    fc.property(ENTRIES, fc.nat(), WRONG, (entry, pick, wrong) => {
      const keys = [...Object.keys(entry), "more"];
      const changed = { ...entry, [keys[pick % keys.length] ?? ""]: wrong };
      const told = (() => {
        try {
          return entryText(changed);
        } catch {
          return null;
        }
      })();
      // Some of these are right in some fields.
      expect(told === null || parseEntry(told) !== null).toBe(true);
      if (told !== null) expect(told).toBe(canonicalJson(changed as unknown as Json));
    }),
    { numRuns: 500 },
  );
});
