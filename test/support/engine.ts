/** A real engine child for tests, one thread, and where the real model lies if it is there. */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createEngineHost, type EngineHost, type EngineHostOptions } from "../../src/engine/host.ts";
import type {
  ChatMessage,
  EngineError,
  GenerateChunk,
  GenerateOutcome,
  GenerateRequest,
  LoadedModel,
  LoadRequest,
  ModelEngine,
} from "../../src/engine/port.ts";
import type { Result } from "../../src/lib/result.ts";
import { spawnCagedEngine } from "../../src/platform/process.ts";
import { systemTimers } from "../../src/platform/timers.ts";

const ROOT = resolve(import.meta.dir, "../..");

/** `await using engine = startEngine()`. Nothing runs before the first request. */
export function startEngine(options: Partial<EngineHostOptions> & { readonly env?: Record<string, string> } = {}): EngineHost {
  const env = { PATH: "/usr/bin:/bin", NOCTEM_THREADS: "1", ...options.env };
  // In its cage, as a sitting starts it: with the folder of what it is to load.
  const spawn: EngineHostOptions["spawn"] = (path) => spawnCagedEngine(path === null ? [] : [dirname(path)], { env });
  return createEngineHost({ spawn, timers: systemTimers, ...options });
}

/** The starter model, beside the program or beside the checkout; null where it is not to be had. */
export function starterModel(): string | null {
  const name = "smollm2-135m-instruct-q4_1.gguf";
  return [join(ROOT, "dist/models", name), join(ROOT, "../shared/models", name)].find((path) => existsSync(path)) ?? null;
}

export const ONE_THREAD = { prompt: 1, generate: 1, measured: [] } as const;
export const NEVER: AbortSignal = new AbortController().signal;

export function loadRequest(path: string, some: Partial<LoadRequest> = {}): LoadRequest {
  return { path, contextSize: 512, gpu: "off", threads: ONE_THREAD, template: null, ...some };
}

/** Loads or throws. */
export async function load(engine: Pick<ModelEngine, "load">, path: string, some: Partial<LoadRequest> = {}): Promise<LoadedModel> {
  const loaded = await engine.load(loadRequest(path, some), () => undefined, NEVER);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  return loaded.value;
}

export interface Said {
  readonly text: string;
  readonly reasoning: string;
  readonly chunks: readonly GenerateChunk[];
  readonly result: Result<GenerateOutcome, EngineError>;
}

/** One generation, greedy unless told otherwise. */
export async function say(
  engine: Pick<ModelEngine, "generate">,
  model: LoadedModel,
  prompt: string | readonly ChatMessage[],
  some: Partial<GenerateRequest> & { readonly signal?: AbortSignal; readonly onChunk?: (chunk: GenerateChunk) => void } = {},
): Promise<Said> {
  const { signal = NEVER, onChunk, ...rest } = some;
  const chunks: GenerateChunk[] = [];
  const messages = typeof prompt === "string" ? [{ role: "user" as const, text: prompt }] : prompt;
  const request: GenerateRequest = {
    model: model.handle,
    messages,
    maxTokens: 64,
    temperature: 0,
    topP: 0.95,
    topK: 40,
    minP: 0,
    seed: 1,
    jsonSchema: null,
    cacheKey: "test",
    ...rest,
  };
  const result = await engine.generate(
    request,
    (chunk) => {
      chunks.push(chunk);
      onChunk?.(chunk);
    },
    signal,
  );
  const of = (type: GenerateChunk["type"]): string =>
    chunks.map((chunk) => (chunk.type === type && chunk.type !== "prompt" ? chunk.text : "")).join("");
  return { text: of("text"), reasoning: of("reasoning"), chunks, result };
}

/** The value of a result that must be one. */
export function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}
