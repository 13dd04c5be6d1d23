import type { Json } from "../../lib/canonical-json.ts";
import type { CagePlan } from "./types.ts";

/**
 * A run as it enters the digest of a permit. The plan is plain data and stands there whole; of standard input, which may be what a program
 * executes, its hash.
 */
export function describeRun(plan: CagePlan, stdin: Uint8Array | null, sha256: (bytes: Uint8Array) => Uint8Array): Json {
  return { kind: "process", plan: plan as unknown as Json, stdin: stdin === null ? null : sha256(stdin).toHex() };
}
