import type { Result } from "../lib/result.ts";

/**
 * What the models need of the machine. `platform/model-files.ts` and `platform/http.ts` are the real ones; keeping them apart
 * leaves everything else here free of effects. Nothing throws for what a disk or a server does.
 */
export interface ModelFiles {
  /** Null when there is nothing; folders and special files are nothing too. */
  stat(path: string): Promise<FileFacts | null>;
  /** Names in a folder, files and folders alike; empty when it cannot be read. */
  names(folder: string): Promise<readonly string[]>;
  /** At most `length` bytes; fewer only at the end of the file. */
  read(path: string, offset: number, length: number): Promise<Result<Uint8Array, FileFailure>>;
  /** Null when there is no such file, or it is longer than `limit` bytes. */
  readText(path: string, limit: number): Promise<string | null>;
  /** As a whole or not at all: written beside it, synced, renamed. Makes the folder. */
  replaceText(path: string, text: string): Promise<Result<void, FileFailure>>;
  /** Hashes a file front to back in steps that leave the event loop free. `chunkBytes` also yields the hash of each chunk. */
  hash(path: string, options: HashOptions): Promise<Result<FileHash, FileFailure>>;
  /** For appending at `offset`; what lies behind it is cut off. Makes the folder and the file. */
  openForWrite(path: string, offset: number): Promise<Result<WritableFile, FileFailure>>;
  rename(from: string, to: string): Promise<Result<void, FileFailure>>;
  /** True when it is gone or was never there. */
  remove(path: string): Promise<boolean>;
  /** Of the nearest folder that exists. */
  room(path: string): Promise<Room | null>;
}

export interface FileFacts {
  readonly size: number;
  readonly mtimeMs: number;
  readonly inode: number;
}

export interface Room {
  readonly free: number;
  /** Bytes; `Infinity` where it does not matter. */
  readonly maxFileSize: number;
  readonly filesystem: string;
  readonly readOnly: boolean;
}

export interface HashOptions {
  readonly chunkBytes?: number;
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/** SHA-256 as lower-case hex. */
export interface FileHash {
  readonly sha256: string;
  readonly size: number;
  readonly chunks: readonly string[];
}

export interface WritableFile extends AsyncDisposable {
  write(bytes: Uint8Array): Promise<Result<void, FileFailure>>;
  /** Data and length are on the medium. */
  sync(): Promise<Result<void, FileFailure>>;
}

export type FileFailure =
  | { readonly kind: "missing" }
  | { readonly kind: "full" }
  | { readonly kind: "read-only" }
  | { readonly kind: "too-large" }
  | { readonly kind: "cancelled" }
  | { readonly kind: "io"; readonly detail: string };
