import { basename, join, resolve } from "node:path";
import { forTerminal } from "../headless/terminal-text.ts";
import { backupHeart } from "../heart/care/backup.ts";
import { forkHeart } from "../heart/care/fork.ts";
import { type Restored, restoreHeart } from "../heart/care/restore.ts";
import { backupName } from "../heart/care/rotate.ts";
import type { HeartError } from "../heart/port.ts";
import type { Explained } from "../headless/result-object.ts";
import { bytesText } from "./bytes-text.ts";
import { noteInLog } from "./audit-desk.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { deskOf, type HeartArguments, type HeartDesk, isFolder, isThere, refuseTarget, withDesk } from "./heart-desk.ts";
import { copyErrorText } from "./heart-error-text.ts";
import { SHORT_ID } from "./heart-status-text.ts";
import { copyParent } from "./parent-run.ts";
import { askYesNo } from "./question.ts";
import { heartExists } from "./stick.ts";
import { count } from "./time-text.ts";

export function backup(args: HeartArguments & { readonly file: string | undefined }, io: CommandIo): number {
  return withDesk(args, io, (desk) => {
    const name = backupName(desk.deps.clock.now());
    const given = args.file === undefined ? desk.layout.backups : resolve(io.cwd, args.file);
    const target = args.file === undefined || isFolder(given) ? join(given, name) : given;
    const refusal = args.file === undefined ? null : refuseTarget(desk, target);
    if (refusal !== null) return refusal;
    const made = backupHeart(desk.deps, desk.place, target);
    if (!made.ok) return refuseCopying(desk, made.error, "backup was made");
    const { file, bytes } = made.value;
    noteInLog(desk.layout, [{ kind: "heart", what: "backup", detail: basename(file) }], io);
    return desk.answer(made.value, `${forTerminal(file)}: ${bytesText(bytes)}, verified. The keys are not in it; they stay in keys/.\n`);
  });
}

/** What is wrong with a copy in the making is wrong with the heart that it is of. */
function refuseCopying(desk: HeartDesk, error: HeartError, what: string): number {
  const { file } = desk.place;
  if (error.kind === "keys-missing" || error.kind === "foreign") return desk.refuse({ ...error, path: file });
  if ((error.kind === "unreadable" || error.kind === "read-only") && error.path !== file) {
    const why = error.kind === "unreadable" ? error.detail : "it is read-only";
    return desk.refuseWith(error.kind, {
      text: `Nothing can be written at ${error.path}: ${why}. Name another place.`,
      code: ExitCode.NO_ROOM,
    });
  }
  if (error.kind !== "damaged") return desk.refuse(error);
  return desk.refuseWith("damaged", {
    text: `The heart ${file} is damaged, so no ${what}: ${error.detail.replace(/\.$/u, "")}. "noctem heart verify" names every fault, "noctem heart repair" saves what is sound.`,
    code: ExitCode.HEART,
  });
}

export async function restore(
  args: HeartArguments & { readonly file: string; readonly yes: boolean | undefined },
  io: CommandIo,
): Promise<number> {
  const desk = deskOf(args, io);
  const file = resolve(io.cwd, args.file);
  if (!isThere(file)) {
    const text = `There is no file ${args.file}. "noctem heart backup" makes backups, in ${desk.layout.backups}.`;
    return desk.refuseWith("unreadable", { text, code: ExitCode.USAGE });
  }
  if (heartExists(desk.layout) && args.yes !== true) {
    if (!(io.stdinIsTerminal && io.stderrIsTerminal)) {
      return desk.refuseWith("unasked", {
        text: "This puts another heart in the place of the one in use. Without a terminal to ask on, say --yes.",
        code: ExitCode.USAGE,
      });
    }
    if (!(await askYesNo(`Put ${forTerminal(args.file)} in the place of the heart? What is there now is kept in backups/.`, io))) {
      io.err("noctem: Nothing was changed.\n");
      return io.signal.aborted ? ExitCode.SIGINT : ExitCode.DONE;
    }
  }
  // Not a name of the rotation: what a person put aside is never let go by itself.
  const aside = join(desk.layout.backups, `before-restore-${backupName(desk.deps.clock.now()).slice("heart-".length)}`);
  const restored = restoreHeart(desk.deps, desk.place, file, aside);
  if (!restored.ok) return desk.refuseWith(restored.error.kind, restoreErrorText(restored.error, file, desk));
  noteInLog(desk.layout, [{ kind: "heart", what: "restore", detail: basename(file) }], io);
  return desk.answer(restored.value, forTerminal(restoredText(restored.value, args.file)));
}

function restoredText({ before, beforeWasDamaged, forgotten }: Restored, file: string): string {
  return [
    `${file} is the heart now. It is a replica of its own: a sync brings back what other copies have.`,
    ...(before === null
      ? []
      : [
          beforeWasDamaged
            ? `The damaged heart was moved to ${before}.`
            : `What was there is kept as ${before}; "noctem heart sync" takes it in again.`,
        ]),
    ...(forgotten > 0 ? [`${count(forgotten, "text")} that ${forgotten === 1 ? "was" : "were"} forgotten since stayed forgotten.`] : []),
    "",
  ].join("\n");
}

function restoreErrorText(error: HeartError, file: string, { place }: HeartDesk): Explained {
  if (error.kind === "damaged" && error.path === file) {
    const detail = error.detail.replace(/\.$/u, "");
    return { text: `${file} is not sound: ${detail}. The heart was left as it is. Name another backup.`, code: ExitCode.HEART };
  }
  if (error.kind === "foreign") {
    const text = `${file} belongs to another heart than the keys in ${place.keysDir}. The heart was left as it is. Put the keys that belong to the backup there, or name another backup.`;
    return { text, code: ExitCode.HEART };
  }
  if (error.kind === "keys-missing") {
    const text = `The keys are missing in ${place.keysDir}, and without them a backup cannot be checked. Put the folder keys/ of its stick there.`;
    return { text, code: ExitCode.HEART };
  }
  if (error.kind === "same-file") return { text: `${file} is the heart in use already.`, code: ExitCode.USAGE };
  return copyErrorText(error, file);
}

export function fork(args: HeartArguments & { readonly dest: string }, io: CommandIo): number {
  return withDesk(args, io, (desk) => {
    const folder = resolve(io.cwd, args.dest);
    // Made here, a stick that is not plugged in would become a folder on this computer, with the keys in it.
    if (!isFolder(folder)) {
      return desk.refuseWith("unreadable", {
        text: `There is no folder ${args.dest}. Plug in the other stick and name its folder, or make one.`,
        code: ExitCode.USAGE,
      });
    }
    const target = { file: join(folder, "heart.sqlite"), keysDir: join(folder, "keys") };
    const forked = forkHeart(desk.deps, desk.place, target);
    if (!forked.ok) {
      if (forked.error.kind !== "exists") return refuseCopying(desk, forked.error, "replica was made");
      return desk.refuseWith("exists", {
        text: `${args.dest} has a heart or keys already (${forked.error.path}), and they were left as they are. Name another folder, or bring the two together: noctem heart sync ${args.dest}`,
        code: ExitCode.USAGE,
      });
    }
    const parent = copyParent(desk.layout, target.keysDir);
    if (!parent.ok) return desk.refuseWith("parent", parent.error);
    noteInLog(desk.layout, [{ kind: "heart", what: "fork", detail: forked.value.replica }], io);
    const text = `${args.dest} has a replica of this heart now (${forked.value.replica.slice(0, SHORT_ID)}), with its keys. Copy the program there as well.\nLater, noctem heart sync ${args.dest} --both brings the two together.\n`;
    return desk.answer({ folder, ...target, ...forked.value }, forTerminal(text));
  });
}
