/** What headless needs of the process. Writing never blocks and never throws. */
export interface HeadlessIo {
  /** Standard output: answers and nothing else. */
  readonly out: (text: string) => void;
  /** Standard error: everything else. */
  readonly err: (text: string) => void;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** Aborted by a signal or when nobody reads stdout any more. */
  readonly signal: AbortSignal;
}

export interface Timers {
  /** Calls back once after `ms`, unless the returned function was called before. */
  after(ms: number, callback: () => void): () => void;
  /** Calls back every `ms` until the returned function is called. */
  every(ms: number, callback: () => void): () => void;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number;
}

export type Output = "text" | "json" | "stream-json";
export type Thinking = "hide" | "stderr";
