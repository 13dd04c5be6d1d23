import { COMMANDS } from "../commands.ts";
import { KEY_HELP } from "../keymap.ts";
import { pad, wrap } from "../text/rows.ts";
import type { Theme } from "../theme.ts";

export function helpRows(width: number, theme: Theme): string[] {
  const column = Math.min(32, Math.max(14, Math.floor(width / 3)));
  const two = (left: string, right: string) => {
    const rest = wrap(right, Math.max(10, width - column - 3));
    // A name that is wider than its column stands above what it does.
    if (left.length > column) return [` ${theme.info(left)}`, ...rest.map((row) => ` ${" ".repeat(column)} ${row}`)];
    return rest.map((row, index) => ` ${index === 0 ? theme.info(pad(left, column)) : " ".repeat(column)} ${row}`);
  };
  return [
    theme.strong(" Commands"),
    ...COMMANDS.flatMap(({ name, takes, describe }) => two(`/${name}${takes === "" ? "" : ` ${takes}`}`, describe)),
    "",
    theme.strong(" Keys"),
    ...KEY_HELP.flatMap(([keys, what]) => two(keys, what)),
  ];
}
