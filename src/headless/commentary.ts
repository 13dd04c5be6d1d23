import type { EngineCage } from "../engine/port.ts";
import type { ModelState, SessionEvent, StoreState } from "../session/event.ts";
import type { HeadlessIo, Timers } from "./ports.ts";
import { LoadThrottle } from "./throttle.ts";
import { forTerminal } from "./terminal-text.ts";

export interface CommentarySetup {
  readonly io: HeadlessIo;
  readonly verbose: boolean;
  readonly workspace: string;
  readonly timers: Timers;
}

/** Milliseconds between two states of the loading line. */
const REDRAW = 100;

/** What goes to stderr beside an answer: notices always, a loading line on a terminal, the facts with `--verbose`. */
export class Commentary {
  readonly #setup: CommentarySetup;
  readonly #throttle: LoadThrottle;
  #loading = false;
  #described = "";
  #warned: string | null = null;

  constructor(setup: CommentarySetup) {
    this.#setup = setup;
    this.#throttle = new LoadThrottle(setup.timers, REDRAW);
    if (setup.verbose) this.say(`workspace ${setup.workspace}`);
  }

  onEvent(event: SessionEvent): void {
    const { verbose } = this.#setup;
    switch (event.type) {
      case "notice":
        return this.say(event.text);
      case "turn-trimmed":
        return this.say(
          `The ${event.dropped} oldest message${event.dropped === 1 ? " was" : "s were"} left out: the context holds ${event.contextSize} tokens.`,
        );
      case "engine-restarted":
        // While an answer was on its way, its failure says this; between two, the next one starts a new engine and nothing is lost.
        if (verbose) this.say("The engine stopped; it is started anew when it is needed.");
        return;
      case "session-opened":
        return this.store(event.store);
      case "stick":
        if (event.state === "gone") this.say("The stick is gone: nothing more is kept until it is back.");
        return;
      case "model":
        return this.#model(event.state);
      case "turn-started":
        if (verbose) this.say(`${event.tier} tier, ${event.model}: ${event.reason}`);
        return;
      case "turn-ended":
        if (verbose) this.say(timingLine(event));
        return;
      case "turn-text":
      case "turn-failed":
        return this.clear();
      case "session-named":
      case "message-appended":
      case "path-changed":
      case "prompt-queued":
      case "turn-prompt":
      case "turn-reasoning":
      case "approvals":
      case "sessions-listed":
      case "models-listed":
      case "job":
      case "stats":
        return;
    }
  }

  /** Says once why nothing is kept. */
  store({ warning }: StoreState): void {
    if (warning === null || warning === this.#warned) return;
    this.#warned = warning;
    this.say(warning);
  }

  say(text: string): void {
    this.clear();
    const { io } = this.#setup;
    io.err(`noctem: ${io.stderrIsTerminal ? forTerminal(text) : text}\n`);
  }

  /** Takes the loading line off the screen. */
  clear(): void {
    if (!this.#loading) return;
    this.#loading = false;
    this.#setup.io.err("\r\u001b[K");
  }

  #model(state: ModelState): void {
    const { io, verbose } = this.#setup;
    if (state.kind === "loading") {
      if (!io.stderrIsTerminal || !this.#throttle.passes(state)) return;
      this.#loading = true;
      io.err(`\r\u001b[K${forTerminal(loadingLine(state))}`);
      return;
    }
    this.clear();
    if (!verbose || state.kind !== "ready") return;
    const lines = readyLines(state);
    // One model may serve both tiers and then reports twice.
    if (lines.join() === this.#described) return;
    this.#described = lines.join();
    for (const line of lines) this.say(line);
  }
}

/** At most 60 columns, so that it never wraps. */
function loadingLine(state: Extract<ModelState, { kind: "loading" }>): string {
  const percent = state.fraction === null ? "" : ` ${Math.floor(state.fraction * 100)}%`;
  const speed = state.bytesPerSecond === null ? "" : `, ${(state.bytesPerSecond / 1e6).toFixed(0)} MB/s`;
  const left = state.secondsLeft === null || state.secondsLeft < 1 ? "" : `, ${Math.ceil(state.secondsLeft)} s left`;
  return `${state.name.slice(0, 28)}: ${state.phase}${percent}${speed}${left}`.slice(0, 78);
}

function readyLines(state: Extract<ModelState, { kind: "ready" }>): readonly string[] {
  const { prompt, generate } = state.threads;
  const speed = state.expectedTokensPerSecond > 0 ? `, about ${state.expectedTokensPerSecond.toFixed(0)} tokens/s` : "";
  return [
    `model ${state.name}, context ${state.contextSize} tokens${state.chat ? "" : ", no chat template"}`,
    `GPU ${state.gpuLayers} of ${state.layers} layers: ${state.gpuReason}`,
    `threads ${prompt} for the prompt, ${generate} for the answer${speed}`,
    ...(state.cage === null ? [] : [cageLine(state.cage)]),
  ];
}

/** Said in either case: a cage that is missing must not look like one that is there. */
const cageLine = ({ level, reason }: EngineCage): string =>
  level === "none" ? `engine without a cage: ${reason}` : "engine in a cage of its own: no network, no file but the models";

function timingLine({ reply, stop, contextUsed }: Extract<SessionEvent, { type: "turn-ended" }>): string {
  const { tokens, timings } = reply;
  return [
    `${tokens.prompt} prompt tokens (${tokens.cached} reused) in ${Math.round(timings.promptMs)} ms`,
    `first token after ${Math.round(timings.firstTokenMs)} ms`,
    `${tokens.completion} tokens at ${timings.tokensPerSecond.toFixed(1)}/s`,
    `stop: ${stop}`,
    `seed ${reply.seed}`,
    `context ${contextUsed} used`,
  ].join(", ");
}
