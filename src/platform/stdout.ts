/**
 * Standard output and standard error as a queue that never blocks and never throws. A pipe takes what it can, the rest
 * waits in memory (bounded by the length of an answer) while signals and time-outs are still heard; `process.exit` cuts off
 * what has not left yet, so whoever ends the process awaits `flushed` first.
 */
export interface ProcessOutput {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly flushed: () => Promise<void>;
  /** What went wrong with stdout, if anything. EPIPE is not wrong: the reader had enough. */
  readonly failure: () => string | null;
}

export function processOutput(onReaderGone: () => void): ProcessOutput {
  const out = new Queue(process.stdout, onReaderGone);
  const err = new Queue(process.stderr, () => undefined);
  return {
    out: (text) => out.write(text),
    err: (text) => err.write(text),
    flushed: async () => {
      await Promise.all([out.flushed(), err.flushed()]);
    },
    failure: () => out.failure,
  };
}

class Queue {
  failure: string | null = null;
  readonly #stream: NodeJS.WriteStream;
  readonly #onGone: () => void;
  #pending = 0;
  #dead = false;
  #waiting: (() => void)[] = [];

  constructor(stream: NodeJS.WriteStream, onGone: () => void) {
    this.#stream = stream;
    this.#onGone = onGone;
    stream.on("error", (error) => this.#died(error));
  }

  write(text: string): void {
    if (this.#dead || text === "") return;
    this.#pending++;
    this.#stream.write(text, (error) => {
      this.#pending--;
      if (error) this.#died(error);
      if (this.#pending === 0) this.#release();
    });
  }

  flushed(): Promise<void> {
    return this.#dead || this.#pending === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  #died(error: Error & { readonly code?: string }): void {
    if (this.#dead) return;
    this.#dead = true;
    if (error.code === "EPIPE" || error.code === "ECONNRESET") this.#onGone();
    else this.failure = error.code ?? error.message;
    this.#release();
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
