/** The disk under `src/models`: positional reads, hashing that leaves the event loop free, and writes that are on the medium before they count. */
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, open, readdir, rename, rm, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { err, ok, type Result } from "../lib/result.ts";
import type { FileFailure, FileHash, HashOptions, ModelFiles, WritableFile } from "../models/ports.ts";
import { filesystemOf } from "./filesystem.ts";

/** Bytes. Hashing one takes about 8 ms; more would be felt at the keyboard, less costs speed. */
const STEP = 4 << 20;
const PAGE = 4096;
const SAMPLES = 16;

export const modelFiles: ModelFiles = {
  async stat(path) {
    try {
      const facts = await stat(path);
      return facts.isFile() ? { size: facts.size, mtimeMs: facts.mtimeMs, inode: facts.ino } : null;
    } catch {
      return null;
    }
  },

  async names(folder) {
    try {
      return (await readdir(folder)).sort();
    } catch {
      return [];
    }
  },

  read: (path, offset, length) =>
    guarded(async () => {
      await using file = await open(path, "r");
      const buffer = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    }),

  async readText(path, limit) {
    try {
      await using file = await open(path, "r");
      const { size } = await file.stat();
      return size > limit ? null : await file.readFile("utf8");
    } catch {
      return null;
    }
  },

  replaceText: (path, text) =>
    guarded(async () => {
      await mkdir(dirname(path), { recursive: true });
      const part = `${path}.new-${randomBytes(4).toString("hex")}`;
      try {
        {
          await using file = await open(part, "wx", 0o644);
          await file.writeFile(text);
          await file.sync();
        }
        await rename(part, path);
        await syncFolder(dirname(path));
      } catch (error) {
        await rm(part, { force: true }).catch(() => undefined);
        throw error;
      }
    }),

  hash: hashFile,

  openForWrite: (path, offset) =>
    guarded(async () => {
      await mkdir(dirname(path), { recursive: true });
      const file = await open(path, offset === 0 ? "w" : "r+", 0o644);
      try {
        await file.truncate(offset);
      } catch (error) {
        await file.close();
        throw error;
      }
      let at = offset;
      const writable: WritableFile = {
        write: (bytes) =>
          guarded(async () => {
            for (let done = 0; done < bytes.length;) {
              const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at);
              done += bytesWritten;
              at += bytesWritten;
            }
          }),
        sync: () => guarded(() => file.sync()),
        [Symbol.asyncDispose]: () => file.close().catch(() => undefined),
      };
      return writable;
    }),

  patch: (path, offset, bytes) =>
    guarded(async () => {
      await using file = await open(path, "r+");
      for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
      await file.sync();
    }),

  async sample(path) {
    const sampled = await guarded(async () => {
      await using file = await open(path, "r");
      const { size } = await file.stat();
      const hasher = new Bun.CryptoHasher("sha256").update(String(size));
      const page = new Uint8Array(PAGE);
      for (let index = 0; index < SAMPLES; index++) {
        const { bytesRead } = await file.read(page, 0, PAGE, Math.floor((Math.max(0, size - PAGE) * index) / (SAMPLES - 1)));
        hasher.update(page.subarray(0, bytesRead));
      }
      return hasher.digest("hex");
    });
    return sampled.ok ? sampled.value : null;
  },

  digest: (bytes) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex"),

  rename: (from, to) =>
    guarded(async () => {
      await rename(from, to);
      await syncFolder(dirname(to));
    }),

  async remove(path) {
    try {
      await unlink(path);
      return true;
    } catch (error) {
      return codeOf(error) === "ENOENT";
    }
  },

  async removeFolder(path) {
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  },

  async room(path) {
    const found = filesystemOf(path);
    if (!found.ok) return null;
    const { free, maxFileSize, type, readOnly } = found.value;
    return { free, maxFileSize, filesystem: type, readOnly };
  },
};

/** Reading ahead while hashing: the medium and the processor work at the same time. */
function hashFile(path: string, { chunkBytes, onProgress, signal }: HashOptions): Promise<Result<FileHash, FileFailure>> {
  return guarded(async () => {
    await using file = await open(path, "r");
    const whole = new Bun.CryptoHasher("sha256");
    const chunks: string[] = [];
    let chunk = new Bun.CryptoHasher("sha256");
    let inChunk = 0;
    let size = 0;
    const step = chunkBytes === undefined ? STEP : Math.min(STEP, chunkBytes);
    const buffers = [Buffer.allocUnsafe(step), Buffer.allocUnsafe(step)] as const;
    const fill = (index: 0 | 1, at: number): Promise<number> => file.read(buffers[index], 0, step, at).then((read) => read.bytesRead);
    let current: 0 | 1 = 0;
    for (let pending = fill(0, 0); ;) {
      const length = await pending;
      if (signal?.aborted) throw new Cancelled();
      if (length === 0) break;
      const bytes = buffers[current].subarray(0, length);
      current = current === 0 ? 1 : 0;
      pending = fill(current, size + length);
      // A refused read is met when it is awaited; until then it must not count as unhandled.
      pending.catch(() => undefined);
      whole.update(bytes);
      size += length;
      if (chunkBytes !== undefined) {
        for (let at = 0; at < length;) {
          const take = Math.min(chunkBytes - inChunk, length - at);
          chunk.update(bytes.subarray(at, at + take));
          at += take;
          inChunk += take;
          if (inChunk < chunkBytes) continue;
          chunks.push(chunk.digest("hex"));
          chunk = new Bun.CryptoHasher("sha256");
          inChunk = 0;
        }
      }
      onProgress?.(size);
      // A read from the page cache resolves without ever letting timers and keys have their turn.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (inChunk > 0) chunks.push(chunk.digest("hex"));
    return { sha256: whole.digest("hex"), size, chunks };
  });
}

class Cancelled extends Error {}

async function guarded<T>(run: () => Promise<T>): Promise<Result<T, FileFailure>> {
  try {
    return ok(await run());
  } catch (error) {
    return err(failureOf(error));
  }
}

function failureOf(error: unknown): FileFailure {
  if (error instanceof Cancelled) return { kind: "cancelled" };
  const code = codeOf(error);
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return { kind: "missing" };
    case "ENOSPC":
    case "EDQUOT":
      return { kind: "full" };
    case "EROFS":
    case "EACCES":
    case "EPERM":
      return { kind: "read-only" };
    case "EFBIG":
      return { kind: "too-large" };
    case "EIO":
      return { kind: "io", detail: "the medium failed" };
    default:
      return { kind: "io", detail: code === "" ? (error instanceof Error ? error.message : String(error)) : code };
  }
}

const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "");

async function syncFolder(path: string): Promise<void> {
  try {
    await using folder = await open(path, "r");
    await folder.sync();
  } catch {
    // Some file systems cannot; the rename itself was atomic all the same.
  }
}

/** Milliseconds after which a work folder belongs to a run that is dead. */
const STALE = 3_600_000;

/** A fresh folder for what is unpacked on its way into `models`; what killed runs left goes first. The error is one clause. */
export async function makeWorkFolder(models: string): Promise<Result<string, string>> {
  const made = await guarded(async () => {
    await mkdir(models, { recursive: true });
    for (const name of (await readdir(models)).filter((entry) => entry.startsWith(".fetch-"))) {
      const { mtimeMs } = await stat(join(models, name));
      if (Date.now() - mtimeMs > STALE) await rm(join(models, name), { recursive: true, force: true });
    }
    return await mkdtemp(join(models, ".fetch-"));
  });
  return made.ok
    ? made
    : err(
        made.error.kind === "io"
          ? made.error.detail
          : made.error.kind === "full"
            ? "there is no room"
            : "the folder of models cannot be written",
      );
}
