import { dirname, join } from "node:path";
import { forTerminal } from "../headless/terminal-text.ts";
import { type Scrubbed, scrubBackups } from "../heart/care/backup.ts";
import type { StoredPlace } from "../heart/open.ts";
import type { HeartDeps } from "../heart/ports.ts";
import { heartErrorText } from "./heart-error-text.ts";
import { count } from "./time-text.ts";

const NOTHING: Scrubbed = { rewritten: [], left: [] };

/** After something was forgotten: takes it out of the backups beside that heart as well. What cannot be rewritten is told. */
export function scrubBeside(deps: HeartDeps, place: StoredPlace): Scrubbed {
  const done = scrubBackups(deps, place, join(dirname(place.file), "backups"));
  return done.ok ? done.value : NOTHING;
}

/** One line a fact; empty when there was nothing to do. `of`: another stick than this one. */
export function scrubText({ rewritten, left }: Scrubbed, of: string | null = null): string {
  const lines = [
    ...(rewritten.length === 0
      ? []
      : [`What was forgotten was taken out of ${count(rewritten.length, "backup")}${of === null ? "" : ` of ${of}`} as well.`]),
    ...left.map(
      ({ file, error }) =>
        `${forTerminal(file)} may still hold what was forgotten, and could not be rewritten (${forTerminal(reasonOf(error))}). Delete it if you can do without.`,
    ),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function reasonOf(error: Scrubbed["left"][number]["error"]): string {
  return "detail" in error ? error.detail.replace(/\.$/u, "") : (heartErrorText(error).text.split(". ")[0] ?? error.kind);
}
