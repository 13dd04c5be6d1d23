import type { Command, OptionSpec } from "./command.ts";

/** One line for each command of the tree: the words that lead to it, without the program. */
interface Node {
  readonly path: string;
  readonly command: Command;
}

/** A script for the shell, made from the declarations; the program itself is not run while completing. */
export function completionScript(shell: string, root: Command): string {
  const nodes = walk(root, []);
  switch (shell) {
    case "zsh":
      return zsh(nodes);
    case "fish":
      return fish(nodes);
    default:
      return bash(nodes);
  }
}

function walk(command: Command, path: readonly string[]): readonly Node[] {
  return [{ path: path.join(" "), command }, ...command.commands.flatMap((sub) => walk(sub, [...path, sub.name]))];
}

const flagsOf = (name: string, spec: OptionSpec): readonly string[] => [
  `--${spec.onByDefault ? "no-" : ""}${name}`,
  ...(spec.alias ? [`-${spec.alias}`] : []),
];

const isPath = (spec: OptionSpec): "file" | "folder" | null => (spec.value === "FILE" ? "file" : spec.value === "DIR" ? "folder" : null);

/** What may follow an option: a shell's own word for it, or a list. */
const choicesAt = (command: Command): readonly string[] => Object.values(command.positionals).find((spec) => spec.choices)?.choices ?? [];
const takesFile = (command: Command): boolean =>
  Object.entries(command.positionals).some(([name, spec]) => name === "file" || spec.path === true);

function bash(nodes: readonly Node[]): string {
  const words = nodes.map(({ path, command }) => {
    const flags = Object.entries(command.options).flatMap(([name, spec]) => flagsOf(name, spec));
    const next = [...command.commands.map((sub) => sub.name), ...choicesAt(command), ...flags, "--help"];
    return `    ${quote(path)}) words=${quote(next.join(" "))}${takesFile(command) ? "; files=1" : ""} ;;`;
  });
  const values = new Map<string, string>();
  for (const { path, command } of nodes) {
    for (const [name, spec] of Object.entries(command.options)) {
      if (spec.type === "boolean") continue;
      const reply =
        spec.choices !== undefined
          ? `COMPREPLY=($(compgen -W ${quote(spec.choices.join(" "))} -- "$cur"))`
          : isPath(spec) === "folder"
            ? `COMPREPLY=($(compgen -d -- "$cur"))`
            : isPath(spec) === "file"
              ? `COMPREPLY=($(compgen -f -- "$cur"))`
              : "COMPREPLY=()";
      values.set(
        `${path}:${name}`,
        `    ${flagsOf(name, spec)
          .map((flag) => quote(`${path}:${flag}`))
          .join("|")}) ${reply}; return ;;`,
      );
    }
  }
  return `# bash completion for noctem; load it with: source <(noctem completions bash)
_noctem() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} path= word i words files=
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "\${path:+$path }$word" in
      ${nodes
        .slice(1)
        .map(({ path }) => quote(path))
        .join("|")}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path:$prev" in
${[...values.values()].join("\n")}
  esac
  case "$path" in
${words.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ -n $files && $cur != -* ]]; then COMPREPLY+=($(compgen -f -- "$cur")); fi
}
complete -o filenames -o bashdefault -F _noctem noctem
`;
}

function zsh(nodes: readonly Node[]): string {
  const functions = nodes.map(({ path, command }) => {
    const options = Object.entries(command.options).map(([name, spec]) => `    ${zshOption(name, spec)}`);
    const subs = command.commands.map((sub) => `      ${quote(`${sub.name}:${plain(sub.describe)}`)}`);
    const cases = command.commands.map((sub) => `        ${sub.name}) ${zshName(path, sub.name)} ;;`);
    const rest =
      command.commands.length > 0
        ? [`    '1: :->command'`, `    '*:: :->arguments'`]
        : choicesAt(command).length > 0
          ? [`    '1: :(${choicesAt(command).join(" ")})'`]
          : takesFile(command)
            ? [`    '*: :_files'`]
            : [];
    const body =
      command.commands.length === 0
        ? ""
        : `
  case $state in
    command)
      local -a commands=(
${subs.join("\n")}
      )
      _describe command commands ;;
    arguments)
      case $words[1] in
${cases.join("\n")}
      esac ;;
  esac`;
    return `${zshName(path)}() {
  local state line
  typeset -A opt_args
  _arguments -s -C \\
${[...options, `    '(- *)'{-h,--help}'[help]'`, ...rest].join(" \\\n")}${body}
}`;
  });
  return `#compdef noctem
# zsh completion for noctem; put it into a folder of $fpath as _noctem
${functions.join("\n")}
if [ "$funcstack[1] " = "_noctem " ]; then _noctem "$@"; else compdef _noctem noctem; fi
`;
}

const zshName = (...path: readonly string[]): string => ["_noctem", ...path.filter((part) => part !== "")].join("_").replaceAll(" ", "_");

function zshOption(name: string, spec: OptionSpec): string {
  const flags = flagsOf(name, spec);
  const value =
    spec.type === "boolean"
      ? ""
      : spec.choices !== undefined
        ? `:${name}:(${spec.choices.join(" ")})`
        : `:${name}:${isPath(spec) === "folder" ? "_files -/" : isPath(spec) === "file" ? "_files" : " "}`;
  const about = `[${plain(spec.describe)}]${value}`;
  return flags.length > 1 ? `'(${flags.join(" ")})'{${flags.join(",")}}${quote(about)}` : quote(`${flags[0]}${about}`);
}

function fish(nodes: readonly Node[]): string {
  const lines: string[] = [];
  for (const { path, command } of nodes) {
    const here = `-n ${quote(`__noctem_at ${path}`.trim())}`;
    for (const sub of command.commands) lines.push(`complete -c noctem ${here} -f -a ${sub.name} -d ${quote(plain(sub.describe))}`);
    for (const choice of choicesAt(command)) lines.push(`complete -c noctem ${here} -f -a ${choice}`);
    if (takesFile(command)) lines.push(`complete -c noctem ${here} -F`);
    for (const [name, spec] of Object.entries(command.options)) {
      const [long = ""] = flagsOf(name, spec);
      const value =
        spec.type === "boolean" ? "" : spec.choices ? ` -x -a ${quote(spec.choices.join(" "))}` : isPath(spec) === null ? " -x" : " -r -F";
      const letter = spec.alias ? ` -s ${spec.alias}` : "";
      lines.push(`complete -c noctem ${here} -l ${long.slice(2)}${letter}${value} -d ${quote(plain(spec.describe))}`);
    }
  }
  const paths = nodes.slice(1).map(({ path }) => quote(path));
  return `# fish completion for noctem; load it with: noctem completions fish | source
function __noctem_at
    set -l path
    for word in (commandline -opc)[2..-1]
        set -l longer (string trim "$path $word")
        contains -- $longer ${paths.join(" ")}; and set path $longer
    end
    test "$path" = "$argv"
end
complete -c noctem -f
complete -c noctem -l help -s h -d help
${lines.join("\n")}
`;
}

/** For a single-quoted word of any of the three shells. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
/** Colons and brackets mean something to zsh, quotes to all. */
const plain = (text: string): string => text.replaceAll(/[[\]:'"\\]/gu, "");
