import { isAbsolute, relative, resolve, sep } from "node:path";
import type { StickLayout } from "./layout.ts";

export interface WorkspaceWish {
  /** `--workspace` or `NOCTEM_WORKSPACE`; relative to the current folder. */
  readonly asked: string | null;
  /** From `noctem.json`; relative to the stick. */
  readonly setting: string | null;
  /** Absolute, with links resolved, as `layout` has to be. */
  readonly cwd: string;
  readonly layout: StickLayout;
}

export interface Workspace {
  readonly path: string;
  readonly because: "asked" | "setting" | "current-folder" | "own-files";
}

/**
 * The folder that the assistant may read and write: what was asked for, else the current folder, else `work/` when the
 * current folder contains, or lies inside, Noctem's own files. Models write there one day; the heart and its keys must not
 * be in reach.
 */
export function workspaceOf({ asked, setting, cwd, layout }: WorkspaceWish): Workspace {
  if (asked !== null) return { path: resolve(cwd, asked), because: "asked" };
  if (setting !== null) return { path: resolve(layout.root, setting), because: "setting" };
  // `work/` lies inside the root and is the one folder there that is the person's.
  if (within(cwd, layout.work)) return { path: cwd, because: "current-folder" };
  return meetsOwnFiles(cwd, layout) ? { path: layout.work, because: "own-files" } : { path: cwd, because: "current-folder" };
}

/** Whether a folder is, contains or lies inside what is Noctem's own: no skill may work there, whoever asked for it. */
export function meetsOwnFiles(path: string, layout: StickLayout): boolean {
  if (within(path, layout.work)) return false;
  const own = [layout.root, layout.heart, layout.keys, layout.backups, layout.undo, layout.pending];
  return own.some((of) => within(of, path) || within(path, of));
}

/** Whether `path` is `folder` or lies below it. */
function within(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}
