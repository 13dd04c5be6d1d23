/**
 * The repository that a workspace belongs to, where a `.git` file says that it lies elsewhere: a linked worktree or a submodule. Whoever can write the workspace can write any path
 * into that file; so the repository itself has to say, where no program in a cage can write, that this very folder is its own.
 */
import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { JoinedGit } from "../../bark/cage/types.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { Folder } from "./beneath.ts";

/** Bytes of a file that holds one path, and of one of settings. */
const MOST_PATH = 4096;
const MOST_SETTINGS = 256 << 10;

/** Null where there is none or it lies in the workspace; the error is a sentence. `isOwn`: Noctem's own files, which nobody's repository is. */
export function joinedGit(workspace: string, isOwn: (path: string) => boolean): Result<JoinedGit | null, string> {
  const text = textIn(workspace, ".git", MOST_PATH);
  const named = text === null ? null : (/^gitdir: ([^\n\0]+)\n*$/.exec(text)?.[1] ?? null);
  if (named === null) return ok(null);
  const refuse = (why: string): Result<never, string> => err(`The repository that .git names was left out of the cage: ${why}.`);
  const own = resolve(workspace, named);
  if (real(own) !== own) return refuse("it is not there, or lies behind a link");
  if (own.startsWith(`${workspace}/`)) return ok(null);
  const shared = textIn(own, "commondir", MOST_PATH);
  const host = shared === null ? own : resolve(own, shared.trim());
  if (real(host) !== host || host === workspace || workspace.startsWith(`${host}/`)) return refuse("it is no repository of its own");
  if (isOwn(host) || isOwn(own)) return refuse("it lies among Noctem's own files");
  const looks = isKind(host, "HEAD", "file") && isKind(host, "objects", "folder") && isKind(host, "refs", "folder");
  if (!looks || !isKind(host, "config", "file")) return refuse("it is no repository");
  if (shared === null) {
    // A submodule's repository names its worktree in its settings.
    const worktree = worktreeOf(textIn(own, "config", MOST_SETTINGS) ?? "");
    return worktree !== null && resolve(own, worktree) === workspace
      ? ok({ host, own: "" })
      : refuse("it does not say that this folder belongs to it");
  }
  if (dirname(own) !== join(host, "worktrees") || !/^[\w.+@-]+$/.test(basename(own))) return refuse("it is no worktree of its repository");
  const back = textIn(own, "gitdir", MOST_PATH);
  return back !== null && resolve(own, back.trim()) === join(workspace, ".git")
    ? ok({ host, own: `worktrees/${basename(own)}` })
    : refuse("it does not say that this folder belongs to it");
}

/** Names of the filters that the settings know, so that each can be turned off by name: there is no switch for all of them. */
export function filtersOf(workspace: string, joined: JoinedGit | null): readonly string[] {
  const files =
    joined === null ? [join(workspace, ".git/config")] : [join(joined.host, "config"), join(joined.host, joined.own, "config.worktree")];
  const names = files.flatMap((file) => {
    const text = textIn(dirname(file), basename(file), MOST_SETTINGS) ?? "";
    return [...text.matchAll(/\[\s*filter\s+"([\w.-]{1,50})"\s*\]/giu)].map(([, name = ""]) => name);
  });
  return [...new Set(names)].slice(0, MOST_FILTERS);
}
const MOST_FILTERS = 20;

/** The last one counts. Git quotes what has odd characters in it; such a path is not taken. */
const worktreeOf = (config: string): string | null => {
  let section = "";
  let found: string | null = null;
  for (const line of config.split("\n").map((raw) => raw.trim())) {
    const header = /^\[([^\]]*)\]$/.exec(line)?.[1];
    if (header !== undefined) section = header.trim().toLowerCase();
    const value = section === "core" ? /^worktree\s*=\s*(.*)$/i.exec(line)?.[1] : undefined;
    if (value !== undefined) found = /["\\#;]/.test(value) ? null : value.trim();
  }
  return found;
};

/** Of a plain file in a folder that is no link; null for anything else. */
function textIn(folder: string, name: string, limit: number): string | null {
  try {
    using opened = Folder.open(folder);
    using file = opened.read(name);
    if (file === null || file.stat.size > limit) return null;
    return Buffer.concat([...file.blocks()].map((block) => Buffer.from(block))).toString("utf8");
  } catch {
    return null;
  }
}

function isKind(folder: string, name: string, kind: "file" | "folder"): boolean {
  const stat = lstatSync(join(folder, name), { throwIfNoEntry: false });
  return stat !== undefined && (kind === "file" ? stat.isFile() : stat.isDirectory());
}

function real(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
