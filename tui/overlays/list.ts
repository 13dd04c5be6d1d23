import { Fzf } from "fzf";
import { fit } from "../text/rows.ts";
import { chatText } from "../text/sanitise.ts";
import type { Theme } from "../theme.ts";

export interface ListItem {
  readonly id: string;
  readonly text: string;
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

export function moveSelection(state: ListState, by: number, count: number): ListState {
  return { ...state, selected: Math.max(0, Math.min(count - 1, state.selected + by)) };
}

export function listRows(state: ListState, items: readonly ListItem[], width: number, height: number, theme: Theme): string[] {
  const found = matching(items, state.filter);
  const room = Math.max(1, height - 3);
  const first = Math.max(0, Math.min(state.selected - Math.floor(room / 2), found.length - room));
  const rows = found.slice(first, first + room).map((item, index) => {
    const row = fit(` ${first + index === state.selected ? ">" : " "} ${chatText(item.text).replaceAll("\n", " ")}`, width);
    return first + index === state.selected ? theme.strong(row) : row;
  });
  return [
    theme.strong(fit(` ${state.title}${state.filter === "" ? "" : `: ${chatText(state.filter)}`}`, width)),
    ...(rows.length > 0 ? rows : [theme.dim(fit("   nothing", width))]),
    "",
    theme.dim(fit(` ${state.hint}`, width)),
  ].slice(0, height);
}
