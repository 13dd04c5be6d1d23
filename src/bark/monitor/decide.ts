import { Confidentiality, Integrity } from "../../lib/label.ts";
import type { AccessRequest, BarkTier, Decision, Outcome } from "../types.ts";

/**
 * The reference monitor's judgement: a pure function of one access. Every rule that applies speaks, and the strictest is
 * followed; so no rule can weaken another, and their order never matters.
 *
 * Grants and approvals come after it and never enter: they can answer an `ask`, and nothing else.
 */
export function decide(request: AccessRequest): Decision {
  const spoke = RULES.flatMap((rule): Verdict[] => {
    const verdict = rule.judge(request);
    return verdict === null ? [] : [{ rule: rule.id, ...verdict }];
  });
  const tier = effectiveTier(request);
  const strictest = [...spoke].sort((a, b) => STRICTNESS[b.outcome] - STRICTNESS[a.outcome]);
  const [first] = strictest;
  const { outcome, rule, reason } = first ?? ALLOWED;
  return {
    outcome,
    tier: strictest.some((verdict) => verdict.outcome === "deny" && verdict.incident === true) ? 4 : tier,
    rule,
    reason,
    incident: strictest.some((verdict) => verdict.incident === true),
    batchable: outcome === "ask" && !isTrifecta(request) && request.context.i > Integrity.UNTRUSTED,
    spoke: strictest.map((verdict) => verdict.rule),
  };
}

interface Verdict {
  readonly rule: string;
  readonly outcome: Outcome;
  readonly reason: string;
  readonly incident?: boolean;
}

interface Rule {
  readonly id: string;
  /** Null when it has nothing to say. */
  judge(request: AccessRequest): Omit<Verdict, "rule"> | null;
}

const STRICTNESS: Readonly<Record<Outcome, number>> = { allow: 0, ask: 1, deny: 2 };
const ALLOWED: Verdict = { rule: "default", outcome: "allow", reason: "Nothing stands against it." };

/** The tier of the call, raised to 3 where private data, untrusted text and a way out meet. It never falls. */
function effectiveTier(request: AccessRequest): BarkTier {
  return isTrifecta(request) && request.tier < 3 ? 3 : request.tier;
}

/**
 * Untrusted text in the context, private data in the context, and an effect that leaves or stays: whoever wrote the text could
 * steer the data out. (S. Willison's "lethal trifecta".)
 */
const isTrifecta = ({ context, sink, changesState }: AccessRequest): boolean =>
  context.i === Integrity.UNTRUSTED && context.c >= Confidentiality.PERSONAL && (sink?.external === true || changesState);

/** How confidential what leaves is: the context's, whatever the arguments claim. */
const leaving = ({ context }: AccessRequest): number => context.c;

export const RULES: readonly Rule[] = [
  // First only because of two that say the same it has the better reason.
  {
    id: "policy",
    judge: ({ ruled }) => (ruled === null || ruled.outcome === "allow" ? null : { outcome: ruled.outcome, reason: ruled.reason }),
  },
  {
    id: "prohibited",
    judge: ({ tier, skill }) =>
      tier === 4 ? { outcome: "deny", reason: `${skill} asked for something that nobody may do here.`, incident: true } : null,
  },
  {
    id: "reserved",
    judge: ({ object }) =>
      object.reserved ? { outcome: "deny", reason: `${object.name} belongs to Noctem itself; no skill reaches it.`, incident: true } : null,
  },
  {
    id: "clearance",
    judge: ({ object, clearance, skill }) => {
      if (object.label.c > clearance.c) return { outcome: "deny", reason: `${object.name} is more confidential than ${skill} may see.` };
      const closed = object.label.k.find((category) => !clearance.k.includes(category));
      return closed === undefined ? null : { outcome: "deny", reason: `${skill} has no access to ${closed}.` };
    },
  },
  {
    id: "write-down",
    judge: ({ operation, context, object, declassifiable }) => {
      const writes = operation === "write" || operation === "send";
      if (!writes || context.c <= object.label.c) return null;
      const reason = `${object.name} is less confidential than what this conversation has seen.`;
      return { outcome: declassifiable ? "ask" : "deny", reason };
    },
  },
  {
    id: "control-argument",
    judge: (request) => {
      const weak = request.arguments.find(({ role, label, required }) => role === "control" && label.i < required);
      return weak === undefined
        ? null
        : { outcome: "ask", reason: `"${weak.name}" was not said by you: it comes from ${sourceOf(weak.label.i)}.` };
    },
  },
  {
    id: "egress",
    judge: (request) => {
      const { sink } = request;
      if (sink === null || leaving(request) <= sink.maxC) return null;
      const secret = leaving(request) >= Confidentiality.SECRET;
      if (secret && !sink.listed)
        return { outcome: "deny", reason: `This conversation holds secrets, and ${sink.name} is no place for them.` };
      return { outcome: "ask", reason: `What this conversation has seen is more confidential than what goes to ${sink.name}.` };
    },
  },
  {
    id: "sealed",
    judge: ({ context }) =>
      context.c >= Confidentiality.SEALED
        ? { outcome: "deny", reason: "Keys or policy stand in this conversation, where they must never be.", incident: true }
        : null,
  },
  {
    id: "trifecta",
    judge: (request) =>
      isTrifecta(request)
        ? { outcome: "ask", reason: "Text from outside, private data and an effect come together here: the text could be steering it." }
        : null,
  },
  {
    id: "plan",
    judge: ({ plan, skill }) =>
      plan !== null && !plan.includes(skill)
        ? { outcome: "ask", reason: `${skill} was not in the plan made before text from outside was read.` }
        : null,
  },
  {
    id: "approval",
    judge: ({ tier, skill }) => (tier === 3 ? { outcome: "ask", reason: `${skill} may do this only with your approval.` } : null),
  },
];

function sourceOf(integrity: number): string {
  switch (integrity) {
    case Integrity.UNTRUSTED:
      return "text from outside";
    case Integrity.SIGNED_SKILL:
      return "a skill's result";
    default:
      return "a source that is trusted less than this needs";
  }
}
