/** How answers are generated; the same for every turn of a session. */
export interface GenerationOptions {
  /** Replaces the built-in system prompt; empty sends none. `null` keeps the built-in one. */
  readonly system: string | null;
  /** Tokens per answer that the person asked for; `null` is bounded by the context alone. */
  readonly maxTokens: number | null;
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  /** `null` draws a fresh seed for every answer; it is recorded with the answer either way. */
  readonly seed: number | null;
  /** JSON Schema that answers must follow; `null` is free text. */
  readonly jsonSchema: unknown;
}

export const DEFAULT_GENERATION: GenerationOptions = {
  system: null,
  maxTokens: null,
  temperature: 0.7,
  topP: 0.95,
  topK: 40,
  minP: 0.05,
  seed: null,
  jsonSchema: null,
};
