import { err, ok, type Result } from "../lib/result.ts";
import type { Timers } from "./ports.ts";

export type PipedError =
  | { readonly kind: "too-large"; readonly limit: number }
  /** Contains a NUL byte at this offset. */
  | { readonly kind: "binary"; readonly offset: number }
  | { readonly kind: "not-utf8" }
  | { readonly kind: "utf16" }
  /** Open, and nothing came for this long. Seconds. */
  | { readonly kind: "silent"; readonly seconds: number }
  | { readonly kind: "unreadable"; readonly detail: string };

export interface SilenceRule {
  /** `wait` waits for ever: the person asked for it. */
  readonly policy: "auto" | "wait";
  readonly timers: Timers;
  /** Called once, when nothing has come for a while. */
  readonly onSilent: () => void;
}

/** Far beyond what any context holds, far below what hurts: 8 MB of text are two million tokens. Bytes. */
export const MAX_PIPED = 8_000_000;
const NOTICE_AFTER = 2000;
const GIVE_UP_AFTER = 30_000;

/**
 * Standard input as text. Refuses what is no text as soon as it shows, and stops reading at the limit: `noctem < disk.img`
 * ends at once. Whoever holds the other end open and says nothing is named, then left.
 */
export async function readPiped(chunks: AsyncIterable<Uint8Array>, rule: SilenceRule): Promise<Result<string, PipedError>> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let size = 0;
  for await (const chunk of heard(chunks, rule)) {
    if (!chunk.ok) return chunk;
    const bytes = chunk.value;
    if (size === 0 && isUtf16(bytes)) return err({ kind: "utf16" });
    const nul = bytes.indexOf(0);
    if (nul >= 0) return err({ kind: "binary", offset: size + nul });
    size += bytes.length;
    if (size > MAX_PIPED) return err({ kind: "too-large", limit: MAX_PIPED });
    const decoded = decode(decoder, bytes);
    if (decoded === null) return err({ kind: "not-utf8" });
    text += decoded;
  }
  const whole = joined(text, decode(decoder, null));
  return whole === null ? err({ kind: "not-utf8" }) : ok(whole);
}

/** The lines of standard input, one by one as they come, without their ends. A line has the same limits as a whole text. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>, rule: SilenceRule): AsyncGenerator<Result<string, PipedError>> {
  let parts: Uint8Array[] = [];
  let size = 0;
  let first = true;
  const line = (): Result<string, PipedError> => {
    const bytes = Buffer.concat(parts);
    parts = [];
    size = 0;
    if (first && isUtf16(bytes)) return err({ kind: "utf16" });
    first = false;
    const nul = bytes.indexOf(0);
    if (nul >= 0) return err({ kind: "binary", offset: nul });
    // A decoder of its own for each line: a bad line must not spoil the next.
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const text = joined(decode(decoder, bytes), decode(decoder, null));
    return text === null ? err({ kind: "not-utf8" }) : ok(text.endsWith("\r") ? text.slice(0, -1) : text);
  };
  for await (const chunk of heard(chunks, rule)) {
    if (!chunk.ok) {
      yield chunk;
      return;
    }
    let from = 0;
    for (let end = chunk.value.indexOf(10); end >= 0; end = chunk.value.indexOf(10, from)) {
      parts.push(chunk.value.subarray(from, end));
      from = end + 1;
      yield line();
    }
    const tail = chunk.value.subarray(from);
    size += tail.length;
    if (size > MAX_PIPED) {
      yield err({ kind: "too-large", limit: MAX_PIPED });
      return;
    }
    if (tail.length > 0) parts.push(tail);
  }
  if (parts.length > 0) yield line();
}

const isUtf16 = (bytes: Uint8Array): boolean => (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);

const joined = (text: string | null, rest: string | null): string | null => (text === null || rest === null ? null : text + rest);

/** A leading BOM is dropped by the decoder. `null` for bytes ends the text. */
function decode(decoder: TextDecoder, bytes: Uint8Array | null): string | null {
  try {
    return bytes === null ? decoder.decode() : decoder.decode(bytes, { stream: true });
  } catch {
    return null;
  }
}

/** The chunks, with the silence before each of them bounded. Not awaited at the end: a source that waits for bytes that never come would never end either. */
async function* heard(chunks: AsyncIterable<Uint8Array>, rule: SilenceRule): AsyncGenerator<Result<Uint8Array, PipedError>> {
  const source = chunks[Symbol.asyncIterator]();
  const watch = new SilenceWatch(rule);
  try {
    for (;;) {
      const step = await Promise.race([read(source), watch.next()]);
      watch.heard();
      if (step === null) return;
      yield step;
      if (!step.ok) return;
    }
  } finally {
    watch.heard();
    void source.return?.().then(undefined, () => undefined);
  }
}

async function read(source: AsyncIterator<Uint8Array>): Promise<Result<Uint8Array, PipedError> | null> {
  try {
    const step = await source.next();
    return step.done ? null : ok(step.value);
  } catch (error) {
    return err({ kind: "unreadable", detail: error instanceof Error ? error.message : String(error) });
  }
}

class SilenceWatch {
  readonly #rule: SilenceRule;
  #told = false;
  #stops: (() => void)[] = [];

  constructor(rule: SilenceRule) {
    this.#rule = rule;
  }

  /** Resolves when it has been silent for too long, counted from now. */
  next(): Promise<Result<Uint8Array, PipedError>> {
    const { timers, policy, onSilent } = this.#rule;
    return new Promise((resolve) => {
      if (!this.#told)
        this.#stops.push(
          timers.after(NOTICE_AFTER, () => {
            this.#told = true;
            onSilent();
          }),
        );
      if (policy === "auto")
        this.#stops.push(timers.after(GIVE_UP_AFTER, () => resolve(err({ kind: "silent", seconds: GIVE_UP_AFTER / 1000 }))));
    });
  }

  heard(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }
}
