/**
 * The monitor's judgement over the product of everything that enters it, against the rules written down a second time: as one formula, from the page
 * that says what the monitor is to do, and not from the code that does it.
 */
import type { AccessRequest, Argument, Decision, Outcome, Sink } from "../../src/bark/types.ts";
import type { ConfidentialityLevel, IntegrityLevel, Label } from "../../src/lib/label.ts";

export type Decide = (request: AccessRequest) => Decision;

export const LEVELS = [0, 1, 2, 3, 4] as const;
export const STRICTNESS: Readonly<Record<Outcome, number>> = { allow: 0, ask: 1, deny: 2 };
export const label = (c: ConfidentialityLevel, i: IntegrityLevel, k: readonly string[] = []): Label => ({ c, k, i, p: [] });
const sink = (external: boolean, maxC: ConfidentialityLevel, listed: boolean): Sink => ({ name: "there", external, maxC, listed });
const argument = (role: Argument["role"], i: IntegrityLevel, required: IntegrityLevel): Argument => ({
  name: "path",
  role,
  value: "x",
  label: label(0, i),
  required,
});

/** One thing that enters a decision, in steps. */
interface Axis {
  readonly name: string;
  readonly steps: readonly Partial<AccessRequest>[];
  /** From a step to those that are at least as strict in every respect; none where steps cannot be compared. */
  readonly stricter: readonly (readonly [number, number])[];
}

const inOrder = (count: number): readonly (readonly [number, number])[] =>
  Array.from({ length: count - 1 }, (_, at) => [at, at + 1] as const);
const axis = (name: string, steps: readonly Partial<AccessRequest>[], stricter: Axis["stricter"] = inOrder(steps.length)): Axis => ({
  name,
  steps,
  stricter,
});
const ruled = (outcome: Outcome): Partial<AccessRequest> => ({ ruled: { rule: "a.rule", outcome, reason: "A rule says so." } });
const object = (c: ConfidentialityLevel, k: readonly string[], reserved: boolean): Partial<AccessRequest> => ({
  object: { kind: "file", name: "it", label: label(c, 2, k), reserved },
});

const CONTEXTS = axis(
  "context",
  LEVELS.flatMap((c) => LEVELS.map((i) => ({ context: label(c, i, c > 1 ? ["heart", "web"] : []) }))),
  // More confidential, or of less integrity.
  LEVELS.flatMap((c) =>
    LEVELS.flatMap((i): (readonly [number, number])[] => [
      ...(c < 4 ? ([[c * 5 + i, (c + 1) * 5 + i]] as const) : []),
      ...(i > 0 ? ([[c * 5 + i, c * 5 + i - 1]] as const) : []),
    ]),
  ),
);
const TIERS = axis(
  "tier",
  LEVELS.map((tier) => ({ tier })),
);
const SINKS = [null, sink(false, 4, true), sink(true, 4, true), sink(true, 2, true), sink(true, 2, false), sink(true, 0, false)];
const STATE = axis("state", [{ changesState: false }, { changesState: true }]);
const DECLASSIFIABLE = axis("declassifiable", [{ declassifiable: true }, { declassifiable: false }]);
const PLANS = axis("plan", [{ plan: null }, { plan: ["web_fetch"] }]);
const RULINGS = axis("ruling", [{ ruled: null }, ruled("allow"), ruled("ask"), ruled("deny")]);
const OPERATIONS = axis(
  "operation",
  (["read", "run", "fetch", "write", "send"] as const).map((operation) => ({ operation })),
);

/** Everything together, in steps that meet each threshold from both sides. */
const WIDE: readonly Axis[] = [
  TIERS,
  CONTEXTS,
  axis("object", [object(0, ["files"], false), object(2, ["files"], false), object(4, ["files"], false)], []),
  axis("clearance", [{ clearance: { c: 4, k: ["files"] } }, { clearance: { c: 2, k: ["files"] } }, { clearance: { c: 2, k: ["heart"] } }]),
  axis("operation", [{ operation: "read" }, { operation: "write" }]),
  axis(
    "sink",
    [null, sink(true, 2, true), sink(true, 2, false)].map((to) => ({ sink: to })),
  ),
  RULINGS,
  PLANS,
  axis("argument", [{ arguments: [argument("control", 2, 2)] }, { arguments: [argument("control", 1, 2)] }]),
  DECLASSIFIABLE,
  STATE,
];

/** Every level and every operation, where the rest stands still. */
const DEEP: readonly Axis[] = [
  CONTEXTS,
  axis(
    "object",
    LEVELS.flatMap((c) => [[], ["files"], ["web"]].flatMap((k) => [false, true].map((reserved) => object(c, k, reserved)))),
    [],
  ),
  axis(
    "clearance",
    LEVELS.toReversed().map((c) => ({ clearance: { c, k: ["files", "heart"] } })),
  ),
  OPERATIONS,
  axis(
    "sink",
    SINKS.map((to) => ({ sink: to })),
  ),
  STATE,
  DECLASSIFIABLE,
];

/** Every integrity of an argument against every one that it needs, in every context. */
const STEERED: readonly Axis[] = [
  TIERS,
  CONTEXTS,
  axis(
    "argument",
    (["content", "control"] as const).flatMap((role) =>
      LEVELS.flatMap((required) =>
        LEVELS.toReversed().map((i) => ({ arguments: [argument("control", 4, 4), argument(role, i, required)] })),
      ),
    ),
    [],
  ),
  axis("plan", [{ plan: ["file_ops", "shell"] }, { plan: [] }]),
  STATE,
];

export const PRODUCTS: Readonly<Record<string, readonly Axis[]>> = { WIDE, DEEP, STEERED };

const BASE: AccessRequest = {
  skill: "file_ops",
  tier: 1,
  operation: "read",
  changesState: false,
  context: label(0, 3),
  clearance: { c: 4, k: ["files"] },
  object: { kind: "file", name: "notes.txt", label: label(0, 2), reserved: false },
  declassifiable: true,
  sink: null,
  arguments: [],
  plan: null,
  ruled: null,
};

export const sizeOf = (axes: readonly Axis[]): number => axes.reduce((size, { steps }) => size * steps.length, 1);

/** Point number `at` of the product, the last axis turning fastest. */
export function pointOf(axes: readonly Axis[], at: number): AccessRequest {
  const access = { ...BASE };
  for (let axisAt = axes.length - 1, rest = at; axisAt >= 0; axisAt--) {
    const steps = axes[axisAt]?.steps ?? [];
    Object.assign(access, steps[rest % steps.length]);
    rest = Math.floor(rest / steps.length);
  }
  return access;
}

/** What was found: the first fault, with the access that shows it, or none. */
export interface Examined {
  readonly judged: number;
  readonly compared: number;
  readonly fault: string | null;
}

/**
 * Every point once (or every so many: `step`), against the page; and, where all of them were judged, each against its stricter neighbours, which are
 * looked up: a step to something stricter never opens anything, in outcome or in tier.
 */
export function examine(decide: Decide, axes: readonly Axis[], step = 1): Examined {
  const outcomes = new Uint8Array(sizeOf(axes));
  let [judged, fault]: [number, string | null] = [0, null];
  const judge = (access: AccessRequest, at: number): boolean => {
    const decision = decide(access);
    judged++;
    const found = faultOf(access, decision);
    if (found !== null) fault = `${found}: ${JSON.stringify({ access, decision })}`;
    outcomes[at] = STRICTNESS[decision.outcome] * 8 + decision.tier;
    return found === null;
  };
  if (step === 1) everyPoint(axes, judge);
  else for (let at = 0; at < outcomes.length && judge(pointOf(axes, at), at); at += step);
  return fault === null && step === 1 ? { judged, ...neighbours(outcomes, axes) } : { judged, compared: 0, fault };
}

/** All of them in order, until one says false. What the outer axes say is put together once for all of the inner ones. */
function everyPoint(axes: readonly Axis[], visit: (access: AccessRequest, at: number) => boolean): void {
  let at = 0;
  const walk = (depth: number, so: AccessRequest): boolean => {
    const axisHere = axes[depth];
    return axisHere === undefined ? visit(so, at++) : axisHere.steps.every((part) => walk(depth + 1, { ...so, ...part }));
  };
  walk(0, BASE);
}

function faultOf(access: AccessRequest, decision: Decision): string | null {
  const { outcome, tier, incident, batchable } = expected(access);
  if (decision.outcome !== outcome) return `${decision.outcome} where it should ${outcome}`;
  if (decision.tier !== tier) return `tier ${decision.tier} where it should be ${tier}`;
  if (decision.incident !== incident) return incident ? "no incident" : "an incident of nothing";
  if (decision.batchable !== batchable) return batchable ? "may be batched, and was not" : "batched";
  if (!/^.+[.?]$/su.test(decision.reason)) return "no sentence";
  return null;
}

/** What the monitor is to say, as one formula. */
export function expected(access: AccessRequest): Pick<Decision, "outcome" | "tier" | "incident" | "batchable"> {
  const { tier, context, object: reached, clearance, operation, declassifiable, sink: to, arguments: args, plan, skill } = access;
  const incident = tier === 4 || reached.reserved || context.c === 4;
  const leaks = to !== null && context.c > to.maxC;
  const down = (operation === "write" || operation === "send") && context.c > reached.label.c;
  const trifecta = context.i === 0 && context.c >= 2 && (access.changesState || (to !== null && to.external));
  const denied =
    incident ||
    access.ruled?.outcome === "deny" ||
    reached.label.c > clearance.c ||
    reached.label.k.some((k) => !clearance.k.includes(k)) ||
    (down && !declassifiable) ||
    (leaks && context.c >= 3 && !to.listed);
  const asked =
    access.ruled?.outcome === "ask" ||
    down ||
    leaks ||
    trifecta ||
    tier === 3 ||
    (plan !== null && !plan.includes(skill)) ||
    args.some(({ role, label: { i }, required }) => role === "control" && i < required);
  const outcome = denied ? "deny" : asked ? "ask" : "allow";
  const effective = incident ? 4 : trifecta && tier < 3 ? 3 : tier;
  return { outcome, tier: effective, incident, batchable: outcome === "ask" && !trifecta && context.i > 0 };
}

function neighbours(outcomes: Uint8Array, axes: readonly Axis[]): Pick<Examined, "compared" | "fault"> {
  let compared = 0;
  let stride = outcomes.length;
  for (const { name, steps, stricter } of axes) {
    stride /= steps.length;
    for (const [from, to] of stricter) {
      for (let start = 0; start < outcomes.length; start += stride * steps.length) {
        for (let within = 0; within < stride; within++) {
          const [lax, strict] = [start + from * stride + within, start + to * stride + within];
          compared++;
          const [before = 0, after = 0] = [outcomes[lax], outcomes[strict]];
          if (after >> 3 < before >> 3 || (after & 7) < (before & 7))
            return { compared, fault: `a stricter ${name} opens: ${JSON.stringify([pointOf(axes, lax), pointOf(axes, strict)])}` };
        }
      }
    }
  }
  return { compared, fault: null };
}
