import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { decide, RULES } from "../../../src/bark/monitor/decide.ts";
import type { AccessRequest, Argument, BarkTier, Decision, Outcome, Sink } from "../../../src/bark/types.ts";
import { type ConfidentialityLevel, type IntegrityLevel, join, type Label } from "../../../src/lib/label.ts";

const LEVELS = [0, 1, 2, 3, 4] as const;
const TIERS: readonly BarkTier[] = LEVELS;
const OPERATIONS: readonly AccessRequest["operation"][] = ["read", "write", "run", "send", "fetch"];
const SINKS: readonly (Sink | null)[] = [
  null,
  ...[false, true].flatMap((external) =>
    [0, 2, 4].flatMap((maxC) =>
      [false, true].map((listed): Sink => ({ name: "there", external, maxC: maxC as ConfidentialityLevel, listed })),
    ),
  ),
];
const STRICT: Readonly<Record<Outcome, number>> = { allow: 0, ask: 1, deny: 2 };

const label = (c: ConfidentialityLevel, i: IntegrityLevel, k: readonly string[] = []): Label => ({ c, k, i, p: [] });
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

/** Tiers × operations × context labels × object labels × sinks × state × plan × argument integrity. */
function* everything(): Generator<AccessRequest> {
  for (const tier of TIERS)
    for (const operation of OPERATIONS)
      for (const c of LEVELS)
        for (const i of LEVELS)
          for (const objectC of LEVELS)
            for (const sink of SINKS)
              for (const changesState of [false, true])
                for (const shape of SHAPES)
                  yield request({
                    tier,
                    operation,
                    context: label(c, i),
                    object: { kind: "file", name: "it", label: label(objectC, 2, shape.k), reserved: shape.reserved },
                    sink,
                    changesState,
                    plan: shape.plan,
                    arguments: [control(i, 3)],
                    declassifiable: shape.declassifiable,
                  });
}
const SHAPES = [
  { k: [], reserved: false, plan: null, declassifiable: false },
  { k: ["files:workspace"], reserved: false, plan: ["file_ops"], declassifiable: true },
  { k: ["heart"], reserved: false, plan: ["web_fetch"], declassifiable: false },
  { k: [], reserved: true, plan: null, declassifiable: true },
] as const;

describe("the whole product of tiers, labels and sinks", () => {
  test("keeps its invariants", () => {
    let seen = 0;
    for (const access of everything()) {
      const decision = decide(access);
      seen++;
      const faults = broken(access, decision);
      if (faults.length > 0) throw new Error(`${faults.join("; ")}: ${JSON.stringify({ access, decision })}`);
    }
    expect(seen).toBe(5 * 5 * 5 * 5 * 5 * SINKS.length * 2 * SHAPES.length);
  });

  test("a stricter context never opens anything: less integrity or more confidentiality", () => {
    let compared = 0;
    for (const access of everything()) {
      const before = decide(access);
      const { c, i } = access.context;
      if (c < 4) {
        compared++;
        expectAtLeast(before, decide({ ...access, context: label((c + 1) as ConfidentialityLevel, i) }), access);
      }
      if (i > 0) {
        compared++;
        const worse = (i - 1) as IntegrityLevel;
        expectAtLeast(before, decide({ ...access, context: label(c, worse), arguments: [control(worse, 3)] }), access);
      }
    }
    expect(compared).toBeGreaterThan(100_000);
  });
});

/** Plain ifs, for speed: half a million requests. */
function broken(access: AccessRequest, decision: Decision): string[] {
  const { tier, object, context, clearance, sink } = access;
  const faults: string[] = [];
  const must = (holds: boolean, what: string): void => void (holds || faults.push(what));
  must(decision.tier >= tier, "the tier fell");
  must(decision.reason.endsWith(".") || decision.reason.endsWith("?"), "no sentence");
  must(tier !== 4 || (decision.outcome === "deny" && decision.incident), "tier 4 passed");
  must(!object.reserved || (decision.outcome === "deny" && decision.incident), "Noctem's own was reached");
  must(object.label.c <= clearance.c || decision.outcome === "deny", "clearance passed");
  must(object.label.k.every((k) => clearance.k.includes(k)) || decision.outcome === "deny", "a closed category passed");
  must(tier !== 3 || decision.outcome !== "allow", "tier 3 without approval");
  must(context.c < 4 || decision.outcome === "deny", "sealed data in a context");
  const trifecta = context.i === 0 && context.c >= 2 && (sink?.external === true || access.changesState);
  must(!trifecta || (decision.outcome !== "allow" && decision.tier >= 3 && !decision.batchable), "the trifecta passed");
  must(sink === null || context.c <= sink.maxC || decision.outcome !== "allow", "egress passed");
  must(
    sink === null || sink.listed || context.c < 3 || context.c <= sink.maxC || decision.outcome === "deny",
    "secrets left for an unlisted sink",
  );
  const down = (access.operation === "write" || access.operation === "send") && context.c > object.label.c;
  must(!down || decision.outcome === "deny" || (access.declassifiable && decision.outcome === "ask"), "write down");
  must(access.plan === null || access.plan.includes(access.skill) || decision.outcome !== "allow", "outside the plan");
  must(access.arguments.every((a) => a.label.i >= a.required) || decision.outcome !== "allow", "a steered argument passed");
  return faults;
}

function expectAtLeast(before: Decision, after: Decision, access: AccessRequest): void {
  if (STRICT[after.outcome] < STRICT[before.outcome] || after.tier < before.tier)
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
  const anyLabel = fc.record({
    c: fc.constantFrom(...LEVELS),
    k: fc.uniqueArray(fc.constantFrom("heart", "web", "signal", "train")).map((k) => k.sort()),
    i: fc.constantFrom(...LEVELS),
    p: fc.uniqueArray(fc.constantFrom("a", "b", "c")).map((p) => p.sort()),
  });
  test("joining anything to a context never opens an access", () => {
    fc.assert(
      fc.property(
        anyLabel,
        anyLabel,
        fc.constantFrom(...SINKS),
        fc.boolean(),
        fc.constantFrom(...TIERS),
        (context, more, sink, changesState, tier) => {
          const access = request({ context, sink, changesState, tier });
          expectAtLeast(decide(access), decide({ ...access, context: join(context, more) }), access);
        },
      ),
      { numRuns: 3000 },
    );
  });
});
