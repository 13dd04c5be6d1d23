import { err, ok, type Result } from "../../lib/result.ts";
import { shellQuoted } from "../../lib/shell-quote.ts";
import { READ_BY_NAME } from "../cage/inputs.ts";
import { parseCommandLine } from "../policy/command.ts";
import type { GrantRequest } from "./desk.ts";

/**
 * What a standing permission covers: one skill, and its arguments word for word. A star stands for a single plain piece of a word, never for an option, another folder, a
 * second word or an assignment; so no odd argument stretches what somebody read and agreed to.
 */
export interface GrantPattern {
  readonly skill: string;
  /** Of `shell` the words of one simple command, of any other skill NAME=VALUE for every argument. */
  readonly words: readonly PatternWord[];
}

/** Text between its stars: one piece for a word without any. */
export type PatternWord = readonly string[];

/** Words of a pattern, and characters of one. */
const MOST_WORDS = 64;
const MOST_TEXT = 2000;

/** As a person writes it; the error is a sentence. Blanks divide words; single quotes keep blanks and stars as they are, `'\''` stands for one. */
export function parsePattern(text: string): Result<GrantPattern, string> {
  if (text.length > MOST_TEXT) return err(`A pattern has at most ${MOST_TEXT} characters.`);
  if (!text.isWellFormed() || /[^\P{C} ]|[^\S ]/u.test(text)) return err("A pattern has no characters that cannot be seen.");
  const words = wordsOf(text);
  if (words === null) return err("A quote in the pattern is not closed.");
  const [[skill = "", ...more] = [""], ...rest] = words;
  if (!/^[a-z][a-z_]*$/.test(skill) || more.length > 0) return err('A pattern begins with a skill, as in "shell make test".');
  if (rest.length === 0 || rest.length > MOST_WORDS) return err(`After the skill come its words, ${MOST_WORDS} at most.`);
  const pattern = { skill, words: rest };
  const fault = skill === "shell" ? commandFault(rest) : argumentFault(rest);
  return fault === null ? ok(pattern) : err(fault);
}

function wordsOf(text: string): readonly PatternWord[] | null {
  const words: string[][] = [];
  let within = false;
  const pieces = (): string[] => {
    if (!within) words.push([""]);
    within = true;
    return words.at(-1) ?? [];
  };
  const add = (piece: string): void => {
    const last = pieces();
    last[last.length - 1] += piece;
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? "";
    if (char === " ") within = false;
    else if (char === "'") {
      const close = text.indexOf("'", at + 1);
      if (close < 0) return null;
      add(text.slice(at + 1, close));
      at = close;
    } else if (char === "\\" && text[at + 1] !== undefined) add(text[++at] ?? "");
    else if (char === "*") pieces().push("");
    else add(char);
  }
  return words;
}

export const patternText = ({ skill, words }: GrantPattern): string =>
  [skill, ...words.map((pieces) => (pieces.join("") === "" && pieces.length === 1 ? "''" : pieces.map(quoted).join("*")))].join(" ");

const quoted = (piece: string): string => (piece === "" ? "" : shellQuoted(piece));

/** What is read by a program as another program, or starts one that stands in its arguments: nobody can grant that for good. */
const STARTERS = new Set(
  `. ash awk bash builtin busybox bwrap chroot command csh dash doas docker ed env eval ex exec expect find fish flock gawk gdb ionice ksh less ltrace man mawk more nawk nice
  nohup nsenter parallel podman pkexec rbash rsh runuser script sed setpriv sh setarch setsid source ssh stdbuf strace su sudo systemd-run taskset tclsh tcsh time timeout toybox trap unshare vi vim watch xargs zsh`.split(
    /\s+/,
  ),
);
/** These run a file that is named first, or a module; what comes before it would be an option that takes a program as text. */
const INTERPRETERS = /^(?:python|pypy|perl|ruby|node|nodejs|bun|deno|php|lua|luajit|Rscript|R|guile|racket|julia|elixir|osascript)[\d.]*$/;

/** Whether a command would take orders from this file, rather than read or write it: a script, or what a program looks for by its name. */
export function isProgramOf(words: readonly string[], path: string): boolean {
  const [program = ""] = words;
  const name = program.split("/").at(-1) ?? "";
  return INTERPRETERS.test(name) || READ_BY_NAME.includes(path) || program.replace(/^(?:\.\/+)+/, "") === path;
}

/** Of the words of a simple command; null where they may be granted. Stars are judged as well as words. */
export function commandFault(words: readonly PatternWord[]): string | null {
  const [[program = "", ...stars] = [""], script, module] = words;
  if (stars.length > 0 || program === "") return "The program is named in full, without a star.";
  const name = program.split("/").at(-1) ?? "";
  if (STARTERS.has(name)) return `${name} starts whatever its arguments say, so it is asked about each time.`;
  if (!INTERPRETERS.test(name)) return null;
  const inline = `${name} with anything but a script that is named first may run text as a program, so it is asked about each time.`;
  if (script === undefined || script.length > 1) return inline;
  if (script[0] === "-m" && name.startsWith("py")) return module === undefined || module.length > 1 ? inline : null;
  return (script[0] ?? "-").startsWith("-") ? inline : null;
}

function argumentFault(words: readonly PatternWord[]): string | null {
  const names = words.map(([first = ""]) => /^([a-z_]+)=/.exec(first)?.[1] ?? null);
  if (names.includes(null)) return "Every word after the skill is NAME=VALUE.";
  const operation = words[names.indexOf("operation")];
  if (operation !== undefined && operation.length > 1) return "The operation is named in full, without a star.";
  return new Set(names).size === names.length ? null : "An argument stands there twice.";
}

/** The words that a call is made of, as they are held against a pattern; null where such a call cannot be granted. `free`: an argument that steers nothing. */
export function wordsOfCall({
  skill,
  args,
}: Pick<GrantRequest, "skill" | "args">): readonly { readonly text: string; readonly free: boolean }[] | null {
  if (typeof args !== "object" || args === null || Array.isArray(args)) return null;
  const given = Object.entries(args as Readonly<Record<string, unknown>>);
  if (skill === "shell") {
    const { command, ...others } = args as Readonly<Record<string, unknown>>;
    if (typeof command !== "string" || Object.keys(others).length > 0) return null;
    const line = parseCommandLine(command);
    const [only, ...more] = line.kind === "read" ? line.commands : [];
    // Several commands, or one whose output goes to a file, are more than the words of one.
    if (only === undefined || more.length > 0 || only.redirections.length > 0) return null;
    return commandFault(only.argv.map((word) => [word])) === null ? only.argv.map((text) => ({ text, free: false })) : null;
  }
  const words = given
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => {
      const plain = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
      return plain ? { text: `${name}=${String(value)}`, free: FREE[skill]?.includes(name) ?? false } : null;
    });
  return words.includes(null) ? null : words.flatMap((word) => (word === null ? [] : [word]));
}

/** What is written and steers nothing: here a star stands for any text. */
const FREE: Readonly<Record<string, readonly string[]>> = { file_ops: ["content"] };

export function matchesPattern(pattern: GrantPattern, request: Pick<GrantRequest, "skill" | "args">): boolean {
  if (pattern.skill !== request.skill) return false;
  const words = wordsOfCall(request);
  if (words === null || words.length !== pattern.words.length) return false;
  const sorted =
    pattern.skill === "shell"
      ? pattern.words
      : pattern.words.toSorted(([a = ""], [b = ""]) => ((a.split("=", 1)[0] ?? "") < (b.split("=", 1)[0] ?? "") ? -1 : 1));
  return words.every(({ text, free }, at) => matchesWord(sorted[at] ?? [], text, free));
}

/** What a star stands for: a piece of a name. No slash, no equals sign, no colon; not hidden, no option. */
const STAR = String.raw`[A-Za-z0-9_][A-Za-z0-9_.@%+,-]*`;

function matchesWord(pieces: PatternWord, text: string, free: boolean): boolean {
  if (pieces.length === 1) return pieces[0] === text;
  const star = free ? String.raw`[\s\S]*` : STAR;
  const escaped = pieces.map((piece) => piece.replaceAll(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`));
  return new RegExp(`^${escaped.join(`(?:${star})`)}$`, "u").test(text);
}

/** Exactly this call, as a pattern; null where such a call cannot be granted. */
export function patternOf(request: Pick<GrantRequest, "skill" | "args">): GrantPattern | null {
  const words = wordsOfCall(request);
  if (words === null) return null;
  const pattern = { skill: request.skill, words: words.map(({ text }) => [text]) };
  // What cannot be written down and read again to the same is not offered.
  const again = parsePattern(patternText(pattern));
  return again.ok && patternText(again.value) === patternText(pattern) && matchesPattern(again.value, request) ? again.value : null;
}
