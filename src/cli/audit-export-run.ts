import { resolve } from "node:path";
import { createFile, type NewFile } from "../platform/text-lines.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { type AuditArguments, openLog } from "./audit-file-desk.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { failWith } from "./parent-run.ts";
import { count } from "./time-text.ts";

/** Lines that are gathered before they are written. */
const GATHERED = 500;

/**
 * JSON Lines: the leaves as the text that was signed, then the signed heads. With them anybody can compute the trees again; what lies apart from entries
 * (arguments, outputs) stays here.
 */
export function exportLog(args: AuditArguments & { readonly file: string | undefined }, io: CommandIo): number {
  const opened = openLog(args, io);
  if (!opened.ok) return failWith(opened.error, args.json, io);
  using file = opened.value.file;
  const toFile = args.file !== undefined && args.file !== "-";
  const made = toFile ? createFile(resolve(io.cwd, args.file)) : null;
  const refused = (kind: string): number => {
    const text =
      kind === "exists"
        ? `${args.file ?? ""} is there already and was left as it is. Name another file.`
        : `${args.file ?? ""} cannot be written (${kind}).`;
    return failWith({ text, code: kind === "exists" ? ExitCode.USAGE : ExitCode.NO_ROOM }, args.json, io);
  };
  if (made !== null && !made.ok) return refused(made.error.kind);
  using target: NewFile | null = made === null ? null : made.value;
  let gathered: string[] = [];
  let fault: string | null = null;
  let lines = 0;
  const flush = (): void => {
    const text = gathered.join("");
    gathered = [];
    if (target === null) io.out(text);
    else if (fault === null) {
      const written = target.write(text);
      if (!written.ok) fault = written.error.kind;
    }
  };
  const put = (line: object): void => {
    lines++;
    gathered.push(`${JSON.stringify(line)}\n`);
    if (gathered.length >= GATHERED) flush();
  };
  put({ type: "log", version: 1, heart: file.heart });
  file.each(({ session, leaf }) => put({ type: "leaf", session, leaf }));
  for (const { key, note } of file.checkpoints()) put({ type: "checkpoint", session: key, note });
  flush();
  const finished = fault === null && target !== null ? target.finish() : null;
  if (finished !== null && !finished.ok) fault = finished.error.kind;
  if (fault !== null) return refused(fault);
  if (toFile)
    io.out(
      args.json
        ? `${JSON.stringify({ file: resolve(io.cwd, args.file), lines })}\n`
        : `Exported ${count(lines, "line")} to ${forTerminal(args.file)}.\n`,
    );
  return ExitCode.DONE;
}
