/** What a program changed, found by walking the upper layer of its copy-on-write view: the cost is that of the changes, not of the workspace. */
import { join } from "node:path";
import type { Before, Change } from "../../bark/workspace/types.ts";
import { DEEPEST, Folder, type Name } from "./beneath.ts";

export interface View {
  /** What was written, whole files; a deletion is a device without a number. */
  readonly upper: string;
  /** As the program saw it. Folders that were emptied and filled again are told by it alone. */
  readonly merged: string;
  readonly lower: string;
}

export interface Found {
  readonly changes: readonly Change[];
  /** There was more than is looked at. */
  readonly truncated: boolean;
}

/** Changes that are looked at. */
const MOST = 100_000;

export function changesOf({ upper, merged, lower }: View): Found {
  const changes: Change[] = [];
  let truncated = false;
  const push = (change: Change): void => {
    if (changes.length >= MOST) truncated = true;
    else changes.push(change);
  };

  const walk = (path: string, depth: number, up: Folder, seen: Folder, low: Folder | null): void => {
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
  const gone = (path: string, low: Folder, name: Name, depth: number): void => {
    const before = beforeOf(low, name);
    if (before.kind === "folder" && depth < DEEPEST) {
      using folder = low.folder(name);
      for (const inner of folder.names()) gone(`${path}/${utf8(inner) ?? spelled(inner)}`, folder, inner, depth + 1);
    }
    push({ kind: "delete", path, before });
  };

  const one = (path: string, name: string, depth: number, { up, seen, low }: Layers): void => {
    const stat = up.stat(name);
    if (stat === null) return;
    const before: Before = low === null ? { kind: "nothing" } : beforeOf(low, Buffer.from(name));
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
      using nextLow = before.kind === "folder" ? (low?.folder(name) ?? null) : null;
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
  using low = Folder.open(lower);
  walk("", 0, up, seen, low);
  return { changes, truncated };
}

interface Layers {
  readonly up: Folder;
  readonly seen: Folder;
  readonly low: Folder | null;
}

/** What stands at a name now. */
export function beforeOf(folder: Folder, name: Name | string): Before {
  const stat = folder.stat(name);
  if (stat === null) return { kind: "nothing" };
  if (stat.isDirectory()) return { kind: "folder" };
  if (stat.isSymbolicLink()) return { kind: "link", target: folder.target(name) };
  if (!stat.isFile()) return { kind: "other" };
  using file = folder.read(name);
  if (file === null) return { kind: "other" };
  const { sha256, bytes } = hash(file.blocks());
  return { kind: "file", bytes, sha256, executable: (stat.mode & 0o100) !== 0 };
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
