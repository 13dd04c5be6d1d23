import { forTerminal } from "../headless/terminal-text.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";

/** One line of the report. */
export interface Finding {
  readonly name: string;
  readonly state: "ok" | "warning" | "broken";
  /** What is there, without a full stop. */
  readonly text: string;
  /** A sentence, when there is something to do. */
  readonly fix: string | null;
  /** What the whole report ends in if this is the first broken line. */
  readonly code: ExitCode;
}

type Rest = Partial<Pick<Finding, "fix" | "code">>;
export const ok = (name: string, text: string): Finding => ({ name, state: "ok", text, fix: null, code: ExitCode.DONE });
export const warning = (name: string, text: string, fix: string | null = null): Finding => ({
  name,
  state: "warning",
  text,
  fix,
  code: ExitCode.DONE,
});
export const broken = (name: string, text: string, code: ExitCode, { fix = null }: Rest = {}): Finding => ({
  name,
  state: "broken",
  text,
  fix,
  code,
});

const COLOURS = { ok: 32, warning: 33, broken: 31 } as const;

/** As a line for a person, and one for its fix. */
export function findingLine({ name, state, text, fix }: Finding, io: CommandIo): string {
  const coloured = io.stdoutIsTerminal && (io.env["NO_COLOR"] ?? "") === "" && io.env["TERM"] !== "dumb";
  const shown = coloured ? `\u001b[${COLOURS[state]}m${state}\u001b[0m` : state;
  const pad = " ".repeat(9 - state.length);
  return `${shown}${pad}${forTerminal(`${name}: ${text}`)}\n${fix === null ? "" : `         fix: ${forTerminal(fix)}\n`}`;
}
