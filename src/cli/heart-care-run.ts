import { dirname, join, resolve } from "node:path";
import { forTerminal } from "../headless/terminal-text.ts";
import { repairHeart } from "../heart/care/repair.ts";
import { type VerifyProgress, verifyHeart } from "../heart/care/verify.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { repairText, verifyText } from "./heart-care-text.ts";
import { type HeartArguments, isFolder, refuseTarget, withDesk } from "./heart-desk.ts";
import { count } from "./time-text.ts";

type FileArguments = HeartArguments & { readonly file: string | undefined };

export function verify(args: FileArguments, io: CommandIo): number {
  return withDesk(args, io, (desk) => {
    const file = args.file === undefined ? desk.place.file : resolve(io.cwd, args.file);
    const progress = progressOn(io);
    const verified = verifyHeart(desk.deps, { file, keysDir: desk.place.keysDir }, progress.show);
    progress.clear();
    if (!verified.ok) return args.file === undefined ? desk.refuse(verified.error) : desk.refuseCopy(verified.error, file);
    const report = verified.value;
    const code = report.count === 0 ? ExitCode.DONE : ExitCode.HEART;
    desk.answer({ file, ...report, code }, forTerminal(verifyText(report, file, args.file === undefined)));
    return code;
  });
}

export function repair(args: FileArguments, io: CommandIo): number {
  return withDesk(args, io, (desk) => {
    const target = args.file === undefined ? join(dirname(desk.place.file), "heart.repaired.sqlite") : resolve(io.cwd, args.file);
    if (isFolder(target)) {
      return desk.refuseWith("exists", { text: `${target} is a folder. Name the new file in it.`, code: ExitCode.USAGE });
    }
    const refusal = refuseTarget(desk, target);
    if (refusal !== null) return refusal;
    const repaired = repairHeart(desk.deps, desk.place, target);
    if (!repaired.ok) return desk.refuse(repaired.error);
    return desk.answer(repaired.value, forTerminal(repairText(repaired.value)));
  });
}

/** One line in place, on a terminal alone: a check of most hearts ends before anybody wonders. */
function progressOn(io: CommandIo): { readonly show: (progress: VerifyProgress) => void; readonly clear: () => void } {
  const inPlace = io.stderrIsTerminal && io.env["TERM"] !== "dumb";
  let drawn = false;
  return {
    show({ table, rows }) {
      if (!inPlace) return;
      io.err(`\rverifying ${table}: ${count(rows, "row")}\u001b[K`);
      drawn = true;
    },
    clear() {
      if (drawn) io.err("\r\u001b[K");
      drawn = false;
    },
  };
}
