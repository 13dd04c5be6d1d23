/**
 * A compiled Bun program still obeys Bun's own environment variables: `BUN_BE_BUN=1` makes it the bun command line, `BUN_OPTIONS=--preload=…` and
 * `BUN_INSPECT_PRELOAD` run a file in it, `BUN_INSPECT` opens a debugger port. Noctem holds keys and conversations, and takes orders from its arguments alone.
 *
 * There is no build option against it (Bun 1.4.5), so the names are blanked inside the runtime: their first byte becomes NUL, and no variable has an empty name.
 * Rejected: re-executing with a clean environment (twice the start-up time, and the preload has already run), and only documenting it.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

export const BLANKED = [
  "BUN_BE_BUN",
  "BUN_OPTIONS",
  "BUN_INSPECT",
  "BUN_INSPECT_CONNECT_TO",
  "BUN_INSPECT_PRELOAD",
  // With either of these a crash starts `curl` and sends a report: the one way in which Noctem could use the network unasked.
  "BUN_ENABLE_CRASH_REPORTING",
  "BUN_CRASH_REPORT_URL",
] as const;

/** Changes the executable at `path`. Throws when a name is not there exactly once: then Bun keeps it elsewhere, and blanking proves nothing. */
export function blankRuntimeSwitches(path: string, names: readonly string[] = BLANKED): void {
  const bytes = readFileSync(path);
  const file = openSync(path, "r+");
  try {
    for (const name of names) {
      // As a C string of its own: the same letters stand in messages, where they do no harm.
      const pattern = Buffer.from(`\0${name}\0`);
      const first = bytes.indexOf(pattern);
      if (first < 0 || bytes.indexOf(pattern, first + 1) >= 0)
        throw new Error(
          `Bun's runtime keeps the variable ${name} in another way than Bun 1.4.5 did, so it cannot be switched off.\n` +
            "Find out how it is read now, then change scripts/build/harden.ts.",
        );
      writeSync(file, "\0", first + 1);
    }
  } finally {
    closeSync(file);
  }
}
