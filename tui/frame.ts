import type { ModelSummary, SessionSummary } from "../src/session/event.ts";
import type { ViewState } from "../src/session/view.ts";
import type { SlashCommand } from "./commands.ts";
import { helpRows } from "./overlays/help.ts";
import { type ListItem, listRows } from "./overlays/list.ts";
import { firstMinuteRows } from "./panes/first-minute.ts";
import { jobRows } from "./panes/jobs.ts";
import { highlightRow } from "./panes/scroll.ts";
import { statusRow } from "./panes/status.ts";
import type { Transcript } from "./panes/transcript.ts";
import type { ComposerFrame } from "./parts/composer.ts";
import type { UiState } from "./state.ts";
import { cells, fit, justify, pad, sizeText } from "./text/rows.ts";
import type { Theme } from "./theme.ts";

export interface Frame {
  /** Exactly as many rows as the terminal has. */
  readonly rows: readonly string[];
  /** Null hides it. */
  readonly cursor: { readonly x: number; readonly y: number } | null;
  /** Rows and cells that the conversation has: what scrolling is measured in. */
  readonly room: number;
  readonly chatWidth: number;
  /** Rows of the help that is open, all of them; else 0. */
  readonly overlayRows: number;
}

export interface FrameInput {
  readonly view: ViewState;
  readonly ui: UiState;
  readonly transcript: Transcript;
  readonly composer: (width: number) => ComposerFrame;
  /** Commands that the draft may become; the person chooses among them. */
  readonly suggestions: readonly SlashCommand[];
  readonly failure: string | null;
  /** The question that is open, in so many cells; null where none is. */
  readonly approval: ((width: number, height: number) => readonly string[] | null) | null;
  readonly workspace: string;
  /** Takes the place of the status. */
  readonly hint: string | null;
  readonly tokensPerSecond: number | null;
  readonly theme: Theme;
}

const WIDE = 120;
const TASK_COLUMN = 28;
const PROMPT = "> ";
/** Rows from which on the conversation stays in sight above a question, and what part of them the question takes. */
const ROOMY = 26;
const QUESTION_SHARE = 0.6;

/** The whole screen as rows. Pure: the same input draws the same screen. */
export function drawFrame(input: FrameInput, width: number, height: number): Frame {
  const { view, ui, theme } = input;
  if (view.stick === "gone") return blank(width, height, theme);
  const composer = input.composer(width - PROMPT.length);
  const prompt = composer.rows.map((row, index) => fit((index === 0 ? PROMPT : "  ") + row, width));
  const status = statusRow(view, { workspace: input.workspace, tokensPerSecond: input.tokensPerSecond, hint: input.hint }, width, theme);
  const open = openJobs(input);
  const column = width >= WIDE && open.length > 0;
  const jobs = column ? [] : jobRows(open, height < 16 ? 1 : 3, width, theme);
  const room = Math.max(1, height - prompt.length - 1 - jobs.length);
  const chatWidth = column ? width - TASK_COLUMN - 1 : width;
  const asked = input.approval === null ? 0 : room >= ROOMY ? Math.floor(room * QUESTION_SHARE) : room;
  const question = input.approval?.(chatWidth, asked) ?? [];
  const main = mainPane(input, chatWidth, Math.max(1, room - asked));
  const beside = [...main.rows.slice(0, room - asked), ...fill(question, asked)];
  const body = column ? besideTasks(beside, open, room, theme) : beside;
  const suggestions = suggestionRows(input, width, Math.min(8, room - 1));
  const covered = suggestions.length > 0 ? [...body.slice(0, room - suggestions.length), ...suggestions] : body;
  // Panes keep to their width; what could not, in a window of a few cells, is cut here and never wraps.
  const rows = [...covered, ...jobs, status, ...prompt].slice(-height).map((row) => fit(row, width));
  const cursor = { x: Math.min(width - 1, PROMPT.length + composer.cursor.x), y: height - prompt.length + composer.cursor.y };
  return {
    rows,
    cursor: isModal(ui) || asked > 0 ? null : cursor,
    room: Math.max(1, room - asked),
    chatWidth,
    overlayRows: main.overlayRows,
  };
}

const isModal = (ui: UiState) => ui.overlay?.kind === "sessions" || ui.overlay?.kind === "models";

/** Someone pulled the stick: nothing of the conversation stays on the screen of a computer that may not be theirs. */
function blank(width: number, height: number, theme: Theme): Frame {
  const rows = Array.from({ length: height }, () => "");
  rows[Math.floor(height / 2)] = theme.strong(fit("  The stick is gone. Put it back to go on; Ctrl-C twice leaves.", width));
  return { rows, cursor: null, room: height, chatWidth: width, overlayRows: 0 };
}

function mainPane(input: FrameInput, width: number, room: number): { readonly rows: string[]; readonly overlayRows: number } {
  const { view, ui, theme } = input;
  if (ui.overlay?.kind === "help") return helpPane(ui.overlay.top, width, room, theme);
  const overlay = overlayRows(input, width, room);
  if (overlay) return { rows: fill(overlay, room), overlayRows: 0 };
  const layout = input.transcript.layout(view, width, { reasoning: ui.reasoning, failure: input.failure });
  if (layout.empty) return { rows: fill(firstMinuteRows(view, width, theme), room), overlayRows: 0 };
  const { rows, places, top, below } = layout.window(ui.top, room);
  const { find } = ui;
  const shown = find
    ? rows.map((row, index) => {
        const place = places[index];
        const here = place?.id === find.at.id && place.offset === find.at.offset;
        const marked = highlightRow(row, find.needle, theme.inverse);
        return here && marked.startsWith(" ") ? `▸${marked.slice(1)}` : marked;
      })
    : rows;
  const filled = fill(shown, room);
  if (top !== null) {
    const fresh = layout.grownSince(ui.leftAt);
    // This very row covers one.
    const text = fresh > 0 ? ` ↓ ${fresh} new rows · End ` : ` ↓ ${below + 1} rows below · End `;
    filled[room - 1] = theme.inverse(fit(text, width));
  }
  return { rows: filled, overlayRows: 0 };
}

function helpPane(top: number, width: number, room: number, theme: Theme): { readonly rows: string[]; readonly overlayRows: number } {
  const all = helpRows(width, theme);
  const visible = room - 1;
  const from = Math.max(0, Math.min(top, all.length - visible));
  const more = all.length > visible ? `rows ${from + 1}–${Math.min(all.length, from + visible)} of ${all.length} · PgDn, PgUp · ` : "";
  return { rows: [...fill(all.slice(from), visible), theme.dim(fit(` ${more}Esc closes`, width))].slice(-room), overlayRows: all.length };
}

const fill = (rows: readonly string[], room: number): string[] => [
  ...rows.slice(0, room),
  ...Array.from({ length: Math.max(0, room - rows.length) }, () => ""),
];

function overlayRows({ view, ui, theme }: FrameInput, width: number, room: number): string[] | null {
  switch (ui.overlay?.kind) {
    case undefined:
    // Drawn by `helpPane`, which also says how long it is.
    case "help":
      return null;
    case "tasks":
      return [theme.strong(" Tasks"), ...taskRows(view, room - 3, width, theme), "", theme.dim(" Esc closes · /cancel stops them")];
    case "sessions":
      return listRows(ui.overlay.list, sessionItems(view.sessions), width, room, theme);
    case "models":
      return listRows(ui.overlay.list, modelItems(view.catalogue), width, room, theme);
  }
}

function taskRows(view: ViewState, room: number, width: number, theme: Theme): string[] {
  return view.jobs.length > 0 ? jobRows(view.jobs, room, width, theme) : [theme.dim(" nothing runs")];
}

export const sessionItems = (sessions: readonly SessionSummary[]): readonly ListItem[] =>
  sessions.map((session) => ({
    id: session.id,
    text: `${localTime(session.at)}  ${session.title || "(nothing yet)"}`,
    detail: `${session.messages} message${session.messages === 1 ? "" : "s"}`,
  }));

/** To the minute, by the clock of this computer. */
function localTime(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

const STATES: Record<ModelSummary["state"], string> = {
  ready: "here",
  downloadable: "download",
  "found-on-host": "on this computer",
  broken: "broken",
};
export const modelItems = (models: readonly ModelSummary[]): readonly ListItem[] => {
  const name = Math.min(40, Math.max(0, ...models.map((model) => cells(model.name))));
  const state = Math.max(0, ...models.map((model) => STATES[model.state].length));
  return models.map((model) => ({
    id: model.name,
    text: `${pad(model.name, name)}  ${pad(STATES[model.state], state)}  ${sizeText(model.size).padStart(7)}`,
    detail: model.path !== null && model.state === "found-on-host" ? `${model.verdict} (${model.path})` : model.verdict,
  }));
};

function openJobs({ view, ui }: FrameInput): ViewState["jobs"] {
  return view.jobs.filter((job) => job.state === "running" || !ui.seenJobs.includes(job.id));
}

function besideTasks(rows: readonly string[], open: ViewState["jobs"], room: number, theme: Theme): string[] {
  const tasks = [theme.strong(" Tasks"), ...jobRows(open, room - 1, TASK_COLUMN, theme)];
  return rows.map((row, index) => `${pad(tasks[index] ?? "", TASK_COLUMN)}${theme.dim("│")}${row}`);
}

function suggestionRows({ suggestions, approval, ui, theme }: FrameInput, width: number, most: number): string[] {
  // Nothing may cover a question: its rows count as read.
  const found = ui.overlay === null && approval === null ? suggestions : [];
  const first = Math.max(0, Math.min(ui.suggestion - most + 1, found.length - most));
  return found.slice(first, first + most).map((command, index) => {
    const chosen = first + index === ui.suggestion;
    const text = ` ${pad(`/${command.name} ${command.takes}`, 20)} ${command.describe}`;
    const count = chosen && found.length > most ? ` ${ui.suggestion + 1} of ${found.length} ` : "";
    const row = justify(fit(text, Math.max(1, width - cells(count))), count, width);
    return chosen ? theme.inverse(row) : theme.dim(row);
  });
}
