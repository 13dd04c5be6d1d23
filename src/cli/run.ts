import type { CommandIo, Interruption } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { createIo, type ProcessIo } from "./io.ts";
import { commandTree } from "./tree.ts";

/**
 * Runs one command line and answers its exit code. Whatever happens, what was written has left the process, and a person
 * sees sentences: an exception is a bug, is said to be one, and its trace goes to a file.
 */
export async function run(argv: readonly string[]): Promise<number> {
  using io = createIo();
  const bug = Promise.withResolvers<unknown>();
  const onBug = (error: unknown): void => bug.resolve(error);
  process.on("uncaughtException", onBug);
  process.on("unhandledRejection", onBug);
  let code: number;
  try {
    const outcome = await Promise.race([dispatch(argv, io).then((value) => ({ code: value })), bug.promise.then((error) => ({ error }))]);
    code = "code" in outcome ? finalCode(outcome.code, io) : await reportBug(outcome.error, argv, io);
  } catch (error) {
    code = await reportBug(error, argv, io);
  }
  await io.flushed();
  return code;
}

async function dispatch(argv: readonly string[], io: CommandIo): Promise<number> {
  const root = commandTree();
  // Nobody talks to a model with `--help` in mind; and what a person asks for help with need not be right otherwise.
  if (argv.length === 0) return (await root.run?.({}, io)) ?? ExitCode.USAGE;
  const { commandPath, wantsHelp } = await import("./words.ts");
  if (wantsHelp(root, argv)) {
    const { helpText } = await import("./help.ts");
    io.out(helpText(commandPath(root, argv), io.columns));
    return ExitCode.DONE;
  }
  if (argv.includes("--version") && commandPath(root, argv).length === 1 && argv.every((word) => word !== "--")) {
    io.out(`${(await import("./version.ts")).versionLine()}\n`);
    return ExitCode.DONE;
  }
  const { parseArgv } = await import("./argv.ts");
  const parsed = await parseArgv(root, argv);
  if (!parsed.ok) {
    io.err(`noctem: ${parsed.error}\n`);
    return ExitCode.USAGE;
  }
  return (await parsed.value.command.run?.(parsed.value.args, io)) ?? ExitCode.USAGE;
}

/** A signal says itself by its code. A reader that had enough ended nothing early: what it wanted it has. */
function finalCode(code: number, io: ProcessIo): number {
  const cut: Interruption | null = io.interruption();
  if (cut?.kind === "signal") return ExitCode[cut.name];
  if (cut?.kind === "reader-gone" && code === ExitCode.SIGINT) return ExitCode.DONE;
  const failure = io.outputFailure();
  if (failure === null) return code;
  io.err(`noctem: Standard output cannot be written (${failure}).\n`);
  return ExitCode.NO_ROOM;
}

async function reportBug(error: unknown, argv: readonly string[], io: ProcessIo): Promise<number> {
  const { reportText, saveReport } = await import("./bug-report.ts");
  const { dirname } = await import("node:path");
  const now = new Date();
  const path = saveReport(reportText(error, commandTree(), argv, now), io.env, dirname(io.program), now);
  const where = path === null ? "No report could be saved." : `A report was saved to ${path}; it holds no prompt. Please send it.`;
  io.err(`noctem: This is a bug in Noctem. ${where}\n`);
  return ExitCode.BUG;
}
