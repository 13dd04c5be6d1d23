import { reasoningText, type Span, type StopReason, visibleText } from "../../src/lib/message.ts";
import type { ShownMessage } from "../../src/session/event.ts";
import type { LiveTurn, Notice, ViewState } from "../../src/session/view.ts";
import { joinBlocks, renderBlock, renderMarkdown, splitBlocks } from "../markdown.ts";
import { wrap } from "../text/rows.ts";
import { chatText } from "../text/sanitise.ts";
import type { Theme } from "../theme.ts";

export interface TranscriptOptions {
  /** Show reasoning in full instead of one folded row. */
  readonly reasoning: boolean;
  /** Why the last turn failed, as a sentence; null when it did not. */
  readonly failure: string | null;
}

/** The rows of a conversation at one width. Rows are styled, at most `width` cells, and safe to print. */
export interface TranscriptLayout {
  readonly total: number;
  slice(start: number, count: number): string[];
  /** First row from `from` on, in `direction`, that contains `needle` whatever its case; null when there is none. */
  find(needle: string, from: number, direction: 1 | -1): number | null;
}

export interface Transcript {
  layout(view: ViewState, width: number, options: TranscriptOptions): TranscriptLayout;
}

/** Column 0 belongs to us: what stands behind this bar comes from a model. */
const MODEL_BAR = " ┊ ";
const MAX_CACHED = 4000;

/**
 * Lays out what is shown and remembers it: a finished message is rendered once for each width, and while one grows only its
 * last open block is. Scrolling through any length costs the visible rows alone.
 */
export function createTranscript(theme: Theme): Transcript {
  const messages = new Map<string, { readonly key: string; readonly rows: readonly string[] }>();
  const live = new LiveRows(theme);
  let settled: { readonly key: readonly unknown[]; readonly segments: readonly (readonly string[])[] } | null = null;

  const cached = (shown: ShownMessage, width: number, reasoning: boolean): readonly string[] => {
    const { id, redacted } = shown.message;
    const key = `${width} ${reasoning} ${redacted} ${shown.take}/${shown.takes}`;
    const known = messages.get(id);
    if (known?.key === key) return known.rows;
    const rows = messageRows(shown, width, reasoning, theme);
    if (messages.size >= MAX_CACHED) messages.delete(messages.keys().next().value ?? "");
    messages.set(id, { key, rows });
    return rows;
  };

  return {
    layout(view, width, options) {
      const key = [view.path, view.notices, width, options.reasoning] as const;
      if (!settled || key.some((part, index) => part !== settled?.key[index])) {
        const loose = noticesAfter(view.notices, null).map((notice) => noticeRows(notice, width, theme));
        const path = view.path.flatMap((shown) => [
          cached(shown, width, options.reasoning),
          ...noticesAfter(view.notices, shown.message.id).map((notice) => noticeRows(notice, width, theme)),
        ]);
        settled = { key, segments: [...loose, ...path] };
      }
      const tail = tailRows(view, width, options, theme, live);
      return layoutOf(tail.length > 0 ? [...settled.segments, tail] : settled.segments);
    },
  };
}

function layoutOf(segments: readonly (readonly string[])[]): TranscriptLayout {
  const starts: number[] = [];
  let total = 0;
  for (const rows of segments) {
    starts.push(total);
    total += rows.length;
  }
  const slice = (start: number, count: number): string[] => {
    const end = Math.min(total, start + count);
    const out: string[] = [];
    for (let at = segmentAt(starts, start); at < segments.length && (starts[at] ?? total) < end; at++) {
      const from = starts[at] ?? 0;
      out.push(...(segments[at] ?? []).slice(Math.max(0, start - from), end - from));
    }
    return out;
  };
  const find = (needle: string, from: number, direction: 1 | -1): number | null => {
    const wanted = needle.toLowerCase();
    for (let row = from; row >= 0 && row < total; row += direction) {
      const [text = ""] = slice(row, 1);
      if (Bun.stripANSI(text).toLowerCase().includes(wanted)) return row;
    }
    return null;
  };
  return { total, slice, find };
}

/** The last segment that starts at or before `row`. */
function segmentAt(starts: readonly number[], row: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

const noticesAfter = (notices: readonly Notice[], id: string | null) => notices.filter((notice) => notice.after === id);

function messageRows(shown: ShownMessage, width: number, reasoning: boolean, theme: Theme): string[] {
  const { message } = shown;
  const takes = shown.takes > 1 ? [theme.dim(`   ‹${shown.take}/${shown.takes}›`)] : [];
  if (message.redacted) return [theme.dim("   (forgotten)"), ""];
  if (message.role !== "assistant") return [...personRows(message.spans, width, theme), ...takes, ""];
  const thought = reasoningRows(reasoningText(message.spans), width, reasoning, theme);
  const answer = renderMarkdown(visibleText(message.spans), inner(width), theme).map((row) => MODEL_BAR + row);
  const note = stopNote(message.reply?.stop ?? "end");
  return [...thought, ...answer, ...(note === "" ? [] : [theme.dim(`   (${note})`)]), ...takes, ""];
}

function personRows(spans: readonly Span[], width: number, theme: Theme): string[] {
  const text = chatText(visibleText(spans)).trimEnd();
  const indent = width < 50 ? "   " : "      ";
  const rows = wrap(text, Math.max(1, width - indent.length));
  if (width < 50) return [` ${theme.strong("you")}`, ...rows.map((row) => indent + theme.strong(row))];
  return rows.map((row, index) => (index === 0 ? ` ${theme.strong("you")}  ` : indent) + theme.strong(row));
}

function reasoningRows(text: string, width: number, unfolded: boolean, theme: Theme): string[] {
  if (text.trim() === "") return [];
  if (!unfolded) return [theme.dim(` ▸ reasoning, ${countWords(text)} words (/reasoning shows it)`)].flatMap((row) => wrap(row, width));
  const rows = renderMarkdown(text, inner(width), theme).map((row) => MODEL_BAR + theme.dim(row));
  return [theme.dim(" ▾ reasoning"), ...rows, ""];
}

const inner = (width: number) => Math.max(1, width - MODEL_BAR.length);
const countWords = (text: string) => text.trim().split(/\s+/u).length;

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

function noticeRows(notice: Notice, width: number, theme: Theme): string[] {
  const style = { info: theme.dim, warning: theme.warning, error: theme.danger }[notice.severity];
  const sign = { info: "·", warning: "!", error: "✗" }[notice.severity];
  const rows = wrap(chatText(notice.text), Math.max(1, width - 3));
  return [...rows.map((row, index) => ` ${index === 0 ? style(sign) : " "} ${style(row)}`), ""];
}

function tailRows(view: ViewState, width: number, options: TranscriptOptions, theme: Theme, live: LiveRows): string[] {
  const rows: string[] = [];
  if (view.live) rows.push(...live.rows(view.live, width, options.reasoning));
  if (options.failure !== null) rows.push(...noticeRows({ id: 0, severity: "error", text: options.failure, after: null }, width, theme));
  if (view.queued !== null) {
    const why = view.live ? "waits for its turn" : "goes out when a model is ready";
    rows.push(...wrap(theme.dim(` · ${why}: ${chatText(view.queued).replaceAll("\n", " ")}`), width).slice(0, 3));
  }
  return rows;
}

/** The answer that is being written: closed blocks are rendered once, the open one with every frame. */
class LiveRows {
  readonly #theme: Theme;
  #turn = -1;
  #width = 0;
  #consumed = 0;
  #closed: string[][] = [];

  constructor(theme: Theme) {
    this.#theme = theme;
  }

  rows(turn: LiveTurn, width: number, reasoning: boolean): string[] {
    if (turn.turn !== this.#turn || width !== this.#width) {
      this.#turn = turn.turn;
      this.#width = width;
      this.#consumed = 0;
      this.#closed = [];
    }
    const split = splitBlocks(turn.text.slice(this.#consumed));
    this.#consumed += split.consumed;
    for (const block of split.closed) this.#closed.push(renderBlock(block, inner(width), this.#theme));
    const open = split.open ? [renderBlock(split.open, inner(width), this.#theme)] : [];
    const text = joinBlocks([...this.#closed, ...open]).map((row) => MODEL_BAR + row);
    const thought = reasoningRows(turn.reasoning, width, reasoning, this.#theme);
    if (text.length > 0 || thought.length > 0) return [...thought, ...text];
    return [this.#theme.dim(turn.promptTokens === null ? `${MODEL_BAR}reading…` : `${MODEL_BAR}…`)];
  }
}
