/** Binds itself and lets go, with threads that were there before and threads that came meanwhile, and prints what the kernel says of each. */
import { readdirSync, readFileSync } from "node:fs";
import { coreBinding } from "../../src/platform/ffi/core-binding.ts";

export type CoreBindingReport = Readonly<Record<"before" | "bound" | "again" | "free", readonly string[]>> | null;

const masks = (): string[] => [
  ...new Set(
    readdirSync("/proc/self/task").map(
      (thread) => /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync(`/proc/self/task/${thread}/status`, "utf8"))?.[1] ?? "",
    ),
  ),
];
const startThread = async (): Promise<void> => {
  const worker = new Worker("data:text/javascript,postMessage(1)");
  await new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
};

const cores = coreBinding();
let report: CoreBindingReport = null;
if (cores !== null) {
  await startThread();
  const before = masks();
  cores.set(true);
  await startThread();
  const bound = masks();
  cores.set(true);
  const again = masks();
  cores.set(false);
  report = { before, bound, again, free: masks() };
}
await Bun.write(Bun.stdout, `${JSON.stringify(report)}\n`);
process.exit(0);
