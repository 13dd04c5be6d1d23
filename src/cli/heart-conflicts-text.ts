import type { Conflict, ConflictSide } from "../heart/conflicts.ts";
import { type Scribe, textIn } from "../heart/describe.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { SHORT_ID } from "./heart-status-text.ts";
import { localTime } from "./time-text.ts";

/** A conflict with what its ids mean. */
export interface ShownConflict extends Conflict {
  /** Digits of its id that no other conflict begins with. */
  readonly short: string;
  /** The task's title, where it is about a task. */
  readonly title: string | null;
  readonly lostBy: Scribe;
  readonly standsBy: Scribe | null;
}

/** Columns of a value on one line; `show` prints it whole. */
const VALUE_WIDTH = 60;

export function listText(conflicts: readonly ShownConflict[]): string {
  return conflicts.map((conflict) => conflictText(conflict, VALUE_WIDTH)).join("\n");
}

export function conflictText(conflict: ShownConflict, width = Infinity): string {
  const indent = " ".repeat(conflict.short.length + 2);
  const side = (name: string, of: ConflictSide | null, by: Scribe | null): string =>
    `${indent}${name.padEnd(8)}${of === null || by === null ? "nothing" : `${valueText(conflict, of, width)}, written ${localTime(of.at)} ${whereText(by)}`}`;
  return [
    `${conflict.short}  ${forTerminal(subjectText(conflict))}`,
    side("lost", conflict.lost, conflict.lostBy),
    side("stands", conflict.stands, conflict.standsBy),
    "",
  ].join("\n");
}

export function subjectText({ namespace, key, title }: ShownConflict): string {
  if (namespace === "task") {
    const name = key.slice(33);
    return `${name === "" ? "task" : `${name} of task`} ${title === null ? key.slice(0, SHORT_ID) : `"${clip(title, VALUE_WIDTH)}"`}`;
  }
  if (namespace === "memory") return `memory "${key}"`;
  if (namespace === "state") return `setting "${key}"`;
  return `${namespace} ${key}`;
}

function valueText({ namespace }: Conflict, { value }: ConflictSide, width: number): string {
  if (value === null) return namespace === "memory" ? "forgotten" : "removed";
  return `"${clip(forTerminal(namespace === "memory" ? value : textIn(value)), width)}"`;
}

/** `here`, or on which stick. */
export function whereText({ here, replica, label, host }: Scribe): string {
  if (here) return "here";
  if (replica === "") return "by a writing session that is not known here";
  const machine = host === "" ? "" : ` (${host})`;
  return `on ${label === "" ? `replica ${replica.slice(0, SHORT_ID)}` : forTerminal(label)}${machine}`;
}

/** One line of at most `width` columns. */
function clip(text: string, width: number): string {
  if (width === Infinity) return text;
  const line = text.replaceAll(/\s+/gu, " ").trim();
  return Bun.stringWidth(line) <= width ? line : `${Bun.sliceAnsi(line, 0, width - 1)}…`;
}
