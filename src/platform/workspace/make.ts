/**
 * Makes the moves of a step, as far as they are not made yet: run again after a kill it comes to the same. Files are written beside their targets, all of a batch, then waited
 * for, then renamed; folders are waited for at the end. Each file is synced once, and a disk that has to wait anyway waits for many at a time.
 */
import type { Stats } from "node:fs";
import { type Before, shownPath } from "../../bark/workspace/types.ts";
import { beneath, Folder, folderBeneath, type OpenFile } from "./beneath.ts";
import { type Move, NEW, type Step } from "./journal.ts";
import { beforeOf } from "./view.ts";

export interface Made {
  readonly applied: readonly string[];
  /** Stood otherwise by then. */
  readonly conflicts: readonly string[];
}

/** Files of a batch: each holds two descriptors. */
const BATCH = 64;

export const same = (a: Before, b: Before): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
const sorted = (value: Before): readonly unknown[] => Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));

export function make(folder: string, step: Step): Made {
  const work = making(folder, step);
  for (let next = work.next(NONE); ;) {
    if (next.done === true) return next.value;
    const failed = new Set<OpenFile>();
    for (const file of next.value) {
      try {
        file.sync();
      } catch {
        failed.add(file);
      }
    }
    next = work.next(failed);
  }
}

/** The same, with the disk waiting for all files of a batch at once. */
export async function makeTogether(folder: string, step: Step): Promise<Made> {
  const work = making(folder, step);
  for (let next = work.next(NONE); ;) {
    if (next.done === true) return next.value;
    const files = next.value;
    const waited = await Promise.allSettled(files.map((file) => file.synced()));
    next = work.next(new Set(files.filter((_, index) => waited[index]?.status === "rejected")));
  }
}

/** Files that the disk did not take: they are not renamed. */
type Failed = ReadonlySet<OpenFile>;
const NONE: Failed = new Set();

function* making(folder: string, step: Step): Generator<readonly OpenFile[], Made, Failed> {
  const done = new Map<Move, boolean>();
  const touched = new Map<string, Pick<Move, "root" | "path">>();
  for (const moves of batches(step.moves)) {
    const made =
      moves[0]?.after.kind === "file" ? yield* makeFiles(folder, step, moves) : new Map(moves.map((move) => [move, makeOther(step, move)]));
    for (const [move, fine] of made) {
      done.set(move, fine);
      if (fine) touched.set(shownPath({ root: move.root, path: parent(move.path) }), move);
    }
  }
  // Later than the files: the first of them has the file system write down all the renames, and the others find it done.
  for (const { root, path } of touched.values()) beneath(root ?? step.workspace, path, (within) => within.sync());
  const names = (fine: boolean): readonly string[] => step.moves.filter((move) => done.get(move) === fine).map(shownPath);
  return { applied: names(true), conflicts: names(false) };
}

const parent = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

/** Files in a row belong together; anything else is made by itself, in its order. */
function* batches(moves: readonly Move[]): Generator<readonly Move[]> {
  let batch: Move[] = [];
  const paths = new Set<string>();
  for (const move of moves) {
    const name = shownPath(move);
    if (batch.length > 0 && (move.after.kind !== "file" || batch.length >= BATCH || paths.has(name))) {
      yield batch;
      batch = [];
      paths.clear();
    }
    if (move.after.kind === "file") {
      batch.push(move);
      paths.add(name);
    } else yield [move];
  }
  if (batch.length > 0) yield batch;
}

interface Begun {
  readonly move: Move;
  readonly within: Folder;
  readonly last: string;
  readonly part: string;
  readonly file: OpenFile;
  readonly seen: Stats | null;
}

function* makeFiles(
  folder: string,
  { workspace }: Step,
  moves: readonly Move[],
): Generator<readonly OpenFile[], ReadonlyMap<Move, boolean>, Failed> {
  const done = new Map<Move, boolean>(moves.map((move) => [move, false]));
  using open = new DisposableStack();
  const begun = moves.flatMap((move): readonly Begun[] => {
    try {
      const found = folderBeneath(move.root ?? workspace, move.path);
      if (found === null) return [];
      const { folder: within, name: last } = found;
      open.use(within);
      const seen = within.stat(last);
      const is = beforeOf(within, last);
      if (same(is, move.after)) done.set(move, true);
      if (!same(is, move.before) || done.get(move) === true) return [];
      const part = partName(last);
      discard(within, part);
      return [{ move, within, last, part, file: open.use(written(folder, move, within, part)), seen }];
    } catch {
      return [];
    }
  });
  const failed = begun.length > 0 ? yield begun.map(({ file }) => file) : NONE;
  for (const { move, within, last, part, file, seen } of begun) {
    try {
      const now = within.stat(last);
      // Somebody wrote it while we waited for the disk.
      const moved = now?.ino !== seen?.ino || now?.size !== seen?.size || now?.ctimeMs !== seen?.ctimeMs;
      const fine = !moved && !failed.has(file);
      if (fine) within.rename(part, last);
      else discard(within, part);
      done.set(move, fine);
    } catch {
      // It is as it was.
    }
  }
  return done;
}

function written(folder: string, { after, new: at }: Move, within: Folder, part: string): OpenFile {
  if (after.kind !== "file" || at === null) throw new Error("no bytes");
  using source = Folder.open(folder);
  using bytes = source.read(NEW);
  if (bytes === null) throw new Error("no bytes");
  const target = within.create(part, after.executable);
  try {
    for (const block of bytes.blocks(at, after.bytes)) target.write(block);
    target.mode(after.executable);
    return target;
  } catch (error) {
    target[Symbol.dispose]();
    discard(within, part);
    throw error;
  }
}

function makeOther({ workspace }: Step, move: Move): boolean {
  const made = beneath(move.root ?? workspace, move.path, (within, last) => one(move, within, last));
  // The folder that it was to be deleted from is gone as well.
  return made ?? move.after.kind === "nothing";
}

function one({ before, after }: Move, within: Folder, last: string): boolean {
  const is = beforeOf(within, last);
  if (same(is, after)) return true;
  if (!same(is, before)) return false;
  try {
    switch (after.kind) {
      case "folder":
        within.makeFolder(last);
        return true;
      case "link": {
        const part = partName(last);
        discard(within, part);
        within.link(part, after.target);
        within.rename(part, last);
        return true;
      }
      case "nothing":
        if (before.kind === "folder") within.removeFolder(last);
        else within.unlink(last);
        return true;
      default:
        return false;
    }
  } catch {
    return false;
  }
}

/** Beside the file, so that the rename is one step. A name that a killed attempt left is its own. */
const partName = (last: string): string => `.noctem-part-${new Bun.CryptoHasher("sha256").update(last).digest("hex").slice(0, 16)}`;

function discard(within: Folder, part: string): void {
  if (within.stat(part) !== null) within.unlink(part);
}
