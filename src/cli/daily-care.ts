import { existsSync } from "node:fs";
import type { StickLayout } from "../config/layout.ts";
import { autoBackup } from "../heart/care/rotate.ts";
import type { HeartDeps } from "../heart/ports.ts";
import { heartErrorText } from "./heart-error-text.ts";
import { scrubBeside, scrubText } from "./heart-scrub.ts";

/**
 * What a sitting owes its heart when it ends: the day's backup if one is due, and backups that no longer hold what was forgotten.
 * Returns what a person has to be told; empty when all went well. Where nothing can be written there is nothing owed.
 */
export function careAfterSitting(deps: HeartDeps, layout: StickLayout): string {
  const place = { file: layout.heart, keysDir: layout.keys };
  const facts = deps.files.inspect(place.file);
  if (facts.kind !== "file" || !facts.writable) return "";
  const scrubbed = existsSync(layout.backups) ? scrubText(scrubBeside(deps, place)) : "";
  const backup = autoBackup(deps, place, layout.backups);
  if (backup.ok) return scrubbed;
  const { kind } = backup.error;
  // The heart's own troubles were told when it was opened, and a stick that was pulled has no backup to miss.
  if (kind === "io" || kind === "read-only" || kind === "keys-missing" || kind === "unreadable" || kind === "locked") return scrubbed;
  return `${scrubbed}Today's backup of the heart was not made. ${heartErrorText(backup.error).text}\n`;
}
