import { tokenizeWith, type ShjLanguageData, type ShjToken } from "@speed-highlight/core/tokenize";
import * as grammars from "@speed-highlight/core/languages";
import type { Styler, Theme } from "./theme.ts";
import { chatText, styledText } from "./text/sanitise.ts";
import { wrap } from "./text/rows.ts";

/** A piece of Markdown that is drawn on its own: prose up to a blank line, or a fenced block of code. */
export type Block =
  | { readonly kind: "prose"; readonly source: string }
  | { readonly kind: "code"; readonly language: string; readonly source: string };

export interface Split {
  readonly closed: readonly Block[];
  /** What may still grow: drawn again with every token, and so kept small. */
  readonly open: Block | null;
  /** UTF-16 units of the source that the closed blocks take. */
  readonly consumed: number;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`\n]*)$/u;
/** An open block longer than this closes at its last line end, so that one endless paragraph does not cost more with each token. */
const MAX_OPEN = 4000;

/** Cuts Markdown at blank lines outside fences. Cutting anywhere else would change what a list, table or quote means. */
export function splitBlocks(source: string): Split {
  const closed: Block[] = [];
  let consumed = 0;
  let from = 0;
  let fence: { readonly mark: string; readonly language: string; readonly bodyFrom: number } | null = null;
  const closeProse = (end: number, next: number) => {
    if (source.slice(from, end).trim() !== "") closed.push({ kind: "prose", source: source.slice(from, end) });
    from = consumed = next;
  };
  for (let at = 0; at < source.length;) {
    const newline = source.indexOf("\n", at);
    if (newline < 0) break;
    const line = source.slice(at, newline);
    const mark = FENCE.exec(line);
    if (fence) {
      if (mark?.[1]?.startsWith(fence.mark) && mark[2] === "") {
        closed.push({ kind: "code", language: fence.language, source: source.slice(fence.bodyFrom, Math.max(fence.bodyFrom, at - 1)) });
        fence = null;
        from = consumed = newline + 1;
      }
    } else if (mark) {
      closeProse(at, at);
      fence = { mark: mark[1] ?? "```", language: (mark[2] ?? "").trim().split(/\s/u)[0] ?? "", bodyFrom: newline + 1 };
    } else if (line.trim() === "") closeProse(at, newline + 1);
    else if (newline - from > MAX_OPEN) closeProse(newline + 1, newline + 1);
    at = newline + 1;
  }
  if (fence) return { closed, open: { kind: "code", language: fence.language, source: source.slice(fence.bodyFrom) }, consumed };
  const rest = source.slice(from);
  return { closed, open: rest.trim() === "" ? null : { kind: "prose", source: rest }, consumed };
}

/** Rows of at most `width` cells, styled, safe to print. */
export function renderMarkdown(source: string, width: number, theme: Theme): string[] {
  const { closed, open } = splitBlocks(source);
  return joinBlocks((open ? [...closed, open] : closed).map((block) => renderBlock(block, width, theme)));
}

/** One blank row between blocks. */
export function joinBlocks(blocks: readonly (readonly string[])[]): string[] {
  return blocks.flatMap((rows, index) => (index === 0 ? rows : ["", ...rows]));
}

export function renderBlock(block: Block, width: number, theme: Theme): string[] {
  return block.kind === "code" ? renderCode(block, width, theme) : renderProse(block.source, width, theme);
}

function renderProse(source: string, width: number, theme: Theme): string[] {
  // Sanitised before, so that nothing hides from the parser, and after, because entities may have become controls.
  const rendered = Bun.markdown.ansi(chatText(source), { columns: width, colors: true, hyperlinks: false, kittyGraphics: false });
  const styled = styledText(ownPalette(rendered));
  return wrap(trimEnds(theme.colours ? styled : withoutColour(styled)), width);
}

/** Inline code comes in 256 colours on a background of its own, which no palette of the person's governs. */
const ownPalette = (rendered: string) => rendered.replaceAll("\u001b[38;5;215m", "\u001b[36m").replaceAll("\u001b[38;5;242m", "\u001b[2m");

// oxlint-disable-next-line no-control-regex -- escape sequences are what this is about
const COLOUR = /\u001b\[(?:3[0-79]|9[0-7])m/gu;
const withoutColour = (styled: string) => styled.replace(COLOUR, "");
// oxlint-disable-next-line no-control-regex -- escape sequences are what this is about
const TRAILING = /(?:\s|\u001b\[0m)+$/u;
const trimEnds = (text: string) => text.replace(/^(?:\s*\n)+/u, "").replace(TRAILING, "");

function renderCode(block: { readonly language: string; readonly source: string }, width: number, theme: Theme): string[] {
  const bar = theme.dim("│ ");
  const inner = Math.max(1, width - 2);
  const rows = highlight(chatText(block.source), block.language, theme)
    .split("\n")
    .flatMap((line) => wrap(line, inner));
  const label = chatText(block.language).slice(0, 20);
  return (label === "" ? rows : [theme.dim(label), ...rows]).map((row) => bar + row);
}

const GRAMMARS: Record<string, ShjLanguageData> = { ...(grammars as Record<string, unknown> as Record<string, ShjLanguageData>) };
/** What people write behind a fence → the grammar that comes nearest. */
const ALIASES: Record<string, keyof typeof grammars> = {
  bash: "bash", sh: "bash", shell: "bash", zsh: "bash", console: "bash",
  c: "c", h: "c", cpp: "c", "c++": "c", cc: "c", cs: "java", java: "java", kotlin: "java", kt: "java", swift: "java", scala: "java",
  css: "css", scss: "css", csv: "csv", diff: "diff", patch: "diff", dockerfile: "docker", docker: "docker", go: "go",
  html: "html", vue: "html", svelte: "html", http: "http", ini: "ini", conf: "ini", javascript: "js", js: "js", jsx: "js", mjs: "js",
  json: "json", jsonc: "json", json5: "json", lua: "lua", make: "make", makefile: "make", markdown: "md", md: "md", perl: "pl", pl: "pl",
  python: "py", py: "py", python3: "py", rb: "py", ruby: "py", rust: "rs", rs: "rs", sql: "sql", sqlite: "sql", toml: "toml",
  typescript: "ts", ts: "ts", tsx: "ts", xml: "xml", svg: "xml", yaml: "yaml", yml: "yaml",
}; // prettier-ignore

/** Longer code is shown plain: the grammars are regular expressions, and a hostile text can make those slow. */
const MAX_HIGHLIGHTED = 20_000;

function highlight(source: string, language: string, theme: Theme): string {
  const grammar = GRAMMARS[ALIASES[language.toLowerCase()] ?? ""];
  if (!grammar || !theme.colours || source.length > MAX_HIGHLIGHTED) return source;
  let out = "";
  tokenizeWith(
    source,
    grammar,
    (text, token) => {
      const style = token && TOKENS[token];
      // A style must not run over a line end: rows are cut and drawn one by one.
      out += style ? text.replace(/[^\n]+/gu, style) : text;
    },
    { languages: GRAMMARS },
  );
  return out;
}

const colour =
  (code: number, off = 39): Styler =>
  (text) =>
    `\u001b[${code}m${text}\u001b[${off}m`;
const TOKENS: Partial<Record<ShjToken, Styler>> = {
  kwd: colour(35),
  str: colour(32),
  num: colour(36),
  bool: colour(36),
  esc: colour(36),
  func: colour(34),
  class: colour(33),
  type: colour(33),
  section: colour(33),
  cmnt: colour(2, 22),
  err: colour(31),
  deleted: colour(31),
  insert: colour(32),
};
