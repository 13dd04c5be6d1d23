/**
 * Applies changes to a workspace so that they can be taken back, and so that being killed at any moment leaves each file as it was or as it is to be. Old and new
 * bytes lie in a folder of their own under the state folder before the first file is touched; a journal says how far it came.
 *
 *   staging → ready → done       killed while staging: nothing happened. Killed while ready: the next start goes on.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Before, type Change, shownPath } from "../../bark/workspace/types.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { beneath } from "./beneath.ts";
import {
  begin,
  type Bytes,
  claim,
  end,
  type FileState,
  isLeft,
  JOURNAL,
  type Move,
  NEW,
  OLD,
  Pack,
  readStep,
  type Step,
} from "./journal.ts";
import { make, makeTogether, same } from "./make.ts";
import { beforeOf } from "./view.ts";

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

/** Steps kept for `undo`, and the bytes of one. */
const KEPT = 50;
const MOST_BYTES = 512 * 2 ** 20;

export interface WorkspaceSteps {
  /** Finishes what an earlier process was killed in. Answers what is wrong with it, one sentence each. */
  recover(): readonly string[];
  apply(workspace: string, changes: readonly Change[], label: string): Promise<Result<Applied, ApplyError>>;
  /** Takes back the newest step of this workspace, or the one named. That is a step itself. */
  undo(workspace: string, step: string | null): Promise<Result<Applied, UndoError>>;
  list(
    workspace: string,
  ): readonly { readonly step: string; readonly at: number; readonly label: string; readonly paths: readonly string[] }[];
}

/** `state`: a folder that no skill reaches. `now`: milliseconds. `name`: a new name for each step, sorting after those before. */
export function workspaceSteps(state: string, now: () => number, name: () => string): WorkspaceSteps {
  const folderOf = (step: string): string => join(state, step);
  const steps = (): string[] =>
    (existsSync(state) ? readdirSync(state).filter((entry) => existsSync(join(state, entry, JOURNAL))) : []).sort();
  const read = (step: string): Step | null => readStep(folderOf(step));

  const run = async (workspace: string, label: string, moves: readonly Wanted[]): Promise<Result<Applied, ApplyError>> => {
    const { due, conflicts } = current(workspace, moves);
    if (due.length === 0) return ok({ step: null, applied: [], conflicts });
    const step = name();
    const staged = await stage(folderOf(step), { workspace, label, at: now() }, due);
    if (!staged.ok) return staged;
    const { applied, conflicts: late } = await makeTogether(folderOf(step), staged.value);
    end(folderOf(step), staged.value);
    for (const old of steps().slice(0, -KEPT)) rmSync(folderOf(old), { recursive: true, force: true });
    return ok({ step, applied, conflicts: [...conflicts, ...late] });
  };

  return {
    recover() {
      if (!existsSync(state)) return [];
      return readdirSync(state).flatMap((entry) => {
        const folder = join(state, entry);
        const step = readStep(folder);
        if (step?.state === "done") return [];
        const made = statSync(folder, { throwIfNoEntry: false })?.mtimeMs;
        // Another process is at it.
        if (made === undefined || !isLeft(folder, Date.now() - made)) return [];
        if (step === null) {
          // Killed before anything was touched.
          if (!existsSync(join(folder, JOURNAL))) rmSync(folder, { recursive: true, force: true });
          return existsSync(join(folder, JOURNAL)) ? [`${entry}: its journal cannot be read.`] : [];
        }
        const away = [step.workspace, ...step.moves.flatMap(({ root }) => root ?? [])].find((root) => !existsSync(root));
        if (away !== undefined) return [`${entry}: ${away} is not there; its changes wait for it.`];
        const { conflicts } = make(folder, step);
        end(folder, step);
        return conflicts.map((path) => `${path}: it changed while a call's changes were being written, and was left as it is.`);
      });
    },
    apply: async (workspace, changes, label) => await run(workspace, label, changes.flatMap(wanted)),
    async undo(workspace, named) {
      const step = named ?? steps().findLast((entry) => read(entry)?.workspace === workspace);
      const found = step === undefined ? null : read(step);
      if (step === undefined || found === null || found.workspace !== workspace || found.state !== "done") return err({ kind: "nothing" });
      const back = found.moves.toReversed().map((move): Wanted => ({
        path: move.path,
        ...(move.root === undefined ? {} : { root: move.root }),
        before: move.after,
        after: move.before,
        from: move.old === null ? null : { file: join(folderOf(step), OLD), at: move.old },
      }));
      const changed = current(workspace, back).conflicts;
      if (changed.length > 0) return err({ kind: "changed", paths: changed });
      const undone = await run(workspace, `undo ${step}`, back);
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
  readonly from: Bytes | null;
}

function wanted(change: Change): readonly Wanted[] {
  const { root } = change;
  return root === undefined ? within(change) : within(change).map((one) => ({ ...one, root }));
}

function within(change: Change): readonly Wanted[] {
  const { path, before } = change;
  switch (change.kind) {
    case "write": {
      const { file, at = 0, bytes, sha256 } = change.content;
      return [{ path, before, after: { kind: "file", bytes, sha256, executable: change.executable }, from: { file, at } }];
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

async function stage(
  folder: string,
  { workspace, label, at }: Pick<Step, "workspace" | "label" | "at">,
  due: readonly Wanted[],
): Promise<Result<Step, ApplyError>> {
  let left = MOST_BYTES;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    claim(folder);
    using old = new Pack(folder, OLD);
    using fresh = new Pack(folder, NEW);
    const moves = due.map((move): Move => {
      const { path, root, before, after } = move;
      for (const state of [before, after]) if (state.kind === "file") left -= state.bytes;
      if (left < 0) throw new Refused("no-room", `more than ${MOST_BYTES >> 20} MB would have to be kept for taking it back`);
      return {
        path,
        ...(root === undefined ? {} : { root }),
        before,
        after,
        old: before.kind === "file" ? kept(old, workspace, move, before) : null,
        new: after.kind === "file" ? taken(fresh, move, after) : null,
      };
    });
    const step: Step = { version: 2, state: "ready", workspace, at, label, moves };
    await begin(folder, step, [old, fresh]);
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

/** The bytes that stand there, as long as they are still those. */
function kept(pack: Pack, workspace: string, { root, path }: Wanted, before: FileState): number {
  const at = beneath(root ?? workspace, path, (within, last) => {
    using file = within.read(last);
    return file === null ? null : pack.add(file.blocks(), before);
  });
  if (at === null) throw new Refused("unreadable", `${path} changed while it was copied`);
  return at;
}

function taken(pack: Pack, { path, from }: Wanted, after: FileState): number {
  const at = from === null ? null : pack.addFrom(from, after);
  if (at === null) throw new Refused("unreadable", `${path}: its new bytes are not those that were judged`);
  return at;
}

class Refused extends Error {
  readonly kind: ApplyError["kind"];
  constructor(kind: ApplyError["kind"], message: string) {
    super(message);
    this.kind = kind;
  }
}
