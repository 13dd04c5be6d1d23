import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { decide, RULES } from "../../../src/bark/monitor/decide.ts";
import type { AccessRequest, Argument, Decision, Outcome } from "../../../src/bark/types.ts";
import { BOTTOM, type IntegrityLevel, join, type Label } from "../../../src/lib/label.ts";
import { examine, label, LEVELS, pointOf, PRODUCTS, sizeOf, STRICTNESS } from "../../support/monitor-product.ts";

type Rule = (typeof RULES)[number];

const control = (i: IntegrityLevel, required: IntegrityLevel): Argument => ({
  name: "path",
  role: "control",
  value: "x",
  label: label(0, i),
  required,
});

const request = (over: Partial<AccessRequest> = {}): AccessRequest => ({
  skill: "file_ops",
  tier: 1,
  operation: "read",
  changesState: false,
  context: label(0, 3),
  clearance: { c: 3, k: ["files:workspace"] },
  object: { kind: "file", name: "notes.txt", label: label(1, 2), reserved: false },
  declassifiable: false,
  sink: null,
  arguments: [],
  plan: null,
  ruled: null,
  ...over,
});

describe("the whole product of what enters a decision", () => {
  test.each(Object.entries(PRODUCTS))(
    "%s: every decision is the page's, and nothing stricter ever opens anything",
    (_, axes) => {
      const { judged, compared, fault } = examine(decide, axes);
      expect(fault).toBeNull();
      expect(judged).toBe(sizeOf(axes));
      expect(compared).toBeGreaterThan(judged);
    },
    60_000,
  );

  /** Points of all products, far enough apart to be few. */
  const some = (): readonly AccessRequest[] =>
    Object.values(PRODUCTS).flatMap((axes) => Array.from({ length: Math.ceil(sizeOf(axes) / 211) }, (_, at) => pointOf(axes, at * 211)));
  const rules = RULES as Rule[];

  test("the strictest speaker wins, whatever the order of the rules", () => {
    const said = (access: AccessRequest): string => {
      const { outcome, tier, incident, batchable, spoke } = decide(access);
      return JSON.stringify([outcome, tier, incident, batchable, spoke.toSorted()]);
    };
    const before = some().map(said);
    const inOrder = [...rules];
    try {
      for (const order of [inOrder.toReversed(), inOrder.map((_, at) => inOrder[(at * 7) % inOrder.length] ?? inOrder[0])]) {
        rules.splice(0, rules.length, ...(order as Rule[]));
        expect(new Set(rules).size).toBe(inOrder.length);
        expect(some().map(said)).toEqual(before);
      }
    } finally {
      rules.splice(0, rules.length, ...inOrder);
    }
  });

  test("each rule is needed: without it something is decided otherwise", () => {
    for (const [at, rule] of [...rules].entries()) {
      rules.splice(at, 1);
      try {
        const faults = Object.values(PRODUCTS).map((axes) => examine(decide, axes, 211).fault);
        expect(
          faults.some((fault) => fault !== null),
          rule.id,
        ).toBe(true);
      } finally {
        rules.splice(at, 0, rule);
      }
    }
    expect(examine(decide, PRODUCTS["WIDE"] ?? [], 211).fault).toBeNull();
  }, 60_000);
});

function expectAtLeast(before: Decision, after: Decision, access: AccessRequest): void {
  if (STRICTNESS[after.outcome] < STRICTNESS[before.outcome] || after.tier < before.tier)
    throw new Error(`${before.outcome} became ${after.outcome}: ${JSON.stringify(access)}`);
}

describe("single rules", () => {
  const cases: readonly (readonly [string, Partial<AccessRequest>, Outcome])[] = [
    ["default", {}, "allow"],
    ["prohibited", { tier: 4 }, "deny"],
    ["reserved", { object: { kind: "file", name: "heart.sqlite", label: label(0, 4), reserved: true } }, "deny"],
    ["clearance", { object: { kind: "file", name: "x", label: label(4, 4), reserved: false } }, "deny"],
    ["write-down", { operation: "write", context: label(2, 3) }, "deny"],
    ["write-down", { operation: "write", context: label(2, 3), declassifiable: true }, "ask"],
    ["control-argument", { arguments: [control(0, 3)] }, "ask"],
    ["egress", { context: label(2, 3), sink: { name: "the web", external: true, maxC: 1, listed: false } }, "ask"],
    ["egress", { context: label(3, 3), sink: { name: "the web", external: true, maxC: 1, listed: false } }, "deny"],
    ["trifecta", { context: label(2, 0), changesState: true }, "ask"],
    ["plan", { plan: ["web_fetch"] }, "ask"],
    ["approval", { tier: 3 }, "ask"],
    ["policy", { ruled: { rule: "r", outcome: "deny", reason: "No." } }, "deny"],
  ];
  test.each(cases)("%s", (rule, over, outcome) => {
    const decision = decide(request(over));
    expect(decision).toMatchObject({ rule, outcome });
  });

  test("each has a case of its own here, and each of them decides something that no other does", () => {
    const tested = new Set(cases.map(([rule]) => rule));
    expect(RULES.map((rule) => rule.id).filter((id) => !tested.has(id) && id !== "sealed")).toEqual([]);
  });

  test("a content argument may come from anywhere; what it is put into is another rule's matter", () => {
    const content: Argument = { name: "text", role: "content", value: "x", label: label(0, 0), required: 3 };
    expect(decide(request({ arguments: [content] })).outcome).toBe("allow");
  });
});

describe("labels", () => {
  const anyLabel: fc.Arbitrary<Label> = fc.record({
    c: fc.constantFrom(...LEVELS),
    k: fc.subarray(["heart", "signal", "train", "web"]),
    i: fc.constantFrom(...LEVELS),
    p: fc.subarray(["a", "b", "c"]),
  });
  /** At most as confidential, in no further category, of at least the integrity, from no further source. */
  const below = (a: Label, b: Label): boolean =>
    a.c <= b.c && a.i >= b.i && a.k.every((k) => b.k.includes(k)) && a.p.every((p) => b.p.includes(p));

  test("form a lattice under join", () => {
    fc.assert(
      fc.property(anyLabel, anyLabel, anyLabel, (a, b, c) => {
        expect(join(a, join(b, c))).toEqual(join(join(a, b), c));
        expect(join(a, b)).toEqual(join(b, a));
        expect(join(a, a)).toEqual(a);
        expect(join(a, BOTTOM)).toEqual(a);
        // An upper bound, and the least one.
        expect(below(a, join(a, b)) && below(b, join(a, b))).toBe(true);
        if (below(a, c) && below(b, c)) expect(below(join(a, b), c)).toBe(true);
        // Monotone: more of one side is never less of the whole.
        if (below(a, b)) expect(below(join(a, c), join(b, c))).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  test("joining anything to a context never opens an access", () => {
    const points = Object.values(PRODUCTS).map((axes) => fc.nat({ max: sizeOf(axes) - 1 }).map((at) => pointOf(axes, at)));
    fc.assert(
      fc.property(fc.oneof(...points), anyLabel, (access, more) => {
        expectAtLeast(decide(access), decide({ ...access, context: join(access.context, more) }), access);
      }),
      { numRuns: 3000 },
    );
  });
});
