import type { Clock, Random } from "../lib/ports.ts";
import type { Result } from "../lib/result.ts";
import type { SqlDriver } from "./sql.ts";

/** Everything an open heart needs of the machine. `platform/heart` gives the real ones. */
export interface HeartDeps {
  readonly sql: SqlDriver;
  readonly files: HeartFiles;
  readonly crypto: HeartCrypto;
  readonly clock: Clock;
  readonly random: Random;
  readonly writer: Writer;
}

/** Who writes, for the row of the writing session. Neither may hold an absolute path or a person's name. */
export interface Writer {
  /** What a person calls this stick, e.g. the label of the volume; may be empty. */
  readonly label: string;
  /** Class of the host, e.g. `linux-x64`; may be empty. */
  readonly host: string;
}

export interface HeartCrypto {
  /** 32 bytes. */
  sha256(data: Uint8Array): Uint8Array;
  /** A function from data to 32 bytes, so that the key's setup is paid once. */
  hmacSha256(key: Uint8Array): (data: Uint8Array) => Uint8Array;
}

/** The few file operations that SQLite does not do for the heart: a look before opening, and its keys. All synchronous. */
export interface HeartFiles {
  /** What lies at `path`, without changing it. */
  inspect(path: string): FileFacts;
  exists(path: string): boolean;
  /** One file under two names. False where either is missing. */
  isSame(a: string, b: string): boolean;
  /** The whole file, `null` when there is none. A file larger than `limit` bytes is an error. */
  read(path: string, limit: number): Result<Uint8Array | null, FileError>;
  /**
   * Makes `path` with these bytes, for the owner's eyes only where the file system has modes; the folder is made too.
   * All or nothing, also across a power cut: file and folder are synced before it returns. Never replaces a file.
   */
  create(path: string, bytes: Uint8Array): Result<"created" | "exists", FileError>;
  /** Bytes that may be written where `path` lies or is to lie; null where nobody can tell. */
  freeBytes(path: string): number | null;
  /** Files of a folder, by name; empty when it cannot be read. */
  list(folder: string): readonly { readonly name: string; readonly size: number }[];
  /** Up to `length` bytes from `offset` on; fewer at the end of the file. */
  readAt(path: string, offset: number, length: number): Result<Uint8Array, FileError>;
  /** A copy, byte by byte and synced, for the owner's eyes only. Never replaces a file; what it could not finish is removed. */
  copy(from: string, to: string): Result<void, FileError>;
  /** Puts a written file, and its name in its folder, on the medium. */
  sync(path: string): Result<void, FileError>;
  /** Gives a synced file its final name, replacing what has it, and syncs the folder. */
  rename(from: string, to: string): Result<void, FileError>;
  /** Makes a folder with all above it, for the owner's eyes only; one that is there is fine. */
  makeFolder(path: string): Result<void, FileError>;
  /** Removes a file; a missing one is fine. */
  remove(path: string): Result<void, FileError>;
}

export type FileFacts =
  /** Nothing there. `writable`: the folder would take a new file. */
  | { readonly kind: "absent"; readonly writable: boolean }
  | { readonly kind: "no-folder" }
  /** `head` is the first 100 bytes, or all of a shorter file. `writable`: file and folder both are, as the journal needs. */
  | { readonly kind: "file"; readonly size: number; readonly head: Uint8Array; readonly writable: boolean }
  /** A folder, a device, a pipe. */
  | { readonly kind: "not-a-file"; readonly detail: string }
  | { readonly kind: "unreadable"; readonly detail: string }
  | { readonly kind: "io"; readonly detail: string };

export interface FileError {
  /** `denied`: this user may not, another may. */
  readonly kind: "full" | "read-only" | "denied" | "unreadable" | "io";
  readonly detail: string;
}
