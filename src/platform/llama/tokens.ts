/** Text to tokens and back, without blocking the event loop for long and without breaking characters apart. */
import { type LlamaModel, LlamaVocabularyType, type Token } from "node-llama-cpp";
import type { PromptPiece } from "../../engine/template.ts";

/** UTF-16 units tokenised at one go, some 10 ms. Longer text is cut at a space or line end. */
const SLICE = 64 * 1024;

export class TextEncoding {
  readonly #model: LlamaModel;
  /** Vocabularies of this kind put a space before each text; only the first piece of a prompt may keep it. */
  readonly #padsText: boolean;

  constructor(model: LlamaModel) {
    this.#model = model;
    this.#padsText = model.vocabularyType !== LlamaVocabularyType.bpe;
  }

  /** The beginning-of-text token, if the model wants prompts to begin with it. */
  get bos(): Token | null {
    return this.#model.tokens.shouldPrependBosToken ? this.#model.tokens.bos : null;
  }

  /** Tokens of one piece; `first` when it opens the prompt. */
  async piece({ kind, text }: PromptPiece, first: boolean): Promise<Token[]> {
    const tokens: Token[] = [];
    for (let from = 0; from < text.length;) {
      const end = from === 0 && text.length <= SLICE ? text.length : sliceEnd(text, from);
      const plain = first && from === 0;
      const option = this.#padsText && !plain ? "trimLeadingSpace" : undefined;
      for (const token of this.#model.tokenize(text.slice(from, end), kind === "template", option)) tokens.push(token);
      from = end;
      // Lets heartbeats and cancels through between slices of a huge text.
      if (from < text.length) await new Promise((resolve) => setImmediate(resolve));
    }
    return tokens;
  }

  /** The tokens of a whole prompt; those of each piece apart come from `piece`. Stops early when there are more than `limit`. */
  async prompt(pieces: readonly PromptPiece[], limit: number): Promise<Token[]> {
    const tokens: Token[] = [];
    for (const [index, piece] of pieces.entries()) {
      for (const token of await this.piece(piece, index === 0)) tokens.push(token);
      if (tokens.length > limit) break;
    }
    const { bos } = this;
    return bos === null || tokens[0] === bos ? tokens : [bos, ...tokens];
  }
}

function sliceEnd(text: string, from: number): number {
  const most = Math.min(from + SLICE, text.length);
  if (most === text.length) return most;
  for (let at = most; at > most - 1024; at--) if (text[at] === " " || text[at] === "\n") return at;
  // Never between the halves of a surrogate pair.
  return /[\uD800-\uDBFF]/.test(text[most - 1] ?? "") ? most - 1 : most;
}

/** A character may be spread over this many tokens; more in a row without one are bytes that form none. */
const MAX_PENDING = 6;

/** Tokens before the next one that are looked at together with it: its text may depend on them, as a leading space does. */
const MIN_WINDOW = 3;
/** Until the window has grown to as many, a token costs one look instead of two. */
const MAX_WINDOW = 16;

/** Turns tokens into text as they come. Holds a token back while it is only part of a character. */
export class TokenText {
  readonly #model: LlamaModel;
  /** Special tokens that are shown as this text; all others are silent. */
  readonly #shown: ReadonlyMap<Token, string>;
  #pending: Token[] = [];
  /** The last tokens whose text was given out, and that text. */
  #window: Token[] = [];
  #windowText = "";

  constructor(model: LlamaModel, shown: ReadonlyMap<Token, string>) {
    this.#model = model;
    this.#shown = shown;
  }

  push(token: Token): string {
    const special = this.#shown.get(token);
    if (special !== undefined) return this.end() + special;
    this.#pending.push(token);
    const { text, joined } = this.#textOfPending();
    if (text.endsWith("\uFFFD") && this.#pending.length < MAX_PENDING) return "";
    this.#release(text, joined);
    return text;
  }

  /** What is held back, when nothing more comes. */
  end(): string {
    if (this.#pending.length === 0) return "";
    const { text, joined } = this.#textOfPending();
    this.#release(text, joined);
    return text;
  }

  #textOfPending(): { readonly text: string; readonly joined: boolean } {
    if (this.#windowText !== "") {
      const text = this.#model.detokenize([...this.#window, ...this.#pending]);
      if (text.startsWith(this.#windowText)) return { text: text.slice(this.#windowText.length), joined: true };
    }
    // Silent tokens before it, or bytes that another token has made a character of.
    return { text: this.#model.detokenize(this.#pending), joined: false };
  }

  #release(text: string, joined: boolean): void {
    const grown = [...this.#window, ...this.#pending];
    this.#pending = [];
    if (joined && grown.length <= MAX_WINDOW) {
      this.#window = grown;
      this.#windowText += text;
      return;
    }
    this.#window = grown.slice(-MIN_WINDOW);
    this.#windowText = this.#model.detokenize(this.#window);
  }
}
