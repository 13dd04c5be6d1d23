/**
 * How much memory a model takes, before it is loaded or even downloaded. Checked against llama.cpp's own figures for
 * Qwen2.5 7B and 1.5B; the usual rule of thumb (parameters × bits ÷ 8 × 1.2) is off by −36 to +14 % for a 7B.
 * All sizes in bytes.
 */
export interface ModelShape {
  /** Of all tensors. */
  readonly tensorBytes: number;
  readonly embeddingBytes: number;
  readonly tied: boolean;
  readonly kvHeadSum: number;
  readonly keyLength: number;
  readonly valueLength: number;
  readonly embedding: number;
  readonly vocabulary: number;
  /** Tokens it was trained for; 0 when the file does not say. */
  readonly context: number;
}

export interface MemoryNeed {
  readonly weights: number;
  readonly kv: number;
  readonly compute: number;
  /** The runtime around it: a CUDA context, or the engine's own process. */
  readonly runtime: number;
  readonly total: number;
}

export type Device = "ram" | "gpu";

/** Tokens evaluated at once; the engine's own setting. */
const BATCH = 512;
/** f16, the engine's type for both. */
const KV_BYTES = 2;
/** The context's cells come in steps. */
const KV_STEP = 256;
const MIB = 2 ** 20;
/** A CUDA context takes 0.3–0.5 GiB before the first tensor. */
const GPU_RUNTIME = 400 * MIB;
/** Resident size of the engine process with a model of no size. */
const RAM_RUNTIME = 90 * MIB;

export function memoryNeed(shape: ModelShape, contextSize: number, device: Device): MemoryNeed {
  // On a GPU the input embedding stays in memory, unless it is the output matrix too and has to be there as well.
  const weights = shape.tensorBytes - (device === "gpu" && !shape.tied ? shape.embeddingBytes : 0);
  const cells = Math.ceil(contextSize / KV_STEP) * KV_STEP;
  const kv = cells * shape.kvHeadSum * (shape.keyLength + shape.valueLength) * KV_BYTES;
  // Logits of a whole batch, and the residual stream in and out of a layer.
  const compute = BATCH * (shape.vocabulary * 4 + shape.embedding * 8);
  const runtime = device === "gpu" ? GPU_RUNTIME : RAM_RUNTIME;
  return { weights, kv, compute, runtime, total: weights + kv + compute + runtime };
}

/** Both in one engine process: the runtime counts once. */
export function together(a: MemoryNeed, b: MemoryNeed): number {
  return a.total + b.total - Math.min(a.runtime, b.runtime);
}

/** Sizes that a context is offered in. */
export const CONTEXT_SIZES = [2048, 4096, 8192, 16384, 32768, 65536, 131072] as const;

/**
 * What is taken where nobody asks for a size. 8192 tokens are some twenty pages, more than nearly any conversation; beyond
 * that a 7B pays 56 KiB a token for state that mostly stays empty, and on a processor a longer prompt takes minutes to
 * evaluate anyway.
 */
export const DEFAULT_CONTEXT = 8192;
/** Below this a conversation of a few turns no longer holds together. */
export const LEAST_CONTEXT = 2048;

/** The largest context up to `wanted` that leaves the model within `available`, never beyond its training; null when none does. */
export function fittingContext(shape: ModelShape, available: number, device: Device, wanted: number = DEFAULT_CONTEXT): number | null {
  const trained = shape.context > 0 ? shape.context : wanted;
  const most = Math.min(wanted, trained);
  const sizes = [...CONTEXT_SIZES.filter((size) => size < most), most].toReversed();
  return sizes.find((size) => memoryNeed(shape, size, device).total <= available) ?? null;
}

/** Left to the host's other programs: its own needs go up and down while a model stays loaded. */
export function usableMemory(host: { readonly availableMemory: number; readonly totalMemory: number }): number {
  return Math.max(0, host.availableMemory - Math.max(128 * MIB, host.totalMemory * 0.04));
}

/** Seconds to read a model at a measured speed; null when it was not measured. */
export function loadSeconds(bytes: number, bytesPerSecond: number | null): number | null {
  return bytesPerSecond !== null && bytesPerSecond > 0 ? bytes / bytesPerSecond : null;
}
