/** llama.cpp itself: loaded once for CPU and once for GPU use at most, with its log caught. */
import { getLlama, type Llama, LlamaLogLevel } from "node-llama-cpp";
import { type ContextLibraries, contextLibraries } from "../ffi/context-control.ts";
import { type NativeError, unpackNative } from "../native/unpack.ts";
import type { LogLine } from "./errors.ts";

export interface Runtime {
  readonly llama: Llama;
  /** Forgets what llama.cpp said so far. */
  clearLog(): void;
  /** What llama.cpp said since. Bounded. */
  readonly log: readonly LogLine[];
  /** Names of the GPUs in use; empty on the CPU. */
  readonly devices: readonly string[];
  /** Why no GPU is used; null when one is. */
  readonly noGpu: string | null;
  /**
   * For threads that last from token to token and batches that can be interrupted; null where this build's insides are not the ones that it was
   * written for.
   */
  readonly control: ContextLibraries | null;
}

/** Why there is no GPU, when that was asked for. */
export const SWITCHED_OFF = "the GPU is switched off";
const MAX_LOG = 50;
/** What llama.cpp says of a batch that was interrupted (`GGML_STATUS_ABORTED` is 1): no trouble, and not to be taken for the cause of any. */
const INTERRUPTED = /failed with error 1$|compute status: 1$|^decode: removing memory module entries|failed to decode, ret = 2$/u;

/** Throws when llama.cpp cannot be loaded here; the message is one line. */
export async function loadRuntime(gpu: "auto" | "off"): Promise<Runtime> {
  const unpacked = unpackNative();
  if (!unpacked.ok) throw new Error(nativeProblem(unpacked.error));
  // Mapped code does not need its files: they are gone before the first model is loaded.
  using _libraries = unpacked.value;
  const log: LogLine[] = [];
  const llama = await getLlama({
    gpu: gpu === "off" ? false : "auto",
    build: "never",
    skipDownload: true,
    progressLogs: false,
    // 0 lifts its own limit and its default of at least four: every count is set explicitly.
    maxThreads: 0,
    logLevel: LlamaLogLevel.warn,
    logger(level, message) {
      const line = message.trim();
      if (line === "" || INTERRUPTED.test(line)) return;
      log.push({ level, text: line });
      if (log.length > MAX_LOG) log.shift();
      // stderr belongs to the host, which keeps the last lines as evidence in case of a crash.
      process.stderr.write(`${level}: ${line}\n`);
    },
  });
  // Before the files go.
  const control = contextLibraries(llama.gpu === false);
  const devices = llama.gpu === false ? [] : await llama.getGpuDeviceNames();
  return {
    llama,
    log,
    control,
    devices,
    noGpu: llama.gpu !== false ? null : gpu === "off" ? SWITCHED_OFF : "no GPU pack beside the program that works here",
    clearLog() {
      log.length = 0;
    },
  };
}

/** One line; `doctor` asks again and tells the whole story. */
function nativeProblem(error: NativeError): string {
  switch (error.kind) {
    case "damaged":
      return `the libraries inside the program are damaged: ${error.detail}`;
    case "unloadable":
      return error.detail;
    case "noexec":
      return `no folder here lets code run (tried ${error.tried.map(({ root }) => root).join(", ")})`;
    case "no-room":
      return `no folder has ${Math.ceil(error.needed / 1e6)} MB free for the libraries`;
    case "no-place":
      return `no folder can be written (tried ${error.tried.map(({ root }) => root).join(", ")})`;
  }
}
