/** Models in this very process, behind the engine's port. Runs in the engine child; tests and benches may run it directly. */
import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { freemem } from "node:os";
import { basename } from "node:path";
import type { LlamaModel } from "node-llama-cpp";
import type {
  ChatMessage,
  EngineError,
  EngineMemory,
  GenerateChunk,
  GenerateRequest,
  LoadedModel,
  LoadProgress,
  LoadRequest,
  ModelHandle,
  ThreadPlan,
} from "../../engine/port.ts";
import type { LocalEngine } from "../../engine/server.ts";
import { type ChatTemplate, compileTemplate, continuation } from "../../engine/template.ts";
import { capPlan } from "../../engine/thread-plan.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { coreBinding } from "../ffi/core-binding.ts";
import { usableCores } from "./cores.ts";
import { loadError, type LogLine, type MemoryFacts } from "./errors.ts";
import { measureThreads } from "./measure.ts";
import { LoadedLlama } from "./model.ts";
import { type Decoder, openDecoder } from "./raw.ts";
import { modelFiles, readAhead, totalBytes } from "./read-ahead.ts";
import { loadRuntime, type Runtime, SWITCHED_OFF } from "./runtime.ts";
import { StepClock } from "./step-clock.ts";

export interface LlamaEngineOptions {
  /** Overrides every request's plan; `null` leaves it to the request, or to measuring. */
  readonly threads?: ThreadPlan | null;
  /** Cores to use at most; what this process may use when absent. */
  readonly cores?: number;
  /** "public" does without node-llama-cpp's internals, as after an update that moved them. */
  readonly decoder?: "native" | "public";
}

type Load = (progress: LoadProgress) => void;

export class LlamaEngine implements LocalEngine {
  readonly #options: LlamaEngineOptions;
  readonly #clock = new StepClock(() => performance.now());
  readonly #runtimes = new Map<LoadRequest["gpu"], Promise<Runtime>>();
  readonly #models = new Map<ModelHandle, LoadedLlama>();
  readonly #cores = coreBinding();
  #lastHandle = 0;
  #loads: Promise<unknown> = Promise.resolve();

  constructor(options: LlamaEngineOptions = {}) {
    this.#options = options;
  }

  stalledMs(): number {
    return this.#clock.stalledMs();
  }

  /** One load at a time: two would share the stick's speed and confuse each other's measurements. */
  async load(request: LoadRequest, onProgress: Load, signal: AbortSignal): Promise<Result<LoadedModel, EngineError>> {
    const turn = this.#loads.then(async () => await this.#load(request, onProgress, signal));
    this.#loads = turn.catch(() => undefined);
    return await turn;
  }

  async generate(request: GenerateRequest, onChunk: (chunk: GenerateChunk) => void, signal: AbortSignal) {
    const model = this.#models.get(request.model);
    return model ? await model.generate(request, onChunk, signal) : NOT_LOADED;
  }

  async count(handle: ModelHandle, messages: readonly ChatMessage[]) {
    const model = this.#models.get(handle);
    return model ? await model.count(messages) : NOT_LOADED;
  }

  async embed(handle: ModelHandle, texts: readonly string[]) {
    const model = this.#models.get(handle);
    return model ? await model.embed(texts) : NOT_LOADED;
  }

  async probabilities(handle: ModelHandle, text: string, top: number) {
    const model = this.#models.get(handle);
    return model ? await model.probabilities(text, top) : NOT_LOADED;
  }

  async memory(): Promise<Result<EngineMemory, EngineError>> {
    const models = [...this.#models].map(([handle, { contextSize, contextUsed }]) => ({ handle, contextSize, contextUsed }));
    const gpuBytes = [...this.#models.values()].reduce((sum, model) => sum + model.gpuBytes, 0);
    return ok({ residentBytes: residentBytes(), gpuBytes, models });
  }

  async unload(handle: ModelHandle): Promise<Result<void, EngineError>> {
    const model = this.#models.get(handle);
    if (!model) return NOT_LOADED;
    this.#models.delete(handle);
    await model.dispose();
    return ok(undefined);
  }

  async #load(request: LoadRequest, onProgress: Load, signal: AbortSignal): Promise<Result<LoadedModel, EngineError>> {
    const start = performance.now();
    const { path } = request;
    const found = await readable(path);
    if (found) return err(found);
    const files = await modelFiles(path);
    const fileBytes = await totalBytes(files);
    const runtime = await this.#runtime(request.gpu);
    if (!runtime.ok) return runtime;
    await this.#clock.step(
      readAhead(
        files,
        fileBytes,
        (progress) => (this.#clock.progress(), onProgress(progress)),
        signal,
        () => performance.now(),
      ),
    );
    if (signal.aborted) return err({ kind: "cancelled" });
    await using cleanup = new AsyncDisposableStack();
    runtime.value.clearLog();
    const { llama } = runtime.value;
    let stage: LlamaModel | null = null;
    try {
      const model = await this.#clock.step(
        llama.loadModel({
          modelPath: path,
          gpuLayers: llama.gpu === false ? 0 : { fitContext: { contextSize: request.contextSize } },
          loadSignal: signal,
          onLoadProgress: (fraction) => {
            this.#clock.progress();
            onProgress({ phase: "prepare", fraction: Math.min(1, fraction) });
          },
        }),
      );
      cleanup.use(model);
      stage = model;
      const source = request.template ?? ownTemplate(model);
      const template = chatTemplate(source, model);
      if (!template.ok) return err({ kind: "template-broken", path, detail: template.error });
      // Bound to one core, this process would count just that one.
      this.#cores?.set(false);
      const cores = this.#options.cores ?? usableCores();
      const contextSize = Math.max(64, Math.min(request.contextSize, model.trainContextSize));
      const context = await this.#clock.step(model.createContext({ contextSize, sequences: 1, threads: cores, createSignal: signal }));
      // Ends what `openDecoder` begins, after the context: disposal goes backwards.
      let decoder: Decoder | null = null;
      cleanup.defer(() => decoder?.[Symbol.dispose]());
      cleanup.use(context);
      decoder = openDecoder(context, { prefer: this.#options.decoder, libraries: runtime.value.control });
      const known = this.#options.threads ?? request.threads;
      const threads = known
        ? capPlan(known, cores)
        : await measureThreads({
            decoder,
            cores,
            sample: model.tokenize(SAMPLE),
            contextSize: context.contextSize,
            monotonic: () => performance.now(),
            onCount: (count) => {
              this.#clock.progress();
              onProgress({ phase: "measure-threads", threads: count });
            },
            signal,
          });
      if (signal.aborted) return err({ kind: "cancelled" });
      const loaded = new LoadedLlama({
        path,
        model,
        context,
        decoder,
        template: template.value,
        templateSource: source,
        threads,
        clock: this.#clock,
        cores: this.#cores,
      });
      cleanup.move();
      const handle = `model-${++this.#lastHandle}`;
      this.#models.set(handle, loaded);
      return ok({
        handle,
        title: model.fileInfo.metadata.general.name?.trim() || basename(path),
        architecture: model.fileInfo.metadata.general.architecture,
        fileBytes,
        contextSize: context.contextSize,
        trainContextSize: model.trainContextSize,
        layers: model.fileInsights.totalLayers,
        gpu: gpuFacts(runtime.value, model),
        template:
          source === null
            ? { source: "none", wrapper: "continuation" }
            : { source: request.template === null ? "embedded" : "override", wrapper: "jinja" },
        threads,
        lastingThreads: decoder.controlled,
        loadMs: Math.round(performance.now() - start),
      });
    } catch (error) {
      if (signal.aborted) return err({ kind: "cancelled" });
      const memory = { needed: fileBytes, available: freemem() };
      return err(stage === null ? loadError(path, error, runtime.value.log, memory) : contextError(path, error, runtime.value.log, memory));
    }
  }

  async #runtime(gpu: LoadRequest["gpu"]): Promise<Result<Runtime, EngineError>> {
    const known = this.#runtimes.get(gpu) ?? this.#clock.step(loadRuntime(gpu));
    this.#runtimes.set(gpu, known);
    try {
      const runtime = await known;
      // Looking for a GPU and finding none leaves what switching it off would: a second copy of the libraries would be a waste.
      if (runtime.llama.gpu === false && gpu === "auto" && !this.#runtimes.has("off"))
        this.#runtimes.set("off", Promise.resolve({ ...runtime, noGpu: SWITCHED_OFF }));
      return ok(runtime);
    } catch (error) {
      this.#runtimes.delete(gpu);
      return err({ kind: "unavailable", detail: (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "" });
    }
  }
}

/** For measuring only; any text will do, as long as it has a few different tokens. */
const SAMPLE = "The quick brown fox jumps over the lazy dog, and then it does so again. 0123456789";

const NOT_LOADED: Result<never, EngineError> = err({ kind: "not-loaded" });

/** A file that cannot even be opened is named here; llama.cpp would only say that it failed. */
async function readable(path: string): Promise<EngineError | null> {
  try {
    await using file = await open(path, "r");
    if (!(await file.stat()).isFile()) return { kind: "model-broken", path, detail: "it is not a file" };
    const magic = Buffer.alloc(4);
    const { bytesRead } = await file.read(magic, 0, 4, 0);
    if (bytesRead < 4) return { kind: "model-broken", path, detail: "the file is empty or cut short" };
    return magic.toString("latin1") === "GGUF"
      ? null
      : { kind: "model-broken", path, detail: "it is not a GGUF file: it does not begin with GGUF" };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return code === "ENOENT" || code === "ENOTDIR"
      ? { kind: "model-missing", path }
      : { kind: "model-broken", path, detail: `it cannot be read (${code})` };
  }
}

function ownTemplate(model: LlamaModel): string | null {
  const source = model.fileInfo.metadata.tokenizer?.chat_template;
  return typeof source === "string" && source.trim() !== "" ? source : null;
}

function chatTemplate(source: string | null, model: LlamaModel): Result<ChatTemplate, string> {
  if (source === null) return ok(continuation);
  return compileTemplate(source, { bos: model.tokens.bosString ?? "", eos: model.tokens.eosString ?? "" });
}

function contextError(path: string, error: unknown, log: readonly LogLine[], memory: MemoryFacts): EngineError {
  // The model was sound; a context of it fails for want of memory, or because this build cannot run it.
  const cause = loadError(path, error, log, memory);
  return cause.kind === "model-broken" ? { kind: "model-unsupported", path, detail: cause.detail } : cause;
}

function gpuFacts({ devices, noGpu }: Runtime, model: LlamaModel): LoadedModel["gpu"] {
  const total = model.fileInsights.totalLayers;
  const layers = Math.min(model.gpuLayers, total);
  const device = devices[0] ?? null;
  if (noGpu !== null) return { layers: 0, device: null, reason: noGpu };
  if (layers >= total) return { layers, device, reason: "the whole model is on the GPU" };
  return { layers, device, reason: `${layers} of ${total} layers fit into the GPU's free memory beside the context` };
}

/** From the kernel: what the process really holds, mapped model included. */
function residentBytes(): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}
