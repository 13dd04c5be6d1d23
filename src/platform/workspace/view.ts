/** What a program changed, found by walking the upper layer of its copy-on-write view: the cost is that of the changes, not of the workspace. */
import { join } from "node:path";
import type { FolderView } from "../../bark/cage/types.ts";
import type { Before, Change } from "../../bark/workspace/types.ts";
import { DEEPEST, Folder, type Name, whereThereIs } from "./beneath.ts";

/** A folder of the workspace as the program found it: the workspace itself, or a note of what was copied (copy.ts). */
export interface Former extends Disposable {
  /** `file`: with its hash. */
  before(name: Name): Before;
  names(): readonly Name[];
  /** Of a folder; null where it is none any more. */
  enter(name: Name): Former | null;
}

export interface Found {
  readonly changes: readonly Change[];
  /** Of these, what somebody else changed on the host while the program ran. */
  readonly meanwhile: ReadonlySet<Change>;
  /** There was more than is looked at. */
  readonly truncated: boolean;
}

/** Changes that are looked at. */
const MOST = 100_000;

/** In a copy the upper layer is all that the program saw, and says of itself what is gone. */
export function changesOf({ upper, merged, lower, since }: FolderView, copied: Former | null = null): Found {
  const changes: Change[] = [];
  const meanwhile = new Set<Change>();
  const moved = new Set<string>();
  let truncated = false;
  const push = (change: Change): void => {
    if (changes.length >= MOST) truncated = true;
    else changes.push(change);
    if (moved.has(change.path)) meanwhile.add(change);
  };
  const beforeAt = (path: string, low: Former, name: Name): Before => {
    if (low instanceof LowerFolder && low.changedAfter(name, since)) moved.add(path);
    return low.before(name);
  };

  const walk = (path: string, depth: number, up: Folder, seen: Folder, low: Former | null): void => {
    const written = new Set<string>();
    for (const bytes of up.names()) {
      const name = utf8(bytes);
      const at = path === "" ? (name ?? spelled(bytes)) : `${path}/${name ?? spelled(bytes)}`;
      if (name === null) {
        push({ kind: "foreign", path: at, what: "a name that is no text", before: { kind: "nothing" } });
        continue;
      }
      written.add(name);
      one(at, name, depth, { up, seen, low });
    }
    if (low === null) return;
    // What is in the lower folder and was not seen any more is deleted, though the upper one need not say so.
    const visible = new Set(seen.names().map((bytes) => bytes.toString("latin1")));
    for (const bytes of low.names()) {
      const name = utf8(bytes);
      if (visible.has(bytes.toString("latin1")) || (name !== null && written.has(name))) continue;
      gone(path === "" ? (name ?? spelled(bytes)) : `${path}/${name ?? spelled(bytes)}`, low, bytes, depth);
    }
  };

  /** A folder's contents before the folder, so that the list can be applied from its beginning. */
  const gone = (path: string, low: Former, name: Name, depth: number): void => {
    const before = beforeAt(path, low, name);
    if (before.kind === "folder" && depth < DEEPEST) {
      using folder = low.enter(name);
      if (folder !== null) for (const inner of folder.names()) gone(`${path}/${utf8(inner) ?? spelled(inner)}`, folder, inner, depth + 1);
    }
    push({ kind: "delete", path, before });
  };

  const one = (path: string, name: string, depth: number, { up, seen, low }: Layers): void => {
    const stat = up.stat(name);
    if (stat === null) return;
    const before: Before = low === null ? { kind: "nothing" } : beforeAt(path, low, Buffer.from(name));
    const foreign = (what: string): void => push({ kind: "foreign", path, what, before });
    if (stat.isCharacterDevice() && stat.rdev === 0) {
      if (low !== null && before.kind !== "nothing") gone(path, low, Buffer.from(name), depth);
    } else if (stat.isDirectory()) {
      if (depth >= DEEPEST) return foreign("folders without end");
      if (before.kind !== "folder") {
        if (before.kind !== "nothing" && low !== null) gone(path, low, Buffer.from(name), depth);
        push({ kind: "folder", path, before: { kind: "nothing" } });
      }
      using nextUp = up.folder(name);
      using nextSeen = seen.folder(name);
      using nextLow = before.kind === "folder" ? (low?.enter(Buffer.from(name)) ?? null) : null;
      walk(path, depth + 1, nextUp, nextSeen, nextLow);
    } else if (stat.isSymbolicLink()) {
      const target = up.target(name);
      if (before.kind === "link" && before.target === target) return;
      if (!staysInside(path, target)) return foreign(`a link to ${target}, which leaves the workspace`);
      if (before.kind === "folder" && low !== null) gone(path, low, Buffer.from(name), depth);
      push({ kind: "link", path, target, before: before.kind === "folder" ? { kind: "nothing" } : before });
    } else if (stat.isFile()) {
      if ((stat.mode & 0o6000) !== 0) return foreign("a file that runs with another's rights");
      const executable = (stat.mode & 0o100) !== 0;
      using file = up.read(name);
      if (file === null) return foreign("a file that changed while it was looked at");
      const { sha256, bytes } = hash(file.blocks());
      if (before.kind === "file" && before.sha256 === sha256 && before.executable === executable) return;
      if (before.kind === "folder" && low !== null) gone(path, low, Buffer.from(name), depth);
      const content = { file: join(upper, path), bytes, sha256 };
      push({ kind: "write", path, content, executable, before: before.kind === "folder" ? { kind: "nothing" } : before });
    } else foreign(stat.isFIFO() ? "a pipe" : stat.isSocket() ? "a socket" : "a device");
  };

  using up = Folder.open(upper);
  using seen = Folder.open(merged);
  using low = copied ?? new LowerFolder(Folder.open(lower));
  walk("", 0, up, seen, low);
  return { changes, meanwhile, truncated };
}

interface Layers {
  readonly up: Folder;
  readonly seen: Folder;
  readonly low: Former | null;
}

class LowerFolder implements Former {
  readonly #folder: Folder;
  constructor(folder: Folder) {
    this.#folder = folder;
  }
  before(name: Name): Before {
    return beforeOf(this.#folder, name);
  }
  names(): readonly Name[] {
    return this.#folder.names();
  }
  enter(name: Name): LowerFolder | null {
    const folder = whereThereIs(() => this.#folder.folder(name));
    return folder === null ? null : new LowerFolder(folder);
  }
  /** By the time that no program can set. That of a folder says only that something in it is new. */
  changedAfter(name: Name, since: number): boolean {
    const stat = this.#folder.stat(name);
    return stat !== null && !stat.isDirectory() && stat.ctimeMs > since;
  }
  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

/** What stands at a name now. */
export function beforeOf(folder: Folder, name: Name | string): Before {
  const stat = folder.stat(name);
  if (stat === null) return { kind: "nothing" };
  if (stat.isDirectory()) return { kind: "folder" };
  try {
    if (stat.isSymbolicLink()) return { kind: "link", target: folder.target(name) };
    if (!stat.isFile()) return { kind: "other" };
    using file = folder.read(name);
    if (file === null) return { kind: "other" };
    const { sha256, bytes } = hash(file.blocks());
    return { kind: "file", bytes, sha256, executable: (stat.mode & 0o100) !== 0 };
  } catch {
    // It was swapped between two looks, or is not ours to read.
    return { kind: "other" };
  }
}

export function hash(blocks: Iterable<Uint8Array>): { readonly sha256: string; readonly bytes: number } {
  const hasher = new Bun.CryptoHasher("sha256");
  let bytes = 0;
  for (const block of blocks) {
    bytes += block.length;
    hasher.update(block);
  }
  return { sha256: hasher.digest("hex"), bytes };
}

/** By its words alone: what it passes through may be a link itself, and is followed by whoever opens it later. */
function staysInside(path: string, target: string): boolean {
  if (target.startsWith("/") || target === "") return false;
  let depth = path.split("/").length - 1;
  for (const part of target.split("/")) {
    if (part === "..") depth--;
    else if (part !== "." && part !== "") depth++;
    if (depth < 0) return false;
  }
  return true;
}

function utf8(bytes: Name): string | null {
  const text = bytes.toString("utf8");
  return Buffer.from(text).equals(bytes) ? text : null;
}

const spelled = (bytes: Name): string =>
  bytes.toString("latin1").replaceAll(/[^ -~]/g, (byte) => `\\x${(byte.codePointAt(0) ?? 0).toString(16)}`);
