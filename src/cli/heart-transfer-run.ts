import { resolve } from "node:path";
import type { Draft } from "../audit/log.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { heartErrorOf } from "../heart/failure.ts";
import type { HeartError } from "../heart/port.ts";
import { type ExportCounts, exportLines } from "../heart/transfer/export.ts";
import { importLines, type ImportReport } from "../heart/transfer/import.ts";
import { openReadable, type ReadableHeart } from "../heart/transfer/reading.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { createFile, type NewFileError, openLines } from "../platform/text-lines.ts";
import { bytesText } from "./bytes-text.ts";
import { noteInLog } from "./audit-desk.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { BUILD_DATE } from "./heart-access.ts";
import { deskOf, type HeartArguments, type HeartDesk, refuseNone, withDesk } from "./heart-desk.ts";
import { freeNear } from "./heart-status-run.ts";
import { heartExists } from "./stick.ts";
import { count } from "./time-text.ts";

export async function exportHeart(args: HeartArguments & { readonly file: string | undefined }, io: CommandIo): Promise<number> {
  const desk = deskOf(args, io);
  if (!heartExists(desk.layout)) return refuseNone(desk);
  const opened = openReadable(desk.deps, desk.place);
  if (!opened.ok) return desk.refuse(opened.error);
  using heart = opened.value;
  if (args.file === undefined || args.file === "-") return await exportTo(desk, heart, io);

  const made = createFile(resolve(io.cwd, args.file));
  if (!made.ok) return refuseFile(desk, args.file, made.error);
  using file = made.value;
  let counts: ExportCounts | null = null;
  for (const pages = exportLines(heart, desk.deps, desk.deps.clock.now()); counts === null;) {
    const page = nextPage(desk, pages);
    if (!page.ok) return desk.refuse(page.error);
    if (page.value.done === true) counts = page.value.value;
    else {
      const written = file.write(page.value.value);
      if (!written.ok) return refuseFile(desk, args.file, written.error);
    }
    // Writing is synchronous: without this pause no signal would be heard before the end.
    await Bun.sleep(0);
    if (io.signal.aborted) return ExitCode.SIGINT;
  }
  const kept = file.finish();
  if (!kept.ok) return refuseFile(desk, args.file, kept.error);
  warn(counts, heart, io);
  noteInLog(desk.layout, [exported(counts)], io);
  return desk.answer(
    { file: resolve(io.cwd, args.file), ...counts },
    `Exported ${kindsText(counts.lines)} to ${forTerminal(args.file)}.\n`,
  );
}

/** The lines are the output: what else there is to say goes to stderr. A page leaves before the next is read. */
async function exportTo(desk: HeartDesk, heart: ReadableHeart, io: CommandIo): Promise<number> {
  const pages = exportLines(heart, desk.deps, desk.deps.clock.now());
  for (;;) {
    const page = nextPage(desk, pages);
    if (!page.ok) return desk.refuse(page.error);
    if (page.value.done === true) {
      warn(page.value.value, heart, io);
      noteInLog(desk.layout, [exported(page.value.value)], io);
      return ExitCode.DONE;
    }
    io.out(page.value.value);
    await io.flushed();
    if (io.signal.aborted) return ExitCode.SIGINT;
  }
}

function nextPage({ place }: HeartDesk, pages: Generator<string, ExportCounts>): Result<IteratorResult<string, ExportCounts>, HeartError> {
  try {
    return ok(pages.next());
  } catch (error) {
    return err(heartErrorOf(error, place.file));
  }
}

function warn({ leftOut }: ExportCounts, { mac }: ReadableHeart, io: CommandIo): void {
  if (mac === null) io.err("noctem: The folder keys/ is missing beside the heart, so nothing that was exported could be checked.\n");
  if (leftOut > 0) io.err(`noctem: ${count(leftOut, "row")} left out, not being what was written. "noctem heart verify" names each.\n`);
}

export function importHeart(args: HeartArguments & { readonly file: string }, io: CommandIo): number {
  return withDesk(args, io, (desk) => {
    const source = resolve(io.cwd, args.file);
    const opened = openLines(source);
    if (!opened.ok) {
      return desk.refuseWith("unreadable", {
        text: `${args.file} cannot be read: ${opened.error}. Name an export of "noctem heart export".`,
        code: ExitCode.USAGE,
      });
    }
    using file = opened.value;
    const free = freeNear(desk);
    // A row takes some more than its line, and the journal as much again at worst.
    if (free !== null && free < 2 * file.size) {
      const text = `There is not enough room beside ${desk.place.file}: about ${bytesText(2 * file.size)} are needed, ${bytesText(free)} are free. Free some space on the stick.`;
      return desk.refuseWith("full", { text, code: ExitCode.NO_ROOM });
    }
    const imported = importLines(desk.deps, desk.place, BUILD_DATE, { source, lines: file.lines });
    if (imported.ok && Object.values(imported.value.added).some((n) => n > 0))
      noteInLog(desk.layout, [{ kind: "heart", what: "import", detail: kindsText(imported.value.added) }], io);
    if (imported.ok) return desk.answer(imported.value, importText(imported.value));
    const { error } = imported;
    if (error.kind !== "damaged" || error.path !== source) return desk.refuse(error);
    return desk.refuseWith("bad-export", {
      text: `${args.file} cannot be imported: ${error.detail}. Nothing was changed.`,
      code: ExitCode.USAGE,
    });
  });
}

type Kinds = ExportCounts["lines"];

/** Never the file's name: it may say where on a host, and to whom. */
const exported = ({ lines }: ExportCounts): Draft => ({ kind: "heart", what: "export", detail: kindsText(lines) });

function kindsText(kinds: Kinds): string {
  const all: readonly (readonly [number, string])[] = [
    [kinds.message, count(kinds.message, "message")],
    [kinds.task, count(kinds.task, "task")],
    [kinds.memory, count(kinds.memory, "memory", "memories")],
    [kinds.state, count(kinds.state, "setting")],
    [kinds.incident, count(kinds.incident, "kind of incident", "kinds of incidents")],
    [kinds.entry, count(kinds.entry, "log entry", "log entries")],
  ];
  const some = all.filter(([n]) => n > 0).map(([, text]) => text);
  return some.length === 0 ? "nothing" : some.join(", ");
}

export function importText({ added, known, permissions }: ImportReport): string {
  const some = Object.values(added).some((n) => n > 0);
  return [
    some ? `Imported ${kindsText(added)}, as data of no standing: nothing in them is followed as yours.` : "Nothing new in it.",
    ...(known > 0 ? [`${count(known, "line")} ${known === 1 ? "was" : "were"} here already.`] : []),
    ...(permissions > 0
      ? [`${count(permissions, "approval or grant", "approvals and grants")} left out: what was allowed elsewhere is not allowed here.`]
      : []),
    "",
  ].join("\n");
}

function refuseFile(desk: HeartDesk, file: string, error: NewFileError): number {
  switch (error.kind) {
    case "exists":
      return desk.refuseWith("exists", { text: `${file} exists already and was left as it is. Name another file.`, code: ExitCode.USAGE });
    case "full":
      return desk.refuseWith("full", {
        text: `There is no room left for ${file}, and what was written of it was removed. Free some space.`,
        code: ExitCode.NO_ROOM,
      });
    case "read-only":
      return desk.refuseWith("read-only", {
        text: `${file} cannot be written: its folder is read-only. Name another place.`,
        code: ExitCode.NO_ROOM,
      });
    case "io":
      return desk.refuseWith("io", { text: `${file} cannot be written: ${error.detail}. Name another place.`, code: ExitCode.NO_ROOM });
  }
}
