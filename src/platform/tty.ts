import { closeSync, constants, openSync, writeSync } from "node:fs";
import { PassThrough, Writable } from "node:stream";
import type { ReadStream, WriteStream } from "node:tty";

/** Splits what the terminal sends; the chat brings its own (`tui/input/splitter.ts`). */
export interface Splitter<E> {
  feed(read: string): E[];
  flush(): E[];
  readonly pending: boolean;
  /** Milliseconds of quiet after which `flush` is due. */
  readonly patience: number;
}

const QUIET_AFTER_RESIZE_MS = 40;
const RETRY_MS = 15;
const AFTER_STOP_MS = 50;
/** Frames are small; a terminal that left more than this unread gets no new ones. */
const MAX_QUEUED = 8 << 20;

const ENTER = "\u001b[?2004h";
const ALTERNATE = "\u001b[?1049h";
/** Bracketed paste off, styles off, cursor shown, main screen. Harmless where none of it was on. */
const LEAVE = "\u001b[?2004l\u001b[0m\u001b[?25h\u001b[?1049l";

/**
 * The controlling terminal of this process: raw input split into events, output that never blocks, and the terminal put back
 * on every way out, a crash included. Null where there is none.
 *
 * Output goes through a description of its own, opened O_NONBLOCK: writes to the standard ones block, and a terminal that
 * nobody reads then stops the host (measured: 10.7 s). Setting O_NONBLOCK on standard output itself would set it for the
 * shell too, which shares it.
 */
export function openTerminal<E>(splitter: Splitter<E>): Terminal<E> | null {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return null;
  try {
    const fd = openSync("/dev/tty", constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    return new Terminal(fd, splitter);
  } catch {
    return null;
  }
}

export class Terminal<E> implements Disposable {
  readonly output: WriteStream;
  readonly deadInput: ReadStream;
  readonly #out: TerminalOutput;
  readonly #splitter: Splitter<E>;
  readonly #input = new Set<(event: E) => void>();
  readonly #redraw = new Set<() => void>();
  readonly #drain = new Set<() => void>();
  #quiet: ReturnType<typeof setTimeout> | undefined;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #open = true;

  constructor(fd: number, splitter: Splitter<E>) {
    this.#splitter = splitter;
    this.#out = new TerminalOutput(fd, () => this.#drain.forEach((listener) => listener()));
    this.output = this.#out as unknown as WriteStream;
    this.deadInput = deadInput();
    process.stdin.setEncoding("utf8");
    process.stdin.on("data", this.#read);
    process.on("SIGWINCH", this.#resized);
    process.on("SIGCONT", this.#resumed);
    // Whatever ends the process without closing this first: the terminal is not ours to keep.
    process.on("exit", this.#putBack);
    // Before whoever reports a bug: the report would be written on the screen that goes away with the process.
    process.prependListener("uncaughtException", this.#crashed);
    process.prependListener("unhandledRejection", this.#crashed);
    this.#take();
  }

  get size(): { readonly columns: number; readonly rows: number } {
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
  }

  get busy(): boolean {
    return this.#out.queued > 0;
  }

  onInput(listener: (event: E) => void): () => void {
    return subscribe(this.#input, listener);
  }

  onRedraw(listener: () => void): () => void {
    return subscribe(this.#redraw, listener);
  }

  onDrain(listener: () => void): () => void {
    return subscribe(this.#drain, listener);
  }

  send(sequence: string): void {
    this.#out.write(sequence);
  }

  together<T>(work: () => T): T {
    return this.#out.together(work);
  }

  /** The job-control stop of a shell: the screen is put back, this process alone stops; its children are in groups of their own. */
  suspend(): void {
    this.#putBack();
    process.kill(process.pid, "SIGTSTP");
    // Without a shell that would resume it the kernel ignores the stop, and no SIGCONT comes: then the screen is taken again here.
    setTimeout(this.#resumed, AFTER_STOP_MS);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    clearTimeout(this.#quiet);
    clearTimeout(this.#patience);
    process.stdin.off("data", this.#read);
    process.off("SIGWINCH", this.#resized);
    process.off("SIGCONT", this.#resumed);
    process.off("exit", this.#putBack);
    process.off("uncaughtException", this.#crashed);
    process.off("unhandledRejection", this.#crashed);
    this.#putBack();
    this.#open = false;
    process.stdin.pause();
    this.#out.close();
  }

  readonly #read = (read: string): void => {
    clearTimeout(this.#patience);
    this.#tell(this.#splitter.feed(read));
    if (this.#splitter.pending) this.#patience = setTimeout(() => this.#tell(this.#splitter.flush()), this.#splitter.patience);
  };

  #tell(events: readonly E[]): void {
    for (const event of events) for (const listener of this.#input) listener(event);
  }

  readonly #resized = (): void => {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => {
      this.output.emit("resize");
      for (const listener of this.#redraw) listener();
    }, QUIET_AFTER_RESIZE_MS);
  };

  readonly #resumed = (): void => {
    if (!this.#open) return;
    this.#take();
    this.#out.write(ALTERNATE);
    this.#resized();
  };

  #take(): void {
    process.stdin.setRawMode(true);
    process.stdin.resume();
    this.#out.write(ENTER);
  }

  /** Nothing is drawn from here on. Whether the process ends is for others to say. */
  readonly #crashed = (): void => {
    this.#putBack();
    this.#out.mute();
  };

  readonly #putBack = (): void => {
    if (!this.#open) return;
    try {
      process.stdin.setRawMode(false);
    } catch {
      // The terminal is gone; there is nothing to put back.
    }
    this.#out.writeNow(LEAVE);
  };
}

/** A stream for Ink over a descriptor that may refuse: what does not fit waits here, bounded, and the host goes on. */
class TerminalOutput extends Writable {
  readonly isTTY = true;
  readonly #fd: number;
  readonly #drained: () => void;
  #queue: Buffer[] = [];
  #bytes = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #muted = false;
  #held = false;
  #alternate = false;

  constructor(fd: number, drained: () => void) {
    super({ decodeStrings: true, highWaterMark: MAX_QUEUED });
    this.#fd = fd;
    this.#drained = drained;
  }

  get queued(): number {
    return this.#bytes;
  }

  get columns(): number {
    return process.stdout.columns || 80;
  }

  get rows(): number {
    return process.stdout.rows || 24;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const text = chunk.length < 64 ? chunk.toString() : "";
    // Entered once: terminals differ in what a second time does to the cursor that is put back at the end.
    const again = this.#alternate && text === ALTERNATE;
    if (chunk.includes(ALTERNATE)) this.#alternate = true;
    if (!again && !this.#closed && !this.#muted && this.#bytes + chunk.length <= MAX_QUEUED) {
      this.#queue.push(chunk);
      this.#bytes += chunk.length;
      if (!this.#held) this.#pump();
    }
    done();
  }

  together<T>(work: () => T): T {
    this.#held = true;
    try {
      return work();
    } finally {
      this.#held = false;
      if (this.#queue.length > 1 && this.#retry === undefined) this.#queue = [Buffer.concat(this.#queue)];
      this.#pump();
    }
  }

  /** Drops what waits and tries once: for the last words to a terminal. */
  writeNow(text: string): void {
    this.#queue = [];
    this.#bytes = 0;
    this.#alternate = false;
    try {
      if (!this.#closed) writeSync(this.#fd, text);
    } catch {
      // Nobody reads it any more.
    }
  }

  /** Drops what is written from now on. */
  mute(): void {
    this.#muted = true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#queue = [];
    this.#bytes = 0;
    closeSync(this.#fd);
  }

  #pump(): void {
    if (this.#retry !== undefined || this.#closed) return;
    const waited = this.#queue.length > 1;
    for (let chunk = this.#queue[0]; chunk !== undefined; chunk = this.#queue[0]) {
      const written = this.#try(chunk);
      this.#bytes -= written;
      if (written === chunk.length) this.#queue.shift();
      else {
        this.#queue[0] = chunk.subarray(written);
        this.#retry = setTimeout(() => {
          this.#retry = undefined;
          this.#pump();
          if (this.#bytes === 0) this.#drained();
        }, RETRY_MS);
        return;
      }
    }
    if (waited) this.#drained();
  }

  #try(chunk: Buffer): number {
    try {
      return writeSync(this.#fd, chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return 0;
      // The terminal went away: what is drawn no longer matters, and SIGHUP is on its way.
      return chunk.length;
    }
  }
}

function deadInput(): ReadStream {
  const input = new PassThrough() as PassThrough & { isTTY: boolean; setRawMode: () => unknown; ref: () => void; unref: () => void };
  input.isTTY = true;
  input.setRawMode = () => input;
  input.ref = () => undefined;
  input.unref = () => undefined;
  return input as unknown as ReadStream;
}

function subscribe<L>(listeners: Set<L>, listener: L): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
