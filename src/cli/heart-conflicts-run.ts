import { type Conflict, listConflicts } from "../heart/conflicts.ts";
import { scribeOf, taskTitleOf } from "../heart/describe.ts";
import type { HeartError } from "../heart/port.ts";
import { withReadableHeart } from "../heart/transfer/reading.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { CommandIo } from "./command.ts";
import { conflictText, listText, type ShownConflict, subjectText } from "./heart-conflicts-text.ts";
import { type HeartArguments, type HeartDesk, withDesk } from "./heart-desk.ts";
import { SHORT_ID } from "./heart-status-text.ts";
import { forTerminal } from "../headless/terminal-text.ts";

export interface OfConflict extends HeartArguments {
  readonly id: string;
}

export function listAll(args: HeartArguments, io: CommandIo): number {
  return withDesk(args, io, (desk) => {
    const read = shownConflicts(desk);
    if (!read.ok) return desk.refuse(read.error);
    if (read.value.length === 0 && !args.json) io.err("noctem: No conflicts.\n");
    return desk.answer({ conflicts: read.value }, listText(read.value));
  });
}

export function showOne(args: OfConflict, io: CommandIo): number {
  return withDesk(args, io, (desk) => {
    const found = findShown(desk, args.id);
    return found.ok ? desk.answer(found.value, conflictText(found.value)) : desk.refuse(found.error, "conflict");
  });
}

export function restoreOne(args: OfConflict, io: CommandIo): number {
  return settle(args, io, {
    act: (desk, id) => desk.copies.restore(id),
    says: (conflict) =>
      `Restored the ${subjectText(conflict)}${conflict.stands === null ? "" : "; what stood is kept in its place: noctem heart conflicts"}.`,
  });
}

export function dismissOne(args: OfConflict, io: CommandIo): number {
  return settle(args, io, {
    act: (desk, id) => desk.copies.dismiss(id),
    says: (conflict) => `Dismissed: the ${subjectText(conflict)} stays as it is, and the lost value is gone.`,
  });
}

interface Settling {
  readonly act: (desk: HeartDesk, id: string) => Result<Conflict, HeartError>;
  readonly says: (conflict: ShownConflict) => string;
}

function settle(args: OfConflict, io: CommandIo, { act, says }: Settling): number {
  return withDesk(args, io, (desk) => {
    // Looked at before: afterwards the list no longer says what it was about.
    const found = findShown(desk, args.id);
    if (!found.ok) return desk.refuse(found.error, "conflict");
    const done = act(desk, found.value.id);
    return done.ok ? desk.answer(found.value, `${forTerminal(says(found.value))}\n`) : desk.refuse(done.error, "conflict");
  });
}

function findShown(desk: HeartDesk, typed: string): Result<ShownConflict, HeartError> {
  const read = shownConflicts(desk);
  if (!read.ok) return read;
  const prefix = typed.toLowerCase();
  const matches = /^[0-9a-f]{4,16}$/u.test(prefix) ? read.value.filter(({ id }) => id.startsWith(prefix)) : [];
  const [first] = matches;
  if (first === undefined) return err({ kind: "not-found", what: typed });
  return matches.length === 1 ? ok(first) : err({ kind: "ambiguous", prefix: typed, matches: matches.length });
}

function shownConflicts({ deps, place }: HeartDesk): Result<readonly ShownConflict[], HeartError> {
  return withReadableHeart(deps, place, ({ db, mac }) => {
    if (mac === null) return err({ kind: "keys-missing", path: place.file });
    const conflicts = listConflicts(db, mac);
    return ok(
      conflicts.map((conflict) => ({
        ...conflict,
        short: shortest(conflict.id, conflicts),
        title: conflict.namespace === "task" ? taskTitleOf(db, mac, conflict.key) : null,
        lostBy: scribeOf(db, conflict.lost.actor),
        standsBy: conflict.stands === null ? null : scribeOf(db, conflict.stands.actor),
      })),
    );
  });
}

function shortest(id: string, all: readonly Conflict[]): string {
  let length = SHORT_ID;
  while (length < id.length && all.some((other) => other.id !== id && other.id.startsWith(id.slice(0, length)))) length++;
  return id.slice(0, length);
}
