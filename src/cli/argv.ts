import type { Argv } from "yargs";
import { nearest } from "../lib/nearest.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Command, OptionSpec } from "./command.ts";
import { named, splitWords } from "./words.ts";
import { yargs } from "./yargs.ts";

/** A command line that names a command and satisfies its declaration. */
export interface Invocation {
  readonly command: Command;
  readonly args: Readonly<Record<string, unknown>>;
}

/** One or two sentences for stderr. */
export type UsageError = string;

/**
 * Parses `argv` (without the program) by the declarations below `root`.
 *
 * yargs routes and splits; what is allowed is checked here, because its own messages name neither the option that was
 * meant nor the command whose help to read, and telling them apart would mean parsing its prose. Values go past it in a
 * table: it strips the quotes of `-p '"why"'` and takes `-p "- buy milk"` for two options.
 */
export async function parseArgv(root: Command, argv: readonly string[]): Promise<Result<Invocation, UsageError>> {
  if (argv.length === 0 && root.run) return ok({ command: root, args: {} });
  const split = splitWords(root, argv);
  const joined = joinValues(split.path, split.rest);
  if (!joined.ok) return joined;
  let result: Result<Invocation, UsageError> = err(`"${root.name}" needs a command.`);
  const parser = yargs()
    .scriptName(root.name)
    .help(false)
    .version(false)
    .detectLocale(false)
    .exitProcess(false)
    .fail(rethrow)
    // No guessing: `--a.b` is not an object, a second `-p` does not make a list, and what follows `--` is not lost.
    .parserConfiguration({
      "dot-notation": false,
      "camel-case-expansion": false,
      "duplicate-arguments-array": false,
      "strip-aliased": true,
      "parse-numbers": false,
      "parse-positional-numbers": false,
    });
  declare(parser, root, [root.name], (command, path, parsed) => {
    result = check(command, path, parsed, joined.value.values);
  });
  await parser.parseAsync([...split.path.slice(1).map((command) => command.name), ...joined.value.words]);
  return result;
}

interface Joined {
  readonly words: readonly string[];
  /** What the numbers in `words` stand for. */
  readonly values: readonly string[];
}

/** Writes `-p TEXT` as `--prompt=0`, where 0 is the place of TEXT in the table. An option that needs a value takes the next word whatever it looks like, as getopt does. */
function joinValues(path: readonly Command[], argv: readonly string[]): Result<Joined, UsageError> {
  const options = path.at(-1)?.options ?? {};
  const words: string[] = [];
  const values: string[] = [];
  const put = (name: string, value: string) => words.push(`--${name}=${values.push(value) - 1}`);
  let ended = false;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (ended || word === "" || word === "-" || !word.startsWith("-")) {
      words.push(String(values.push(word) - 1));
      continue;
    }
    if (word === "--") {
      ended = true;
      continue;
    }
    const [, head = word, value] = /^(--[^=]+)=([\s\S]*)$/u.exec(word) ?? /^(-[A-Za-z])=?([\s\S]+)$/u.exec(word) ?? [];
    const found = named(options, head);
    const off = head.startsWith("--no-") ? named(options, `--${head.slice(5)}`) : null;
    if (off?.[1].onByDefault) words.push(head);
    else if (!found) return err(unknownOption(path, head));
    else if (found[1].type === "boolean") {
      if (value !== undefined) return err(`${head} takes no value.`);
      words.push(`--${found[0]}`);
    } else if (value !== undefined) put(found[0], value);
    else {
      const next = argv[++at];
      if (next === undefined) return err(`${head} needs a value${found[1].value ? `: ${head} ${found[1].value}` : ""}.`);
      put(found[0], next);
    }
  }
  return ok({ words, values });
}

type Parsed = Readonly<Record<string, unknown>> & { readonly _: readonly (string | number)[] };

function declare(
  parser: Argv,
  command: Command,
  path: readonly string[],
  found: (command: Command, path: readonly string[], parsed: Parsed) => void,
): void {
  const isRoot = path.length === 1;
  parser.command({
    command: isRoot ? "$0" : command.name,
    describe: command.describe,
    builder: (inner: Argv) => {
      for (const sub of command.commands) declare(inner, sub, [...path, sub.name], found);
      // Numbers arrive as text: yargs would make NaN of a slip and lose what was typed.
      for (const [name, spec] of Object.entries(command.options))
        inner.option(name, { type: spec.type === "boolean" ? "boolean" : "string" });
      return inner;
    },
    handler: (parsed) => found(command, path, parsed as Parsed),
  });
  if (isRoot) for (const sub of command.commands) declare(parser, sub, [...path, sub.name], found);
}

function check(command: Command, path: readonly string[], parsed: Parsed, values: readonly string[]): Result<Invocation, UsageError> {
  const args: Record<string, unknown> = {};
  const valueOf = (index: unknown): string => values[Number(index)] ?? "";
  const help = `See "${path.join(" ")} --help".`;
  const strays = parsed._.slice(path.length - 1).map(valueOf);
  for (const [name, spec] of Object.entries(command.positionals)) {
    const value = spec.rest ? strays.splice(0) : strays.shift();
    if (spec.required && (value === undefined || (typeof value !== "string" && value.length === 0)))
      return err(`"${path.join(" ")}" needs ${name.toUpperCase()} (${spec.describe}). ${help}`);
    if (spec.choices && typeof value === "string" && !spec.choices.includes(value))
      return err(notAChoice(name.toUpperCase(), value, spec.choices));
    if (value !== undefined) args[name] = value;
  }
  const [stray] = strays;
  if (stray !== undefined) return err(strayWord(command, path, stray));
  for (const [name, spec] of Object.entries(command.options)) {
    const given = parsed[name];
    if (given === undefined) continue;
    const converted = spec.type === "boolean" ? ok(given) : convert(name, spec, valueOf(given));
    if (!converted.ok) return converted;
    args[name] = converted.value;
  }
  if (!command.run) return err(`"${path.join(" ")}" needs one of: ${command.commands.map((sub) => sub.name).join(", ")}. ${help}`);
  return ok({ command, args });
}

function convert(name: string, spec: OptionSpec, value: string): Result<string | number, UsageError> {
  if (spec.choices && !spec.choices.includes(value)) return err(notAChoice(`--${name}`, value, spec.choices));
  if (spec.type === "string") return ok(value);
  const number = value.trim() === "" ? Number.NaN : Number(value);
  const { min, max, integer } = { min: -Infinity, max: Infinity, integer: false, ...spec.range };
  if (!Number.isFinite(number) || number < min || number > max || (integer && !Number.isInteger(number)))
    return err(`--${name} wants ${integer ? "a whole number" : "a number"}${between(min, max)}, not "${clip(value)}".`);
  return ok(number);
}

const between = (min: number, max: number): string =>
  min > -Infinity && max < Infinity ? ` from ${min} to ${max}` : min > -Infinity ? ` of at least ${min}` : "";

function notAChoice(what: string, value: string, choices: readonly string[]): UsageError {
  const meant = nearest(value, choices);
  return `${what} is one of ${choices.join(", ")}, not "${clip(value)}".${meant ? ` Did you mean "${meant}"?` : ""}`;
}

function strayWord(command: Command, path: readonly string[], word: string): UsageError {
  const help = `See "${path.join(" ")} --help".`;
  if (command.commands.length === 0) return `"${path.join(" ")}" does not know what to do with "${clip(word)}". ${help}`;
  const meant = nearest(
    word,
    command.commands.map((sub) => sub.name),
  );
  const suggestion = meant ? `Did you mean "${[...path, meant].join(" ")}"?` : help;
  const ask = path.length === 1 ? ` To ask the model something: ${path[0]} -p "…".` : "";
  return `There is no command "${[...path.slice(1), clip(word)].join(" ")}". ${suggestion}${ask}`;
}

function unknownOption(path: readonly Command[], typed: string): UsageError {
  const names = path.map((command) => command.name).join(" ");
  const options = Object.entries(path.at(-1)?.options ?? {});
  const name = typed.replace(/^-+/u, "");
  const takesValue = name.startsWith("no-") ? options.find(([option]) => option === name.slice(3)) : undefined;
  if (takesValue) return `There is no option ${typed}, only --${takesValue[0]}. See "${names} --help".`;
  const known = options.map(([option, spec]) => (spec.onByDefault ? `no-${option}` : option));
  const meant = typed.startsWith("--") ? nearest(name, [...known, "help"]) : null;
  const where = path.length === 1 ? "" : ` for "${names}"`;
  return `There is no option ${clip(typed)}${where}. ${meant ? `Did you mean --${meant}?` : `See "${names} --help".`}`;
}

const clip = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

function rethrow(message: string | null, error: unknown): never {
  throw error instanceof Error ? error : new Error(message ?? "yargs failed");
}
