import { dirname, join } from "node:path";
import type { Fork } from "../audit/forks.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { heartCopies } from "../heart/copies.ts";
import type { MergeReport } from "../heart/merge/merge.ts";
import { openHeart, type StoredPlace, withStoredHeart } from "../heart/open.ts";
import type { HeartError } from "../heart/port.ts";
import { ok } from "../lib/result.ts";
import { heartDeps } from "../platform/heart.ts";
import { noteInLog, syncDraft } from "./audit-desk.ts";
import { forksBetween, keepForks } from "./audit-forks.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { BUILD_DATE } from "./heart-access.ts";
import { copyAt, type HeartArguments, type HeartDesk, isThere, withDesk } from "./heart-desk.ts";
import { scrubBeside, scrubText } from "./heart-scrub.ts";
import { syncText } from "./heart-sync-text.ts";
import { count } from "./time-text.ts";

export interface SyncArguments extends HeartArguments {
  readonly other: string;
  readonly "dry-run": boolean | undefined;
  readonly both: boolean | undefined;
  readonly verbose: boolean | undefined;
}

export function syncHeart(args: SyncArguments, io: CommandIo): number {
  return withDesk(args, io, (desk) => sync(desk, args, io));
}

function sync(desk: HeartDesk, args: SyncArguments, io: CommandIo): number {
  const file = copyAt(args.other, io);
  const other: StoredPlace = { file, keysDir: join(dirname(file), "keys") };
  if (!isThere(file)) {
    const text =
      file.endsWith("heart.sqlite") && !args.other.endsWith("heart.sqlite")
        ? `There is no heart in ${args.other}. Name the folder of a stick with heart.sqlite in it, or a file.`
        : `There is no file ${args.other}. Name a heart, the folder of a stick, or a backup.`;
    return desk.refuseWith("unreadable", { text, code: ExitCode.USAGE });
  }
  const dryRun = args["dry-run"] === true;
  // Before anything is taken: half of what was asked for would be a surprise.
  const refusal = args.both === true ? giveRefusal(desk, other, dryRun) : null;
  if (refusal !== null) return refusal;

  const forks = forksBetween(desk.place.file, file);
  const took = desk.copies.merge(file, { dryRun });
  if (!took.ok) {
    // Only of a copy that was altered; what never was a heart is a slip of the hand.
    if (took.error.kind === "damaged" && !took.error.detail.startsWith("it is ") && !dryRun)
      noteInLog(desk.layout, [{ kind: "incident", what: "merge.refused", detail: took.error.detail.slice(0, 1000), severity: 3 }], io);
    return desk.refuseCopy(took.error, file);
  }
  // Before anything is given, so that the other copy has it too and both end alike.
  const noted = dryRun ? null : syncDraft("take", took.value);
  if (noted !== null) noteInLog(desk.layout, [noted], io);
  tellForks(forks, desk.place, dryRun, io);
  let gave: MergeReport | null = null;
  let back: readonly Fork[] = [];
  if (args.both === true) {
    back = forksBetween(file, desk.place.file);
    const given = heartCopies(desk.deps, other, BUILD_DATE).merge(desk.place.file, { dryRun });
    if (!given.ok) return refuseGiving(desk, given.error, file, dryRun);
    tellForks(back, other, dryRun, io);
    gave = given.value;
  }
  const words = { other: forTerminal(args.other), dryRun, verbose: args.verbose === true };
  const scrubbed = [
    ...(!dryRun && took.value.forgotten > 0 ? [{ ...scrubBeside(desk.deps, desk.place), of: null }] : []),
    ...(!dryRun && gave !== null && gave.forgotten > 0 ? [{ ...scrubBeside(desk.deps, other), of: words.other }] : []),
  ];
  const text = [
    syncText(took.value, { ...words, direction: "take" }),
    ...(gave === null || (gave.same && took.value.same) ? [] : [syncText(gave, { ...words, direction: "give" })]),
    ...scrubbed.map(({ of, ...done }) => scrubText(done, of)),
  ];
  // Of both ways: what was told here may not be one there any more.
  const told = [...forks, ...back].map(({ session, at, sameKey }) => ({ session, at, sameKey }));
  return desk.answer(
    { other: file, dryRun, took: took.value, ...(gave !== null && { gave }), forks: told, backups: scrubbed },
    text.join(""),
  );
}

/** Both versions of what forked are kept in the heart at `place`, and the person hears of it. */
function tellForks(forks: readonly Fork[], place: StoredPlace, dryRun: boolean, io: CommandIo): void {
  if (forks.length === 0) return;
  if (dryRun) return io.err(`noctem: ${count(forks.length, "session")} of the log would be there in two versions.\n`);
  const opened = openHeart(heartDeps(), place, BUILD_DATE);
  if (!opened.ok) return io.err("noctem: The copies have different versions of the log, and the other one could not be kept.\n");
  using heart = opened.value;
  for (const sentence of keepForks(heart, place.keysDir, forks)) io.err(`noctem: ${forTerminal(sentence)}\n`);
}

/** Whether the other copy can be written: it needs its own keys, which have to be those of this heart. */
function giveRefusal(desk: HeartDesk, other: StoredPlace, dryRun: boolean): number | null {
  if (desk.deps.files.isSame(desk.place.file, other.file)) return desk.refuse({ kind: "same-file", path: other.file });
  if (!isThere(other.keysDir)) {
    return desk.refuseWith("keys-missing", {
      text: `${other.file} has no keys/ beside it, so it can only be read: a backup, or a file without its stick. Leave --both away to take what is new in it.`,
      code: ExitCode.HEART,
    });
  }
  if (dryRun) return null;
  // Opening it also brings an older one up to date, and takes a half write back.
  const opened = withStoredHeart(desk.deps, other, ({ id }) => ok(id));
  if (!opened.ok) return refuseGiving(desk, opened.error, other.file, true);
  const own = withStoredHeart(desk.deps, desk.place, ({ id }) => ok(id));
  if (!own.ok) return desk.refuse(own.error);
  return own.value === opened.value ? null : desk.refuseCopy({ kind: "foreign", path: other.file }, other.file);
}

/** What has gone wrong with the other copy as the one that is written to. `early`: nothing was taken from it before. */
function refuseGiving(desk: HeartDesk, error: HeartError, file: string, early: boolean): number {
  const after = early ? "Nothing was merged." : `What ${file} had is here by now; the other way is still to come: try again.`;
  const of = (text: string, code: ExitCode): number => desk.refuseWith(error.kind, { text: `${text} ${after}`, code });
  switch (error.kind) {
    case "read-only":
      return of(`${error.path} is read-only: nothing can be given to it. Leave --both away to take what is new in it.`, ExitCode.NO_ROOM);
    case "full":
      return of(`There is no room left for ${error.path}. Free some space there.`, ExitCode.NO_ROOM);
    case "foreign":
      return of(`The keys beside ${file} are not those of this heart, so nothing can be given to it. Leave --both away.`, ExitCode.HEART);
    case "keys-missing":
    case "keys-broken":
      return of(
        `The keys beside ${file} cannot be used, so nothing can be given to it. Leave --both away to take what is new in it.`,
        ExitCode.HEART,
      );
    default:
      return desk.refuseCopy(error, file);
  }
}
