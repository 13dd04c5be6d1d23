/**
 * Colours by role, in the terminal's own 16 colours: they follow the person's palette, and no background is set but by
 * inverse, so nothing can become unreadable. No role is told by colour alone; each also has a sign or a word.
 */
export interface Theme {
  readonly colours: boolean;
  /** What the person wrote, headings. */
  readonly strong: Styler;
  readonly dim: Styler;
  /** Badges and the focus; also the status line. */
  readonly inverse: Styler;
  readonly danger: Styler;
  readonly warning: Styler;
  readonly info: Styler;
  readonly code: Styler;
  readonly added: Styler;
  readonly removed: Styler;
}
export type Styler = (text: string) => string;

export const THEMES = ["auto", "dark", "light", "none"] as const;

export interface ThemeWish {
  readonly setting: (typeof THEMES)[number];
  /** The environment asks for no colour (`NO_COLOR`). Bold and inverse stay: they are not colours. */
  readonly noColor: boolean;
  /** `COLORFGBG`, e.g. "15;0"; the only way to learn the background without asking the terminal and waiting. */
  readonly colorfgbg: string | undefined;
}

const sgr =
  (on: number | string, off: number): Styler =>
  (text) =>
    text === "" ? "" : `\u001b[${on}m${text}\u001b[${off}m`;
const plain: Styler = (text) => text;

export function themeFor({ setting, noColor, colorfgbg }: ThemeWish): Theme {
  const background = setting === "auto" ? backgroundOf(colorfgbg) : setting;
  const colours = !noColor && setting !== "none";
  const colour = (code: number) => (colours ? sgr(code, 39) : plain);
  return {
    colours,
    strong: sgr(1, 22),
    dim: setting === "none" ? plain : sgr(2, 22),
    inverse: sgr(7, 27),
    danger: (text) => (text === "" ? "" : sgr(1, 22)(colour(31)(text))),
    warning: colour(background === "light" ? 35 : 33),
    info: colour(background === "dark" ? 36 : background === "light" ? 34 : 35),
    code: colour(background === "dark" ? 36 : background === "light" ? 34 : 35),
    added: colour(32),
    removed: colour(31),
  };
}

function backgroundOf(colorfgbg: string | undefined): "dark" | "light" | "unknown" {
  const index = Number(colorfgbg?.split(";").at(-1) ?? Number.NaN);
  if (!Number.isInteger(index)) return "unknown";
  return index === 7 || (index >= 9 && index <= 15) ? "light" : "dark";
}
