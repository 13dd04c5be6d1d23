import { err, ok, type Result } from "../lib/result.ts";
import type { Explained } from "../headless/result-object.ts";
import { secretFromDescriptor, secretFromTerminal } from "../platform/secret-input.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";

/** From the descriptor that was named, else from the person at the terminal. `twice`: for a new one, which nobody can read back. */
export async function readSecret(
  io: CommandIo,
  { fd, what, twice }: { readonly fd: number | undefined; readonly what: string; readonly twice: boolean },
): Promise<Result<string, Explained>> {
  if (fd !== undefined) {
    const read = await secretFromDescriptor(fd);
    return read.ok ? read : err({ text: read.error, code: ExitCode.USAGE });
  }
  if (!io.stdinIsTerminal || !io.stderrIsTerminal)
    return err({
      text: `There is no terminal to type the ${what} on. Give it by --passphrase-fd N; never as an argument.`,
      code: ExitCode.USAGE,
    });
  await io.flushed();
  const first = await secretFromTerminal(`${what[0]?.toUpperCase() ?? ""}${what.slice(1)}: `, io.err, io.signal);
  if (first === null) return err({ text: "Nothing was done.", code: ExitCode.SIGINT });
  if (!twice) return ok(first);
  const second = await secretFromTerminal("The same once more: ", io.err, io.signal);
  if (second === null) return err({ text: "Nothing was done.", code: ExitCode.SIGINT });
  return first === second ? ok(first) : err({ text: "The two are not the same. Nothing was done.", code: ExitCode.USAGE });
}
