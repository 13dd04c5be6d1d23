/**
 * Reads a model file into the page cache before llama.cpp maps it. Mapped pages come in as they are touched, in an order no stick likes and without a word
 * of progress; read front to back, a stick gives all it has and the time left is known.
 */
import { readSync } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { freemem } from "node:os";
import { basename, dirname, join } from "node:path";
import type { LoadProgress } from "../../engine/port.ts";

const BLOCK = 4 << 20;
/** Looked at as one: in the cache or not. */
const STRETCH = 64 << 20;
const PAGE = 4096;
const APART = 2 << 20;
/** Milliseconds. A page that comes faster than this was in memory or comes from a disk that needs no help; a stick takes several times as long. */
const QUICK = 0.1;
/** Milliseconds between reports. */
const REPORT_EVERY = 100;

/** All files of a model: itself, or the parts of a split one (`name-00001-of-00003.gguf`), in order. */
export async function modelFiles(path: string): Promise<readonly string[]> {
  const [, stem, count] = /^(.*)-\d{5}-of-(\d{5})\.gguf$/.exec(basename(path)) ?? [];
  if (stem === undefined || count === undefined) return [path];
  const names = new Set(await readdir(dirname(path)));
  return Array.from(
    { length: Math.min(Number(count), 1000) },
    (_, index) => `${stem}-${String(index + 1).padStart(5, "0")}-of-${count}.gguf`,
  )
    .filter((name) => names.has(name))
    .map((name) => join(dirname(path), name));
}

export async function totalBytes(files: readonly string[]): Promise<number> {
  let total = 0;
  for (const file of files) total += (await stat(file)).size;
  return total;
}

/** Resolves when all is read, skipped or the signal fired. A read error is left for llama.cpp to meet: it names it better. */
export async function readAhead(
  files: readonly string[],
  total: number,
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal,
  monotonic: () => number,
): Promise<void> {
  // What does not fit would push out its own beginning.
  if (total > freemem()) return;
  const buffer = Buffer.allocUnsafe(BLOCK);
  const start = monotonic();
  let done = 0;
  let read = 0;
  let readMs = 0;
  let reported = start;
  const report = (now: number): void => {
    reported = now;
    onProgress({ phase: "read", bytes: done, total, bytesPerSecond: readMs > 0 ? Math.round((read / readMs) * 1000) : 0 });
  };
  for (const path of files) {
    await using file = await open(path, "r").catch(() => undefined);
    if (!file) return;
    const { size } = await file.stat();
    for (let from = 0; from < size && !signal.aborted; from += STRETCH) {
      const end = Math.min(from + STRETCH, size);
      if (isQuick(file.fd, from, end, monotonic)) {
        done += end - from;
        continue;
      }
      for (let at = from; at < end && !signal.aborted;) {
        const before = monotonic();
        const { bytesRead } = await file.read(buffer, 0, Math.min(BLOCK, end - at), at).catch(() => ({ bytesRead: 0 }));
        if (bytesRead === 0) return;
        const now = monotonic();
        at += bytesRead;
        done += bytesRead;
        read += bytesRead;
        readMs += now - before;
        if (now - reported >= REPORT_EVERY) report(now);
      }
    }
  }
  if (read > 0 && !signal.aborted) report(monotonic());
}

/**
 * Samples a stretch at three places. Read synchronously: the thread pool alone takes longer than a page from memory. Once a file is in the cache the whole
 * read-ahead costs well under a millisecond; on a stick each sample blocks for one short read.
 */
function isQuick(file: number, from: number, end: number, monotonic: () => number): boolean {
  const page = Buffer.allocUnsafe(PAGE);
  return [0.9, 0.5, 0].every((share) => {
    const place = from + Math.floor(((end - from) * share) / PAGE) * PAGE;
    // The better of two: being preempted must not make memory look like a stick. The second is beyond what the kernel reads ahead for the first.
    return [place, Math.min(place + APART, end - 1)].some((at) => {
      const before = monotonic();
      readSync(file, page, 0, PAGE, at);
      return monotonic() - before < QUICK;
    });
  });
}
