/**
 * How a command describes itself. One declaration serves four readers: yargs parses by it (argv.ts), `--help` prints it
 * (help.ts), the shells complete by it (completion-scripts.ts) and TypeScript types the handler's arguments from it.
 *
 * A file with a command holds its declaration and nothing heavy: `run` imports what does the work, because every
 * declaration is read at every start.
 */
export interface OptionSpec {
  readonly type: "string" | "number" | "boolean";
  readonly describe: string;
  /** One letter, without the dash. */
  readonly alias?: string;
  /** What stands for the value in the help: `FILE`, `SECONDS`. `FILE` and `DIR` are completed as paths. */
  readonly value?: string;
  readonly choices?: readonly string[];
  /** For numbers. */
  readonly range?: { readonly min: number; readonly max: number; readonly integer?: boolean };
  /** Heading in the help; options without one stand under "Options". */
  readonly group?: string;
  /** A switch that is on unless `--no-NAME` is given; the help shows that form. */
  readonly onByDefault?: true;
}

export interface PositionalSpec {
  readonly describe: string;
  readonly required: boolean;
  /** Takes all that follow. Only the last positional may. */
  readonly rest?: true;
  /** Names a file or a folder, which shells complete; one called `file` always does. */
  readonly path?: true;
  readonly choices?: readonly string[];
}

export type Options = Readonly<Record<string, OptionSpec>>;
export type Positionals = Readonly<Record<string, PositionalSpec>>;

/** An argument that was not given is `undefined`: whoever reads it knows the default, and where else a value may come from. */
export type OptionArguments<O extends Options> = {
  readonly [K in keyof O]: (O[K]["type"] extends "boolean" ? boolean : O[K]["type"] extends "number" ? number : string) | undefined;
};
export type Arguments<O extends Options, P extends Positionals> = OptionArguments<O> & {
  readonly [K in keyof P]: P[K]["rest"] extends true ? readonly string[] : P[K]["required"] extends true ? string : string | undefined;
};

/** What a command may touch of the process. Everything written is in order and flushed before the process ends. */
export interface CommandIo {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Resolves when everything written so far has left the process, or cannot any more. */
  readonly flushed: () => Promise<void>;
  readonly stdinIsTerminal: boolean;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** Columns of the terminal, 80 without one. */
  readonly columns: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Absolute path of the program itself. */
  readonly program: string;
  /** Aborted by a signal or when the reader of stdout went away; the reason is an `Interruption`. */
  readonly signal: AbortSignal;
}

export type Interruption = { readonly kind: "signal"; readonly name: "SIGINT" | "SIGTERM" | "SIGHUP" } | { readonly kind: "reader-gone" };

export interface Command {
  readonly name: string;
  /** One line, no full stop. */
  readonly describe: string;
  /** Heading under which the command stands in `noctem --help`. */
  readonly group?: string;
  /** Paragraphs for the command's own `--help`. */
  readonly about?: readonly string[];
  readonly options: Options;
  readonly positionals: Positionals;
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  readonly commands: readonly Command[];
  /** Answers the exit code. Absent where only the subcommands do something. */
  readonly run?: (args: Readonly<Record<string, unknown>>, io: CommandIo) => Promise<number>;
}

type Given<O extends Options, P extends Positionals> = Pick<Command, "name" | "describe" | "group" | "about"> &
  Partial<Pick<Command, "examples" | "commands">> & {
    readonly options?: O;
    readonly positionals?: P;
    readonly run?: (args: Arguments<O, P>, io: CommandIo) => Promise<number>;
  };

/** Ties the handler's arguments to the declared options. The parser has checked them by the same declaration. */
// oxlint-disable-next-line typescript/no-generated-empty-object-type -- no options is what a command without options has
export function defineCommand<const O extends Options = Record<never, never>, const P extends Positionals = Record<never, never>>(
  given: Given<O, P>,
): Command {
  const { run, ...rest } = given;
  return {
    examples: [],
    commands: [],
    ...rest,
    options: given.options ?? {},
    positionals: given.positionals ?? {},
    ...(run && { run: run as NonNullable<Command["run"]> }),
  };
}

/** `--json` means the same everywhere. */
export const JSON_OPTION = { json: { type: "boolean", describe: "Print JSON for scripts" } } as const satisfies Options;
