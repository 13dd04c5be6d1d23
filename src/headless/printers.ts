import type { SessionEvent } from "../session/event.ts";
import type { Answer } from "./ask.ts";
import type { HeadlessIo, Output, Thinking, Timers } from "./ports.ts";
import { type Explain, resultObject } from "./result-object.ts";
import { LoadThrottle } from "./throttle.ts";
import { forTerminal } from "./terminal-text.ts";
import type { Verdict } from "./verdict.ts";

/** Shows one answer in one format. `finish` is the last call and says what came of it. */
export interface Printer {
  onEvent(event: SessionEvent): void;
  finish(answer: Answer, verdict: Verdict, value: unknown): void;
}

export interface PrinterSetup {
  readonly io: HeadlessIo;
  readonly timers: Timers;
  readonly thinking: Thinking;
  readonly explain: Explain;
}

const HEARTBEAT = 10_000;
const LOADING_EVERY = 1000;

export function printerFor(output: Output, setup: PrinterSetup): Printer {
  switch (output) {
    case "text":
      return textPrinter(setup);
    case "json":
      return jsonPrinter(setup);
    case "stream-json":
      return streamPrinter(setup);
  }
}

/** The answer as it streams, with an end of line after it. */
function textPrinter({ io, thinking }: PrinterSetup): Printer {
  let last = "";
  let reasoned = false;
  const put = (text: string): void => {
    // Many models open with a space or an empty line; a pipe wants neither.
    const shown = last === "" ? text.trimStart() : text;
    if (shown === "") return;
    last = shown;
    io.out(io.stdoutIsTerminal ? forTerminal(shown) : shown);
  };
  return {
    onEvent(event) {
      if (event.type === "turn-text") put(event.text);
      else if (event.type === "turn-reasoning" && thinking === "stderr") {
        reasoned = true;
        io.err(io.stderrIsTerminal ? forTerminal(event.text) : event.text);
      }
    },
    finish() {
      if (reasoned) io.err("\n");
      if (last !== "" && !last.endsWith("\n")) io.out("\n");
    },
  };
}

function jsonPrinter({ io, explain }: PrinterSetup): Printer {
  return {
    onEvent() {},
    finish(answer, verdict, value) {
      io.out(`${JSON.stringify(resultObject(answer, verdict, value, explain))}\n`);
    },
  };
}

/** One event a line; the last line is the object that `json` prints, as `{"type":"result",…}`. */
function streamPrinter({ io, timers, explain }: PrinterSetup): Printer {
  const started = timers.monotonic();
  const throttle = new LoadThrottle(timers, LOADING_EVERY);
  const put = (line: Record<string, unknown>) => io.out(`${JSON.stringify(line)}\n`);
  const stop = timers.every(HEARTBEAT, () => put({ type: "heartbeat", elapsedMs: Math.round(timers.monotonic() - started) }));
  return {
    onEvent(event) {
      if (event.type === "model" && !throttle.passes(event.state)) return;
      const line = streamLine(event);
      if (line) put(line);
    },
    finish(answer, verdict, value) {
      stop();
      put({ type: "result", ...resultObject(answer, verdict, value, explain) });
    },
  };
}

/** The public form of an event; null for those that concern screens only. */
function streamLine(event: SessionEvent): Record<string, unknown> | null {
  switch (event.type) {
    case "session-named":
      return event.session.ephemeral ? null : { type: "session", session: event.session.id };
    case "model": {
      const { state } = event;
      if (state.kind === "loading")
        return { type: "loading", model: state.name, phase: state.phase, fraction: state.fraction, secondsLeft: state.secondsLeft };
      return state.kind === "ready" ? { type: "ready", model: state.name, contextSize: state.contextSize } : null;
    }
    case "turn-started":
      return { type: "start", model: event.model, tier: event.tier, reason: event.reason };
    case "turn-prompt":
      return { type: "prompt", tokens: event.tokens, cached: event.cached };
    case "turn-text":
      return { type: "text", text: event.text };
    case "turn-reasoning":
      return { type: "reasoning", text: event.text };
    case "turn-trimmed":
      return { type: "trimmed", dropped: event.dropped, contextSize: event.contextSize };
    case "engine-restarted":
      return { type: "engine-restarted", cause: event.cause.kind };
    case "notice":
      return { type: "notice", severity: event.severity, text: event.text };
    case "session-opened":
    case "message-appended":
    case "path-changed":
    case "prompt-queued":
    case "turn-ended":
    case "turn-failed":
    case "approvals":
    case "sessions-listed":
    case "models-listed":
    case "job":
    case "stick":
    case "stats":
      return null;
  }
}
