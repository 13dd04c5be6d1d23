import type { Json } from "../lib/canonical-json.ts";
import type { Label } from "../lib/label.ts";
import type { Result } from "../lib/result.ts";
import type { CagePlan } from "./cage/types.ts";
import type { AccessObject, AccessRequest, Argument, BarkTier, Sink } from "./types.ts";
import type { Change } from "./workspace/types.ts";
import type { Executed } from "./outcome.ts";

/** One call, complete: what is asked of the monitor, and the one effect that follows if it says yes. */
export interface PreparedCall {
  readonly tier: BarkTier;
  /** At least this where text from outside stands in the context, whatever of the arguments the person typed; absent: the same. */
  readonly tierUntrusted?: BarkTier;
  readonly operation: AccessRequest["operation"];
  readonly changesState: boolean;
  readonly object: AccessObject;
  readonly declassifiable: boolean;
  readonly sink: Sink | null;
  readonly arguments: readonly Omit<Argument, "label">[];
  /** What rules of the policy's data say about it. */
  readonly ruled: AccessRequest["ruled"];
  readonly effect: Effect;
  /** Of the result, before it is joined with the context's. */
  readonly resultLabel: Label;
  /**
   * Where the result leads, such as a redirect: a call of its own, which the monitor judges like any other. Null when it leads nowhere, an error when it leads where nothing can be
   * asked for. Only looks.
   */
  readonly follow?: (executed: Executed) => Result<FollowingCall, SkillRefusal> | null;
}

export interface FollowingCall {
  readonly args: Json;
  readonly prepared: PreparedCall;
}

export type Effect =
  /** Read in this process: nothing runs. `of`: all that says what is read, so that a yes for one answer is none for another. */
  | { readonly kind: "answer"; readonly of: Lookup; readonly read: () => Promise<Result<string, SkillRefusal>> }
  | {
      readonly kind: "process";
      readonly plan: CagePlan;
      readonly stdin: Uint8Array | null;
      /** What it printed, as an answer; an error where what it printed says that it did not do what it was for. */
      readonly read: (stdout: string) => Result<string, SkillRefusal>;
      /** Looks again, after the answer, at what the plan rests on: a sentence when it is not what it was. A question may stand for minutes. */
      readonly recheck?: () => string | null;
    }
  /** Applied to the workspace by the one who applies every difference. `diff`: unified, for the person. */
  | { readonly kind: "changes"; readonly changes: readonly Change[]; readonly diff: string; readonly answer: string }
  /** A write into the heart: memory. `text` is exactly what is stored. */
  | { readonly kind: "store"; readonly text: string; readonly write: (label: Label) => Result<string, SkillRefusal> };

/** What an answer is read from, and what is asked of it: a skill's name and its arguments, as they were understood. */
export interface Lookup {
  readonly skill: string;
  readonly asked: Json;
}

/** One clear sentence for the model and for the person. Nothing was changed. */
export interface SkillRefusal {
  readonly kind: "bad-arguments" | "not-found" | "outside" | "unsuitable" | "too-large" | "unavailable" | "failed";
  readonly detail: string;
}
