import { closeSync, fstatSync, fsyncSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { err, ok, type Result } from "../lib/result.ts";

/** Files of lines that need not fit into memory. */
export interface LineFile extends Disposable {
  readonly size: number;
  /** Each line without its newline. One that is too long or no UTF-8 is a `fault` in words, and the last that comes. Synchronous: a transaction waits for it. */
  readonly lines: Iterable<{ readonly text: string } | { readonly fault: string }>;
}

/** Bytes of one line: longer than any message, and small beside the memory of any host. */
const MAX_LINE = 64 << 20;
const CHUNK = 1 << 16;
const NEWLINE = 0x0a;

/** The error is the reason in words. */
export function openLines(path: string): Result<LineFile, string> {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    return err(reasonOf(error));
  }
  const facts = fstatSync(fd);
  if (facts.isDirectory()) {
    closeSync(fd);
    return err("it is a folder");
  }
  return ok({ size: facts.size, lines: readLines(fd), [Symbol.dispose]: () => closeSync(fd) });
}

function* readLines(fd: number): Generator<{ readonly text: string } | { readonly fault: string }> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const chunk = new Uint8Array(CHUNK);
  let parts: Uint8Array[] = [];
  let length = 0;
  const line = (): { readonly text: string } | { readonly fault: string } => {
    const bytes = parts.length === 1 ? parts[0] : Buffer.concat(parts);
    parts = [];
    length = 0;
    try {
      return { text: decoder.decode(bytes) };
    } catch {
      return { fault: "it is not UTF-8 text" };
    }
  };
  for (;;) {
    let read: number;
    try {
      read = readSync(fd, chunk, 0, CHUNK, null);
    } catch (error) {
      yield { fault: reasonOf(error) };
      return;
    }
    if (read === 0) break;
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1 && at < read; at = chunk.indexOf(NEWLINE, from)) {
      parts.push(chunk.slice(from, at));
      from = at + 1;
      yield line();
    }
    if (from < read) parts.push(chunk.slice(from, read));
    length += read - from;
    if (length > MAX_LINE) {
      yield { fault: `it is longer than ${MAX_LINE >> 20} MiB` };
      return;
    }
  }
  if (length > 0) yield line();
}

/** A file in the making. Disposed before `finish`, it is removed again. */
export interface NewFile extends Disposable {
  readonly write: (text: string) => Result<void, NewFileError>;
  /** Syncs it; only then is it said to be there. */
  readonly finish: () => Result<void, NewFileError>;
}

export type NewFileError = { readonly kind: "exists" | "full" | "read-only" } | { readonly kind: "io"; readonly detail: string };

/** Never replaces a file. What is written may be private: for the owner's eyes only, where the file system has modes. */
export function createFile(path: string): Result<NewFile, NewFileError> {
  let fd: number;
  try {
    fd = openSync(path, "wx", 0o600);
  } catch (error) {
    return err(newFileError(error));
  }
  let open = true;
  const end = (keep: boolean): void => {
    if (!open) return;
    open = false;
    closeSync(fd);
    if (!keep) unlinkSync(path);
  };
  const guarded = (work: () => void): Result<void, NewFileError> => {
    try {
      work();
      return ok(undefined);
    } catch (error) {
      return err(newFileError(error));
    }
  };
  return ok({
    write: (text) =>
      guarded(() => {
        const bytes = new TextEncoder().encode(text);
        for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      }),
    finish: () => {
      const synced = guarded(() => fsyncSync(fd));
      end(synced.ok);
      return synced;
    },
    [Symbol.dispose]: () => end(false),
  });
}

function newFileError(error: unknown): NewFileError {
  switch (codeOf(error)) {
    case "EEXIST":
      return { kind: "exists" };
    case "ENOSPC":
    case "EDQUOT":
      return { kind: "full" };
    case "EROFS":
    case "EACCES":
    case "EPERM":
      return { kind: "read-only" };
    default:
      return { kind: "io", detail: reasonOf(error) };
  }
}

const codeOf = (error: unknown): string => {
  if (error instanceof Error && "code" in error) return String(error.code);
  throw error;
};

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "it or its folder does not exist",
  ENOTDIR: "its folder is a file",
  EACCES: "permission denied",
  EISDIR: "it is a folder",
  EIO: "the medium failed",
};
const reasonOf = (error: unknown): string => REASONS[codeOf(error)] ?? codeOf(error);
