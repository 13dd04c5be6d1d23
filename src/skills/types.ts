import type { GenericSchema, InferOutput } from "valibot";
import type { CagePlan } from "../bark/cage/types.ts";
import type { Change } from "../bark/workspace/types.ts";
import type { AccessObject, AccessRequest, Argument, BarkTier, Sink } from "../bark/types.ts";
import type { Label } from "../lib/label.ts";
import type { Result } from "../lib/result.ts";

/** What the model sees of a skill: the JSON schema is made from the same valibot schema that parses its calls. */
export interface ToolDeclaration {
  readonly name: string;
  readonly description: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/**
 * A skill is a description of effects, never an effect. `prepare` looks and may fail; what it returns is judged, audited and perhaps
 * asked about, and only then done by the monitor's executor.
 */
export interface Skill<TSchema extends GenericSchema = GenericSchema> {
  readonly name: string;
  /** One sentence, for the model and for `--help`. */
  readonly description: string;
  readonly arguments: TSchema;
  /** Of a call with the mildest arguments. */
  readonly tier: BarkTier;
  prepare(args: InferOutput<TSchema>, context: SkillContext): Promise<Result<PreparedCall, SkillRefusal>>;
}

export interface SkillContext {
  /** On the host, resolved, free of links. */
  readonly workspace: string;
  readonly signal: AbortSignal;
}

/** One call, complete: what is asked of the monitor, and the one effect that follows if it says yes. */
export interface PreparedCall {
  readonly tier: BarkTier;
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
}

export type Effect =
  /** Answered from what was looked up while preparing: nothing runs. */
  | { readonly kind: "answer"; readonly read: () => Promise<Result<string, SkillRefusal>> }
  | { readonly kind: "process"; readonly plan: CagePlan; readonly stdin: Uint8Array | null; readonly read: (stdout: string) => string }
  /** Applied to the workspace by the one who applies every difference. `diff`: unified, for the person. */
  | { readonly kind: "changes"; readonly changes: readonly Change[]; readonly diff: string; readonly answer: string }
  /** A write into the heart: memory. `text` is exactly what is stored. */
  | { readonly kind: "store"; readonly text: string; readonly write: (label: Label) => Result<string, SkillRefusal> };

/** One clear sentence for the model and for the person. Nothing was changed. */
export interface SkillRefusal {
  readonly kind: "bad-arguments" | "not-found" | "outside" | "unsuitable" | "too-large" | "unavailable" | "failed";
  readonly detail: string;
}
