/**
 * A folder and what lies beneath it, reached name by name through open descriptors: no link is ever followed and nobody can move the ground from under a
 * path between a look and a write. `/proc/self/fd/N/name` is openat(N, name) in the words that Node's library has; openat2 with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS would say the same, and needs foreign functions for every single call.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsync,
  fsyncSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  writeSync,
} from "node:fs";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
/** Levels of folders below the workspace. */
const DEEPEST = 200;
const BLOCK = 1 << 16;

export type Name = Buffer;

export interface Entry {
  readonly name: Name;
  /** Null where the name is no text. */
  readonly text: string | null;
  readonly kind: "file" | "folder" | "link" | "other";
}

const kindOf = (of: Pick<Stats, "isFile" | "isDirectory" | "isSymbolicLink">): Exclude<Entry["kind"], "other"> | null =>
  of.isFile() ? "file" : of.isDirectory() ? "folder" : of.isSymbolicLink() ? "link" : null;

/** An open folder. Names are bytes: what is no UTF-8 is there all the same. */
export class Folder implements Disposable {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** `path` is trusted: it was resolved before. Throws where it is no folder. */
  static open(path: string): Folder {
    return new Folder(openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  }

  #at(name: Name | string): Buffer {
    const bytes = Buffer.from(name);
    if (bytes.length === 0 || bytes.includes(0x2f) || bytes.includes(0) || bytes.equals(DOT) || bytes.equals(DOTS))
      throw new Error("no name");
    return Buffer.concat([Buffer.from(`/proc/self/fd/${this.#fd}/`), bytes]);
  }

  /** Throws ELOOP or ENOTDIR where a link or a file stands. */
  folder(name: Name | string): Folder {
    return new Folder(openSync(this.#at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  }

  names(): Name[] {
    return readdirSync(`/proc/self/fd/${this.#fd}/.`, { encoding: "buffer" });
  }

  /** The names with what they are, in one reading; each is asked for where the file system does not say, or a name is no text. */
  entries(): readonly Entry[] {
    const read = readdirSync(`/proc/self/fd/${this.#fd}/.`, { withFileTypes: true });
    const plain = read.every((entry) => !entry.name.includes("\ufffd"));
    if (!plain) return this.names().flatMap((name) => this.#entry(name));
    return read.flatMap((entry): readonly Entry[] => {
      const kind = kindOf(entry);
      return kind === null ? this.#entry(Buffer.from(entry.name)) : [{ name: Buffer.from(entry.name), text: entry.name, kind }];
    });
  }

  #entry(name: Name): readonly Entry[] {
    const stat = this.stat(name);
    const text = name.toString("utf8");
    return stat === null ? [] : [{ name, text: Buffer.from(text).equals(name) ? text : null, kind: kindOf(stat) ?? "other" }];
  }

  /** Of the name itself, never of what it leads to. */
  stat(name: Name | string): Stats | null {
    return lstatSync(this.#at(name), { throwIfNoEntry: false }) ?? null;
  }

  target(name: Name | string): string {
    return readlinkSync(this.#at(name));
  }

  /** A plain file, for reading; null where it is something else by now. Never waits for a pipe. */
  read(name: Name | string): OpenFile | null {
    const fd = openSync(this.#at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const stat = fstatSync(fd);
    if (stat.isFile()) return new OpenFile(fd, stat);
    closeSync(fd);
    return null;
  }

  /** A file that was not there. */
  create(name: Name | string, executable: boolean): OpenFile {
    const fd = openSync(this.#at(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, executable ? 0o755 : 0o644);
    return new OpenFile(fd, fstatSync(fd));
  }

  /** Of another. */
  times(of: Folder): void {
    const { atime, mtime } = fstatSync(of.#fd);
    futimesSync(this.#fd, atime, mtime);
  }

  makeFolder(name: Name | string): void {
    mkdirSync(this.#at(name), 0o755);
  }

  link(name: Name | string, target: string): void {
    symlinkSync(target, this.#at(name));
  }

  rename(from: Name | string, to: Name | string): void {
    renameSync(this.#at(from), this.#at(to));
  }

  unlink(name: Name | string): void {
    unlinkSync(this.#at(name));
  }

  removeFolder(name: Name | string): void {
    rmdirSync(this.#at(name));
  }

  sync(): void {
    try {
      fsyncSync(this.#fd);
    } catch {
      // Folders cannot be synced on every file system; their files were.
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

const DOT = Buffer.from(".");
const DOTS = Buffer.from("..");

export class OpenFile implements Disposable {
  readonly #fd: number;
  readonly stat: Stats;

  constructor(fd: number, stat: Stats) {
    this.#fd = fd;
    this.stat = stat;
  }

  /** The bytes, a block at a time; the block is overwritten by the next. */
  *blocks(from = 0, length = Number.MAX_SAFE_INTEGER): Generator<Uint8Array> {
    const block = Buffer.allocUnsafe(Math.min(BLOCK, Math.max(1, length)));
    for (let left = length, at = from; left > 0;) {
      const got = readSync(this.#fd, block, 0, Math.min(block.length, left), at);
      if (got === 0) return;
      at += got;
      left -= got;
      yield block.subarray(0, got);
    }
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at);
  }

  times({ stat: { atime, mtime } }: OpenFile): void {
    futimesSync(this.#fd, atime, mtime);
  }

  mode(executable: boolean): void {
    fchmodSync(this.#fd, executable ? 0o755 : 0o644);
  }

  sync(): void {
    fsyncSync(this.#fd);
  }

  /** The same beside others: a file system writes them down together. */
  synced(): Promise<void> {
    return new Promise((done, failed) => fsync(this.#fd, (error) => (error === null ? done() : failed(error))));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** Runs `work` in the folder of `path` with its last name; `null` where a folder on the way is not there, or is none. */
export function beneath<T>(root: string, path: string, work: (folder: Folder, name: string) => T): T | null {
  const found = folderBeneath(root, path);
  if (found === null) return null;
  using folder = found.folder;
  return work(folder, found.name);
}

/** The same for who keeps the folder open. */
export function folderBeneath(root: string, path: string): { readonly folder: Folder; readonly name: string } | null {
  const parts = path.split("/");
  const name = parts.pop() ?? "";
  if (parts.length > DEEPEST) return null;
  let folder = whereThereIs(() => Folder.open(root));
  for (const part of parts) {
    if (folder === null) return null;
    using left = folder;
    folder = whereThereIs(() => left.folder(part));
  }
  return folder === null ? null : { folder, name };
}

/** Null where no folder is: nothing there, a file, or a link. The workspace itself may be swapped for one. */
export function whereThereIs(open: () => Folder): Folder | null {
  try {
    return open();
  } catch (error) {
    if (error instanceof Error && "code" in error && /^(?:ENOENT|ENOTDIR|ELOOP|ENAMETOOLONG)$/.test(String(error.code))) return null;
    throw error;
  }
}

export { DEEPEST };
