import type { EngineError, LoadedModel, LoadProgress, ModelEngine, ThreadPlan } from "../engine/port.ts";
import type { PlannedModel } from "../models/port.ts";
import { err, ok, type Result } from "../lib/result.ts";

export interface PoolListener {
  loading(model: PlannedModel, progress: LoadProgress | null): void;
  loaded(model: PlannedModel, loaded: LoadedModel): void;
  failed(model: PlannedModel, error: EngineError): void;
}

/** What distinguishes two loads of one file. */
const keyOf = (model: PlannedModel) => `${model.contextSize} ${model.gpu} ${model.template === null ? "" : "t"} ${model.path}`;

/**
 * The models that are in memory. A model is loaded once however many turns wait for it; when the engine restarts all
 * handles are void and the next `acquire` loads again.
 */
export class ModelPool implements Disposable {
  readonly #engine: ModelEngine;
  readonly #listener: PoolListener;
  readonly #models = new Map<string, Promise<Result<LoadedModel, EngineError>>>();
  /** Those that are there, of those that are there or on their way. */
  readonly #loaded = new Set<string>();
  readonly #abort = new AbortController();
  readonly #stopListening: () => void;
  readonly #threads: ThreadPlan | null;

  /** `threads` overrides what is known of each model; `null` leaves it to the plan or to measuring. */
  constructor(engine: ModelEngine, listener: PoolListener, threads: ThreadPlan | null) {
    this.#engine = engine;
    this.#listener = listener;
    this.#threads = threads;
    this.#stopListening = engine.onRestart((cause) => {
      // What a new child is about to load, which is why it came, is not lost with the old one.
      for (const key of this.#models.keys()) if (cause.kind !== "unavailable" || this.#loaded.has(key)) this.#models.delete(key);
      this.#loaded.clear();
    });
  }

  /** Resolves when the model is ready. A cancelled wait does not cancel the load: the next turn needs it just the same. */
  async acquire(model: PlannedModel, signal: AbortSignal): Promise<Result<LoadedModel, EngineError>> {
    const key = keyOf(model);
    let loading = this.#models.get(key);
    if (!loading) {
      loading = this.#load(model);
      this.#models.set(key, loading);
      void loading.then((result) => {
        // A failure is not remembered: the person may have freed memory or replaced the file.
        if (this.#models.get(key) !== loading) return;
        if (result.ok) this.#loaded.add(key);
        else this.#models.delete(key);
      });
    }
    return signal.aborted ? err({ kind: "cancelled" }) : await Promise.race([loading, cancelled(signal)]);
  }

  /** Unloads every model that is not in `keep`. */
  async retain(keep: readonly PlannedModel[]): Promise<void> {
    const wanted = new Set(keep.map(keyOf));
    for (const [key, loading] of this.#models) {
      if (wanted.has(key)) continue;
      this.#models.delete(key);
      this.#loaded.delete(key);
      const result = await loading;
      if (result.ok) await this.#engine.unload(result.value.handle);
    }
  }

  async #load(model: PlannedModel): Promise<Result<LoadedModel, EngineError>> {
    this.#listener.loading(model, null);
    const result = await this.#engine.load(
      {
        path: model.path,
        contextSize: model.contextSize,
        gpu: model.gpu,
        threads: this.#threads ?? model.threads,
        template: model.template,
      },
      (progress) => this.#listener.loading(model, progress),
      this.#abort.signal,
    );
    if (result.ok) this.#listener.loaded(model, result.value);
    else this.#listener.failed(model, result.error);
    return result.ok ? ok(result.value) : result;
  }

  [Symbol.dispose](): void {
    this.#stopListening();
    this.#abort.abort();
    this.#models.clear();
    this.#loaded.clear();
  }
}

function cancelled(signal: AbortSignal): Promise<Result<LoadedModel, EngineError>> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(err({ kind: "cancelled" })), { once: true }));
}
