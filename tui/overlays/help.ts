import { COMMANDS } from "../commands.ts";
import { KEY_HELP } from "../keymap.ts";
import { pad, wrap } from "../text/rows.ts";
import type { Theme } from "../theme.ts";

export function helpRows(width: number, theme: Theme): string[] {
  const two = (left: string, right: string, column: number) => {
    const [first = "", ...rest] = wrap(right, Math.max(10, width - column - 3));
    return [` ${theme.info(pad(left, column))} ${first}`, ...rest.map((row) => ` ${" ".repeat(column)} ${row}`)];
  };
  const column = Math.min(32, Math.max(14, Math.floor(width / 3)));
  return [
    theme.strong(" Commands"),
    ...COMMANDS.flatMap(({ name, takes, describe }) => two(`/${name}${takes === "" ? "" : ` ${takes}`}`, describe, column)),
    "",
    theme.strong(" Keys"),
    ...KEY_HELP.flatMap(([keys, what]) => two(keys, what, column)),
    "",
  ];
}
