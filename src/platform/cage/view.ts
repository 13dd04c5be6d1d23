/** The helper that holds a copy-on-write view: how it is told to, and what it says while the program runs. */
import { closeSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { CageError, CageInput, FolderView, RunView, ViewKind, WorkspaceView } from "../../bark/cage/types.ts";
import type { Result } from "../../lib/result.ts";
import { type CopiedFolder, copyFolder } from "../workspace/copy.ts";
import { identityOf } from "./paths.ts";
import type { UnpackedParts } from "./parts.ts";

/** Names in a workspace that is copied because it cannot be overlaid. Of bytes half of what the run may write: it writes into the same memory. */
const MOST_COPIED = 20_000;

/**
 * `folders`: each as PATH:DEV:INO. The view is mounted in a folder of our own, in a namespace where nobody else sees it, and bound from there to the paths inside.
 * Mounted over the folders themselves it would follow whoever swaps a name meanwhile.
 */
export function overlayCommand(folders: readonly string[], parts: UnpackedParts, bytes: number, control: number): readonly string[] {
  const each = folders.flatMap((identity) => {
    const path = identity.replace(/:\d+:\d+$/, "");
    // The folder that was entered, not whatever its name leads to by then.
    return ["--lower", path, "--same", `.${identity.slice(path.length)}`];
  });
  const rest = Object.entries({ scratch: join(parts.folder, "view"), bytes, control });
  return [parts.helper, "overlay", ...each, ...rest.flatMap(([name, value]) => [`--${name}`, String(value)]), "--"];
}

/** Where the helper mounts a folder of the view. */
export const mergedAt = (scratch: string, index: number): string => join(scratch, `merged${index}`);

interface ViewEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly kind: ViewKind;
}

interface Followed {
  readonly scratch: string;
  readonly workspace: WorkspaceView;
  /** Of the workspace and of its repository, before the mount. */
  readonly identities: readonly string[];
  readonly diskBytes: number;
  readonly since: number;
  readonly kill: () => void;
  readonly isStopped: () => boolean;
}

/** It says when the view stands or needs a copy, how the program ended, and leaves when it is let go. */
export async function followView(
  child: Bun.Subprocess,
  input: CageInput,
  followed: Followed,
): Promise<ViewEnd | { readonly failure: CageError }> {
  const fd = child.stdio.at(-1);
  if (typeof fd !== "number") throw new Error("no control channel");
  try {
    return await follow(fd, child, input, followed);
  } finally {
    // Bun leaves it open, whatever is read from it.
    closeSync(fd);
  }
}

async function follow(
  fd: number,
  child: Bun.Subprocess,
  input: CageInput,
  { scratch, workspace, identities, diskBytes, since, kill, isStopped }: Followed,
): Promise<ViewEnd | { readonly failure: CageError }> {
  const root = `/proc/${child.pid}/root`;
  const folders = [workspace.host, ...(workspace.git === undefined ? [] : [workspace.git.host])];
  const copies = new Map<number, CopiedFolder>();
  const fail = (detail: string): { readonly failure: CageError } => ({ failure: { kind: "failed", detail } });
  const failed = (line: string): { readonly failure: CageError } | null => {
    if (line.startsWith("no-overlay ")) return fail(`A copy-on-write view of ${folders[0]} cannot be mounted here: ${line.slice(11)}.`);
    const index = /^copy (\d)$/.exec(line)?.[1];
    if (index === undefined) return null;
    const copied = copyInto(folders[Number(index)] ?? "", join(root, scratch, `upper${index}`), diskBytes);
    if (!copied.ok) return fail(copied.error);
    copies.set(Number(index), copied.value);
    writeSync(fd, "y");
    return null;
  };
  let text = "";
  let end: Omit<ViewEnd, "kind"> | null = null;
  for await (const bytes of Bun.file(fd).stream()) {
    const lines = (text + new TextDecoder().decode(bytes)).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      const failure = failed(line);
      if (failure !== null) return failure;
      const [, how, value] = /^(exit|signal) (\d+)$/.exec(line) ?? [];
      if (how === "exit") end = { code: Number(value), signal: null };
      else if (how === "signal") end = { code: null, signal: `signal ${value}` };
    }
    if (end !== null) break;
  }
  const kind = copies.size > 0 ? "copy" : "overlay";
  if (end !== null && input.onView !== undefined) {
    const of = (index: number): FolderView & { readonly copied: CopiedFolder | null } => {
      const lower = folders[index] ?? "";
      return {
        upper: join(root, scratch, `upper${index}`),
        merged: join(root, mergedAt(scratch, index)),
        lower,
        since,
        copied: copies.get(index) ?? null,
      };
    };
    const view: RunView = { ...of(0), kind, git: workspace.git === undefined ? null : { ...of(1), ...workspace.git } };
    // What was written into a view of one folder is not applied to another of its name.
    const other = folders.find((path, index) => identityOf(path) !== identities[index]);
    if (other !== undefined) return fail(`${other} is not what it was when the program began; nothing was written to it.`);
    try {
      await input.onView(view);
    } catch (error) {
      // Ended from outside in the middle of it: the view went with the run.
      if (!isStopped()) throw error;
    }
  }
  kill();
  return { ...(end ?? { code: null, signal: "SIGKILL" }), kind };
}

const copyInto = (from: string, to: string, diskBytes: number): Result<CopiedFolder, string> =>
  copyFolder(from, to, { names: MOST_COPIED, bytes: Math.floor(diskBytes / 2) });
