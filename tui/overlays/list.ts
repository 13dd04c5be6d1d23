import { Fzf } from "fzf";
import type { InputEvent } from "../input/splitter.ts";
import { actionOf } from "../keymap.ts";
import { fit, pad } from "../text/rows.ts";
import { chatText } from "../text/sanitise.ts";
import type { Theme } from "../theme.ts";

export interface ListItem {
  readonly id: string;
  /** What is shown and searched. */
  readonly text: string;
  /** Said below the list while it is the chosen one; empty for nothing. */
  readonly detail: string;
}

/** A list to choose from, narrowed by typing. A value: each key gives another one. */
export interface ListState {
  readonly title: string;
  readonly hint: string;
  readonly filter: string;
  readonly selected: number;
}

export const openList = (title: string, hint: string): ListState => ({ title, hint, filter: "", selected: 0 });

export function matching(items: readonly ListItem[], filter: string): readonly ListItem[] {
  return filter === "" ? items : new Fzf(items, { selector: (item) => item.text, limit: 200 }).find(filter).map((entry) => entry.item);
}

const PAGE = 10;
const MAX_FILTER = 100;

export interface ListOutcome {
  readonly list: ListState;
  readonly done: "open" | "close" | "choose" | "delete";
  /** What is chosen, whatever was done; undefined in an empty list. */
  readonly chosen: ListItem | undefined;
}

/** What a key does to an open list. `found` is what its filter lets through. */
export function inputToList(list: ListState, found: readonly ListItem[], event: InputEvent): ListOutcome {
  const chosen = found[list.selected];
  const stays = (some: Partial<ListState>): ListOutcome => ({ list: { ...list, ...some }, done: "open", chosen });
  const move = (by: number) => stays({ selected: Math.max(0, Math.min(found.length - 1, list.selected + by)) });
  const filter = (text: string) => stays({ filter: text.slice(0, MAX_FILTER), selected: 0 });
  if (event.kind === "wheel") return move(event.rows);
  const raw = event.kind === "key" ? event.raw : (event.text.split("\n", 1)[0] ?? "");
  switch (actionOf(raw)) {
    case "up":
      return move(-1);
    case "down":
      return move(1);
    case "page-up":
      return move(-PAGE);
    case "page-down":
      return move(PAGE);
    case "escape":
    case "interrupt":
      return { list, done: "close", chosen };
    case "submit":
      return { list, done: "choose", chosen };
    case "delete-or-quit":
      return { list, done: "delete", chosen };
    default:
      if (raw === "\u007f") return filter(list.filter.slice(0, -1).toWellFormed());
      return raw >= " " && !raw.startsWith("\u001b") ? filter(list.filter + raw) : stays({});
  }
}

export function listRows(state: ListState, items: readonly ListItem[], width: number, height: number, theme: Theme): string[] {
  const found = matching(items, state.filter);
  const detail = found[state.selected]?.detail ?? "";
  const foot = [...(detail === "" ? [] : [fit(`   ${chatText(detail)}`, width)]), theme.dim(fit(` ${state.hint}`, width))];
  const room = Math.max(1, height - 2 - foot.length);
  const first = Math.max(0, Math.min(state.selected - Math.floor(room / 2), found.length - room));
  const rows = found.slice(first, first + room).map((item, index) => {
    const chosen = first + index === state.selected;
    const row = fit(` ${chosen ? ">" : " "} ${chatText(item.text).replaceAll("\n", " ")}`, width);
    return chosen ? theme.inverse(pad(row, width)) : row;
  });
  const count = found.length === items.length ? `${items.length}` : `${found.length} of ${items.length}`;
  const title = ` ${theme.strong(state.title)} ${theme.dim(count)}${state.filter === "" ? "" : `  ${chatText(state.filter)}▏`}`;
  return [fit(title, width), ...(rows.length > 0 ? rows : [theme.dim(fit("   nothing", width))]), "", ...foot].slice(0, height);
}
