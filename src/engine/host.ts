/**
 * The engine as the rest of Noctem sees it: a child process that is started when first needed, watched while it works, and replaced when it dies.
 * Whatever happens in it (a crash, an abort, a hang, a flood of output) ends as an error value of the requests that were running.
 */
import * as v from "valibot";
import { err, ok, type Result } from "../lib/result.ts";
import { CrashLog } from "./crash-log.ts";
import { LineReader } from "./lines.ts";
import type { EngineCage, EngineError, GenerateChunk, LoadProgress, ModelEngine, ModelHandle } from "./port.ts";
import { decodeChild, encode, type HostRequest, MAX_REPLY_BYTES, MAX_REQUEST_BYTES, Replies } from "./protocol.ts";

/** A started child. Platform implements it. */
export interface EngineProcess {
  /** Of the engine itself, not of what holds it. */
  readonly pid: number;
  readonly cage: EngineCage;
  /** Whether it can open what stands at `path` now. A cage shows it what was known when it was started. */
  sees(path: string): boolean;
  readonly output: AsyncIterable<Uint8Array>;
  readonly log: AsyncIterable<Uint8Array>;
  readonly exited: Promise<{ readonly exitCode: number | null; readonly signal: string | null }>;
  /** Never throws; what a dead child does not read is lost. */
  write(line: string): void;
  /** The child ends by itself when its input ends. */
  closeInput(): void;
  /** Kills the child and everything it started, at once. */
  kill(): void;
}

export interface Timers {
  after(ms: number, callback: () => void): () => void;
  /** Must not keep the process alive. */
  every(ms: number, callback: () => void): () => void;
  monotonic(): number;
}

/** Milliseconds throughout. */
export interface HostLimits {
  /** From start to the first line of the child: unpacking and loading native libraries off a slow stick. */
  readonly start: number;
  /** Silence while a request runs. The child's event loop beats every second whatever llama.cpp does, so this is not about slow models. */
  readonly silence: number;
  /** One native step (a batch, a token, a load). Paging 5 GB back in from a 17 MB/s stick takes five minutes. */
  readonly step: number;
  /** From a cancel to the answer. */
  readonly cancel: number;
  /** From the end of its input to the end of the child. */
  readonly exit: number;
  /** Deaths within this long make the next start wait: 1, 2, 4 … seconds, at most `maxBackoff`. */
  readonly crashWindow: number;
  readonly maxBackoff: number;
}

export const DEFAULT_LIMITS: HostLimits = {
  start: 120_000,
  silence: 30_000,
  step: 15 * 60_000,
  cancel: 15_000,
  exit: 2_000,
  crashWindow: 60_000,
  maxBackoff: 30_000,
};

/** Deaths within the window that are forgiven without a wait. */
const FREE_CRASHES = 2;
/** UTF-16 units of one answer. Far beyond what any context holds: a child that says more is broken, and its text would fill the host's memory. */
const MAX_ANSWER = 32 << 20;

export interface EngineHostOptions {
  /** `path`: what the child will be asked to load first, so that its cage can show it; null when nothing is. */
  readonly spawn: (path: string | null) => Result<EngineProcess, string>;
  readonly timers: Timers;
  readonly limits?: Partial<HostLimits>;
}

export interface EngineHost extends ModelEngine {
  /** Process id of the running child; null between children. For `doctor` and tests. */
  readonly childPid: number | null;
}

export function createEngineHost(options: EngineHostOptions): EngineHost {
  return new Host(options);
}

interface Pending {
  /** UTF-16 units of the answer so far. */
  said: number;
  readonly onEvent: (event: { readonly chunk: GenerateChunk } | { readonly progress: LoadProgress }) => void;
  readonly finish: (result: Result<unknown, EngineError>) => void;
}

interface Child {
  readonly process: EngineProcess;
  readonly log: CrashLog;
  readonly pending: Map<number, Pending>;
  /** When the child last said anything. */
  heard: number;
  /** Resolves true with the first line, false when it died before. */
  readonly ready: Promise<boolean>;
  /** Why the host killed it; then the exit status says nothing. */
  verdict: EngineError | null;
  alive: boolean;
  /** Called once nothing is asked of it any more. */
  readonly whenIdle: (() => void)[];
}

class Host implements EngineHost {
  readonly #spawn: EngineHostOptions["spawn"];
  readonly #timers: Timers;
  readonly #limits: HostLimits;
  readonly #listeners = new Set<(cause: EngineError) => void>();
  readonly #contextSizes = new Map<ModelHandle, number>();
  #child: Child | null = null;
  /** Settles when the child that was killed last is gone, or takes too long to go. */
  #gone: Promise<void> = Promise.resolve();
  #deaths: number[] = [];
  #lastId = 0;
  #closed = false;
  /** Of the child that was started last. */
  #cage: EngineCage = { level: "none", reason: "" };

  constructor({ spawn, timers, limits }: EngineHostOptions) {
    this.#spawn = spawn;
    this.#timers = timers;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  get childPid(): number | null {
    return this.#child?.process.pid ?? null;
  }

  async load(request: Parameters<ModelEngine["load"]>[0], onProgress: (progress: LoadProgress) => void, signal: AbortSignal) {
    const loaded = await this.#request({ op: "load", ...request }, Replies.load, {
      signal,
      onEvent: (event) => "progress" in event && onProgress(event.progress),
    });
    if (!loaded.ok) return loaded;
    this.#contextSizes.set(loaded.value.handle, loaded.value.contextSize);
    return ok({ ...loaded.value, cage: this.#cage });
  }

  async generate(request: Parameters<ModelEngine["generate"]>[0], onChunk: (chunk: GenerateChunk) => void, signal: AbortSignal) {
    return await this.#request({ op: "generate", ...request }, Replies.generate, {
      signal,
      onEvent: (event) => "chunk" in event && onChunk(event.chunk),
    });
  }

  async count(model: ModelHandle, messages: Parameters<ModelEngine["count"]>[1]) {
    return await this.#request({ op: "count", model, messages }, Replies.count);
  }

  async embed(model: ModelHandle, texts: readonly string[]) {
    const vectors = await this.#request({ op: "embed", model, texts }, Replies.embed);
    return vectors.ok ? ok(vectors.value.map((vector) => Float32Array.from(vector))) : vectors;
  }

  async probabilities(model: ModelHandle, text: string, top: number) {
    return await this.#request({ op: "probabilities", model, text, top }, Replies.probabilities);
  }

  async memory() {
    // Asking must not start a child: without one nothing is in use.
    if (!this.#child) return ok({ residentBytes: 0, gpuBytes: 0, models: [] });
    return await this.#request({ op: "memory" }, Replies.memory);
  }

  async unload(model: ModelHandle): Promise<Result<void, EngineError>> {
    this.#contextSizes.delete(model);
    if (!this.#child) return err({ kind: "not-loaded" });
    const done = await this.#request({ op: "unload", model }, Replies.unload);
    return done.ok ? ok(undefined) : done;
  }

  onRestart(listener: (cause: EngineError) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    const child = this.#child;
    if (!child) return;
    child.verdict ??= CLOSED;
    for (const [, request] of child.pending) request.finish(err(CLOSED));
    child.process.closeInput();
    const stop = this.#timers.after(this.#limits.exit, () => child.process.kill());
    await child.process.exited;
    stop();
    // What the child itself started would otherwise outlive it.
    child.process.kill();
  }

  async #request<S extends v.GenericSchema>(
    request: HostRequest,
    schema: S,
    { signal, onEvent = () => undefined }: { readonly signal?: AbortSignal; readonly onEvent?: Pending["onEvent"] } = {},
  ): Promise<Result<v.InferOutput<S>, EngineError>> {
    if (this.#closed) return err(CLOSED);
    if (signal?.aborted) return err(CANCELLED);
    const id = ++this.#lastId;
    const line = encode({ ...request, id });
    // Length in UTF-16 units: at least a third of the bytes, and the child checks again.
    if (line.length > MAX_REQUEST_BYTES / 3) return err(this.#tooLong(request, line.length));
    if (!(await this.#backOff(signal))) return err(this.#closed ? CLOSED : CANCELLED);
    const started = await this.#start("path" in request ? request.path : null);
    if (!started.ok) return started;
    const child = started.value;
    if (signal?.aborted) return err(CANCELLED);

    const answer = await new Promise<Result<unknown, EngineError>>((resolve) => {
      let stopGrace = (): void => undefined;
      const cancel = (): void => {
        child.process.write(encode({ op: "cancel", id }));
        stopGrace = this.#timers.after(this.#limits.cancel, () => {
          finish(err(CANCELLED));
          this.#kill(child, { kind: "hung", seconds: Math.round(this.#limits.cancel / 1000) });
        });
      };
      const finish = (result: Result<unknown, EngineError>): void => {
        child.pending.delete(id);
        if (child.pending.size === 0) for (const tell of child.whenIdle.splice(0)) tell();
        stopGrace();
        signal?.removeEventListener("abort", cancel);
        resolve(result);
      };
      child.pending.set(id, { said: 0, onEvent, finish });
      if (child.pending.size === 1) child.heard = this.#timers.monotonic();
      signal?.addEventListener("abort", cancel, { once: true });
      if (child.alive) child.process.write(line);
      else finish(err(child.verdict ?? UNKNOWN_DEATH));
    });
    if (!answer.ok) return answer;
    const value = v.safeParse(schema, answer.value);
    if (value.success) return ok(value.output);
    // A child that answers nonsense is broken, and what it holds cannot be trusted.
    const cause: EngineError = {
      kind: "crashed",
      exitCode: null,
      signal: null,
      detail: `the engine's answer to ${request.op} is malformed`,
    };
    this.#kill(child, cause);
    return err(cause);
  }

  #tooLong(request: HostRequest, length: number): EngineError {
    if (!("model" in request)) return { kind: "unavailable", detail: "the request is too long" };
    const contextSize = this.#contextSizes.get(request.model);
    // Four characters a token is the usual figure; nothing finer matters for text that is out by a factor of a hundred.
    return contextSize === undefined
      ? { kind: "not-loaded" }
      : { kind: "prompt-too-long", promptTokens: Math.ceil(length / 4), contextSize };
  }

  /** Waits after repeated deaths. False when cancelled or closed meanwhile. */
  async #backOff(signal?: AbortSignal): Promise<boolean> {
    if (this.#child) return true;
    const now = this.#timers.monotonic();
    this.#deaths = this.#deaths.filter((at) => now - at < this.#limits.crashWindow);
    const extra = this.#deaths.length - FREE_CRASHES;
    const wait = extra <= 0 ? 0 : Math.min(this.#limits.maxBackoff, 1000 * 2 ** (extra - 1)) - (now - (this.#deaths.at(-1) ?? now));
    if (wait <= 0) return true;
    await new Promise<void>((resolve) => {
      const stop = this.#timers.after(wait, done);
      function done(): void {
        stop();
        signal?.removeEventListener("abort", done);
        resolve();
      }
      signal?.addEventListener("abort", done, { once: true });
    });
    return !this.#closed && signal?.aborted !== true;
  }

  async #start(path: string | null): Promise<Result<Child, EngineError>> {
    if (this.#child && path !== null && !this.#child.process.sees(path)) await this.#replace(this.#child);
    // Two children at once would need the memory of two models.
    if (!this.#child) await this.#gone;
    if (this.#closed) return err(CLOSED);
    const child = this.#child ?? this.#launch(path);
    if ("kind" in child) return err(child);
    if (await child.ready) return ok(child);
    const verdict = child.verdict ?? UNKNOWN_DEATH;
    // It never got as far as taking a request: that is a child that cannot be started, not one that a request killed.
    const detail = verdict.kind === "crashed" ? verdict.detail || "it ended at once" : "it did not answer in time";
    return err(verdict === CLOSED ? CLOSED : { kind: "unavailable", detail });
  }

  /** Nothing can be mounted into a cage that stands: another child takes its place, once this one has answered what it was asked. */
  async #replace(child: Child): Promise<void> {
    if (child.pending.size > 0) await new Promise<void>((resolve) => child.whenIdle.push(resolve));
    if (this.#child !== child || this.#closed) return;
    this.#kill(child, REPLACED);
    // It did nothing wrong, and the next start need not wait for it.
    this.#deaths.pop();
  }

  #launch(path: string | null): Child | EngineError {
    const spawned = this.#spawn(path);
    if (!spawned.ok) return { kind: "unavailable", detail: spawned.error };
    const process = spawned.value;
    this.#cage = process.cage;
    let settle: (ready: boolean) => void = () => undefined;
    const ready = new Promise<boolean>((resolve) => {
      settle = resolve;
    });
    const child: Child = {
      process,
      log: new CrashLog(),
      pending: new Map(),
      heard: this.#timers.monotonic(),
      ready,
      verdict: null,
      alive: true,
      whenIdle: [],
    };
    this.#child = child;
    const stopStart = this.#timers.after(this.#limits.start, () =>
      this.#kill(child, { kind: "hung", seconds: Math.round(this.#limits.start / 1000) }),
    );
    const output = this.#listen(child, () => {
      stopStart();
      settle(true);
    });
    const log = readLog(process.log, child.log);
    const stopWatch = this.#watch(child);
    void process.exited.then(async (status) => {
      stopStart();
      stopWatch();
      // The pipes may hold the last words; a grandchild that keeps them open must not hold up the news.
      await Promise.race([Promise.allSettled([output, log]), new Promise<void>((resolve) => this.#timers.after(500, resolve))]);
      this.#bury(child, status);
      settle(false);
    });
    return child;
  }

  async #listen(child: Child, onReady: () => void): Promise<void> {
    const lines = new LineReader(MAX_REPLY_BYTES);
    try {
      for await (const bytes of child.process.output) {
        child.heard = this.#timers.monotonic();
        for (const line of lines.push(bytes)) {
          if (line.type === "too-long") {
            this.#kill(child, { kind: "crashed", exitCode: null, signal: null, detail: "the engine sent an endless line" });
            return;
          }
          if (line.text !== "") this.#receive(child, line.text, onReady);
        }
      }
    } catch {
      // The pipe broke; `exited` tells the rest.
    }
  }

  #receive(child: Child, line: string, onReady: () => void): void {
    const message = decodeChild(line);
    if (!message) return child.log.add(line);
    switch (message.type) {
      case "ready":
        return onReady();
      case "alive":
        if (message.stalledMs > this.#limits.step) this.#kill(child, { kind: "hung", seconds: Math.round(message.stalledMs / 1000) });
        return;
      case "progress":
        return child.pending.get(message.id)?.onEvent(message);
      case "chunk": {
        const request = child.pending.get(message.id);
        if (!request || child.verdict) return;
        if (message.chunk.type !== "prompt") request.said += message.chunk.text.length;
        if (request.said > MAX_ANSWER)
          return this.#kill(child, { kind: "crashed", exitCode: null, signal: null, detail: "the engine sent an endless answer" });
        return request.onEvent(message);
      }
      case "done":
        return child.pending.get(message.id)?.finish(ok(message.value));
      case "failed":
        return child.pending.get(message.id)?.finish(err(message.error));
    }
  }

  /** Kills a child that is silent while it should work. */
  #watch(child: Child): () => void {
    let last = this.#timers.monotonic();
    const period = Math.max(10, Math.min(1000, this.#limits.silence / 4));
    return this.#timers.every(period, () => {
      const now = this.#timers.monotonic();
      // A late tick means that this process slept (a laptop's lid, a debugger): the child slept too.
      if (now - last > 3 * period) child.heard = now;
      last = now;
      if (child.pending.size > 0 && now - child.heard > this.#limits.silence)
        this.#kill(child, { kind: "hung", seconds: Math.round((now - child.heard) / 1000) });
    });
  }

  /** From here on the child is nobody's: a request that comes before it is really dead goes to the next one. */
  #kill(child: Child, verdict: EngineError): void {
    child.process.kill();
    if (child.verdict) return;
    child.verdict = verdict;
    this.#gone = Promise.race([
      child.process.exited.then(() => undefined),
      // A process that waits for a stick that was pulled cannot even be killed.
      new Promise<void>((resolve) => this.#timers.after(this.#limits.exit, resolve)),
    ]);
    this.#abandon(child, verdict);
  }

  #bury(child: Child, status: { readonly exitCode: number | null; readonly signal: string | null }): void {
    child.alive = false;
    child.verdict ??= { kind: "crashed", ...status, detail: child.log.cause() };
    const cause = child.verdict;
    this.#abandon(child, cause);
    for (const [, request] of child.pending) request.finish(err(cause));
  }

  /** Tells once that everything the child held is void. */
  #abandon(child: Child, cause: EngineError): void {
    if (this.#child !== child) return;
    this.#child = null;
    this.#contextSizes.clear();
    if (this.#closed) return;
    this.#deaths.push(this.#timers.monotonic());
    for (const listener of this.#listeners) listener(cause);
  }
}

async function readLog(stream: AsyncIterable<Uint8Array>, log: CrashLog): Promise<void> {
  const lines = new LineReader(1 << 16);
  const add = (events: ReturnType<LineReader["push"]>): void => {
    for (const event of events) if (event.type === "line") log.add(event.text);
  };
  try {
    for await (const bytes of stream) add(lines.push(bytes));
  } catch {
    // The pipe broke with the child.
  }
  add(lines.end());
}

/** To listeners alone. `unavailable` is no death: see `onRestart`. */
const REPLACED: EngineError = { kind: "unavailable", detail: "the engine is started anew, to see a model in another folder" };
const CANCELLED: EngineError = { kind: "cancelled" };
const CLOSED: EngineError = { kind: "unavailable", detail: "the engine is closed" };
const UNKNOWN_DEATH: EngineError = { kind: "crashed", exitCode: null, signal: null, detail: "" };
