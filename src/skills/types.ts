import type { GenericSchema, InferOutput } from "valibot";
import type { PreparedCall, SkillRefusal } from "../bark/call.ts";
import type { BarkTier } from "../bark/types.ts";
import type { Result } from "../lib/result.ts";

export type { Effect, PreparedCall, SkillRefusal } from "../bark/call.ts";

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
