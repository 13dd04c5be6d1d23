import { ExitCode } from "./exit-code.ts";
import type { Command, OptionSpec } from "./command.ts";

/** Wider lines are hard to read, narrower terminals than this are not worth a layout. */
const MAX_WIDTH = 100;
const MIN_WIDTH = 40;
const COLUMN = 28;

/**
 * The help of the last command of `path`. Our own and not yargs': its usage cannot group commands, and printing it means
 * loading it.
 */
export function helpText(path: readonly Command[], columns: number): string {
  const width = Math.max(MIN_WIDTH, Math.min(MAX_WIDTH, columns));
  const command = path.at(-1);
  if (!command) return "";
  const name = path.map((part) => part.name).join(" ");
  const sections = [
    wrap(path.length === 1 ? `${name}: ${command.describe}` : `${name}: ${command.describe}.`, 0, width),
    ...(command.about ?? []).map((paragraph) => wrap(paragraph, 0, width)),
    section("Usage", usageLines(command, name), width),
    ...commandSections(command, width),
    section("Arguments", positionalRows(command), width),
    ...optionSections(command, path.length === 1, width),
    section("Examples", exampleRows(command), width),
    ...(path.length === 1 ? rootSections(width) : []),
  ];
  return `${sections.filter((text) => text !== "").join("\n\n")}\n`;
}

/** A term with its meaning, or a line that stands alone. */
type Row = readonly [term: string, meaning: string | null];

function usageLines(command: Command, name: string): readonly Row[] {
  const arguments_ = Object.entries(command.positionals)
    .map(([key, spec]) => `${key.toUpperCase()}${spec.rest ? "…" : ""}`)
    .map((term, index) => (Object.values(command.positionals)[index]?.required ? term : `[${term}]`));
  const options = Object.keys(command.options).length > 0 ? ["[OPTIONS]"] : [];
  const lines: Row[] = [];
  if (name === "noctem") {
    lines.push(["noctem [OPTIONS]", "talk in the terminal"]);
    lines.push(["noctem -p TEXT [OPTIONS]", "one answer on standard output"]);
    lines.push(["… | noctem [OPTIONS]", "the prompt from a pipe or a file; beside -p it is data"]);
    lines.push(["noctem COMMAND [OPTIONS]", null]);
  } else {
    if (command.run) lines.push([[name, ...arguments_, ...options].join(" "), null]);
    if (command.commands.length > 0) lines.push([`${name} COMMAND`, null]);
  }
  return lines;
}

function commandSections(command: Command, width: number): readonly string[] {
  const groups = new Map<string, Row[]>();
  for (const sub of command.commands) {
    const names = sub.commands.map((inner) => inner.name).join(", ");
    const title = sub.group ?? "Commands";
    groups.set(title, [...(groups.get(title) ?? []), [sub.name, names === "" ? sub.describe : `${sub.describe}: ${names}`]]);
  }
  return [...groups].map(([title, rows]) => section(title, rows, width));
}

function positionalRows(command: Command): readonly Row[] {
  return Object.entries(command.positionals).map(([name, spec]) => [
    `${name.toUpperCase()}${spec.rest ? "…" : ""}`,
    withChoices(spec.describe, spec.choices),
  ]);
}

function optionSections(command: Command, isRoot: boolean, width: number): readonly string[] {
  const groups = new Map<string, Row[]>();
  const add = (title: string, row: Row) => groups.set(title, [...(groups.get(title) ?? []), row]);
  for (const [name, spec] of Object.entries(command.options)) {
    add(spec.group ?? "Options", [optionTerm(name, spec), withChoices(spec.describe, spec.choices)]);
  }
  const last = isRoot ? "Everywhere" : ([...groups.keys()].at(-1) ?? "Options");
  add(last, ["-h, --help", "This help; every command has its own"]);
  if (isRoot) add(last, ["    --version", "The version"]);
  // One column for all groups: they are read as one list.
  const column = columnFor([...groups.values()].flat(), width);
  return [...groups].map(([title, rows]) => section(title, rows, width, column));
}

/** `-p, --prompt TEXT`; long names line up whether or not there is a letter. */
export function optionTerm(name: string, spec: OptionSpec): string {
  const long = `--${spec.onByDefault ? "no-" : ""}${name}`;
  const value =
    spec.type === "boolean" ? "" : ` ${spec.value ?? (spec.choices ? spec.choices.join("|") : spec.type === "number" ? "N" : "TEXT")}`;
  return `${spec.alias ? `-${spec.alias}, ` : "    "}${long}${value}`;
}

/** Choices that the term does not show already. */
const withChoices = (describe: string, choices: readonly string[] | undefined): string =>
  choices && !choices.every((choice) => describe.includes(choice)) ? `${describe} (${choices.join(", ")})` : describe;

const exampleRows = (command: Command): readonly Row[] => command.examples.map(([line, meaning]) => [line, meaning]);

function rootSections(width: number): readonly string[] {
  return [
    section(
      "Files, beside the program",
      [
        ["heart.sqlite, keys/", "conversations, and the keys that vouch for them (--heart or NOCTEM_HEART moves both)"],
        ["backups/", 'verified copies of the heart; see "noctem heart backup"'],
        ["models/", "GGUF files"],
        ["noctem.json", 'settings; see "noctem config list"'],
        ["work/", "the workspace where the current folder is Noctem's own"],
      ],
      width,
    ),
    section(
      "Environment",
      [
        ["NOCTEM_MODEL, …", "any setting; a flag beats it, it beats noctem.json"],
        ["NO_COLOR", "no colours"],
      ],
      width,
    ),
    section(
      "Exit codes",
      EXIT_CODES.map(([code, meaning]): Row => [code, meaning]),
      width,
    ),
  ];
}

const EXIT_CODES: readonly (readonly [string, string])[] = [
  [`${ExitCode.DONE}`, "done; also when the reader of the output had enough"],
  [`${ExitCode.BUG}`, "a bug; a report was saved"],
  [`${ExitCode.USAGE}`, "wrong usage or settings"],
  [`${ExitCode.NO_MODEL}, ${ExitCode.BAD_MODEL}`, "no model here, a broken or unsupported one"],
  [`${ExitCode.PROMPT_TOO_LONG}`, "the prompt does not fit the context"],
  [`${ExitCode.HEART}`, "the heart cannot be used"],
  [`${ExitCode.NO_ROOM}`, "no room, or read-only"],
  [`${ExitCode.NETWORK}`, "the network or a download failed"],
  [`${ExitCode.DENIED}`, "denied by policy, or by you"],
  [`${ExitCode.NO_APPROVAL}`, "an approval was needed, and none came"],
  [`${ExitCode.NO_CAGE}`, "the cage this needs is not available on this host"],
  [`${ExitCode.ENGINE}`, "the engine failed"],
  [`${ExitCode.CUT_OFF}`, "the answer is cut off, misses its schema, or is nothing but reasoning"],
  [`${ExitCode.SKILL_FAILED}`, "a skill ran, and what it ran failed or was stopped"],
  [
    `${ExitCode.AUDIT_ALTERED}, ${ExitCode.AUDIT_TRUNCATED}, ${ExitCode.AUDIT_FORK}`,
    "the log was altered, is not whole, or has two versions",
  ],
  [`${ExitCode.AUDIT_KEY}, ${ExitCode.AUDIT_UNWITNESSED}`, "a key nobody vouches for; sound, but witnessed by nothing from outside"],
  [`${ExitCode.AUDIT_CANNOT}`, "the log cannot be checked"],
  [`${ExitCode.TIMEOUT}`, "--timeout passed; the partial answer is kept"],
  [`${ExitCode.SIGHUP}, ${ExitCode.SIGINT}, ${ExitCode.SIGTERM}`, "SIGHUP, SIGINT, SIGTERM"],
];

function section(title: string, rows: readonly Row[], width: number, column = columnFor(rows, width)): string {
  if (rows.length === 0) return "";
  return [`${title}:`, ...rows.map((row) => renderRow(row, column, width))].join("\n");
}

const columnFor = (rows: readonly Row[], width: number): number =>
  Math.min(COLUMN, Math.max(0, ...rows.map(([term]) => term.length + 2)), Math.floor(width / 2));

function renderRow([term, meaning]: Row, column: number, width: number): string {
  if (meaning === null) return `  ${term}`;
  const text = wrap(meaning, column + 2, width);
  return term.length + 2 > column ? `  ${term}\n${text}` : `  ${term.padEnd(column)}${text.trimStart()}`;
}

/** Breaks between words; help is plain ASCII-width text, a word longer than the line stays whole. */
function wrap(text: string, indent: number, width: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map((each) => " ".repeat(indent) + each).join("\n");
}
