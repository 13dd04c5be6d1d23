import { reasoningText, type Span, type StopReason, visibleText } from "../../src/lib/message.ts";
import type { ShownMessage } from "../../src/session/event.ts";
import type { LiveTurn, Notice, ViewState } from "../../src/session/view.ts";
import { renderBlock, renderMarkdown, splitBlocks } from "../markdown.ts";
import { wrap } from "../text/rows.ts";
import { chatText } from "../text/sanitise.ts";
import type { Theme } from "../theme.ts";
import { layoutOf, type Segment, type TranscriptLayout } from "./scroll.ts";

export interface TranscriptOptions {
  /** Show reasoning in full instead of one folded row. */
  readonly reasoning: boolean;
  /** Why the last turn failed, as a sentence; null when it did not. */
  readonly failure: string | null;
}

export interface Transcript {
  /** Rows are styled, at most `width` cells, and safe to print. */
  layout(view: ViewState, width: number, options: TranscriptOptions): TranscriptLayout;
}

/** Column 0 belongs to us: what stands behind this bar comes from a model. */
const MODEL_BAR = " ┊ ";
/** Rendered messages that are kept; the heights of all of them are, so that no scroll renders what it only passes. */
const MAX_CACHED = 1000;

/**
 * Lays out what is shown and remembers it: a message is rendered when it comes into sight, once for each width, and while one
 * grows only its last open block is. The first frame and a new size cost the visible rows, however long the conversation.
 */
export function createTranscript(theme: Theme): Transcript {
  const live = new LiveRows(theme);
  let settled: { readonly key: readonly unknown[]; readonly segments: readonly Segment[] } | null = null;
  let memory = new Rendered(0, false);

  const segmentOf = (shown: ShownMessage, width: number, options: TranscriptOptions, last: boolean): Segment => {
    const key = `${shown.message.redacted} ${shown.take}/${shown.takes} ${last}`;
    const rendered = memory;
    const render = () => messageRows(shown, { width, reasoning: options.reasoning, lastTakes: last, theme });
    return {
      id: shown.message.id,
      rows: () => rendered.rows(shown.message.id, key, render),
      height: () => rendered.height(shown.message.id, key, render),
    };
  };

  return {
    layout(view, width, options) {
      const key = [view.path, view.notices, width, options.reasoning] as const;
      if (!settled || key.some((part, index) => part !== settled?.key[index])) {
        if (!memory.fits(width, options.reasoning)) memory = new Rendered(width, options.reasoning);
        const lastTakes = view.path.findLast((shown) => shown.takes > 1);
        const path = view.path.flatMap((shown) => [
          segmentOf(shown, width, options, shown === lastTakes),
          ...noticesAfter(view.notices, shown.message.id, width, theme),
        ]);
        settled = { key, segments: [...noticesAfter(view.notices, null, width, theme), ...path] };
      }
      return layoutOf(settled.segments, tailRows(view, width, options, theme, live));
    },
  };
}

/** What was rendered at one width, and how tall it is. */
class Rendered {
  readonly #width: number;
  readonly #reasoning: boolean;
  readonly #rows = new Map<string, { readonly key: string; readonly rows: readonly string[] }>();
  readonly #heights = new Map<string, { readonly key: string; readonly height: number }>();

  constructor(width: number, reasoning: boolean) {
    this.#width = width;
    this.#reasoning = reasoning;
  }

  fits(width: number, reasoning: boolean): boolean {
    return width === this.#width && reasoning === this.#reasoning;
  }

  rows(id: string, key: string, render: () => readonly string[]): readonly string[] {
    const known = this.#rows.get(id);
    if (known?.key === key) return known.rows;
    const rows = render();
    if (this.#rows.size >= MAX_CACHED) this.#rows.delete(this.#rows.keys().next().value ?? "");
    this.#rows.set(id, { key, rows });
    this.#heights.set(id, { key, height: rows.length });
    return rows;
  }

  height(id: string, key: string, render: () => readonly string[]): number {
    const known = this.#heights.get(id);
    return known?.key === key ? known.height : this.rows(id, key, render).length;
  }
}

function noticesAfter(notices: readonly Notice[], id: string | null, width: number, theme: Theme): Segment[] {
  return notices
    .filter((notice) => notice.after === id)
    .map((notice) => {
      const rows = noticeRows(notice, width, theme);
      return { id: `notice-${notice.id}`, rows: () => rows, height: () => rows.length };
    });
}

interface Look {
  readonly width: number;
  readonly reasoning: boolean;
  /** It is the one whose takes the arrow keys show. */
  readonly lastTakes: boolean;
  readonly theme: Theme;
}

function messageRows(shown: ShownMessage, { width, reasoning, lastTakes, theme }: Look): string[] {
  const { message } = shown;
  const takes = shown.takes > 1 ? [theme.dim(`   ‹${shown.take}/${shown.takes}›${lastTakes ? "  ← → show the others" : ""}`)] : [];
  if (message.redacted) return [theme.dim("   (forgotten)"), ""];
  if (message.role !== "assistant") return [...personRows(message.spans, width, theme), ...takes, ""];
  const thought = reasoningRows(reasoningText(message.spans), message.reply?.tokens.reasoning ?? 0, width, reasoning, theme);
  const answer = renderMarkdown(visibleText(message.spans), inner(width), theme).map((row) => MODEL_BAR + row);
  const note = stopNote(message.reply?.stop ?? "end");
  const notes = note === "" ? [] : wrap(`(${note})`, inner(width)).map((row) => theme.dim(`   ${row}`));
  return [...thought, ...answer, ...notes, ...takes, ""];
}

function personRows(spans: readonly Span[], width: number, theme: Theme): string[] {
  const text = chatText(visibleText(spans)).trimEnd();
  const indent = width < 50 ? "   " : "      ";
  const rows = wrap(text, Math.max(1, width - indent.length));
  if (width < 50) return [` ${theme.strong("you")}`, ...rows.map((row) => indent + theme.strong(row))];
  return rows.map((row, index) => (index === 0 ? ` ${theme.strong("you")}  ` : indent) + theme.strong(row));
}

/** `tokens` is 0 while nobody has counted them. */
function reasoningRows(text: string, tokens: number, width: number, unfolded: boolean, theme: Theme): string[] {
  if (text.trim() === "") return [];
  const size = tokens > 0 ? `${tokens} tokens` : `${text.trim().split(/\s+/u).length} words`;
  if (!unfolded) return wrap(`▸ reasoning, ${size} (/reasoning shows it)`, width - 1).map((row) => ` ${theme.dim(row)}`);
  const rows = renderMarkdown(text, inner(width), theme).map((row) => MODEL_BAR + theme.dim(row));
  return [theme.dim(` ▾ reasoning, ${size}`), ...rows, ""];
}

const inner = (width: number) => Math.max(1, width - MODEL_BAR.length);

function stopNote(stop: StopReason): string {
  switch (stop) {
    case "end":
      return "";
    case "length":
      return "cut off: no room or tokens left";
    case "loop":
      return "it began to repeat itself and was stopped; /retry tries another way";
    case "timeout":
      return "stopped by the time limit";
    case "cancelled":
      return "stopped";
    case "error":
      return "broken off: the engine failed";
  }
}

function noticeRows({ severity, text }: Pick<Notice, "severity" | "text">, width: number, theme: Theme): string[] {
  const style = { info: theme.dim, warning: theme.warning, error: theme.danger }[severity];
  const sign = { info: "·", warning: "!", error: "✗" }[severity];
  const rows = wrap(chatText(text), Math.max(1, width - 3));
  return [...rows.map((row, index) => ` ${index === 0 ? style(sign) : " "} ${style(row)}`), ""];
}

function tailRows(view: ViewState, width: number, options: TranscriptOptions, theme: Theme, live: LiveRows): string[] {
  const rows: string[] = [];
  if (view.live) rows.push(...live.rows(view.live, width, options.reasoning));
  if (options.failure !== null) rows.push(...noticeRows({ severity: "error", text: options.failure }, width, theme));
  if (view.queued !== null) {
    if (view.live) rows.push("");
    rows.push(
      ...wrap(queuedText(view, view.queued), Math.max(1, width - 3)).map((row, index) => theme.dim(` ${index === 0 ? "·" : " "} ${row}`)),
    );
  }
  return rows;
}

const SHOWN_OF_QUEUED = 200;

function queuedText({ live, path, models }: ViewState, queued: string): string {
  const last = path.at(-1)?.message;
  const text = chatText(queued).replaceAll("\n", " ");
  // What was stored stands in the conversation already.
  const words = last?.role === "user" && visibleText(last.spans) === queued ? "" : `: ${text.slice(0, SHOWN_OF_QUEUED)}`;
  if (live) return `waits for its turn${words}`;
  const way =
    models.quick.kind === "none" && models.task.kind === "none" ? " (/pull NAME or /import FILE gets one; /models lists them)" : "";
  return `goes out when a model is ready${words}${way}`;
}

/** The answer that is being written. */
class LiveRows {
  readonly #theme: Theme;
  #turn = -1;
  #width = 0;
  #answer: Growing;
  #thought: Growing;
  #thoughtTokens = 0;

  constructor(theme: Theme) {
    this.#theme = theme;
    this.#answer = new Growing(theme);
    this.#thought = new Growing(theme);
  }

  rows(turn: LiveTurn, width: number, reasoning: boolean): string[] {
    if (turn.turn !== this.#turn || width !== this.#width) {
      this.#turn = turn.turn;
      this.#width = width;
      this.#answer = new Growing(this.#theme);
      this.#thought = new Growing(this.#theme);
    }
    // Before the first word of the answer every token was one of reasoning.
    if (turn.text === "") this.#thoughtTokens = turn.tokens;
    const thought = this.#reasoning(turn, width, reasoning);
    const answer = this.#answer.rows(turn.text, inner(width)).map((row) => MODEL_BAR + row);
    if (thought.length > 0 || answer.length > 0) return [...thought, ...answer];
    return [this.#theme.dim(MODEL_BAR + (turn.promptTokens === null ? "reading…" : "…"))];
  }

  #reasoning(turn: LiveTurn, width: number, unfolded: boolean): string[] {
    if (!unfolded || turn.reasoning.trim() === "") return reasoningRows(turn.reasoning, this.#thoughtTokens, width, false, this.#theme);
    const rows = this.#thought.rows(turn.reasoning, inner(width)).map((row) => MODEL_BAR + this.#theme.dim(row));
    return [this.#theme.dim(` ▾ reasoning, ${this.#thoughtTokens} tokens`), ...rows, ""];
  }
}

/** Markdown that grows at its end: closed blocks are rendered once, the open one with every frame. */
class Growing {
  readonly #theme: Theme;
  #consumed = 0;
  readonly #closed: string[] = [];

  constructor(theme: Theme) {
    this.#theme = theme;
  }

  rows(text: string, width: number): string[] {
    const split = splitBlocks(text.slice(this.#consumed));
    this.#consumed += split.consumed;
    for (const block of split.closed) this.#closed.push(...this.#gap(), ...renderBlock(block, width, this.#theme));
    return split.open ? [...this.#closed, ...this.#gap(), ...renderBlock(split.open, width, this.#theme)] : this.#closed;
  }

  #gap(): string[] {
    return this.#closed.length > 0 ? [""] : [];
  }
}
