import type { Brand, Millis } from "../lib/brand.ts";
import type { ConfidentialityLevel, IntegrityLevel, Label } from "../lib/label.ts";

/** What the reference monitor speaks about. Everything here is plain data: `decide` is a function from one of these to another. */

/** 0 unrestricted reads, 1 sandboxed, 2 restricted, 3 a human's approval, 4 prohibited. Never plain "tier". */
export type BarkTier = 0 | 1 | 2 | 3 | 4;

export type Outcome = "allow" | "ask" | "deny";

/** The most that a subject may have seen. Categories are named one by one: a new one is closed until somebody opens it. */
export interface Clearance {
  readonly c: ConfidentialityLevel;
  readonly k: readonly string[];
}

/** What is reached for. */
export interface AccessObject {
  readonly kind: "task" | "memory" | "file" | "command" | "code" | "web" | "contact";
  /** As a person would name it: a path, a command line, a host. */
  readonly name: string;
  readonly label: Label;
  /** Noctem's own: policy, keys, audit, monitor, program, heart. Never reachable, whoever asks. */
  readonly reserved: boolean;
}

/** Where data goes when the call takes some along. */
export interface Sink {
  readonly name: string;
  /** Beyond this computer. */
  readonly external: boolean;
  /** The most confidential that may go there unasked. */
  readonly maxC: ConfidentialityLevel;
  /** Named by policy as a place for secrets; without it nothing from level 3 up leaves at all. */
  readonly listed: boolean;
}

export interface Argument {
  readonly name: string;
  /** `control` steers what happens (recipient, path, address, command, id); `content` is what it happens to. */
  readonly role: "control" | "content";
  readonly value: string | number | boolean;
  readonly label: Label;
  /** Integrity that a control argument needs to pass without asking. */
  readonly required: IntegrityLevel;
}

/** One access, complete: nothing else enters a decision. */
export interface AccessRequest {
  readonly skill: string;
  /** Of the call: the skill's own, raised by its arguments. */
  readonly tier: BarkTier;
  readonly operation: "read" | "write" | "run" | "send" | "fetch";
  readonly changesState: boolean;
  /** The join of everything in the context window. */
  readonly context: Label;
  readonly clearance: Clearance;
  readonly object: AccessObject;
  /** The rule that covers the object says its reader may write it down a level after asking. */
  readonly declassifiable: boolean;
  readonly sink: Sink | null;
  readonly arguments: readonly Argument[];
  /** Skills named in the plan that was committed before anything untrusted was read; null when none was. */
  readonly plan: readonly string[] | null;
  /** What rules of the policy's data say about the object; `null` when none matched. */
  readonly ruled: { readonly rule: string; readonly outcome: Outcome; readonly reason: string } | null;
}

export interface Decision {
  readonly outcome: Outcome;
  /** The effective tier: never below that of the call. */
  readonly tier: BarkTier;
  /** The rule that decided; the strictest of those that spoke. */
  readonly rule: string;
  /** One sentence for a person. */
  readonly reason: string;
  /** A parent should know: somebody reached for what is never allowed. */
  readonly incident: boolean;
  /** May be asked about together with others of the same skill and sink. */
  readonly batchable: boolean;
  /** Every rule that spoke, strictest first. */
  readonly spoke: readonly string[];
}

/** SHA-256 over the canonical JSON of a plan. */
export type PlanDigest = Brand<string, "PlanDigest">;

declare const permitted: unique symbol;

/**
 * The right to do one thing once. Only the monitor mints one (monitor/permit.ts), for the digest of an exact plan; whatever has an
 * effect on a skill's behalf takes one, so that an unmediated effect does not compile.
 */
export interface Permit {
  readonly [permitted]: true;
  readonly digest: PlanDigest;
  readonly expiresAt: Millis;
}
