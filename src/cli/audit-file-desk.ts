import { resolve } from "node:path";
import { ANCHOR_LIMIT, type ReadAnchor, readAnchors } from "../audit/anchor.ts";
import type { NoteKey } from "../audit/note.ts";
import type { StickLayout } from "../config/layout.ts";
import type { Explained } from "../headless/result-object.ts";
import { type AuditFile, openAuditFile } from "../heart/audit-file.ts";
import type { HeartError } from "../heart/port.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { heartDeps } from "../platform/heart.ts";
import { readParentPublic } from "../platform/parent-key.ts";
import { readSmallFile } from "../platform/settings-file.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { copyErrorText } from "./heart-error-text.ts";
import { copyAt } from "./heart-desk.ts";
import { stickOf } from "./stick.ts";
import { count } from "./time-text.ts";

export interface AuditArguments {
  readonly json: boolean | undefined;
  readonly heart: string | undefined;
}

const cannot = (text: string): Explained => ({ text, code: ExitCode.AUDIT_CANNOT });

/** The log in the heart of this stick, or in the file that was named. No key is asked for. */
export function openLog(
  args: AuditArguments,
  io: CommandIo,
): Result<{ readonly file: AuditFile; readonly layout: StickLayout }, Explained> {
  const layout = stickOf(io, args.heart);
  const opened = openAuditFile(heartDeps(), layout.heart);
  return opened.ok ? ok({ file: opened.value, layout }) : err(unreadable(opened.error, layout.heart));
}

export function openOther(path: string, io: CommandIo): Result<AuditFile, Explained> {
  const file = copyAt(path, io);
  const opened = openAuditFile(heartDeps(), file);
  return opened.ok ? opened : err(unreadable(opened.error, file));
}

/** Nothing that keeps a log from being read says anything about what stands in it. */
function unreadable(error: HeartError, path: string): Explained {
  if (error.kind === "unreadable" && /^there is no|does not exist$/u.test(error.detail)) return cannot(`There is no heart at ${path}.`);
  if (error.kind === "damaged") return cannot(`${path} cannot be checked: ${error.detail}.`);
  return cannot(copyErrorText(error, path).text.replace(" Nothing was taken from it, and this heart is as it was.", ""));
}

export function anchorsFrom(path: string | undefined, io: CommandIo): Result<readonly ReadAnchor[], Explained> {
  if (path === undefined) return ok([]);
  const text = readSmallFile(resolve(io.cwd, path), ANCHOR_LIMIT);
  if (!text.ok || text.value === null) return err({ text: `There is no anchor that can be read at ${path}.`, code: ExitCode.USAGE });
  const anchors = readAnchors(text.value, auditCrypto);
  return anchors.ok ? anchors : err(cannot(`${path} cannot be used. ${anchors.error}`));
}

export function parentKeyFrom(path: string | undefined, io: CommandIo): Result<NoteKey | null, Explained> {
  if (path === undefined) return ok(null);
  const key = readParentPublic(resolve(io.cwd, path));
  if (!key.ok) return err({ text: key.error, code: ExitCode.USAGE });
  return key.value === null ? err({ text: `There is no parent's key at ${path}.`, code: ExitCode.USAGE }) : key;
}

/** Milliseconds between lines where no terminal can overwrite the last one. */
const LINE_EVERY = 10_000;

/** On stderr: in place on a terminal, a line now and then in a log. */
export function checkProgress(io: CommandIo): { readonly show: (done: number, rows: number) => void; readonly clear: () => void } {
  const inPlace = io.stderrIsTerminal && io.env["TERM"] !== "dumb";
  let drawn = false;
  let last = performance.now();
  return {
    show(done, rows) {
      const line = `checking the log: ${Math.min(100, Math.floor((done / Math.max(1, rows)) * 100))} %, ${count(done, "row")}`;
      if (inPlace) io.err(`\r${line}\u001b[K`);
      else if (performance.now() - last >= LINE_EVERY) {
        last = performance.now();
        io.err(`noctem: ${line}\n`);
      }
      drawn = inPlace;
    },
    clear() {
      if (drawn) io.err("\r\u001b[K");
      drawn = false;
    },
  };
}
