import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import type { FileError, FileFacts, HeartFiles } from "../heart/ports.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** Bytes of a SQLite header, all that is read before SQLite opens a file. */
const HEAD = 100;

/** The heart's few file operations on the real file system. */
export const heartFiles: HeartFiles = {
  inspect(path) {
    try {
      return look(path);
    } catch (error) {
      const { kind, detail } = fileError(error);
      return { kind: kind === "unreadable" || kind === "denied" ? "unreadable" : "io", detail };
    }
  },

  exists: (path) => existsSync(path),

  isSame(a, b) {
    try {
      const [one, other] = [statSync(a, { bigint: true }), statSync(b, { bigint: true })];
      return one.dev === other.dev && one.ino === other.ino;
    } catch {
      return false;
    }
  },

  read(path, limit) {
    try {
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const facts = fstatSync(fd);
        if (!facts.isFile()) return err({ kind: "unreadable", detail: "not a file" });
        if (facts.size > limit) return err({ kind: "unreadable", detail: `larger than ${limit} bytes` });
        return ok(readUpTo(fd, limit));
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      return codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR" ? ok(null) : err(fileError(error));
    }
  },

  create(path, bytes) {
    try {
      return ok(publish(path, bytes));
    } catch (error) {
      return err(fileError(error));
    }
  },

  freeBytes(path) {
    for (let at = path; ; at = dirname(at)) {
      try {
        const { bavail, bsize } = statfsSync(at);
        return bavail * bsize;
      } catch {
        if (dirname(at) === at) return null;
      }
    }
  },

  list(folder) {
    try {
      return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
        const facts = entry.isFile() ? statSync(join(folder, entry.name), { throwIfNoEntry: false }) : undefined;
        return facts === undefined ? [] : [{ name: entry.name, size: facts.size }];
      });
    } catch {
      return [];
    }
  },

  readAt(path, offset, length) {
    try {
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        return ok(readUpTo(fd, length, offset));
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      return err(fileError(error));
    }
  },

  copy(from, to) {
    return attempt(() => {
      copyWhole(from, to);
      syncFolder(dirname(to));
    });
  },

  sync(path) {
    return attempt(() => {
      const fd = openSync(path, constants.O_RDWR);
      try {
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      syncFolder(dirname(path));
    });
  },

  rename(from, to) {
    return attempt(() => {
      renameSync(from, to);
      syncFolder(dirname(to));
    });
  },

  makeFolder(path) {
    return attempt(() => {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      syncFolder(dirname(path));
    });
  },

  remove(path) {
    try {
      unlinkSync(path);
      return ok(undefined);
    } catch (error) {
      return codeOf(error) === "ENOENT" ? ok(undefined) : err(fileError(error));
    }
  },
} satisfies HeartFiles;

function attempt(work: () => void): Result<void, FileError> {
  try {
    work();
    return ok(undefined);
  } catch (error) {
    return err(fileError(error));
  }
}

function look(path: string): FileFacts {
  const folder = dirname(path);
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts === undefined) {
    // Made there, the heart would lie wherever the link leads: off the stick, for whoever put it there.
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return { kind: "not-a-file", detail: "a link to nothing" };
    const around = statSync(folder, { throwIfNoEntry: false });
    if (around === undefined || !around.isDirectory()) return { kind: "no-folder" };
    return { kind: "absent", writable: may(folder, constants.W_OK | constants.X_OK) };
  }
  if (!facts.isFile()) return { kind: "not-a-file", detail: facts.isDirectory() ? "a folder" : "not a regular file" };
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const head = readUpTo(fd, HEAD);
    return { kind: "file", size: facts.size, head, writable: may(path, constants.W_OK) && may(folder, constants.W_OK | constants.X_OK) };
  } finally {
    closeSync(fd);
  }
}

/**
 * Written under another name, synced, then given its own by a hard link, which fails where the name is taken. exFAT and vfat
 * have no links: there it is a rename after a look. Two first starts at once cannot meet in between, because the heart
 * holds SQLite's write lock around this.
 */
function publish(path: string, bytes: Uint8Array): "created" | "exists" {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const fd = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (!name(draft, path)) return "exists";
  } finally {
    // After a rename there is nothing left to remove; on any failure the draft must not stay, it may hold a key.
    removeQuietly(draft);
  }
  syncFolder(folder);
  syncFolder(dirname(folder));
  return "created";
}

/** False when `path` is taken. */
function name(draft: string, path: string): boolean {
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    if (!NO_LINKS.has(codeOf(error))) throw error;
  }
  if (existsSync(path)) return false;
  renameSync(draft, path);
  return true;
}

const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EINVAL"]);

/** Some file systems cannot sync a folder and say EINVAL; there is nothing more to be had from them. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } catch (error) {
    if (!["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(codeOf(error))) throw error;
  } finally {
    closeSync(fd);
  }
}

function copyWhole(from: string, to: string): void {
  const source = openSync(from, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const target = openSync(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      for (let offset = 0; ;) {
        const part = readUpTo(source, CHUNK, offset);
        if (part.length === 0) break;
        for (let at = 0; at < part.length;) at += writeSync(target, part, at);
        offset += part.length;
      }
      fsyncSync(target);
    } catch (error) {
      removeQuietly(to);
      throw error;
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
}

const CHUNK = 1 << 20;

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Already renamed, or the medium is gone: nothing that can be done here.
  }
}

/** From where the descriptor stands, or from `offset` on. */
function readUpTo(fd: number, limit: number, offset: number | null = null): Uint8Array {
  const buffer = new Uint8Array(limit);
  let at = 0;
  while (at < limit) {
    const read = readSync(fd, buffer, at, limit - at, offset === null ? null : offset + at);
    if (read === 0) break;
    at += read;
  }
  return buffer.subarray(0, at);
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "string" ? error.code : "";

function fileError(error: unknown): FileError {
  const code = codeOf(error);
  if (code === "") throw error;
  const detail = error instanceof Error ? (error.message.split(",")[0] ?? code) : code;
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return { kind: "full", detail };
    case "EROFS":
      return { kind: "read-only", detail };
    case "EACCES":
    case "EPERM":
      return { kind: "denied", detail };
    case "ELOOP":
    case "ENAMETOOLONG":
    case "ENOTDIR":
      return { kind: "unreadable", detail };
    default:
      return { kind: "io", detail };
  }
}
