/**
 * Reads a shell command line into what it would run. A subset of POSIX sh is read fully; whatever is not (a substitution, a variable, a glob, a
 * here-document) makes the whole line unreadable, which asks. The words of a readable line are exactly those that `sh` would hand to the programs:
 * no rule is ever matched against text that a shell would read otherwise.
 */
export interface SimpleCommand {
  /** Never empty. */
  readonly argv: readonly string[];
  readonly redirections: readonly Redirection[];
}

export interface Redirection {
  readonly kind: "read" | "write" | "append";
  readonly path: string;
}

export type ParsedLine =
  | { readonly kind: "read"; readonly commands: readonly SimpleCommand[] }
  /** A clause: "it uses a variable". */
  | { readonly kind: "unreadable"; readonly what: string };

/** Characters of a line, and commands in it. */
const MOST_TEXT = 8000;
const MOST_COMMANDS = 64;

/** Words that begin something else than a simple command. */
const KEYWORDS = new Set([
  "if",
  "then",
  "else",
  "elif",
  "fi",
  "do",
  "done",
  "case",
  "esac",
  "while",
  "until",
  "for",
  "{",
  "}",
  "!",
  "in",
  "function",
  "select",
  "time",
  "coproc",
  "[[",
  "]]",
]);

type Token =
  | { readonly kind: "word"; readonly text: string; readonly quoted: boolean }
  | { readonly kind: "operator"; readonly text: string };

export function parseCommandLine(line: string): ParsedLine {
  if (line.length > MOST_TEXT) return unreadable(`it is longer than ${MOST_TEXT} characters`);
  // What a terminal or an eye shows otherwise than a shell reads it.
  if (/[^\P{Cc}\t\n]/u.test(line)) return unreadable("it has control characters");
  if (/[\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ufeff]/u.test(line))
    return unreadable("it has spaces or marks that cannot be seen");
  if (!line.isWellFormed()) return unreadable("it is no text");
  const tokens = tokenize(line);
  return typeof tokens === "string" ? unreadable(tokens) : group(tokens);
}

const unreadable = (what: string): ParsedLine => ({ kind: "unreadable", what });

/** A clause when it cannot be read. */
function tokenize(line: string): readonly Token[] | string {
  const tokens: Token[] = [];
  let word: string | null = null;
  let quoted = false;
  let at = 0;
  const end = (): void => {
    if (word !== null) tokens.push({ kind: "word", text: word, quoted });
    word = null;
    quoted = false;
  };
  while (at < line.length) {
    const char = line[at] ?? "";
    if (char === " " || char === "\t") {
      end();
      at++;
    } else if (char === "\n") {
      end();
      tokens.push({ kind: "operator", text: "\n" });
      at++;
    } else if (char === "#" && word === null) {
      while (at < line.length && line[at] !== "\n") at++;
    } else if (char === "'") {
      const close = line.indexOf("'", at + 1);
      if (close < 0) return "a quote is not closed";
      word = (word ?? "") + line.slice(at + 1, close);
      quoted = true;
      at = close + 1;
    } else if (char === '"') {
      const read = doubleQuoted(line, at + 1);
      if (typeof read === "string") return read;
      word = (word ?? "") + read.text;
      quoted = true;
      at = read.next;
    } else if (char === "\\") {
      const next = line[at + 1];
      if (next === undefined) return "it ends in a backslash";
      // A line that goes on is no character.
      if (next !== "\n") {
        word = (word ?? "") + next;
        quoted = true;
      }
      at += 2;
    } else if (char === "$" || char === "`")
      return char === "`" || line[at + 1] === "(" ? "it runs a command inside another" : "it uses a variable";
    else if ("*?[".includes(char)) return "it uses a pattern for file names";
    else if (char === "{" || char === "}") return "it uses braces";
    else if (char === "~" && word === null) return "it names a home folder by ~";
    else if (char === "(" || char === ")") return "it uses a subshell or a function";
    else if ("&|;<>".includes(char)) {
      const two = line.slice(at, at + 2);
      if (two === "<<" || two === "<>" || two === "<&" || two === ">&" || two === "&>" || two === ">|" || two === "|&" || two === ";;")
        return two === "<<" ? "it has a here-document" : `it uses ${two}`;
      // A number before it would redirect another stream.
      if ((char === "<" || char === ">") && word !== null && /^\d+$/.test(word) && !quoted) return "it redirects a numbered stream";
      end();
      const operator = two === "&&" || two === "||" || two === ">>" ? two : char;
      if (operator === "&") return "it runs something in the background";
      tokens.push({ kind: "operator", text: operator });
      at += operator.length;
    } else {
      word = (word ?? "") + char;
      at++;
    }
  }
  end();
  return tokens;
}

function doubleQuoted(line: string, from: number): { readonly text: string; readonly next: number } | string {
  let text = "";
  for (let at = from; at < line.length; at++) {
    const char = line[at] ?? "";
    if (char === '"') return { text, next: at + 1 };
    if (char === "`" || (char === "$" && /[A-Za-z0-9_({@*#?$!'"-]/.test(line[at + 1] ?? "")))
      return "it uses a variable or a command inside quotes";
    if (char === "\\" && '$`"\\\n'.includes(line[at + 1] ?? "x")) {
      at++;
      if (line[at] !== "\n") text += line[at] ?? "";
    } else text += char;
  }
  return "a quote is not closed";
}

function group(tokens: readonly Token[]): ParsedLine {
  const commands: SimpleCommand[] = [];
  let argv: string[] = [];
  let redirections: Redirection[] = [];
  /** A pipe or && wants something on both sides. */
  let wants = false;
  const close = (): string | null => {
    // After a pipe or && the command may stand on the next line.
    if (argv.length === 0 && redirections.length === 0) return null;
    if (argv.length === 0) return "it redirects without a command";
    commands.push({ argv, redirections });
    [argv, redirections, wants] = [[], [], false];
    return null;
  };
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at];
    if (token === undefined) break;
    if (token.kind === "word") {
      if (argv.length === 0 && !token.quoted && KEYWORDS.has(token.text))
        return unreadable("it is a small program, not a list of commands");
      if (argv.length === 0 && /^[A-Za-z_][A-Za-z0-9_]*\+?=/.test(token.text)) return unreadable("it sets a variable");
      argv.push(token.text);
      continue;
    }
    if (token.text === "<" || token.text === ">" || token.text === ">>") {
      const target = tokens[at + 1];
      if (target?.kind !== "word") return unreadable("a redirection leads nowhere");
      redirections.push({ kind: token.text === "<" ? "read" : token.text === ">" ? "write" : "append", path: target.text });
      at++;
      continue;
    }
    const empty = argv.length === 0;
    const fault = close();
    if (fault !== null) return unreadable(fault);
    // Lines may be empty; between two operators there is something.
    if (empty && token.text !== "\n") return unreadable("a command is missing");
    wants = (wants && empty) || (token.text !== ";" && token.text !== "\n");
    if (commands.length > MOST_COMMANDS) return unreadable(`it has more than ${MOST_COMMANDS} commands`);
  }
  const fault = close();
  if (fault !== null) return unreadable(fault);
  if (wants) return unreadable("a command is missing");
  return commands.length === 0 ? unreadable("it is empty") : { kind: "read", commands };
}
