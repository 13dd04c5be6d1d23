/** llama.cpp itself: loaded once for CPU and once for GPU use at most, with its log caught. */
import { getLlama, type Llama, LlamaLogLevel } from "node-llama-cpp";
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
}

const MAX_LOG = 50;

export async function loadRuntime(gpu: "auto" | "off"): Promise<Runtime> {
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
      if (line === "") return;
      log.push({ level, text: line });
      if (log.length > MAX_LOG) log.shift();
      // stderr belongs to the host, which keeps the last lines as evidence in case of a crash.
      process.stderr.write(`${level}: ${line}\n`);
    },
  });
  const devices = llama.gpu === false ? [] : await llama.getGpuDeviceNames();
  return {
    llama,
    log,
    devices,
    noGpu: llama.gpu !== false ? null : gpu === "off" ? "the GPU is switched off" : "no GPU pack beside the program that works here",
    clearLog() {
      log.length = 0;
    },
  };
}
