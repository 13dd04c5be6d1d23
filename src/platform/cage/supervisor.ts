/**
 * Ends a run that goes beyond its limits in sum. Limits of single processes are set inside; RLIMIT_NPROC does nothing for root and no limit of that kind counts
 * the memory of several, so somebody outside has to add up.
 */
import { readdirSync, readFileSync } from "node:fs";
import type { Limits, Stopped } from "../../bark/cage/types.ts";

/** Milliseconds between looks: a fork bomb makes some hundred processes in that time, which its own limits bound. */
const EVERY = 50;
const PAGE_BYTES = 4096;

export function supervise(pid: number, limits: Limits, signal: AbortSignal, stop: (why: Stopped) => void): Disposable {
  const wall = setTimeout(() => stop("time"), limits.wallMs);
  const looks = setInterval(() => {
    const { processes, bytes } = weigh(pid, limits.processes + OWN);
    // Bubblewrap and the helper are not the program's.
    if (processes > limits.processes + OWN) stop("processes");
    else if (bytes > limits.memoryBytes) stop("memory");
  }, EVERY);
  const cancel = (): void => stop("cancelled");
  if (signal.aborted) cancel();
  signal.addEventListener("abort", cancel, { once: true });
  return {
    [Symbol.dispose]() {
      clearTimeout(wall);
      clearInterval(looks);
      signal.removeEventListener("abort", cancel);
    },
  };
}

const OWN = 4;

/** Of a process and all below it. */
function weigh(root: number, enough: number): { readonly processes: number; readonly bytes: number } {
  let bytes = 0;
  const waiting = [root];
  let processes = 0;
  // Nobody needs to know by how many there are too many.
  while (waiting.length > 0 && processes <= enough) {
    const pid = waiting.pop() ?? 0;
    processes++;
    try {
      bytes += Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1] ?? 0) * PAGE_BYTES;
      // A thread's children are listed under the thread.
      for (const task of readdirSync(`/proc/${pid}/task`)) {
        for (const child of readFileSync(`/proc/${pid}/task/${task}/children`, "latin1").split(" "))
          if (child !== "") waiting.push(Number(child));
      }
    } catch {
      // It ended between two looks.
    }
  }
  return { processes, bytes };
}
