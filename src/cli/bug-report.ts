import { openSync, writeFileSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json";
import type { Command } from "./command.ts";
import { commandPath, named } from "./words.ts";

/**
 * What is safe to send to a stranger: the kind of error, the places in the code, the versions, and which options were
 * given. Never their values nor anything quoted in the message, because that may be the prompt.
 */
export function reportText(error: unknown, root: Command, argv: readonly string[], now: Date): string {
  const shown = error instanceof Error ? error : new Error(String(error));
  return [
    `noctem ${version}, bun ${Bun.version}, ${process.platform} ${process.arch}, ${now.toISOString()}`,
    `command: ${withoutValues(root, argv).join(" ") || "(none)"}`,
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

/** The names of commands and options that exist. A value may look like anything, so nothing else is shown. */
function withoutValues(root: Command, argv: readonly string[]): readonly string[] {
  const path = commandPath(root, argv);
  const options = path.at(-1)?.options ?? {};
  const given = argv.flatMap((word) => named(options, word.split("=", 1)[0] ?? "")?.[0] ?? []);
  return [...path.slice(1).map((command) => command.name), ...given.map((name) => `--${name}`)];
}

const withoutQuotes = (message: string): string =>
  message
    .replace(/(["'`“{[]).*/su, "$1…")
    .split("\n", 1)[0]
    ?.slice(0, 160) ?? "";
