import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { ThreadPlan } from "../../engine/port.ts";

/**
 * Cores that this process may use: the affinity mask and the cgroup's quota count, not what the machine has. More threads than that and ggml's
 * spinning barriers wait for threads that do not run.
 */
export function usableCores(): number {
  return Math.max(1, Math.min(availableParallelism(), affinity(), quota()));
}

/** `NOCTEM_THREADS=N` fixes all counts and measures nothing: for tests and for people who know better. */
export function threadsFromEnv(cores = usableCores(), env: Readonly<Record<string, string | undefined>> = process.env): ThreadPlan | null {
  const wanted = Number(env["NOCTEM_THREADS"]);
  if (!Number.isInteger(wanted) || wanted < 1) return null;
  const threads = Math.min(wanted, cores);
  return { prompt: threads, generate: threads, measured: [] };
}

function affinity(): number {
  const mask = /^Cpus_allowed:\s*([0-9a-f,]+)$/m.exec(read("/proc/self/status"))?.[1];
  if (mask === undefined) return Infinity;
  const bits = mask
    .replaceAll(",", "")
    .split("")
    .reduce((sum, digit) => sum + (BITS[Number.parseInt(digit, 16)] ?? 0), 0);
  return bits > 0 ? bits : Infinity;
}

/** Version 2 of control groups; the file shows this process's own group inside a container, and the root has none. */
function quota(): number {
  const group = /^0::(\/.*)$/m.exec(read("/proc/self/cgroup"))?.[1] ?? "/";
  let least = Infinity;
  // A limit of any parent holds too.
  for (let path = group; ; path = path.slice(0, path.lastIndexOf("/"))) {
    const [limit, period] = read(`/sys/fs/cgroup${path === "/" ? "" : path}/cpu.max`)
      .trim()
      .split(" ")
      .map(Number);
    if (limit !== undefined && period !== undefined && limit > 0 && period > 0) least = Math.min(least, Math.ceil(limit / period));
    if (path === "/" || path === "") return least;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Set bits of a hexadecimal digit. */
const BITS = [0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4];
