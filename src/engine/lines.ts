/** What a reader of lines meets. `too-long` stands for one line that is dropped, and comes as soon as it is too long: it may never end. */
export type LineEvent = { readonly type: "line"; readonly text: string } | { readonly type: "too-long" };

/**
 * Cuts a byte stream into lines of at most `limit` bytes. A longer line is dropped to its end and reported once, so that a broken or hostile
 * peer costs a bounded amount of memory.
 */
export class LineReader {
  readonly #limit: number;
  #parts: Uint8Array[] = [];
  #length = 0;
  #dropping = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(bytes: Uint8Array): LineEvent[] {
    const events: LineEvent[] = [];
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      this.#take(bytes.subarray(from, end), events);
      this.#finish(events);
      from = end + 1;
    }
    this.#take(bytes.subarray(from), events);
    return events;
  }

  /** The unterminated rest at the end of the stream, if any. */
  end(): LineEvent[] {
    const events: LineEvent[] = [];
    if (this.#length > 0) this.#finish(events);
    return events;
  }

  #take(bytes: Uint8Array, events: LineEvent[]): void {
    if (bytes.length === 0 || this.#dropping) return;
    this.#length += bytes.length;
    if (this.#length > this.#limit) {
      this.#dropping = true;
      this.#parts = [];
      events.push({ type: "too-long" });
      return;
    }
    // A copy: the chunk's memory belongs to the stream.
    this.#parts.push(bytes.slice());
  }

  #finish(events: LineEvent[]): void {
    if (!this.#dropping) events.push({ type: "line", text: decode(this.#parts) });
    this.#parts = [];
    this.#length = 0;
    this.#dropping = false;
  }
}

const NEWLINE = 0x0a;
const decoder = new TextDecoder();

function decode(parts: readonly Uint8Array[]): string {
  const [only] = parts;
  if (parts.length <= 1) return only ? decoder.decode(only) : "";
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return decoder.decode(whole);
}
