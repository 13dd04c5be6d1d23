import { openHeart } from "../../src/heart/open.ts";
import type { Heart } from "../../src/heart/port.ts";
import type { Millis } from "../../src/lib/brand.ts";
import { err, ok } from "../../src/lib/result.ts";
import type { ModelError, ModelLibrary, Placement, PlannedModel } from "../../src/models/port.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { createSession } from "../../src/session/session.ts";
import type { SessionConfig, SessionDeps } from "../../src/session/deps.ts";
import type { SessionEvent } from "../../src/session/event.ts";
import { DEFAULT_GENERATION } from "../../src/session/options.ts";
import type { SessionPort } from "../../src/session/port.ts";
import { type Answer, ScriptedEngine } from "./scripted-engine.ts";

export const planned = (name: string): PlannedModel => ({
  name,
  path: `models/${name}.gguf`,
  fileBytes: 100,
  contextSize: 1000,
  gpu: "auto",
  threads: null,
  template: null,
});

/** A library of what a test says is installed. */
export class ScriptedLibrary implements ModelLibrary {
  installed: readonly PlannedModel[];
  error: ModelError | null = null;
  readonly recorded: string[] = [];
  places = 0;
  pulls: { readonly finish: (error?: ModelError) => void; readonly signal: AbortSignal }[] = [];

  constructor(...installed: PlannedModel[]) {
    this.installed = installed;
  }

  async place(): ReturnType<ModelLibrary["place"]> {
    this.places++;
    if (this.error) return err(this.error);
    const [quick = null, task = quick] = this.installed;
    return ok({ quick, task, reason: "scripted", hint: quick ? "" : "noctem models pull something" } satisfies Placement);
  }

  async list(): ReturnType<ModelLibrary["list"]> {
    return this.installed.map((model) => ({
      name: model.name,
      state: "ready",
      size: 100,
      tier: "quick",
      verdict: "fits",
      path: model.path,
    }));
  }

  async pull(name: string, onProgress: Parameters<ModelLibrary["pull"]>[1], signal: AbortSignal): ReturnType<ModelLibrary["pull"]> {
    onProgress({ phase: "download", bytes: 10, total: 100, bytesPerSecond: 5, secondsLeft: 18, source: "test" });
    const { promise, resolve } = Promise.withResolvers<ModelError | undefined>();
    signal.addEventListener("abort", () => resolve({ kind: "cancelled" }), { once: true });
    this.pulls.push({ finish: resolve, signal });
    const failure = await promise;
    if (failure) return err(failure);
    this.installed = [planned(name)];
    return ok({ name, path: `models/${name}.gguf`, size: 100, sha256: "00", notes: [] });
  }

  importFile(...args: Parameters<ModelLibrary["pull"]>): ReturnType<ModelLibrary["pull"]> {
    return this.pull(...args);
  }

  async recordThreads(path: string): Promise<void> {
    this.recorded.push(path);
  }
}

export interface Sitting extends AsyncDisposable {
  readonly session: SessionPort;
  readonly engine: ScriptedEngine;
  readonly library: ScriptedLibrary;
  readonly heart: Heart;
  readonly events: SessionEvent[];
  readonly files: Map<string, string>;
  /** Lets the watch run once. */
  readonly tick: () => void;
  present: boolean;
  readonly types: () => string[];
  readonly ask: (text: string) => Promise<void>;
}

/** A real session over a real heart in memory, a scripted engine and a scripted library. */
export function sit(answer: Answer, options: Partial<SessionConfig> & { heart?: Heart; library?: ScriptedLibrary } = {}): Sitting {
  const { heart = memoryHeart(), library = new ScriptedLibrary(planned("test-model")), ...config } = options;
  const engine = new ScriptedEngine(answer);
  const ticks = new Set<() => void>();
  const files = new Map<string, string>();
  const real = heartDeps();
  const sitting = { present: true };
  const deps: SessionDeps = {
    heart,
    memoryHeart,
    reopenHeart: () => (sitting.present ? ok(heart) : err({ kind: "io", path: "heart.sqlite", detail: "gone" })),
    stickPresent: () => sitting.present,
    engine,
    library,
    clock: real.clock,
    random: real.random,
    every: (_ms, tick) => {
      ticks.add(tick);
      return () => ticks.delete(tick);
    },
    writeNewFile: (path, text) => {
      if (files.has(path)) return err(`${path} exists`);
      files.set(path, text);
      return ok(path);
    },
    hostBytes: () => 1,
    describe: {
      heart: (error) => `heart: ${error.kind}`,
      engine: (error) => `engine: ${error.kind}`,
      model: (error) => `model: ${error.kind}`,
    },
  };
  const session = createSession(deps, {
    origin: "tui",
    generation: DEFAULT_GENERATION,
    wish: { model: null, contextSize: null, gpu: "auto" },
    threads: null,
    start: { kind: "new", ephemeral: false },
    interactive: true,
    ...config,
  });
  const events: SessionEvent[] = [];
  session.subscribe((event) => events.push(event));
  return Object.assign(sitting, {
    session,
    engine,
    library,
    heart,
    events,
    files,
    tick: () => ticks.forEach((tick) => tick()),
    types: () => events.map((event) => event.type),
    ask: async (text: string) => {
      session.dispatch({ type: "prompt", spans: [{ kind: "typed", text }] });
      await session.settled();
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  });
}

export function memoryHeart(): Heart {
  const opened = openHeart(heartDeps(), "memory", 0 as Millis);
  if (!opened.ok) throw new Error(`a heart in memory did not open: ${opened.error.kind}`);
  return opened.value;
}
