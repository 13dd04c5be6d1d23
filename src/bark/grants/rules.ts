import { Integrity } from "../../lib/label.ts";
import type { GrantRequest } from "./desk.ts";

/** Rules whose `ask` a standing permission may answer. All others weigh what only this moment knows: where the text came from, what would leave. */
const ANSWERABLE = new Set(["approval", "policy", "control-argument"]);

/**
 * Whether any grant may speak to this call. A grant turns an `ask` into a yes and nothing else: no deny, no tier 4, no trifecta, no context with text from outside in it, nothing
 * that leaves this computer, no program that came as text.
 */
export function mayBeGranted({ decision, context, prepared, skill }: GrantRequest): boolean {
  const { effect, sink, object } = prepared;
  return (
    decision.outcome === "ask" &&
    decision.tier < 4 &&
    !decision.incident &&
    decision.batchable &&
    decision.spoke.every((rule) => ANSWERABLE.has(rule)) &&
    context.i > Integrity.UNTRUSTED &&
    sink === null &&
    !object.reserved &&
    skill !== "code_exec" &&
    object.kind !== "code" &&
    (effect.kind !== "process" || (effect.stdin === null && effect.plan.network.kind === "none"))
  );
}
