/** A piece of a model's reply: what it says, or what it thinks before it says it. */
export interface ReplyPiece {
  readonly type: "text" | "reasoning";
  readonly text: string;
}

export interface ReplyFormat {
  /** How reasoning opens and closes; null where the model has no such thing. */
  readonly reasoning: { readonly open: string; readonly close: string } | null;
  /** The prompt already opened the reasoning. */
  readonly startsInReasoning: boolean;
  /** Text that ends the reply and is not part of it. For templates whose turns end without a token of their own. */
  readonly stops: readonly string[];
}

/** What known families write around their reasoning. The first pair whose closing text stands in the template or as a token in the vocabulary is used. */
export const REASONING_TAGS = [
  { open: "<think>", close: "</think>" },
  { open: "[THINK]", close: "[/THINK]" },
  { open: "<seed:think>", close: "</seed:think>" },
  { open: "<|channel>thought\n", close: "<channel|>" },
] as const;

/**
 * Tells reasoning from answer in a stream of text, and finds stop texts, holding back what may be the beginning of a mark. Reasoning opens at the start of a
 * reply and nowhere else: a model that explains the `<think>` tag must not have its explanation hidden.
 */
export class ReplySplitter {
  readonly #format: ReplyFormat;
  #state: "start" | "reasoning" | "after-reasoning" | "text";
  #held = "";
  stopped = false;

  constructor(format: ReplyFormat) {
    this.#format = format;
    this.#state = format.startsInReasoning && format.reasoning ? "reasoning" : format.reasoning ? "start" : "text";
  }

  /** Whether the next token counts as reasoning. */
  get reasoning(): boolean {
    return this.#state === "reasoning";
  }

  push(text: string): ReplyPiece[] {
    if (this.stopped) return [];
    this.#held += text;
    const pieces: ReplyPiece[] = [];
    while (this.#step(pieces));
    return pieces;
  }

  /** What was held back, at the end of the reply. */
  end(): ReplyPiece[] {
    const rest = this.#held;
    this.#held = "";
    if (rest === "" || this.stopped) return [];
    return [{ type: this.#state === "reasoning" ? "reasoning" : "text", text: rest }];
  }

  /** Moves on by one state or one stretch of text; false when more text is needed. */
  #step(pieces: ReplyPiece[]): boolean {
    const tags = this.#format.reasoning;
    switch (this.#state) {
      case "start": {
        const begun = this.#held.trimStart();
        if (tags && begun.startsWith(tags.open)) {
          this.#held = begun.slice(tags.open.length);
          this.#state = "reasoning";
          return true;
        }
        if (begun === "" || tags?.open.startsWith(begun)) return false;
        this.#state = "text";
        return true;
      }
      case "reasoning": {
        const close = tags?.close ?? "";
        const at = this.#held.indexOf(close);
        if (at < 0) {
          this.#emit(pieces, "reasoning", this.#held.length - overlap(this.#held, close));
          return false;
        }
        this.#emit(pieces, "reasoning", at);
        this.#held = this.#held.slice(close.length);
        this.#state = "after-reasoning";
        return true;
      }
      case "after-reasoning":
        // The blank lines between reasoning and answer belong to neither.
        this.#held = this.#held.trimStart();
        if (this.#held === "") return false;
        this.#state = "text";
        return true;
      case "text": {
        const at = firstOf(this.#held, this.#format.stops);
        if (at >= 0) {
          this.#emit(pieces, "text", at);
          this.#held = "";
          this.stopped = true;
          return false;
        }
        const hold = this.#format.stops.reduce((most, stop) => Math.max(most, overlap(this.#held, stop)), 0);
        this.#emit(pieces, "text", this.#held.length - hold);
        return false;
      }
    }
  }

  #emit(pieces: ReplyPiece[], type: ReplyPiece["type"], length: number): void {
    if (length > 0) pieces.push({ type, text: this.#held.slice(0, length) });
    this.#held = this.#held.slice(length);
  }
}

/** Length of the longest end of `text` that begins `mark` without completing it. */
function overlap(text: string, mark: string): number {
  for (let length = Math.min(text.length, mark.length - 1); length > 0; length--) if (mark.startsWith(text.slice(-length))) return length;
  return 0;
}

function firstOf(text: string, marks: readonly string[]): number {
  let first = -1;
  for (const mark of marks) {
    const at = text.indexOf(mark);
    if (at >= 0 && (first < 0 || at < first)) first = at;
  }
  return first;
}
