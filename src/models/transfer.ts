import * as v from "valibot";
import { err, ok, type Result } from "../lib/result.ts";
import type { ModelError, PullProgress } from "./port.ts";
import type { ByteSource, FileFailure, FileHash, ModelFiles, SourceFailure } from "./ports.ts";

/** Time, and waiting for it. */
export interface Pace {
  /** Milliseconds. */
  monotonic(): number;
  /** Resolves early when the signal fires. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface TransferDeps {
  readonly files: ModelFiles;
  readonly pace: Pace;
}

export interface TransferRequest {
  readonly source: ByteSource;
  /** Where the file is to stand in the end. Until then it is `TARGET.part`, with what has to be known to go on in `TARGET.part.json`. */
  readonly target: string;
  /** What the file has to be; null where nobody knows. */
  readonly sha256: string | null;
  readonly size: number | null;
  /** Added to all figures: the parts of a split model before this one, and all of them. */
  readonly before: number;
  readonly whole: number | null;
  readonly phase: "download" | "copy";
}

/** The file is complete and hashed, still under its `.part` name. */
export interface Transferred {
  readonly part: string;
  readonly hash: FileHash;
  /** Of the source; null when it announced none. */
  readonly announced: string | null;
}

export type TransferError =
  | { readonly kind: "source"; readonly detail: string }
  /** Complete, and not what was expected. It was removed: nobody knows which part of it is wrong. */
  | { readonly kind: "checksum"; readonly expected: string; readonly found: string }
  | { readonly kind: "stop"; readonly error: ModelError };

/** Bytes asked for at a time. Bounds what a fast server can pile up before a slow stick. */
const SEGMENT = 64 << 20;
/** Bytes after which what came is put on the medium and counted as safe. */
const SYNC_EVERY = 16 << 20;
/** Tries without a new byte. */
const TRIES = 4;
/** Milliseconds before the second try; doubled each time. */
const FIRST_PAUSE = 1000;
/** Bytes. */
export const CHUNK = 8 << 20;

const StateSchema = v.strictObject({
  version: v.literal(1),
  source: v.string(),
  size: v.number(),
  sha256: v.nullable(v.string()),
  /** Of the source's description, and of the stream itself; they need not be the same. */
  tag: v.nullable(v.string()),
  streamTag: v.nullable(v.string()),
  /** Bytes that are on the medium for sure. */
  safe: v.number(),
});
type State = v.InferOutput<typeof StateSchema>;

/** Fetches a file, going on where an earlier call stopped, and hashes what is then on the medium. */
export async function transfer(
  request: TransferRequest,
  deps: TransferDeps,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<Transferred, TransferError>> {
  const { source, target } = request;
  const part = partPath(target);
  const progress = new Progress(request, deps.pace, onProgress);
  progress.connecting();
  const asked = await source.facts(signal);
  if (!asked.ok) return err(ofSource(asked.error));
  const announced = asked.value;
  const expected = request.sha256 ?? announced.sha256;
  if (request.sha256 !== null && announced.sha256 !== null && announced.sha256 !== request.sha256)
    return err({ kind: "source", detail: "it offers another file of this name" });
  if (request.size !== null && announced.size !== null && announced.size !== request.size)
    return err({ kind: "source", detail: `it offers a file of ${announced.size} bytes, and the right one has ${request.size}` });

  const found = await resumable(request, announced.tag, expected, deps.files);
  let state: State = found ?? {
    version: 1,
    source: source.label,
    size: announced.size ?? request.size ?? 0,
    sha256: expected,
    tag: announced.tag,
    streamTag: null,
    safe: 0,
  };
  const roomless = await checkRoom(request, state, deps.files);
  if (roomless) return err({ kind: "stop", error: roomless });

  for (let tries = 0; state.size === 0 || state.safe < state.size;) {
    const before = state.safe;
    const fetched = await fetchSegment(request, state, part, deps, progress, signal);
    state = fetched.state;
    if (fetched.error === null) {
      tries = 0;
      continue;
    }
    if (fetched.error.kind !== "passing") return err(fetched.error);
    tries = state.safe > before ? 1 : tries + 1;
    if (tries >= TRIES) return err({ kind: "source", detail: fetched.error.detail });
    await deps.pace.sleep(FIRST_PAUSE * 2 ** (tries - 1), signal);
    if (signal.aborted) return err(CANCELLED);
  }

  progress.verified(0);
  const hash = await deps.files.hash(part, { chunkBytes: CHUNK, onProgress: (bytes) => progress.verified(bytes), signal });
  if (!hash.ok) return err(stop(hash.error, part, 0, 0));
  if (expected !== null && hash.value.sha256 !== expected) {
    await dropPart(target, deps.files);
    return err({ kind: "checksum", expected, found: hash.value.sha256 });
  }
  return ok({ part, hash: hash.value, announced: announced.sha256 });
}

export const partPath = (target: string): string => `${target}.part`;
const statePath = (target: string): string => `${target}.part.json`;

/** Removes what a transfer left, finished or not. */
export async function dropPart(target: string, files: ModelFiles): Promise<void> {
  await files.remove(partPath(target));
  await files.remove(statePath(target));
}

/** After the part was renamed. */
export const dropState = (target: string, files: ModelFiles): Promise<boolean> => files.remove(statePath(target));

type Step = { readonly state: State; readonly error: TransferError | { readonly kind: "passing"; readonly detail: string } | null };

async function fetchSegment(
  request: TransferRequest,
  state: State,
  part: string,
  deps: TransferDeps,
  progress: Progress,
  signal: AbortSignal,
): Promise<Step> {
  const { source, target, size: known } = request;
  const opened = await source.open({ from: state.safe, length: SEGMENT, ifTag: state.streamTag }, signal);
  if (!opened.ok) return { state, error: opened.error.passing ? { kind: "passing", detail: opened.error.detail } : ofSource(opened.error) };
  using stream = opened.value;
  const refuse = (detail: string): Step => ({ state, error: { kind: "source", detail } });
  if (stream.total === 0) return refuse("it sent an empty file");
  const size = state.size > 0 ? state.size : stream.total;
  if (size === null) return refuse("it does not say how long the file is");
  if (stream.total !== null && stream.total !== size)
    return refuse(`it says the file has ${stream.total} bytes, and ${known === null ? "before it said" : "the right one has"} ${size}`);
  let now: State = { ...state, size, streamTag: stream.tag, safe: stream.from };
  if (state.size === 0) {
    // Only now is it known how long the file is.
    const roomless = await checkRoom(request, now, deps.files);
    if (roomless) return { state, error: { kind: "stop", error: roomless } };
  }
  const file = await deps.files.openForWrite(part, stream.from);
  if (!file.ok) return { state, error: stop(file.error, target, size, 0) };
  await using writable = file.value;
  let at = stream.from;
  progress.at(at, size);
  const save = async (): Promise<TransferError | null> => {
    const synced = await writable.sync();
    if (!synced.ok) return stop(synced.error, target, size - at, 0);
    now = { ...now, safe: at };
    // The state is a hint for the next call; that it cannot be written will show in the file itself soon enough.
    await deps.files.replaceText(statePath(target), JSON.stringify(now));
    return null;
  };
  for (;;) {
    const chunk = await stream.next();
    if (!chunk.ok || chunk.value === null) {
      const unsaved = await save();
      if (unsaved) return { state: now, error: unsaved };
      if (chunk.ok) {
        const done = at >= Math.min(size, stream.from + SEGMENT);
        return { state: now, error: done ? null : { kind: "passing", detail: `it broke off after ${at} of ${size} bytes` } };
      }
      return { state: now, error: chunk.error.passing ? { kind: "passing", detail: chunk.error.detail } : ofSource(chunk.error) };
    }
    if (at + chunk.value.length > size)
      return { state: now, error: { kind: "source", detail: `it sent more than the ${size} bytes that it said` } };
    const written = await writable.write(chunk.value);
    if (!written.ok) {
      now = await saveOnFullDisk(part, target, now, at, deps.files);
      return { state: now, error: stop(written.error, target, size - at, (await deps.files.room(target))?.free ?? 0) };
    }
    at += chunk.value.length;
    progress.at(at, size);
    if (at - now.safe >= SYNC_EVERY) {
      const unsaved = await save();
      if (unsaved) return { state: now, error: unsaved };
    }
  }
}

/** Bytes given back so that the note on where to go on has room. */
const GIVE_BACK = 256 * 1024;

/** The last block a full disk took stays; the few bytes behind it make room for the state, without which all of it were lost. */
async function saveOnFullDisk(part: string, target: string, state: State, at: number, files: ModelFiles): Promise<State> {
  const safe = Math.max(0, at - GIVE_BACK);
  const file = await files.openForWrite(part, safe);
  if (!file.ok) return state;
  await using writable = file.value;
  if (!(await writable.sync()).ok) return state;
  const after = { ...state, safe };
  return (await files.replaceText(statePath(target), JSON.stringify(after))).ok ? after : state;
}

/** What an earlier call left, if it is the beginning of the same content. */
async function resumable(
  { source, target, size }: TransferRequest,
  tag: string | null,
  sha256: string | null,
  files: ModelFiles,
): Promise<State | null> {
  const text = await files.readText(statePath(target), 65536);
  const facts = await files.stat(partPath(target));
  if (text === null || facts === null) return null;
  let state: State;
  try {
    state = v.parse(StateSchema, JSON.parse(text));
  } catch {
    return null;
  }
  // The same hash is the same content wherever it comes from; without one, the source has to be the same and unchanged.
  const same = sha256 !== null ? state.sha256 === sha256 : state.source === source.label && state.tag === tag && tag !== null;
  if (!same || state.size <= 0 || (size !== null && state.size !== size) || facts.size < state.safe) return null;
  return { ...state, source: source.label, tag, streamTag: state.source === source.label ? state.streamTag : null };
}

/** Before the first byte: nobody should wait an hour to learn that the last tenth does not fit. */
async function checkRoom({ target, whole, before }: TransferRequest, state: State, files: ModelFiles): Promise<ModelError | null> {
  const room = await files.room(target);
  if (room === null) return null;
  if (room.readOnly) return { kind: "read-only", path: target };
  if (state.size > room.maxFileSize)
    return { kind: "file-too-large", path: target, size: state.size, limit: room.maxFileSize, filesystem: room.filesystem };
  const rest = Math.max(state.size, (whole ?? 0) - before);
  const needed = rest - state.safe;
  // What lies behind the safe bytes of an earlier call is written over.
  const left = Math.max(0, ((await files.stat(partPath(target)))?.size ?? 0) - state.safe);
  const free = room.free + left;
  return needed > free ? { kind: "no-room", path: target, needed, free } : null;
}

const CANCELLED: TransferError = { kind: "stop", error: { kind: "cancelled" } };

const ofSource = (failure: SourceFailure): TransferError =>
  failure.kind === "cancelled" ? CANCELLED : { kind: "source", detail: failure.detail };

function stop(failure: FileFailure, path: string, needed: number, free: number): TransferError {
  return { kind: "stop", error: fileError(failure, path, needed, free) };
}

export function fileError(failure: FileFailure, path: string, needed = 0, free = 0): ModelError {
  switch (failure.kind) {
    case "full":
      return { kind: "no-room", path, needed: Math.max(needed, free + 1), free };
    case "read-only":
      return { kind: "read-only", path };
    case "missing":
      return { kind: "missing-file", path };
    case "cancelled":
      return { kind: "cancelled" };
    case "too-large":
      return { kind: "file-too-large", path, size: needed, limit: 0, filesystem: "this file system" };
    case "io":
      return { kind: "io", path, detail: failure.detail };
  }
}

/** Milliseconds between reports, and the span that a speed is taken over. */
const REPORT_EVERY = 100;
const WINDOW = 5000;

class Progress {
  readonly #request: TransferRequest;
  readonly #pace: Pace;
  readonly #report: (progress: PullProgress) => void;
  #samples: { readonly at: number; readonly bytes: number }[] = [];
  #reported = -Infinity;
  #phase: PullProgress["phase"] = "connect";
  #total = 0;

  constructor(request: TransferRequest, pace: Pace, report: (progress: PullProgress) => void) {
    this.#request = request;
    this.#pace = pace;
    this.#report = report;
  }

  connecting(): void {
    this.#show("connect", 0);
  }

  at(bytes: number, size: number): void {
    this.#total = size;
    this.#show(this.#request.phase, bytes);
  }

  verified(bytes: number): void {
    this.#total = Math.max(this.#total, bytes);
    this.#show("verify", bytes);
  }

  #show(phase: PullProgress["phase"], bytes: number): void {
    const { before, whole, source } = this.#request;
    const now = this.#pace.monotonic();
    if (phase !== this.#phase) {
      this.#phase = phase;
      this.#samples = [];
      this.#reported = -Infinity;
    }
    if (now - this.#reported < REPORT_EVERY && bytes < this.#total) return;
    this.#reported = now;
    // A resumed file begins in the middle: speed counts from what this run found, not from nothing.
    this.#samples.push({ at: now, bytes });
    while (this.#samples.length > 2 && now - (this.#samples[0]?.at ?? now) > WINDOW) this.#samples.shift();
    const [first] = this.#samples;
    const elapsed = first ? now - first.at : 0;
    const bytesPerSecond = first && elapsed > 0 && bytes > first.bytes ? Math.round(((bytes - first.bytes) / elapsed) * 1000) : 0;
    const total = Math.max(this.#total + before, whole ?? 0);
    const left = total - before - bytes;
    const secondsLeft = bytesPerSecond > 0 && this.#total > 0 ? Math.max(0, left) / bytesPerSecond : null;
    this.#report({
      phase,
      bytes: before + bytes,
      total: this.#total === 0 ? (whole ?? 0) : total,
      bytesPerSecond,
      secondsLeft,
      source: source.label,
    });
  }
}
