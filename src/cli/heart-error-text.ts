import type { Explained } from "../headless/result-object.ts";
import type { HeartError } from "../heart/port.ts";
import { heartErrorText as inUse } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";

/**
 * Failures of `noctem heart` in words. Two hearts may be concerned: what to do about the one in use is another matter than what to do
 * about a copy, which is only read.
 */
export type About = "conversation" | "conflict" | "replica";

const LISTS = { conversation: "noctem sessions list", conflict: "noctem heart conflicts", replica: "noctem heart status" } as const;
const PLURALS = { conversation: "conversations", conflict: "conflicts", replica: "replicas" } as const;

const said = (code: ExitCode, text: string): Explained => ({ text, code });

export function heartErrorText(error: HeartError, about: About = "conversation"): Explained {
  if (error.kind === "not-found") {
    const shown = error.what.length > 60 ? `${error.what.slice(0, 60)}…` : error.what;
    const hint = /^[0-9a-f]{4,32}$/iu.test(error.what) ? "" : " It takes at least the first four digits of an id.";
    return said(
      ExitCode.USAGE,
      `There is no ${about === "replica" ? "other replica" : about} "${shown}".${hint} "${LISTS[about]}" shows what there is.`,
    );
  }
  if (error.kind === "ambiguous") {
    return said(ExitCode.USAGE, `"${error.prefix}" fits ${error.matches} ${PLURALS[about]}. Type more of the id.`);
  }
  if (error.kind === "unfinished") {
    return said(
      ExitCode.HEART,
      `The heart ${error.path} was left in the middle of a write. "noctem heart status" takes the half write back; then try again.`,
    );
  }
  return inUse(error);
}

const UNTOUCHED = "Nothing was taken from it, and this heart is as it was.";

/** `copy`: the file that was to be read. An error about another file is about the heart in use. */
export function copyErrorText(error: HeartError, copy: string): Explained {
  if (!("path" in error) || (error.path !== copy && error.path !== `${copy}-journal`)) return heartErrorText(error);
  switch (error.kind) {
    case "damaged":
      // It never was a heart: there is nothing to repair.
      if (error.detail.startsWith("it is ")) {
        return said(
          ExitCode.HEART,
          `${error.path} is no copy of a heart: ${error.detail}. Name a heart, the folder of a stick, or a backup.`,
        );
      }
      return said(
        ExitCode.HEART,
        `${error.path} cannot be merged: ${error.detail}. ${UNTOUCHED} Take another copy of it; "noctem heart repair --heart ${error.path}" saves what is sound where its keys/ are beside it.`,
      );
    case "foreign":
      return said(
        ExitCode.HEART,
        `${error.path} is not a copy of this heart: it was made as a heart of its own. ${UNTOUCHED} What stands in it can be brought over with "noctem heart export" there and "noctem heart import" here.`,
      );
    case "newer":
      return said(
        ExitCode.HEART,
        `${error.path} was written by a newer Noctem (its format is ${error.found}, this program knows ${error.known}). ${UNTOUCHED} Merge with the newer version.`,
      );
    case "outdated":
      return said(
        ExitCode.HEART,
        `${error.path} was written by an older Noctem. ${UNTOUCHED} Bring it up to date first: noctem heart status --heart ${error.path}`,
      );
    case "unfinished":
      return said(
        ExitCode.HEART,
        `${error.path} was left in the middle of a write. ${UNTOUCHED} Have the half write taken back first: noctem heart status --heart ${error.path}`,
      );
    case "unreadable":
      return said(ExitCode.HEART, `${error.path} cannot be opened: ${error.detail}. Name a heart, the folder of a stick, or a backup.`);
    case "io":
      return said(ExitCode.HEART, `Reading ${error.path} failed: ${error.detail}. ${UNTOUCHED} Is its stick still plugged in?`);
    case "locked":
      return said(ExitCode.HEART, `Another program held ${error.path} for too long. Close it and try again.`);
    case "keys-missing":
    case "keys-broken":
    case "full":
    case "read-only":
    case "same-file":
    case "exists":
      return heartErrorText(error);
  }
}
