import type { CageLevel } from "../lib/cage-level.ts";
import type { Result } from "../lib/result.ts";
import type { Role, StopReason, Timings, TokenCounts } from "../lib/message.ts";

/**
 * What the rest of Noctem knows of a language model. Two implementations: `host.ts` (a supervised child process that runs
 * llama.cpp) and `replay.ts` (recorded transcripts). No method throws for anything a model, a file or the child does;
 * each resolves to a `Result`.
 */
export interface ModelEngine extends AsyncDisposable {
  load(request: LoadRequest, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<Result<LoadedModel, EngineError>>;
  /** Streams through `onChunk`; the outcome repeats nothing that was streamed except its counts. */
  generate(
    request: GenerateRequest,
    onChunk: (chunk: GenerateChunk) => void,
    signal: AbortSignal,
  ): Promise<Result<GenerateOutcome, EngineError>>;
  /** Tokens that each message takes in the chat template, and of the frame around them. Same order as given. */
  count(model: ModelHandle, messages: readonly ChatMessage[]): Promise<Result<MessageCosts, EngineError>>;
  /** Unit-length vectors, one for each text. */
  embed(model: ModelHandle, texts: readonly string[]): Promise<Result<readonly Float32Array[], EngineError>>;
  /** Next-token distribution after `text`, before any sampling filter: the `top` likeliest, natural-log probabilities. */
  probabilities(model: ModelHandle, text: string, top: number): Promise<Result<readonly TokenProbability[], EngineError>>;
  memory(): Promise<Result<EngineMemory, EngineError>>;
  unload(model: ModelHandle): Promise<Result<void, EngineError>>;
  /**
   * Told when the child died, or (`unavailable`) was ended to be started anew for a load that is on its way; every model handle is then void.
   * Returns the unsubscribe.
   */
  onRestart(listener: (cause: EngineError) => void): () => void;
}

/** Names a loaded model until it is unloaded or the engine restarts. */
export type ModelHandle = string & { readonly __handle?: never };

export interface LoadRequest {
  /** Absolute path of the first (or only) GGUF file. */
  readonly path: string;
  /** Tokens of context wanted; the engine never exceeds what the model was trained for. */
  readonly contextSize: number;
  /** `"auto"` uses a GPU where one is usable, `"off"` never does. */
  readonly gpu: "auto" | "off";
  /** Known thread counts for this host and model; `null` measures them and reports the result. */
  readonly threads: ThreadPlan | null;
  /** Jinja source that replaces the model's own template. */
  readonly template: string | null;
}

export interface ThreadPlan {
  /** Threads for batches of at least 16 tokens. */
  readonly prompt: number;
  /** Threads for single-token steps. */
  readonly generate: number;
  /** Speeds measured when the plan was made, tokens per second, by thread count; empty where not measured. */
  readonly measured: readonly ThreadSample[];
}
export interface ThreadSample {
  readonly threads: number;
  readonly promptTokensPerSecond: number;
  readonly generateTokensPerSecond: number;
}

export type LoadProgress =
  | { readonly phase: "read"; readonly bytes: number; readonly total: number; readonly bytesPerSecond: number }
  | { readonly phase: "prepare"; readonly fraction: number }
  | { readonly phase: "measure-threads"; readonly threads: number };

export interface LoadedModel {
  readonly handle: ModelHandle;
  /** `general.name` of the file, or its file name. */
  readonly title: string;
  readonly architecture: string;
  readonly fileBytes: number;
  readonly contextSize: number;
  readonly trainContextSize: number;
  readonly layers: number;
  /** Layers on the GPU, the GPU's name, and the sentence that says why not more (or why none). */
  readonly gpu: { readonly layers: number; readonly device: string | null; readonly reason: string };
  /** `none`: a base model without a chat template; it continues text and is said to do so. */
  readonly template: { readonly source: "embedded" | "override" | "none"; readonly wrapper: string };
  readonly threads: ThreadPlan;
  /** Threads last from token to token. False after an update that moved what they are reached by: two then bring little over one. */
  readonly lastingThreads: boolean;
  readonly loadMs: number;
  /** How the process is held that the model is in. Said by who started it, never by itself; absent where there is no process. */
  readonly cage?: EngineCage;
}

export interface EngineCage {
  readonly level: CageLevel;
  /** Why not better, as sentences; "" where nothing is missing. */
  readonly reason: string;
}

export interface ChatMessage {
  readonly role: Role;
  readonly text: string;
}

export interface GenerateRequest {
  readonly model: ModelHandle;
  readonly messages: readonly ChatMessage[];
  /** At most this many generated tokens; `null` is bounded by the context alone. */
  readonly maxTokens: number | null;
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly seed: number;
  /** JSON Schema that the answer's grammar enforces; `null` is free text. */
  readonly jsonSchema: unknown;
  /** Requests of the same key share KV state: the common prefix is not evaluated again. */
  readonly cacheKey: string;
}

export type GenerateChunk =
  | { readonly type: "prompt"; readonly tokens: number; readonly cached: number; readonly ms: number }
  | { readonly type: "text"; readonly text: string; readonly tokens: number }
  | { readonly type: "reasoning"; readonly text: string; readonly tokens: number };

export interface GenerateOutcome {
  readonly stop: Exclude<StopReason, "timeout" | "error">;
  readonly tokens: TokenCounts;
  readonly timings: Timings;
  /** Thread counts in force at the end; lower than planned when other load made steps slow. */
  readonly threads: { readonly prompt: number; readonly generate: number };
  /** Present when stop is `loop`: UTF-16 units at the end of the streamed text that repeat what stands before them. */
  readonly repeated: number;
  /** Context tokens in use after this reply. */
  readonly contextUsed: number;
}

export interface MessageCosts {
  readonly messages: readonly number[];
  /** Tokens of template text that belong to no message (prelude and the assistant's opening). */
  readonly frame: number;
}

export interface TokenProbability {
  readonly token: number;
  readonly text: string;
  readonly logProbability: number;
}

export interface EngineMemory {
  /** Resident bytes of the child process. */
  readonly residentBytes: number;
  /** Bytes in use on the GPU by this process, 0 without one. */
  readonly gpuBytes: number;
  readonly models: readonly { readonly handle: ModelHandle; readonly contextSize: number; readonly contextUsed: number }[];
}

export type EngineError =
  /** No file at the path. */
  | { readonly kind: "model-missing"; readonly path: string }
  /** The file is not a GGUF, is truncated or llama.cpp refuses it. `detail` is one line. */
  | { readonly kind: "model-broken"; readonly path: string; readonly detail: string }
  /** A sound GGUF of an architecture or type that this build cannot run. */
  | { readonly kind: "model-unsupported"; readonly path: string; readonly detail: string }
  /** The chat template cannot be parsed or rendered. */
  | { readonly kind: "template-broken"; readonly path: string; readonly detail: string }
  /** Model and context do not fit the memory that is free. Bytes. */
  | { readonly kind: "out-of-memory"; readonly needed: number; readonly available: number }
  /** The messages alone exceed the context. */
  | { readonly kind: "prompt-too-long"; readonly promptTokens: number; readonly contextSize: number }
  /** The schema uses what the grammar cannot express. */
  | { readonly kind: "schema-unsupported"; readonly detail: string }
  /** The handle names nothing loaded; load again. */
  | { readonly kind: "not-loaded" }
  /** The caller's signal fired before anything was produced. */
  | { readonly kind: "cancelled" }
  /** The child died while this request ran; it has been or will be started again. */
  | { readonly kind: "crashed"; readonly exitCode: number | null; readonly signal: string | null; readonly detail: string }
  /** The child gave no sign of life for so long; it was killed and started again. */
  | { readonly kind: "hung"; readonly seconds: number }
  /** The child could not be started (native libraries, no executable memory…). */
  | { readonly kind: "unavailable"; readonly detail: string };
