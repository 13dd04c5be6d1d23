import * as v from "valibot";
import type { FileHash } from "./ports.ts";
import { CHUNK } from "./transfer.ts";

/**
 * `NAME.gguf.chunks`: the SHA-256 of every 8 MiB, written when the whole file had the right hash. With it one bad block of
 * a worn stick is found and fetched again, and not 5 GB.
 */
export type ChunkList = v.InferOutput<typeof ChunksSchema>;

const Hex = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/u));
const ChunksSchema = v.strictObject({
  version: v.literal(1),
  chunkBytes: v.literal(CHUNK),
  size: v.pipe(v.number(), v.integer(), v.minValue(1)),
  sha256: Hex,
  chunks: v.pipe(v.array(Hex), v.maxLength(100_000)),
});

/** Bytes: a list for 800 GB. */
export const MAX_CHUNKS = 8 << 20;

export const formatChunks = ({ sha256, size, chunks }: FileHash): string =>
  `${JSON.stringify({ version: 1, chunkBytes: CHUNK, size, sha256, chunks: [...chunks] } satisfies ChunkList, null, 0).replaceAll('","', '",\n"')}\n`;

/** Null for anything but a sound list, with as many chunks as the size says. */
export function parseChunks(text: string | null): ChunkList | null {
  if (text === null) return null;
  try {
    const parsed = v.safeParse(ChunksSchema, JSON.parse(text));
    return parsed.success && parsed.output.chunks.length === Math.ceil(parsed.output.size / CHUNK) ? parsed.output : null;
  } catch {
    return null;
  }
}

/** Indices of chunks that are not as they were. */
export const badChunks = (list: ChunkList, found: FileHash): readonly number[] =>
  list.chunks.flatMap((hash, index) => (hash === found.chunks[index] ? [] : [index]));
