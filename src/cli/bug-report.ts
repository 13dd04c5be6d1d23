import { openSync, writeFileSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json";

/**
 * What is safe to send to a stranger: the kind of error, the places in the code, the versions, and which options were
 * given. Never their values nor anything quoted in the message, because that may be the prompt.
 */
export function reportText(error: unknown, argv: readonly string[], now: Date): string {
  const shown = error instanceof Error ? error : new Error(String(error));
  return [
    `noctem ${version}, bun ${Bun.version}, ${process.platform} ${process.arch}, ${now.toISOString()}`,
    `command: ${argv.map(withoutValue).filter(Boolean).join(" ") || "(none)"}`,
    `${shown.name}: ${withoutQuotes(shown.message)}`,
    ...(shown.stack ?? "")
      .split("\n")
      .filter((line) => /^\s+at /u.test(line))
      .slice(0, 40),
    "",
  ].join("\n");
}

/** Where the report was saved, or null where nothing can be written. Memory-backed folders first: no trace on the host's disk. */
export function saveReport(text: string, env: Readonly<Record<string, string | undefined>>, stick: string, now: Date): string | null {
  const name = `noctem-bug-${now.toISOString().slice(0, 19).replaceAll(":", "")}-${process.pid}.txt`;
  for (const folder of [env["XDG_RUNTIME_DIR"], "/dev/shm", stick, tmpdir()]) {
    if (folder === undefined || folder === "") continue;
    const path = join(folder, name);
    try {
      // "wx": never through a link or into a file that somebody else put there.
      const file = openSync(path, "wx", 0o600);
      try {
        writeFileSync(file, text);
      } finally {
        closeSync(file);
      }
      return path;
    } catch {
      // The next folder.
    }
  }
  return null;
}

/** `--model=x` tells that a model was named; a bare word is shown when it can only be a command. */
function withoutValue(word: string): string {
  if (word.startsWith("-")) return word.split("=", 1)[0] ?? "";
  return /^[a-z]{2,16}$/u.test(word) ? word : "…";
}

const withoutQuotes = (message: string): string =>
  message
    .replace(/(["'`“{[]).*/su, "$1…")
    .split("\n", 1)[0]
    ?.slice(0, 160) ?? "";
