/** Which computer this is, for choosing models: nothing is loaded, started or written to find out. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { cpus, hostname, totalmem, freemem } from "node:os";
import type { HostFacts, HostGpu } from "../config/host.ts";
import { usableCores } from "./llama/cores.ts";

/** `gpuPack`: a GPU build of the engine lies on the stick. */
export function probeHost({ gpuPack }: { readonly gpuPack: boolean }): HostFacts {
  const limit = memoryLimit();
  const total = Math.min(totalmem(), limit.total);
  return {
    cores: usableCores(),
    totalMemory: total,
    availableMemory: Math.min(available(), limit.available, total),
    gpu: gpu(gpuPack),
    fingerprint: fingerprint(),
  };
}

/** What can be had without swapping: page cache counts as free. */
function available(): number {
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/mu.exec(read("/proc/meminfo"))?.[1];
  return kilobytes === undefined ? freemem() : Number(kilobytes) * 1024;
}

/** The tightest control group from this process's own up to the root (version 2; version 1 has one file). */
function memoryLimit(): { readonly total: number; readonly available: number } {
  let total = Infinity;
  let free = Infinity;
  const consider = (limit: number, used: number, cache: number): void => {
    if (!(limit > 0) || limit >= totalmem()) return;
    total = Math.min(total, limit);
    free = Math.min(free, Math.max(0, limit - used + cache));
  };
  const group = /^0::(\/.*)$/mu.exec(read("/proc/self/cgroup"))?.[1] ?? "/";
  for (let path = group; ; path = path.slice(0, path.lastIndexOf("/"))) {
    const folder = `/sys/fs/cgroup${path === "/" ? "" : path}`;
    // File pages that were not used lately are given back on demand.
    const cache = Number(/^inactive_file (\d+)$/mu.exec(read(`${folder}/memory.stat`))?.[1] ?? 0);
    consider(number(`${folder}/memory.max`), number(`${folder}/memory.current`), cache);
    if (path === "/" || path === "") break;
  }
  const v1 = "/sys/fs/cgroup/memory";
  consider(number(`${v1}/memory.limit_in_bytes`), number(`${v1}/memory.usage_in_bytes`), 0);
  return { total, available: free };
}

function number(path: string): number {
  const text = read(path).trim();
  return text === "" ? Number.NaN : Number(text);
}

/** Only what the kernel shows without a driver library. NVIDIA's memory is known to its driver alone. */
function gpu(usable: boolean): HostGpu | null {
  for (const name of entries("/proc/driver/nvidia/gpus")) {
    const model = /^Model:\s+(.+)$/mu.exec(read(`/proc/driver/nvidia/gpus/${name}/information`))?.[1];
    return { name: model ?? "NVIDIA GPU", memory: null, usable };
  }
  for (const card of entries("/sys/class/drm").filter((entry) => /^card\d+$/u.test(entry))) {
    const device = `/sys/class/drm/${card}/device`;
    const vendor = VENDORS[read(`${device}/vendor`).trim()];
    if (vendor === undefined) continue;
    const memory = number(`${device}/mem_info_vram_total`);
    return { name: `${vendor} GPU`, memory: memory > 0 ? memory : null, usable };
  }
  return null;
}

/** Others (a server's management chip, a virtual screen) compute nothing. */
const VENDORS: Readonly<Record<string, string>> = { "0x1002": "AMD", "0x10de": "NVIDIA", "0x8086": "Intel" };

/** Hashed: the stick need not tell whoever finds it which computers it visited. */
function fingerprint(): string {
  const machine = read("/etc/machine-id").trim() || read("/var/lib/dbus/machine-id").trim() || hostname();
  const facts = [machine, cpus()[0]?.model ?? process.arch, String(usableCores())];
  return createHash("sha256")
    .update(`noctem host\n${facts.join("\n")}`)
    .digest("hex")
    .slice(0, 16);
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
