/**
 * Applies changes to a workspace so that they can be taken back, and so that being killed at any moment leaves each file as it was or as it is to be. Old and new
 * bytes lie in a folder of their own under the state folder before the first file is touched; a journal says how far it came.
 *
 *   staging → ready → done       killed while staging: nothing happened. Killed while ready: the next start goes on.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { type Before, type Change, shownPath } from "../../bark/workspace/types.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { beneath, Folder, OpenFile, type Folder as OpenFolder } from "./beneath.ts";
import { beforeOf, hash } from "./view.ts";

export interface Applied {
  /** Names the step for `undo`; null when nothing was changed. */
  readonly step: string | null;
  readonly applied: readonly string[];
  /** Stood otherwise on the host by then, and were left alone. */
  readonly conflicts: readonly string[];
}

export type ApplyError =
  /** The old bytes would not fit the bound, or the disk. Nothing was changed. */
  { readonly kind: "no-room"; readonly detail: string } | { readonly kind: "unreadable"; readonly detail: string };

export type UndoError =
  | { readonly kind: "nothing" }
  /** These changed since; nothing was taken back. */
  | { readonly kind: "changed"; readonly paths: readonly string[] }
  | ApplyError;

export const BeforeSchema = v.variant("kind", [
  v.strictObject({ kind: v.literal("nothing") }),
  v.strictObject({ kind: v.literal("file"), bytes: v.number(), sha256: v.string(), executable: v.boolean() }),
  v.strictObject({ kind: v.literal("folder") }),
  v.strictObject({ kind: v.literal("link"), target: v.string() }),
  v.strictObject({ kind: v.literal("other") }),
]);
const StepSchema = v.strictObject({
  version: v.literal(1),
  state: v.picklist(["ready", "done"]),
  workspace: v.string(),
  at: v.number(),
  label: v.string(),
  /** In the order in which they are made. `old` and `new` name files beside the journal. */
  moves: v.array(
    v.strictObject({
      path: v.string(),
      /** Where it is not the workspace that the path is in. */
      root: v.optional(v.string()),
      before: BeforeSchema,
      after: BeforeSchema,
      old: v.nullable(v.string()),
      new: v.nullable(v.string()),
    }),
  ),
});
type Step = v.InferOutput<typeof StepSchema>;
type Move = Step["moves"][number];

/** Steps kept for `undo`, and the bytes of one. */
const KEPT = 50;
const MOST_BYTES = 512 * 2 ** 20;
const JOURNAL = "journal.json";

export interface WorkspaceSteps {
  /** Finishes what an earlier process was killed in. Answers what is wrong with it, one sentence each. */
  recover(): readonly string[];
  apply(workspace: string, changes: readonly Change[], label: string): Result<Applied, ApplyError>;
  /** Takes back the newest step of this workspace, or the one named. That is a step itself. */
  undo(workspace: string, step: string | null): Result<Applied, UndoError>;
  list(
    workspace: string,
  ): readonly { readonly step: string; readonly at: number; readonly label: string; readonly paths: readonly string[] }[];
}

/** `state`: a folder that no skill reaches. `now`: milliseconds. `name`: a new name for each step, sorting after those before. */
export function workspaceSteps(state: string, now: () => number, name: () => string): WorkspaceSteps {
  const folderOf = (step: string): string => join(state, step);
  const steps = (): string[] =>
    (existsSync(state) ? readdirSync(state).filter((entry) => existsSync(join(state, entry, JOURNAL))) : []).sort();
  const read = (step: string): Step | null => readStep(join(folderOf(step), JOURNAL));

  const run = (workspace: string, label: string, moves: readonly Wanted[]): Result<Applied, ApplyError> => {
    const { due, conflicts } = current(workspace, moves);
    if (due.length === 0) return ok({ step: null, applied: [], conflicts });
    const step = name();
    const staged = stage(folderOf(step), { workspace, label, at: now() }, due);
    if (!staged.ok) return staged;
    const { applied, conflicts: late } = make(folderOf(step), staged.value);
    finish(folderOf(step), staged.value);
    for (const old of steps().slice(0, -KEPT)) rmSync(folderOf(old), { recursive: true, force: true });
    return ok({ step, applied, conflicts: [...conflicts, ...late] });
  };

  return {
    recover() {
      if (!existsSync(state)) return [];
      return readdirSync(state).flatMap((entry) => {
        const folder = join(state, entry);
        const step = readStep(join(folder, JOURNAL));
        if (step === null) {
          // Killed before anything was touched.
          if (!existsSync(join(folder, JOURNAL))) rmSync(folder, { recursive: true, force: true });
          return existsSync(join(folder, JOURNAL)) ? [`${entry}: its journal cannot be read.`] : [];
        }
        if (step.state === "done") return [];
        const away = [step.workspace, ...step.moves.flatMap(({ root }) => root ?? [])].find((root) => !existsSync(root));
        if (away !== undefined) return [`${entry}: ${away} is not there; its changes wait for it.`];
        const { conflicts } = make(folder, step);
        finish(folder, step);
        return conflicts.map((path) => `${path}: it changed while a call's changes were being written, and was left as it is.`);
      });
    },
    apply: (workspace, changes, label) => run(workspace, label, changes.flatMap(wanted)),
    undo(workspace, named) {
      const step = named ?? steps().findLast((entry) => read(entry)?.workspace === workspace);
      const found = step === undefined ? null : read(step);
      if (step === undefined || found === null || found.workspace !== workspace || found.state !== "done") return err({ kind: "nothing" });
      const back = found.moves.toReversed().map((move): Wanted => ({
        path: move.path,
        ...(move.root === undefined ? {} : { root: move.root }),
        before: move.after,
        after: move.before,
        from: move.old === null ? null : join(folderOf(step), move.old),
      }));
      const changed = current(workspace, back).conflicts;
      if (changed.length > 0) return err({ kind: "changed", paths: changed });
      const undone = run(workspace, `undo ${step}`, back);
      // What was undone is not undone again; the undo itself can be.
      if (undone.ok) rmSync(folderOf(step), { recursive: true, force: true });
      return undone;
    },
    list: (workspace) =>
      steps().flatMap((step) => {
        const found = read(step);
        return found === null || found.workspace !== workspace
          ? []
          : [{ step, at: found.at, label: found.label, paths: found.moves.map(shownPath) }];
      }),
  };
}

/** A change as what stands before and after it, and where the new bytes are. */
interface Wanted {
  readonly path: string;
  readonly root?: string;
  readonly before: Before;
  readonly after: Before;
  readonly from: string | null;
}

function wanted(change: Change): readonly Wanted[] {
  const { root } = change;
  return root === undefined ? within(change) : within(change).map((one) => ({ ...one, root }));
}

function within(change: Change): readonly Wanted[] {
  const { path, before } = change;
  switch (change.kind) {
    case "write": {
      const { file, bytes, sha256 } = change.content;
      return [{ path, before, after: { kind: "file", bytes, sha256, executable: change.executable }, from: file }];
    }
    case "folder":
      return [{ path, before, after: { kind: "folder" }, from: null }];
    case "link":
      return [{ path, before, after: { kind: "link", target: change.target }, from: null }];
    case "delete":
      return [{ path, before, after: { kind: "nothing" }, from: null }];
    case "foreign":
      return [];
  }
}

const same = (a: Before, b: Before): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
const sorted = (value: Before): readonly unknown[] => Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));

const standing = (workspace: string, { root, path }: Wanted): Before =>
  beneath(root ?? workspace, path, (folder, last) => beforeOf(folder, last)) ?? { kind: "nothing" };

/** What is still as the call found it. A folder that is there already is no conflict, nor is what is as it should be. */
function current(workspace: string, moves: readonly Wanted[]): { readonly due: readonly Wanted[]; readonly conflicts: readonly string[] } {
  const due: Wanted[] = [];
  const conflicts: string[] = [];
  // Within one list a folder may be made, and something be put in it: its own changes are what stands there by then.
  const made = new Map<string, Before>();
  for (const move of moves) {
    const name = shownPath(move);
    const is = made.get(name) ?? standing(workspace, move);
    if (same(is, move.before)) {
      due.push(move);
      made.set(name, move.after);
    } else if (!same(is, move.after)) conflicts.push(name);
  }
  return { due, conflicts };
}

function stage(
  folder: string,
  { workspace, label, at }: Pick<Step, "workspace" | "label" | "at">,
  due: readonly Wanted[],
): Result<Step, ApplyError> {
  let left = MOST_BYTES;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const moves = due.map((move, index): Move => {
      const { path, root, before, after, from } = move;
      const old = before.kind === "file" ? `${index}.old` : null;
      const fresh = after.kind === "file" ? `${index}.new` : null;
      if (before.kind === "file" && old !== null) {
        const copied = beneath(root ?? workspace, path, (within, last) => {
          using file = within.read(last);
          return file === null ? null : copy(file.blocks(), join(folder, old), before);
        });
        if (copied !== true) throw new Refused("unreadable", `${path} changed while it was copied`);
        left -= before.bytes;
      }
      if (after.kind === "file" && fresh !== null) {
        if (from === null || !copyFrom(from, join(folder, fresh), after))
          throw new Refused("unreadable", `${path}: its new bytes are not those that were judged`);
        left -= after.bytes;
      }
      if (left < 0) throw new Refused("no-room", `more than ${MOST_BYTES >> 20} MB would have to be kept for taking it back`);
      return { path, ...(root === undefined ? {} : { root }), before, after, old, new: fresh };
    });
    const step: Step = { version: 1, state: "ready", workspace, at, label, moves };
    writeJournal(folder, step);
    return ok(step);
  } catch (error) {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // There is no such folder, and cannot be.
    }
    if (error instanceof Refused) return err({ kind: error.kind, detail: `${error.message}.` });
    const detail = error instanceof Error ? error.message : String(error);
    return err({ kind: /ENOSPC|EDQUOT|EFBIG/.test(detail) ? "no-room" : "unreadable", detail });
  }
}

class Refused extends Error {
  readonly kind: ApplyError["kind"];
  constructor(kind: ApplyError["kind"], message: string) {
    super(message);
    this.kind = kind;
  }
}

export function copyFrom(from: string, to: string, is: Extract<Before, { kind: "file" }>): boolean {
  const slash = from.lastIndexOf("/");
  using folder = Folder.open(from.slice(0, slash) || "/");
  using file = folder.read(from.slice(slash + 1));
  return file !== null && copy(file.blocks(), to, is);
}

/** Through the hash: what arrives is what was judged, or nothing does. */
function copy(blocks: Iterable<Uint8Array>, to: string, is: Extract<Before, { kind: "file" }>): boolean {
  const slash = to.lastIndexOf("/");
  using folder = Folder.open(to.slice(0, slash));
  using file = folder.create(to.slice(slash + 1), false);
  const through = function* (): Generator<Uint8Array> {
    for (const block of blocks) {
      file.write(block);
      yield block;
    }
  };
  const { sha256, bytes } = hash(through());
  file.sync();
  return sha256 === is.sha256 && bytes === is.bytes;
}

/** Makes what is not made yet. Run again after a kill it comes to the same. */
function make(folder: string, step: Step): { readonly applied: readonly string[]; readonly conflicts: readonly string[] } {
  const applied: string[] = [];
  const conflicts: string[] = [];
  for (const move of step.moves) {
    const done = beneath(move.root ?? step.workspace, move.path, (within, last) => one(folder, move, within, last));
    if (done === true || (done === null && move.after.kind === "nothing")) applied.push(shownPath(move));
    else conflicts.push(shownPath(move));
  }
  return { applied, conflicts };
}

function one(folder: string, { before, after, new: fresh }: Move, within: OpenFolder, last: string): boolean {
  const is = beforeOf(within, last);
  if (same(is, after)) return true;
  if (!same(is, before)) return false;
  try {
    switch (after.kind) {
      case "folder":
        within.makeFolder(last);
        break;
      case "link": {
        const part = partName(last);
        discard(within, part);
        within.link(part, after.target);
        within.rename(part, last);
        break;
      }
      case "nothing":
        if (before.kind === "folder") within.removeFolder(last);
        else within.unlink(last);
        break;
      case "file": {
        const part = partName(last);
        discard(within, part);
        {
          using source = Folder.open(folder);
          using file = source.read(fresh ?? "");
          if (file === null) return false;
          using target: OpenFile = within.create(part, after.executable);
          for (const block of file.blocks()) target.write(block);
          target.mode(after.executable);
          target.sync();
        }
        within.rename(part, last);
        break;
      }
      case "other":
        return false;
    }
    within.sync();
    return true;
  } catch {
    return false;
  }
}

/** Beside the file, so that the rename is one step. A name that a killed attempt left is its own. */
const partName = (last: string): string => `.noctem-part-${new Bun.CryptoHasher("sha256").update(last).digest("hex").slice(0, 16)}`;

function discard(within: OpenFolder, part: string): void {
  if (within.stat(part) !== null) within.unlink(part);
}

/** The new bytes are where they belong by now; the old ones stay for `undo`. */
function finish(folder: string, step: Step): void {
  writeJournal(folder, { ...step, state: "done" });
  for (const { new: fresh } of step.moves) if (fresh !== null) rmSync(join(folder, fresh), { force: true });
}

function writeJournal(folder: string, step: Step): void {
  const part = join(folder, `${JOURNAL}.part`);
  writeFileSync(part, JSON.stringify(step), { mode: 0o600, flush: true });
  renameSync(part, join(folder, JOURNAL));
  using opened = Folder.open(folder);
  opened.sync();
}

function readStep(path: string): Step | null {
  try {
    const parsed = v.safeParse(StepSchema, JSON.parse(readFileSync(path, "utf8")));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}
