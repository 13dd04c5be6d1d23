import { Editor } from "@earendil-works/pi-tui/dist/components/editor.js";
import type { Span } from "../../src/lib/message.ts";
import { cells } from "../text/rows.ts";
import { chatText } from "../text/sanitise.ts";

export interface ComposerFrame {
  /** 1 to `MAX_ROWS` rows, unstyled. */
  readonly rows: readonly string[];
  readonly cursor: { readonly x: number; readonly y: number };
}

const MAX_ROWS = 6;

/**
 * Pastes stand in the text as `[paste #1 +12 lines]`, which the editor moves and deletes as one character. Its own handling
 * of pastes makes chips of long ones alone; here every paste is one, because what was pasted is data and not the person's
 * words. That takes two of its fields, hence this type; `test/unit/tui/composer.test.ts` fails when they moved.
 */
interface EditorInternals {
  pastes: Map<number, string>;
  pasteCounter: number;
}
const CHIP = /\[paste #(\d+) (?:\+\d+ lines|\d+ chars)\]/gu;

const MAX_PASTES = 1000;

/** The draft: several lines, history, kill ring and undo from the library; the origin of each piece is ours. */
export class Composer {
  readonly #editor: Editor;
  readonly #internals: EditorInternals;

  constructor() {
    const noList = { selectedPrefix: plain, selectedText: plain, description: plain, scrollInfo: plain, noMatch: plain };
    // The editor asks its host for the height, to show at most 30% of it, and for a redraw, which every key causes anyway.
    const host = { requestRender: () => undefined, terminal: { rows: Math.ceil(MAX_ROWS / 0.3) } };
    this.#editor = new Editor(host as unknown as ConstructorParameters<typeof Editor>[0], { borderColor: plain, selectList: noList });
    this.#editor.focused = true;
    this.#internals = this.#editor as unknown as EditorInternals;
  }

  get text(): string {
    return this.#editor.getText();
  }

  get empty(): boolean {
    return this.text === "";
  }

  set(text: string): void {
    this.#keepPastes(() => this.#editor.setText(text));
  }

  /** A message to be said in other words. What was pasted into it stays pasted: editing must not make it the person's own. */
  setSpans(spans: readonly Span[]): void {
    this.set("");
    for (const { kind, text } of spans) {
      if (kind === "typed") this.#editor.insertTextAtCursor(text);
      else this.paste(text);
    }
  }

  /** What a command means: the draft with its chips spelled out. */
  get expanded(): string {
    return this.#spans(this.text)
      .map((span) => span.text)
      .join("");
  }

  key(raw: string): void {
    this.#editor.handleInput(raw);
  }

  newline(): void {
    this.#editor.handleInput("\n");
  }

  /** Visible text and not a chip: for what cannot become part of a message. */
  insert(text: string): void {
    this.#editor.insertTextAtCursor(text);
  }

  paste(text: string): void {
    if (text === "" || this.#internals.pastes.size >= MAX_PASTES) return;
    const id = ++this.#internals.pasteCounter;
    this.#internals.pastes.set(id, text);
    const lines = text.split("\n").length;
    this.#editor.insertTextAtCursor(lines > 1 ? `[paste #${id} +${lines} lines]` : `[paste #${id} ${text.length} chars]`);
  }

  /** Replaces the last chip by its text, now the person's own. False when there is none. */
  promote(): boolean {
    const last = [...this.text.matchAll(CHIP)].at(-1);
    const pasted = last && this.#internals.pastes.get(Number(last[1]));
    if (!last || pasted === undefined) return false;
    this.set(this.text.slice(0, last.index) + pasted + this.text.slice(last.index + last[0].length));
    return true;
  }

  /** A backslash before Enter asks for a new line instead: for terminals whose Shift-Enter is Enter. */
  takeBackslash(): boolean {
    const { line, col } = this.#editor.getCursor();
    if (this.#editor.getLines()[line]?.charAt(col - 1) !== "\\") return false;
    this.#editor.handleInput("\u007f");
    return true;
  }

  /** What was written, piece by piece, and an empty draft. Chips in history keep their text and their origin. */
  submit(): readonly Span[] {
    const { text } = this;
    const spans = this.#spans(text);
    this.toHistory();
    return spans;
  }

  toHistory(): void {
    if (this.text.trim() !== "") this.#editor.addToHistory(this.text.trim());
    this.set("");
  }

  frame(width: number): ComposerFrame {
    const rows = this.#editor.render(Math.max(4, width)).slice(1, -1);
    let cursor = { x: 0, y: 0 };
    const shown = rows.map((row, y) => {
      // oxlint-disable-next-line no-control-regex -- the editor marks the cursor with an application string
      const at = row.search(/\u001b_/u);
      if (at >= 0) cursor = { x: cells(row.slice(0, at)), y };
      return chatText(row).trimEnd();
    });
    return { rows: shown.slice(0, MAX_ROWS), cursor };
  }

  #spans(text: string): readonly Span[] {
    const spans: Span[] = [];
    let from = 0;
    const typed = (piece: string) => {
      if (piece !== "") spans.push({ kind: "typed", text: piece });
    };
    for (const match of text.matchAll(CHIP)) {
      const pasted = this.#internals.pastes.get(Number(match[1]));
      if (pasted === undefined) continue;
      typed(text.slice(from, match.index));
      spans.push({ kind: "pasted", text: pasted });
      from = match.index + match[0].length;
    }
    typed(text.slice(from));
    return trimEnds(spans);
  }

  /** The editor forgets pastes when its text is replaced; drafts in history still name them. */
  #keepPastes(work: () => void): void {
    const { pastes, pasteCounter } = this.#internals;
    const kept = new Map(pastes);
    work();
    for (const [id, text] of kept) this.#internals.pastes.set(id, text);
    this.#internals.pasteCounter = pasteCounter;
  }
}

const plain = (text: string) => text;

function trimEnds(spans: readonly Span[]): readonly Span[] {
  const last = spans.length - 1;
  return spans
    .map((span, index) => {
      let { text } = span;
      if (index === 0) text = text.trimStart();
      if (index === last) text = text.trimEnd();
      return { ...span, text };
    })
    .filter((span) => span.text !== "");
}
