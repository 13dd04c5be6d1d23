/**
 * Binds the threads of this process to one core, but for helpers of the runtime, and lets them go again. For the engine's child: nothing else lives
 * in it.
 */
import { dlopen } from "bun:ffi";
import { readdirSync, readFileSync } from "node:fs";

export interface CoreBinding {
  /** Onto the core that the caller runs on, or back onto all that the process had. Cheap when nothing changes; some ten system calls otherwise. */
  set(bound: boolean): void;
}

/** `struct cpu_set_t`: a bit for each of 1024 cores. */
const MASK_BYTES = 128;

/** `null` where there is nothing to bind: another system, one core, or a kernel that refuses. */
export function coreBinding(): CoreBinding | null {
  if (process.platform !== "linux") return null;
  try {
    const { sched_getaffinity, sched_setaffinity, sched_getcpu } = dlopen("libc.so.6", {
      sched_getaffinity: { args: ["i32", "u64", "ptr"], returns: "i32" },
      sched_setaffinity: { args: ["i32", "u64", "ptr"], returns: "i32" },
      sched_getcpu: { args: [], returns: "i32" },
    }).symbols;
    const all = new Uint8Array(MASK_BYTES);
    if (sched_getaffinity(0, BigInt(MASK_BYTES), all) !== 0 || cores(all) < 2) return null;
    const one = new Uint8Array(MASK_BYTES);
    /**
     * A thread has the mask of the one that starts it, which may not have had its turn then: hence again until a listing holds no new one. One may end
     * meanwhile too, which does not matter.
     */
    const apply = (mask: Uint8Array, concerns: (thread: string) => boolean): void => {
      const done = new Set<string>();
      for (let left = threads(); left.length > 0; left = threads().filter((thread) => !done.has(thread))) {
        for (const thread of left) {
          if (concerns(thread)) sched_setaffinity(Number(thread), BigInt(MASK_BYTES), mask);
          done.add(thread);
        }
      }
    };
    // Where this is refused, it is refused now and not in the middle of an answer.
    if (sched_setaffinity(0, BigInt(MASK_BYTES), all) !== 0 || threads().length === 0) return null;
    let now = false;
    return {
      set(bound) {
        if (bound === now) return;
        now = bound;
        if (!bound) return apply(all, () => true);
        const core = sched_getcpu();
        if (core < 0 || core >= MASK_BYTES * 8) return;
        one.fill(0);
        one[core >> 3] = 1 << (core & 7);
        apply(one, (thread) => !isHelper(thread));
      },
    };
  } catch {
    return null;
  }
}

const threads = (): string[] => readdirSync("/proc/self/task");

/**
 * JavaScriptCore's threads that compile and collect garbage work beside the program, and nobody waits for them: in a process's first answers they used a
 * hundredth of what the model used.
 */
function isHelper(thread: string): boolean {
  try {
    return /^(?:JIT|JSC|Heap)/u.test(readFileSync(`/proc/self/task/${thread}/comm`, "utf8"));
  } catch {
    return false;
  }
}

function cores(mask: Uint8Array): number {
  let count = 0;
  for (const byte of mask) for (let bits = byte; bits !== 0; bits >>= 1) count += bits & 1;
  return count;
}
