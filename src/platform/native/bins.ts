/** Answers node-llama-cpp's question where the libraries of a platform package lie. Only the executable asks (scripts/build/embed-llama.ts). */
import { gpuPack } from "./gpu-pack.ts";
import { unpackNative } from "./unpack.ts";

export interface BinsAnswer {
  readonly binsDir?: string;
  readonly packageVersion?: string;
}

/** `name` as in `linux-x64-vulkan`. An empty answer means "not installed", and node-llama-cpp tries its next choice. */
export function binsOf(name: string, version: string): BinsAnswer {
  if (name !== "linux-x64") return gpuPack(name, version);
  const native = unpackNative();
  return native.ok ? { binsDir: native.value.binsDir, packageVersion: version } : {};
}
