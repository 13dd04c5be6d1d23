import { canonicalJson, type Json } from "../../lib/canonical-json.ts";
import type { Millis } from "../../lib/brand.ts";
import type { Permit, PlanDigest } from "../types.ts";

/** Milliseconds between a decision and its effect: long enough to build a sandbox on a slow stick, too short to keep. */
export const PERMIT_LIFETIME = 10_000;

export type PermitFault = "unknown" | "spent" | "expired" | "other-plan";

/** A desk for one process. */
export const permitDesk = (sha256: (bytes: Uint8Array) => Uint8Array): PermitDesk => new PermitDesk(sha256);

/**
 * The one place that mints permits. A permit is an object of this desk's making, good for one plan, once, for ten seconds: what merely looks
 * like one is unknown, whatever it says about itself.
 */
export class PermitDesk {
  readonly #sha256: (bytes: Uint8Array) => Uint8Array;
  readonly #open = new WeakMap<Permit, { spent: boolean }>();

  constructor(sha256: (bytes: Uint8Array) => Uint8Array) {
    this.#sha256 = sha256;
  }

  digest(plan: Json): PlanDigest {
    return this.#sha256(new TextEncoder().encode(canonicalJson(plan))).toHex() as PlanDigest;
  }

  /** To be called for an allowed or approved decision alone; the monitor is its only caller. */
  mint(plan: Json, now: Millis): Permit {
    const permit = Object.freeze({ digest: this.digest(plan), expiresAt: (now + PERMIT_LIFETIME) as Millis }) as unknown as Permit;
    this.#open.set(permit, { spent: false });
    return permit;
  }

  /** Spends a permit on `plan`, the very thing that is about to be done. Any fault leaves it spent as well: there is no second try. */
  spend(permit: Permit, plan: Json, now: Millis): PermitFault | null {
    const state = this.#open.get(permit);
    if (state === undefined) return "unknown";
    if (state.spent) return "spent";
    state.spent = true;
    if (now > permit.expiresAt) return "expired";
    return this.digest(plan) === permit.digest ? null : "other-plan";
  }
}
