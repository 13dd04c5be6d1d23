import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { err, ok, type Result } from "../lib/result.ts";

export type SmallFileError =
  | { readonly kind: "unreadable"; readonly detail: string }
  | { readonly kind: "too-large"; readonly limit: number }
  | { readonly kind: "read-only" }
  | { readonly kind: "full" }
  | { readonly kind: "io"; readonly detail: string };

/** The text of a file a person wrote, null when there is none. `limit` in bytes: a settings file is never a disk image. */
export function readSmallFile(path: string, limit: number): Result<string | null, SmallFileError> {
  try {
    const facts = statSync(path);
    if (!facts.isFile()) return err({ kind: "unreadable", detail: "it is not a file" });
    if (facts.size > limit) return err({ kind: "too-large", limit });
    return ok(new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path)));
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return ok(null);
    return err({ kind: "unreadable", detail: error instanceof TypeError ? "it is not UTF-8 text" : reason(code) });
  }
}

/** Replaces the file as a whole or not at all: written beside it, synced, renamed over it. */
export function replaceFile(path: string, text: string): Result<void, SmallFileError> {
  const part = `${path}.part-${process.pid}`;
  try {
    const file = openSync(part, "wx", 0o644);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(part, path);
    syncFolder(dirname(path));
    return ok(undefined);
  } catch (error) {
    remove(part);
    return err(writeError(codeOf(error)));
  }
}

/** Writes a file that does not exist yet; `exists` is an answer of its own, nothing is ever overwritten. */
export function writeNewTextFile(path: string, text: string): Result<void, SmallFileError | { readonly kind: "exists" }> {
  let file: number;
  try {
    file = openSync(path, "wx", 0o644);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return err({ kind: "io", detail: "its folder does not exist" });
    return err(code === "EEXIST" ? { kind: "exists" } : writeError(code));
  }
  try {
    writeFileSync(file, text);
    fsyncSync(file);
    return ok(undefined);
  } catch (error) {
    remove(path);
    return err(writeError(codeOf(error)));
  } finally {
    closeSync(file);
  }
}

function writeError(code: string): SmallFileError {
  if (code === "EROFS" || code === "EACCES" || code === "EPERM") return { kind: "read-only" };
  return code === "ENOSPC" || code === "EDQUOT" ? { kind: "full" } : { kind: "io", detail: reason(code) };
}

function syncFolder(path: string): void {
  try {
    const folder = openSync(path, "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch {
    // Some file systems cannot; the rename itself was atomic all the same.
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was never made.
  }
}

const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "EIO");

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a folder",
  ELOOP: "too many links",
  EIO: "the medium failed",
  ENAMETOOLONG: "its name is too long",
};
const reason = (code: string): string => REASONS[code] ?? code;
