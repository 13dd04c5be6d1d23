/** Binds itself and lets go, with threads that were there before and threads that came meanwhile, and prints what the kernel says of each. */
import { readdirSync, readFileSync } from "node:fs";
import { coreBinding } from "../../src/platform/ffi/core-binding.ts";

/** The masks that there were, of all threads but the runtime's helpers, and of those. */
interface Masks {
  readonly workers: readonly string[];
  readonly helpers: readonly string[];
}
export type CoreBindingReport = Readonly<Record<"before" | "bound" | "again" | "free", Masks>> | null;

const threads = (): string[] => readdirSync("/proc/self/task").toSorted();
function masks(): Masks {
  const workers = new Set<string>();
  const helpers = new Set<string>();
  for (const thread of threads()) {
    try {
      const status = readFileSync(`/proc/self/task/${thread}/status`, "utf8");
      const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, "mu").exec(status)?.[1] ?? "";
      (/^(?:JIT|JSC|Heap)/u.test(field("Name")) ? helpers : workers).add(field("Cpus_allowed_list"));
    } catch {
      // It has ended since.
    }
  }
  return { workers: [...workers], helpers: [...helpers] };
}
/** Until the runtime has neither started nor ended a thread for a while: one in the middle of its start has a mask that nobody can list yet. */
const settled = async (): Promise<void> => {
  for (let [seen, calm] = [threads().join(), 0]; calm < 10;) {
    await Bun.sleep(10);
    const now = threads().join();
    calm = now === seen ? calm + 1 : 0;
    seen = now;
  }
};
const startThread = async (): Promise<void> => {
  const worker = new Worker("data:text/javascript,postMessage(1)");
  await new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
};

const cores = coreBinding();
let report: CoreBindingReport = null;
if (cores !== null) {
  await startThread();
  await settled();
  const before = masks();
  cores.set(true);
  await startThread();
  await settled();
  const bound = masks();
  cores.set(true);
  const again = masks();
  cores.set(false);
  report = { before, bound, again, free: masks() };
}
await Bun.write(Bun.stdout, `${JSON.stringify(report)}\n`);
process.exit(0);
