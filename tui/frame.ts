import type { ModelSummary, SessionSummary } from "../src/session/event.ts";
import type { ViewState } from "../src/session/view.ts";
import { complete } from "./commands.ts";
import { helpRows } from "./overlays/help.ts";
import { type ListItem, listRows } from "./overlays/list.ts";
import { firstMinuteRows } from "./panes/first-minute.ts";
import { jobRows } from "./panes/jobs.ts";
import { statusRow } from "./panes/status.ts";
import type { Transcript } from "./panes/transcript.ts";
import type { ComposerFrame } from "./parts/composer.ts";
import type { UiState } from "./state.ts";
import { fit, pad } from "./text/rows.ts";
import type { Theme } from "./theme.ts";

export interface Frame {
  /** Exactly as many rows as the terminal has. */
  readonly rows: readonly string[];
  /** Null hides it. */
  readonly cursor: { readonly x: number; readonly y: number } | null;
  /** Rows of the transcript and how many of them are visible: what scrolling is measured in. */
  readonly transcript: { readonly total: number; readonly visible: number; readonly top: number };
}

export interface FrameInput {
  readonly view: ViewState;
  readonly ui: UiState;
  readonly transcript: Transcript;
  readonly composer: (width: number) => ComposerFrame;
  readonly draft: string;
  readonly failure: string | null;
  readonly workspace: string;
  readonly tokensPerSecond: number | null;
  readonly theme: Theme;
}

const WIDE = 120;
const TASK_COLUMN = 28;
const PROMPT = "> ";

/** The whole screen as rows. Pure: the same input draws the same screen. */
export function drawFrame(input: FrameInput, width: number, height: number): Frame {
  const { view, ui, theme } = input;
  if (view.stick === "gone") return blank(width, height, theme);
  const composer = input.composer(width - PROMPT.length);
  const prompt = composer.rows.map((row, index) => fit((index === 0 ? PROMPT : "  ") + row, width));
  const status = statusRow(view, { workspace: input.workspace, tokensPerSecond: input.tokensPerSecond, hint: ui.hint }, width, theme);
  const column = width >= WIDE && view.jobs.length > 0;
  const jobs = column ? [] : jobRows(openJobs(input), height < 16 ? 1 : 3, width, theme);
  const room = Math.max(1, height - prompt.length - 1 - jobs.length);
  const main = mainPane(input, column ? width - TASK_COLUMN - 1 : width, room);
  const body = column ? besideTasks(main.rows, input, room) : main.rows;
  const suggestions = suggestionRows(input, width, Math.min(8, room - 1));
  const covered = suggestions.length > 0 ? [...body.slice(0, room - suggestions.length), ...suggestions] : body;
  const rows = [...covered, ...jobs, status, ...prompt].slice(0, height);
  const cursor = { x: Math.min(width - 1, PROMPT.length + composer.cursor.x), y: height - prompt.length + composer.cursor.y };
  return { rows, cursor: isModal(ui) ? null : cursor, transcript: main.transcript };
}

const isModal = (ui: UiState) => ui.overlay?.kind === "sessions" || ui.overlay?.kind === "models";

/** Someone pulled the stick: nothing of the conversation stays on the screen of a computer that may not be theirs. */
function blank(width: number, height: number, theme: Theme): Frame {
  const rows = Array.from({ length: height }, () => "");
  rows[Math.floor(height / 2)] = theme.strong(fit("  The stick is gone. Put it back to go on; Ctrl-C twice leaves.", width));
  return { rows, cursor: null, transcript: { total: 0, visible: height, top: 0 } };
}

function mainPane(input: FrameInput, width: number, room: number): { readonly rows: string[]; readonly transcript: Frame["transcript"] } {
  const { view, ui, theme } = input;
  const options = { reasoning: ui.reasoning, failure: input.failure };
  const layout = input.transcript.layout(view, width, options);
  const bottom = Math.max(0, layout.total - room);
  const top = ui.top === null ? bottom : Math.min(ui.top, bottom);
  const transcript = { total: layout.total, visible: room, top };
  const overlay = overlayRows(input, width, room);
  if (overlay) return { rows: fill(overlay, room), transcript };
  const rows = layout.total === 0 ? firstMinuteRows(view, width, theme).slice(0, room) : layout.slice(top, room);
  const filled = fill(rows, room);
  if (ui.top !== null && top < bottom) {
    const fresh = layout.total - ui.leftAt;
    const text = fresh > 0 ? ` ↓ ${fresh} new rows · End ` : ` ↓ ${layout.total - top - room} rows below · End `;
    filled[room - 1] = theme.inverse(fit(text, width));
  }
  return { rows: filled, transcript };
}

const fill = (rows: readonly string[], room: number): string[] => [
  ...rows.slice(0, room),
  ...Array.from({ length: Math.max(0, room - rows.length) }, () => ""),
];

function overlayRows({ view, ui, theme }: FrameInput, width: number, room: number): string[] | null {
  switch (ui.overlay?.kind) {
    case undefined:
      return null;
    case "help": {
      const rows = helpRows(width, theme);
      const top = Math.min(ui.overlay.top, Math.max(0, rows.length - room + 1));
      const more = rows.length - top > room ? "PgDn shows more · " : "";
      return [...rows.slice(top, top + room - 1), theme.dim(fit(` ${more}Esc closes`, width))];
    }
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
    text: `${new Date(session.at).toISOString().slice(0, 16).replace("T", " ")}  ${session.title || "(nothing yet)"}`,
  }));

const STATES: Record<ModelSummary["state"], string> = {
  ready: "here",
  downloadable: "/pull",
  "found-on-host": "on this computer",
  broken: "broken",
};
export const modelItems = (models: readonly ModelSummary[]): readonly ListItem[] =>
  models.map((model) => ({
    id: model.name,
    text: `${pad(model.name, 34)} ${pad(STATES[model.state], 16)} ${(model.size / 1e9).toFixed(1).padStart(5)} GB  ${model.verdict}`,
  }));

function openJobs({ view, ui }: FrameInput): ViewState["jobs"] {
  return view.jobs.filter((job) => job.state === "running" || !ui.seenJobs.includes(job.id));
}

function besideTasks(rows: readonly string[], { view, theme }: FrameInput, room: number): string[] {
  const tasks = [theme.strong(" Tasks"), ...jobRows(view.jobs, room - 1, TASK_COLUMN, theme)];
  return rows.map((row, index) => `${pad(tasks[index] ?? "", TASK_COLUMN)}${theme.dim("│")}${row}`);
}

function suggestionRows({ draft, ui, theme }: FrameInput, width: number, most: number): string[] {
  const found = ui.overlay === null ? complete(draft) : [];
  const first = Math.max(0, Math.min(ui.suggestion - most + 1, found.length - most));
  return found.slice(first, first + most).map((command, index) => {
    const text = ` ${pad(`/${command.name} ${command.takes}`, 20)} ${command.describe}`;
    const row = pad(fit(text, width), width);
    return first + index === ui.suggestion ? theme.inverse(row) : theme.dim(row);
  });
}
