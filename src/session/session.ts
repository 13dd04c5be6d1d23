import type { MessageId } from "../lib/brand.ts";
import { type Message, type Span, type StopReason, visibleText } from "../lib/message.ts";
import { type Result, unreachable } from "../lib/result.ts";
import type { EngineError, LoadedModel } from "../engine/port.ts";
import type { HeartError } from "../heart/port.ts";
import { type Route, route } from "../agent/route.ts";
import { runTurn, type TurnListener, type TurnRequest } from "../agent/turn.ts";
import { sameApprovals } from "./approvals.ts";
import type { SessionCommand } from "./command.ts";
import { type Answer, Conversation } from "./conversation.ts";
import { type SessionConfig, type SessionDeps, systemPrompt } from "./deps.ts";
import type { SessionEvent, ShownMessage, TurnFailure } from "./event.ts";
import { JobBoard } from "./jobs.ts";
import { toMarkdown } from "./markdown.ts";
import { ModelDesk } from "./model-desk.ts";
import type { SessionPort } from "./port.ts";
import { INITIAL_VIEW, reduce, type ViewState } from "./view.ts";

const MAX_WAITING = 32;
const WATCH_MS = 1000;
const STATS_EVERY_TICKS = 3;

/** Work that changes the conversation; done one at a time, in order. */
type Work = Extract<
  SessionCommand,
  { type: "prompt" | "retry" | "edit" | "branch" | "open-session" | "new-session" | "delete-session" | "export" }
>;

interface Turn {
  readonly number: number;
  readonly abort: AbortController;
  /** Why it will have stopped, should `abort` fire. */
  because: StopReason;
}

/**
 * One conversation at a time between an edge and the models. Commands that change the conversation queue; `cancel` and
 * background jobs do not. Everything that happens is an event, and `view()` is their fold.
 */
export function createSession(deps: SessionDeps, config: SessionConfig): SessionPort {
  return new Session(deps, config);
}

class Session implements SessionPort {
  readonly #deps: SessionDeps;
  readonly #config: SessionConfig;
  readonly #conversation: Conversation;
  readonly #models: ModelDesk;
  readonly #jobs: JobBoard;
  readonly #listeners = new Set<(event: SessionEvent) => void>();
  readonly #waiting: Work[] = [];
  readonly #stopWatching: () => void;
  #view: ViewState = INITIAL_VIEW;
  #working: Promise<void> | null = null;
  #turn: Turn | null = null;
  #turns = 0;
  #ticks = 0;
  #closed = false;

  constructor(deps: SessionDeps, config: SessionConfig) {
    this.#deps = deps;
    this.#config = config;
    const emit = (event: SessionEvent) => this.#emit(event);
    this.#conversation = new Conversation(
      deps,
      config.origin,
      emit,
      () => this.#view,
      (error) => this.#unreadable(error),
    );
    this.#models = new ModelDesk(deps, config, emit);
    this.#jobs = new JobBoard(
      deps,
      (job) => emit({ type: "job", job }),
      () => this.#modelsChanged(),
    );
    if (config.start.kind === "resume") this.#conversation.openExisting(config.start.session);
    else this.#conversation.openNew(config.start.ephemeral);
    this.#stopWatching = config.interactive ? deps.every(WATCH_MS, () => this.#watch()) : () => undefined;
    if (config.interactive) void this.#models.preload();
  }

  view(): ViewState {
    return this.#view;
  }

  subscribe(listener: (event: SessionEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async settled(): Promise<void> {
    while (this.#working) await this.#working;
  }

  dispatch(command: SessionCommand): void {
    if (this.#closed) return;
    switch (command.type) {
      case "cancel":
        return this.#cancel(command.because ?? "cancelled");
      case "list-sessions":
        return this.#conversation.list();
      case "list-models":
        return void this.#models.list();
      case "use-model":
        this.#models.wish(command.name);
        return this.#modelsChanged();
      case "pull-model":
        return this.#jobs.pull(command.name);
      case "import-model":
        return this.#jobs.importFile(command.path);
      case "cancel-job":
        return this.#jobs.cancel(command.job);
      case "answer-approval":
        return void this.#answerApproval(command);
      case "rehearse-approval":
        if (this.#deps.approvals?.rehearse(command.id) !== true) this.#notice("warning", "That cannot be rehearsed any more.");
        return;
      case "open-session":
      case "new-session":
        // Whoever leaves a conversation does not want to wait for its answer; what there is of it is kept.
        this.#waiting.length = 0;
        this.#cancel("cancelled");
        return this.#enqueue(command);
      case "prompt":
      case "retry":
      case "edit":
      case "branch":
      case "delete-session":
      case "export":
        return this.#enqueue(command);
      default:
        return unreachable(command);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#waiting.length = 0;
    this.#stopWatching();
    this.#jobs[Symbol.dispose]();
    this.#cancel("cancelled");
    await this.settled();
    this.#models[Symbol.dispose]();
    this.#listeners.clear();
  }

  #emit(event: SessionEvent): void {
    this.#view = reduce(this.#view, event);
    for (const listener of this.#listeners) listener(event);
  }

  #notice(severity: "info" | "warning" | "error", text: string): void {
    this.#emit({ type: "notice", severity, text });
  }

  // The queue of work

  #enqueue(work: Work): void {
    if (this.#waiting.length >= MAX_WAITING)
      return this.#notice("warning", `${MAX_WAITING} messages wait already; this one was not taken.`);
    this.#waiting.push(work);
    if (this.#working && work.type === "prompt") this.#emit({ type: "prompt-queued", text: visibleText(work.spans) });
    this.#working ??= this.#drain();
  }

  /** Finding nothing more to do and being free for the next command are one step: what came in between would wait for ever. */
  async #drain(): Promise<void> {
    try {
      for (let work = this.#waiting.shift(); work !== undefined; work = this.#waiting.shift()) await this.#do(work);
    } finally {
      this.#working = null;
    }
  }

  async #do(work: Work): Promise<void> {
    switch (work.type) {
      case "prompt":
        return await this.#prompt(this.#conversation.leaf, work.spans);
      case "edit":
        return await this.#edit(work.message, work.spans);
      case "retry":
        return await this.#retry();
      case "branch":
        return this.#report(this.#conversation.branch(work.message));
      case "open-session":
        return this.#conversation.openExisting(work.session);
      case "new-session":
        return this.#conversation.openNew(work.ephemeral);
      case "delete-session":
        return this.#report(this.#conversation.delete(work.session), (messages) => `Forgot ${messages} messages for good.`);
      case "export":
        return this.#export(work.path);
      default:
        return unreachable(work);
    }
  }

  #report<T>(result: Result<T, HeartError>, success?: (value: T) => string): void {
    if (!result.ok) this.#notice("error", this.#deps.describe.heart(result.error));
    else if (success) this.#notice("info", success(result.value));
  }

  #export(path: string): void {
    const written = this.#deps.writeNewFile(path, toMarkdown(this.#view.path));
    if (written.ok) this.#notice("info", `Wrote ${written.value}.`);
    else this.#notice("error", written.error);
  }

  // Turns

  async #prompt(parent: MessageId | null, spans: readonly Span[]): Promise<void> {
    const asked = this.#conversation.ask(parent, spans);
    if (asked.ok) return await this.#answer(asked.value);
    this.#storeFailed(++this.#turns, asked.error, null);
  }

  async #edit(original: MessageId, spans: readonly Span[]): Promise<void> {
    const shown = this.#view.path.find((entry) => entry.message.id === original);
    if (shown?.message.role !== "user") return this.#notice("error", "Only a message of yours on the shown path can be edited.");
    await this.#prompt(shown.message.parent, spans);
  }

  async #retry(): Promise<void> {
    const asked = this.#view.path.findLast((entry) => entry.message.role === "user");
    if (!asked) return this.#notice("error", "There is no answer to try again.");
    this.#conversation.showUpTo(asked.message);
    await this.#answer(asked.message);
  }

  async #answer(asked: Message): Promise<void> {
    const turn: Turn = { number: ++this.#turns, abort: new AbortController(), because: "cancelled" };
    this.#turn = turn;
    try {
      const placement = await this.#models.placement();
      if (!placement.ok) return this.#fail(turn.number, { kind: "model", error: placement.error });
      const chosen = route(visibleText(asked.spans), placement.value);
      if (!chosen) return this.#noModel(turn, asked, placement.value.hint);
      this.#emit({ type: "turn-started", turn: turn.number, tier: chosen.tier, model: chosen.model.name, reason: chosen.reason });
      const loaded = await this.#models.acquire(chosen.model, turn.abort.signal);
      if (!loaded.ok) return this.#broken(asked, turn, loaded.error, emptyAnswer(chosen, asked));
      const result = await runTurn(
        this.#deps.engine,
        this.#request(chosen, loaded.value, asked),
        this.#listener(turn.number),
        turn.abort.signal,
      );
      if (result.ok) this.#finish(asked, turn, result.value, result.value.contextUsed);
      else this.#broken(asked, turn, result.error.error, result.error);
    } finally {
      this.#turn = null;
      if (this.#view.stick === "present") this.#conversation.refresh();
    }
  }

  #request(chosen: Route, loaded: LoadedModel, asked: Message): TurnRequest {
    const { system, seed, ...sampling } = this.#config.generation;
    const at = this.#view.path.findIndex((entry) => entry.message.id === asked.id);
    return {
      route: chosen,
      loaded,
      system: systemPrompt(system, loaded),
      history: this.#view.path.slice(0, at + 1).map((entry) => entry.message),
      sampling: { ...sampling, seed: seed ?? this.#freshSeed() },
      cacheKey: this.#conversation.id ?? "",
    };
  }

  #listener(turn: number): TurnListener {
    return {
      trimmed: (dropped, contextSize) => this.#emit({ type: "turn-trimmed", turn, dropped, contextSize }),
      chunk: (chunk) => {
        if (chunk.type === "prompt") this.#emit({ type: "turn-prompt", turn, tokens: chunk.tokens, cached: chunk.cached });
        else this.#emit({ type: chunk.type === "text" ? "turn-text" : "turn-reasoning", turn, text: chunk.text, tokens: chunk.tokens });
      },
    };
  }

  #finish(asked: Message, turn: Turn, answer: Answer, contextUsed: number): void {
    const stop = answer.reply.stop === "cancelled" ? turn.because : answer.reply.stop;
    const reply = { ...answer.reply, stop };
    const { shown, error } = this.#conversation.keep(asked, { ...answer, reply });
    if (error) this.#storeFailed(turn.number, error, shown);
    else this.#emit({ type: "turn-ended", turn: turn.number, stop, reply, shown, contextUsed });
  }

  /** The engine failed: what was generated until then is kept, and the failure is what the person hears. */
  #broken(asked: Message, turn: Turn, error: EngineError, answer: Answer): void {
    if (error.kind === "cancelled")
      return this.#finish(asked, turn, { ...answer, reply: { ...answer.reply, stop: "cancelled" } }, this.#view.context.used);
    const { shown } = this.#conversation.keep(asked, answer);
    this.#fail(turn.number, { kind: "engine", error }, shown);
  }

  #fail(turn: number, failure: TurnFailure, shown: ShownMessage | null = null): void {
    this.#emit({ type: "turn-failed", turn, failure, shown });
  }

  #storeFailed(turn: number, error: HeartError, shown: ShownMessage | null): void {
    this.#fail(turn, { kind: "store", error }, shown);
    if (error.kind === "io") this.#stickGone();
  }

  /** Someone who sits before it may still get a model; the message waits. A pipe has nobody to do so. */
  #noModel(turn: Turn, asked: Message, hint: string): void {
    if (this.#config.interactive) this.#emit({ type: "prompt-queued", text: visibleText(asked.spans) });
    else this.#fail(turn.number, { kind: "no-model", hint });
  }

  #cancel(because: StopReason): void {
    if (!this.#turn) return;
    this.#turn.because = because;
    this.#turn.abort.abort();
  }

  #modelsChanged(): void {
    this.#models.changed();
    if (!this.#config.interactive) return;
    void this.#models.list();
    void this.#models.preload().then((usable) => {
      // A message that waited for a model is answered as soon as there is one.
      const last = this.#view.path.at(-1);
      if (usable && this.#view.queued !== null && last?.message.role === "user" && !this.#working) this.dispatch({ type: "retry" });
    });
  }

  /** 31 bits: fits every engine's signed seed. */
  #freshSeed(): number {
    const bytes = this.#deps.random.bytes(4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) >>> 1;
  }

  // Questions that wait

  async #answerApproval({ type: _, ...answer }: Extract<SessionCommand, { type: "answer-approval" }>): Promise<void> {
    const said = (await this.#deps.approvals?.answer(answer)) ?? null;
    if (this.#closed) return;
    if (said !== null) this.#notice("info", said);
    this.#lookForApprovals();
  }

  /** While some wait, every second: their time is running. */
  #lookForApprovals(): void {
    const found = this.#deps.approvals?.waiting() ?? [];
    if (!sameApprovals(found, this.#view.approvals)) this.#emit({ type: "approvals", approvals: found });
  }

  // What happens outside: other processes, the stick, memory

  #watch(): void {
    if (this.#view.stick === "gone") return this.#tryReturn();
    if (this.#conversation.onStick && !this.#deps.stickPresent()) return this.#stickGone();
    this.#lookForApprovals();
    if (!this.#working) this.#conversation.refreshIfChanged();
    else if (this.#ticks++ % STATS_EVERY_TICKS === 0) void this.#reportMemory();
  }

  async #reportMemory(): Promise<void> {
    const memory = await this.#deps.engine.memory();
    if (!memory.ok || this.#closed) return;
    const { residentBytes, gpuBytes } = memory.value;
    this.#emit({ type: "stats", hostBytes: this.#deps.hostBytes(), engineBytes: residentBytes, gpuBytes });
  }

  #unreadable(error: HeartError): void {
    if (error.kind === "io") this.#stickGone();
    else this.#notice("error", this.#deps.describe.heart(error));
  }

  #stickGone(): void {
    if (this.#view.stick === "gone" || !this.#conversation.onStick) return;
    this.#waiting.length = 0;
    this.#cancel("cancelled");
    this.#emit({ type: "stick", state: "gone" });
  }

  #tryReturn(): void {
    if (this.#working || !this.#deps.stickPresent() || !this.#conversation.reopen().ok) return;
    this.#emit({ type: "stick", state: "present" });
    this.#modelsChanged();
  }
}

function emptyAnswer(chosen: Route, asked: Message): Answer {
  return {
    spans: [],
    label: asked.label,
    reply: {
      model: chosen.model.name,
      tier: chosen.tier,
      reason: chosen.reason,
      stop: "error",
      seed: 0,
      tokens: { prompt: 0, cached: 0, completion: 0, reasoning: 0 },
      timings: { firstTokenMs: 0, promptMs: 0, generateMs: 0, tokensPerSecond: 0 },
    },
  };
}
