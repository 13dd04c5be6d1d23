import { ModelPool } from "../agent/pool.ts";
import type { EngineError, LoadedModel, LoadProgress } from "../engine/port.ts";
import type { Result } from "../lib/result.ts";
import type { ModelError, Placement, PlannedModel } from "../models/port.ts";
import type { SessionConfig, SessionDeps } from "./deps.ts";
import type { ModelState, SessionEvent } from "./event.ts";

const TIERS = ["quick", "task"] as const;

/** Which models this session uses, and their state for whoever watches. Reports every change as `model` events. */
export class ModelDesk implements Disposable {
  readonly #deps: SessionDeps;
  readonly #config: SessionConfig;
  readonly #emit: (event: SessionEvent) => void;
  readonly #pool: ModelPool;
  readonly #closing = new AbortController();
  readonly #stopListening: () => void;
  #wish: SessionConfig["wish"];
  #placing: Promise<Result<Placement, ModelError>> | null = null;
  #placement: Placement | null = null;

  constructor(deps: SessionDeps, config: SessionConfig, emit: (event: SessionEvent) => void) {
    this.#deps = deps;
    this.#config = config;
    this.#emit = emit;
    this.#wish = config.wish;
    this.#pool = new ModelPool(
      deps.engine,
      {
        loading: (model, progress) => this.#report(model, loadingState(model, progress)),
        loaded: (model, loaded) => this.#loaded(model, loaded),
        failed: (model, error) => this.#report(model, { kind: "failed", name: model.name, error }),
      },
      config.threads,
    );
    this.#stopListening = deps.engine.onRestart((cause) => this.#restarted(cause));
  }

  wish(model: string | null): void {
    this.#wish = { ...this.#wish, model };
  }

  /** Forgets the choice: the next use makes it again. */
  changed(): void {
    this.#placing = null;
  }

  /** The choice of models; made once, until something changes. A choice of nothing is not remembered: a file may be put there meanwhile. */
  async placement(): Promise<Result<Placement, ModelError>> {
    const placing = (this.#placing ??= this.#place());
    const placed = await placing;
    if (this.#placing === placing && (!placed.ok || distinct(placed.value).length === 0)) this.#placing = null;
    return placed;
  }

  async acquire(model: PlannedModel, signal: AbortSignal): Promise<Result<LoadedModel, EngineError>> {
    return await this.#pool.acquire(model, signal);
  }

  /** Loads what is chosen, so that the first answer need not wait. False when there is nothing to load. */
  async preload(): Promise<boolean> {
    const placed = await this.placement();
    if (!placed.ok) return false;
    const models = distinct(placed.value);
    for (const model of models) await this.#pool.acquire(model, this.#closing.signal);
    return models.length > 0;
  }

  async list(): Promise<void> {
    const models = await this.#deps.library.list();
    if (!this.#closing.signal.aborted) this.#emit({ type: "models-listed", models });
  }

  [Symbol.dispose](): void {
    this.#stopListening();
    this.#closing.abort();
    this.#pool[Symbol.dispose]();
  }

  async #place(): Promise<Result<Placement, ModelError>> {
    const placed = await this.#deps.library.place(this.#wish);
    this.#placement = placed.ok ? placed.value : null;
    for (const tier of TIERS) this.#emit({ type: "model", tier, state: this.#unloadedState(placed, tier) });
    if (placed.ok) await this.#pool.retain(distinct(placed.value));
    return placed;
  }

  #unloadedState(placed: Result<Placement, ModelError>, tier: (typeof TIERS)[number]): ModelState {
    if (!placed.ok) return { kind: "none", hint: this.#deps.describe.model(placed.error) };
    const model = placed.value[tier];
    return model ? { kind: "idle", name: model.name } : { kind: "none", hint: placed.value.hint };
  }

  #report(model: PlannedModel, state: ModelState): void {
    if (this.#closing.signal.aborted) return;
    for (const tier of TIERS) if (this.#placement?.[tier]?.path === model.path) this.#emit({ type: "model", tier, state });
  }

  #loaded(model: PlannedModel, loaded: LoadedModel): void {
    this.#report(model, readyState(model, loaded));
    if (this.#config.threads === null && model.threads === null) void this.#deps.library.recordThreads(model.path, loaded.threads);
    if (loaded.template.source === "none") {
      const text = `${model.name} has no chat template: it is a base model that continues text rather than answers.`;
      this.#emit({ type: "notice", severity: "warning", text });
    }
  }

  #restarted(cause: EngineError): void {
    this.#emit({ type: "engine-restarted", cause });
    if (this.#placement) for (const model of distinct(this.#placement)) this.#report(model, { kind: "idle", name: model.name });
  }
}

function distinct({ quick, task }: Placement): readonly PlannedModel[] {
  if (quick === null || task === null) return quick ? [quick] : task ? [task] : [];
  return quick.path === task.path ? [task] : [quick, task];
}

function loadingState(model: PlannedModel, progress: LoadProgress | null): ModelState {
  const base = { kind: "loading", name: model.name, fraction: null, bytesPerSecond: null, secondsLeft: null } as const;
  if (progress === null) return { ...base, phase: "starting the engine" };
  switch (progress.phase) {
    case "read": {
      const { bytes, total, bytesPerSecond } = progress;
      const secondsLeft = bytesPerSecond > 0 ? (total - bytes) / bytesPerSecond : null;
      return { ...base, phase: "reading", fraction: total > 0 ? bytes / total : null, bytesPerSecond, secondsLeft };
    }
    case "prepare":
      return { ...base, phase: "preparing", fraction: progress.fraction };
    case "measure-threads":
      return { ...base, phase: `measuring with ${progress.threads} thread${progress.threads === 1 ? "" : "s"}` };
  }
}

function readyState(model: PlannedModel, loaded: LoadedModel): ModelState {
  const measured = loaded.threads.measured.find((sample) => sample.threads === loaded.threads.generate);
  return {
    kind: "ready",
    name: model.name,
    contextSize: loaded.contextSize,
    gpuLayers: loaded.gpu.layers,
    layers: loaded.layers,
    gpuReason: loaded.gpu.reason,
    threads: { prompt: loaded.threads.prompt, generate: loaded.threads.generate },
    expectedTokensPerSecond: measured?.generateTokensPerSecond ?? 0,
    chat: loaded.template.source !== "none",
    cage: loaded.cage ?? null,
  };
}
