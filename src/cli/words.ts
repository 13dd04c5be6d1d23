import type { Command, Options, OptionSpec } from "./command.ts";

/** The chain of commands that `argv` names, root first. Enough for `--help`, without a parser. */
export const commandPath = (root: Command, argv: readonly string[]): readonly Command[] => splitWords(root, argv).path;

/** Whether `argv` asks for the help: `--help` or `-h` anywhere but as an option's value or after `--`. */
export function wantsHelp(root: Command, argv: readonly string[]): boolean {
  const { path, rest } = splitWords(root, argv);
  const options = path.at(-1)?.options ?? {};
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] ?? "";
    if (word === "--") return false;
    if (word === "--help" || word === "-h") return true;
    if (takesNext(options, word)) at++;
  }
  return false;
}

/**
 * Takes the names of commands out, wherever options stand between them: `noctem sessions --json list` means what it says.
 * The first word that is neither ends the search, so that an argument is never taken for a command.
 */
export function splitWords(
  root: Command,
  argv: readonly string[],
): { readonly path: readonly Command[]; readonly rest: readonly string[] } {
  const path = [root];
  const rest: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    const command = path.at(-1) ?? root;
    const next = command.commands.find((sub) => sub.name === word);
    if (next) path.push(next);
    else if (word === "--" || !word.startsWith("-")) return { path, rest: [...rest, ...argv.slice(at)] };
    else {
      rest.push(word);
      const value = argv[at + 1];
      if (value !== undefined && takesNext(command.options, word)) rest.push(argv[++at] ?? "");
    }
  }
  return { path, rest };
}

export function named(options: Options, word: string): readonly [name: string, spec: OptionSpec] | null {
  if (!word.startsWith("--"))
    return Object.entries(options).find(([, spec]) => spec.alias !== undefined && word === `-${spec.alias}`) ?? null;
  const name = word.slice(2);
  const spec = Object.hasOwn(options, name) ? options[name] : undefined;
  return spec ? [name, spec] : null;
}

function takesNext(options: Options, word: string): boolean {
  const found = named(options, word);
  return found !== null && found[1].type !== "boolean";
}
