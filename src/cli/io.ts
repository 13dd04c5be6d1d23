import { realpathSync } from "node:fs";
import { isatty } from "node:tty";
import { onEndingSignal } from "../platform/signals.ts";
import { processOutput } from "../platform/stdout.ts";
import type { CommandIo, Interruption } from "./command.ts";
import { ExitCode } from "./exit-code.ts";

export interface ProcessIo extends CommandIo, Disposable {
  /** Why the run was cut short, if it was. */
  interruption(): Interruption | null;
  /** Error code of a stdout that could not be written (a full disk, say). */
  outputFailure(): string | null;
}

/** The real process. A second signal ends it on the spot. */
export function createIo(): ProcessIo {
  const abort = new AbortController();
  const interrupt = (why: Interruption): void => {
    if (!abort.signal.aborted) abort.abort(why);
  };
  const output = processOutput(() => interrupt({ kind: "reader-gone" }));
  const stop = onEndingSignal(
    (name) => interrupt({ kind: "signal", name }),
    (name) => process.exit(ExitCode[name]),
  );
  return {
    out: output.out,
    err: output.err,
    flushed: output.flushed,
    stdinIsTerminal: isatty(0),
    stdoutIsTerminal: isatty(1),
    stderrIsTerminal: isatty(2),
    columns: process.stdout.columns ?? process.stderr.columns ?? 80,
    env: process.env,
    cwd: currentFolder(),
    program: process.execPath,
    signal: abort.signal,
    interruption: () => (abort.signal.aborted ? (abort.signal.reason as Interruption) : null),
    outputFailure: output.failure,
    [Symbol.dispose]: stop,
  };
}

/** The folder may have been deleted under the shell; then the root is as good as any. */
function currentFolder(): string {
  try {
    return realpathSync(process.cwd());
  } catch {
    return "/";
  }
}
