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
import { err, ok, type Result } from "../../src/lib/result.ts";

export type Answer = (
  request: GenerateRequest,
  emit: (chunk: GenerateChunk) => void,
  signal: AbortSignal,
) => Promise<Result<GenerateOutcome, EngineError>> | Result<GenerateOutcome, EngineError>;

/** An engine whose answers a test writes. Counts one token a word, so that contexts can be filled on purpose. */
export class ScriptedEngine implements ModelEngine {
  readonly loads: LoadRequest[] = [];
  readonly requests: GenerateRequest[] = [];
  readonly unloaded: string[] = [];
  #restart = new Set<(cause: EngineError) => void>();
  answer: Answer;
  loadError: EngineError | null = null;
  contextSize = 1000;
  templateSource: LoadedModel["template"]["source"] = "embedded";

  constructor(answer: Answer) {
    this.answer = answer;
  }

  async load(request: LoadRequest, onProgress: Parameters<ModelEngine["load"]>[1]): Promise<Result<LoadedModel, EngineError>> {
    this.loads.push(request);
    await Promise.resolve();
    if (this.loadError) return err(this.loadError);
    onProgress({ phase: "read", bytes: 50, total: 100, bytesPerSecond: 25 });
    return ok({
      handle: `model-${this.loads.length}`,
      title: request.path,
      architecture: "llama",
      fileBytes: 100,
      contextSize: this.contextSize,
      trainContextSize: 2048,
      layers: 2,
      gpu: { layers: 0, device: null, reason: "no GPU pack beside the program" },
      template: { source: this.templateSource, wrapper: "test" },
      threads: { prompt: 1, generate: 1, measured: [{ threads: 1, promptTokensPerSecond: 100, generateTokensPerSecond: 10 }] },
      lastingThreads: true,
      loadMs: 1,
    });
  }

  async generate(
    request: GenerateRequest,
    onChunk: (chunk: GenerateChunk) => void,
    signal: AbortSignal,
  ): ReturnType<ModelEngine["generate"]> {
    this.requests.push(request);
    return await this.answer(request, onChunk, signal);
  }

  async count(_model: string, messages: readonly ChatMessage[]): ReturnType<ModelEngine["count"]> {
    return ok({ frame: 1, messages: messages.map((message) => message.text.split(/\s+/u).length) });
  }

  async embed(): ReturnType<ModelEngine["embed"]> {
    return ok([]);
  }

  async probabilities(): ReturnType<ModelEngine["probabilities"]> {
    return ok([]);
  }

  async memory(): ReturnType<ModelEngine["memory"]> {
    return ok({ residentBytes: 1000, gpuBytes: 0, models: [] });
  }

  async unload(model: string): ReturnType<ModelEngine["unload"]> {
    this.unloaded.push(model);
    return ok(undefined);
  }

  onRestart(listener: (cause: EngineError) => void): () => void {
    this.#restart.add(listener);
    return () => this.#restart.delete(listener);
  }

  restart(cause: EngineError): void {
    for (const listener of this.#restart) listener(cause);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#restart.clear();
  }
}

/** Streams `words` one by one and ends. */
export function saying(text: string, stop: GenerateOutcome["stop"] = "end"): Answer {
  return (_request, emit) => {
    emit({ type: "prompt", tokens: 5, cached: 0, ms: 1 });
    for (const word of text.split(/(?<= )/u)) emit({ type: "text", text: word, tokens: 1 });
    return ok(outcome({ stop }));
  };
}

/** Streams `text`, then waits to be cancelled. */
export function sayingForever(text: string): Answer {
  return async (_request, emit, signal) => {
    emit({ type: "text", text, tokens: 1 });
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    return ok(outcome({ stop: "cancelled" }));
  };
}

export function outcome(some: Partial<GenerateOutcome> = {}): GenerateOutcome {
  return {
    stop: "end",
    tokens: { prompt: 5, cached: 0, completion: 3, reasoning: 0 },
    timings: { firstTokenMs: 1, promptMs: 1, generateMs: 2, tokensPerSecond: 1000 },
    threads: { prompt: 1, generate: 1 },
    repeated: 0,
    contextUsed: 8,
    ...some,
  };
}
