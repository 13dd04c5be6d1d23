import type { TurnFailure } from "../src/session/event.ts";
import type { SessionPort } from "../src/session/port.ts";
import type { InputEvent } from "./input/splitter.ts";
import type { ThemeWish } from "./theme.ts";

/** What the chat needs of the world. It touches nothing else. */
export interface TuiDeps {
  readonly session: SessionPort;
  readonly terminal: TuiTerminal;
  readonly timers: {
    /** Calls once after `ms`; the returned function takes it back. */
    after(ms: number, callback: () => void): () => void;
    monotonic(): number;
  };
  readonly theme: ThemeWish;
  /** As the status line shows it. */
  readonly workspace: string;
  readonly version: string;
  /** The sentence for a failed turn. */
  readonly explain: (failure: TurnFailure) => string;
  /** Frames a second while an answer streams. */
  readonly framesPerSecond: number;
  /** Fires at SIGTERM and its like: leave, and put the terminal back. */
  readonly signal: AbortSignal;
}

/** The terminal as a thing that can be drawn on and read from. `platform/tty.ts` is the real one. */
export interface TuiTerminal {
  readonly size: { readonly columns: number; readonly rows: number };
  /** Ink writes frames here; it never blocks the host, and drops nothing that was accepted. */
  readonly output: NodeJS.WriteStream;
  /** True while frames wait for a terminal that does not read: drawing more would only pile up. */
  readonly busy: boolean;
  /** Ink wants an input; the real one is read by `onInput`, one event a key. */
  readonly deadInput: NodeJS.ReadStream;
  onInput(listener: (event: InputEvent) => void): () => void;
  /** After the size was quiet for a moment, or the terminal came back from a suspension. */
  onRedraw(listener: () => void): () => void;
  /** The terminal reads again after it had been busy. */
  onDrain(listener: () => void): () => void;
  /** Stops this process until the shell resumes it. The screen is put back before and taken again after. */
  suspend(): void;
  /** What is written to `output` meanwhile leaves in one piece, so that no half of it is ever seen. */
  together<T>(work: () => T): T;
  /** A sequence that draws nothing: bell, clipboard. */
  send(sequence: string): void;
}
