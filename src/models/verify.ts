import { basename, join } from "node:path";
import { err, ok, type Result } from "../lib/result.ts";
import { badChunks, type ChunkList, formatChunks, MAX_CHUNKS, parseChunks } from "./chunks.ts";
import type { ShopDeps } from "./deps.ts";
import { hostFinds } from "./import.ts";
import type { Installed } from "./inventory.ts";
import { localSource } from "./local-source.ts";
import type { ModelError, PullProgress } from "./port.ts";
import type { ByteSource, FileHash } from "./ports.ts";
import { huggingFaceUrl } from "./pull.ts";
import { chunksPath, emptyRecord, formatRecord, type ModelRecord, recordPath } from "./record.ts";
import { CHUNK, fileError } from "./transfer.ts";

export interface VerifyReport {
  readonly name: string;
  readonly path: string;
  /** `pinned`: nothing was known of the file; what it is now is what it has to be from now on. */
  readonly state: "sound" | "damaged" | "repaired" | "pinned";
  readonly files: readonly VerifiedFile[];
}

export interface VerifiedFile {
  readonly path: string;
  readonly sha256: string;
  readonly expected: string | null;
  /** Chunks of 8 MiB; null where no list of them is known. */
  readonly chunks: { readonly total: number; readonly bad: number; readonly repaired: number } | null;
}

/** What was found of a model, for whoever reads files with a broken header too. */
export type Verifiable = Pick<Installed, "name" | "path" | "entry" | "record"> & {
  readonly files: readonly { readonly path: string; readonly size: number }[];
};

/** Reads every byte of a model and compares; with `repair`, fetches the chunks that differ, each checked by its own hash. */
export async function verify(
  model: Verifiable,
  repair: boolean,
  deps: ShopDeps,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<VerifyReport, ModelError>> {
  const results: VerifiedFile[] = [];
  let known = true;
  for (const [index, file] of model.files.entries()) {
    const checked = await verifyFile(model, index, file.path, repair, deps, onProgress, signal);
    if (!checked.ok) return checked;
    if (checked.value.expected === null) known = false;
    results.push(checked.value);
  }
  const damaged = results.some((file) => file.expected !== null && file.sha256 !== file.expected);
  const repaired = results.some((file) => (file.chunks?.repaired ?? 0) > 0);
  if (!damaged) await remember(model, results, known, deps);
  return ok({
    name: model.name,
    path: model.path,
    state: damaged ? "damaged" : repaired ? "repaired" : known ? "sound" : "pinned",
    files: results,
  });
}

async function verifyFile(
  model: Verifiable,
  index: number,
  path: string,
  repair: boolean,
  deps: ShopDeps,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<VerifiedFile, ModelError>> {
  const list = parseChunks(await deps.files.readText(chunksPath(path), MAX_CHUNKS));
  const hashed = await hashWithProgress(path, deps, onProgress, signal);
  if (!hashed.ok) return hashed;
  let hash = hashed.value;
  // The catalogue knows best; what stands beside the file could have been changed together with it.
  const catalogued = model.files.length === 1 ? (model.entry?.sha256 ?? null) : null;
  const expected = catalogued ?? list?.sha256 ?? model.record?.files[index]?.sha256 ?? null;
  if (expected === null || hash.sha256 === expected) {
    if (isOurs(path, deps) && (list === null || list.sha256 !== hash.sha256))
      await deps.files.replaceText(chunksPath(path), formatChunks(hash));
    return ok({ path, sha256: hash.sha256, expected, chunks: { total: hash.chunks.length, bad: 0, repaired: 0 } });
  }
  if (list === null || list.sha256 !== expected) return ok({ path, sha256: hash.sha256, expected, chunks: null });
  const bad = badChunks(list, hash);
  if (!repair) return ok({ path, sha256: hash.sha256, expected, chunks: { total: list.chunks.length, bad: bad.length, repaired: 0 } });
  const mended = await mend(model, path, list, bad, deps, onProgress, signal);
  if (!mended.ok) return mended;
  if (mended.value > 0) {
    const again = await hashWithProgress(path, deps, onProgress, signal);
    if (!again.ok) return again;
    hash = again.value;
  }
  return ok({ path, sha256: hash.sha256, expected, chunks: { total: list.chunks.length, bad: bad.length, repaired: mended.value } });
}

async function hashWithProgress(
  path: string,
  deps: ShopDeps,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<FileHash, ModelError>> {
  const total = (await deps.files.stat(path))?.size ?? 0;
  const start = deps.pace.monotonic();
  let reported = -Infinity;
  const hash = await deps.files.hash(path, {
    chunkBytes: CHUNK,
    signal,
    onProgress(bytes) {
      const now = deps.pace.monotonic();
      if (now - reported < 100 && bytes < total) return;
      reported = now;
      const bytesPerSecond = now > start ? Math.round((bytes / (now - start)) * 1000) : 0;
      onProgress({
        phase: "verify",
        bytes,
        total,
        bytesPerSecond,
        secondsLeft: bytesPerSecond > 0 ? (total - bytes) / bytesPerSecond : null,
        source: basename(path),
      });
    },
  });
  return hash.ok ? hash : err(fileError(hash.error, path));
}

/** Any source of a file as long as this one may be asked: a chunk is taken by its hash, not on trust. */
async function mend(
  model: Verifiable,
  path: string,
  list: ChunkList,
  bad: readonly number[],
  deps: ShopDeps,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<number, ModelError>> {
  let left = bad;
  const attempts: string[] = [];
  for (const source of await mendingSources(model, path, deps)) {
    if (left.length === 0) break;
    const facts = await source.facts(signal);
    if (signal.aborted) return err({ kind: "cancelled" });
    if (!facts.ok || (facts.value.size !== null && facts.value.size !== list.size)) {
      attempts.push(`${source.label}: ${facts.ok ? "it has a file of another length" : facts.error.detail}`);
      continue;
    }
    const still: number[] = [];
    for (const [done, index] of left.entries()) {
      onProgress({
        phase: "download",
        bytes: done * CHUNK,
        total: left.length * CHUNK,
        bytesPerSecond: 0,
        secondsLeft: null,
        source: source.label,
      });
      const length = Math.min(CHUNK, list.size - index * CHUNK);
      const bytes = await readRange(source, index * CHUNK, length, signal);
      if (signal.aborted) return err({ kind: "cancelled" });
      if (bytes === null || deps.files.digest(bytes) !== list.chunks[index]) {
        still.push(index);
        continue;
      }
      const patched = await deps.files.patch(path, index * CHUNK, bytes);
      if (!patched.ok) return err(fileError(patched.error, path, length));
    }
    if (still.length > 0) attempts.push(`${source.label}: ${still.length} of ${left.length} damaged parts are not to be had from it`);
    left = still;
  }
  return left.length === 0 || left.length < bad.length
    ? ok(bad.length - left.length)
    : err({ kind: "download-failed", name: model.name, attempts });
}

async function mendingSources(model: Verifiable, path: string, deps: ShopDeps): Promise<readonly ByteSource[]> {
  const sources: ByteSource[] = [];
  const file = basename(path);
  for (const find of await hostFinds(deps))
    if (find.file.toLowerCase() === file.toLowerCase())
      sources.push(localSource(find.path, `${find.origin} on this computer`, null, deps.files));
  for (const source of model.entry?.sources ?? []) {
    if (source.kind !== "huggingface") continue;
    const remote = source.files.length === 1 ? source.files[0] : source.files.find((name) => name.toLowerCase() === file.toLowerCase());
    if (remote !== undefined && source.files.length > 1 === model.files.length > 1)
      sources.push(deps.network.file(huggingFaceUrl(deps.endpoint, source.repo, remote), `huggingface.co/${source.repo}`));
  }
  return sources;
}

async function readRange(source: ByteSource, from: number, length: number, signal: AbortSignal): Promise<Uint8Array | null> {
  const opened = await source.open({ from, length, ifTag: null }, signal);
  if (!opened.ok) return null;
  using stream = opened.value;
  const bytes = new Uint8Array(length);
  let at = stream.from - from;
  while (at < length) {
    const chunk = await stream.next();
    if (!chunk.ok || chunk.value === null) return null;
    // A server that begins at 0 whatever it is asked for is read over until the place comes.
    const skip = Math.max(0, -at);
    if (skip < chunk.value.length) bytes.set(chunk.value.subarray(skip, skip + length - Math.max(0, at)), Math.max(0, at));
    at += chunk.value.length;
  }
  return bytes;
}

/** Beside a file that lies elsewhere on the host nothing is written. */
const isOurs = (path: string, deps: ShopDeps): boolean => path.startsWith(`${deps.layout.models}/`);

async function remember(model: Verifiable, results: readonly VerifiedFile[], known: boolean, deps: ShopDeps): Promise<void> {
  if (!isOurs(model.path, deps)) return;
  const before = model.record ?? emptyRecord(model.files.map((file) => ({ name: basename(file.path), size: file.size })));
  const files: ModelRecord["files"] = [];
  for (const { path, sha256 } of results) {
    const facts = await deps.files.stat(path);
    const samples = await deps.files.sample(path);
    files.push({
      name: basename(path),
      size: facts?.size ?? 0,
      sha256,
      seen: facts && samples !== null ? { mtimeMs: facts.mtimeMs, samples } : null,
    });
  }
  const pin =
    known && before.pin
      ? before.pin
      : {
          from: model.entry?.sha256 && known ? ("catalogue" as const) : ("import" as const),
          source: "the file as it was first verified",
          at: deps.now(),
        };
  await deps.files.replaceText(recordPath(join(deps.layout.models, basename(model.path))), formatRecord({ ...before, files, pin }));
}
