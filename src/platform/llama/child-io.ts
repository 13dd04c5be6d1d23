/** The engine child's standard streams. stdout carries the protocol alone: whatever else would print goes to stderr, which the host keeps as evidence. */
import type { ServerIo } from "../../engine/server.ts";
import { systemTimers } from "../timers.ts";

export function protocolStreams(): ServerIo {
  const protocol = Bun.stdout.writer();
  // Dependencies print through the console; `console.error` ends on stderr by itself.
  for (const method of ["log", "info", "debug", "warn"] as const) console[method] = console.error.bind(console);
  // The terminal's Ctrl-C is the host's to interpret. The child leads its own session, so this only matters under a wrapper that shares one.
  process.on("SIGINT", () => undefined);
  return {
    ...systemTimers,
    input: Bun.stdin.stream(),
    pid: process.pid,
    write(line) {
      void protocol.write(line);
      void Promise.resolve(protocol.flush()).catch(() => undefined);
    },
  };
}

/**
 * Ends the process without running native destructors: a worker thread may be in the middle of a batch, and tearing down under it aborts or hangs.
 * The kernel frees everything, GPU memory included.
 */
export function endProcess(): never {
  process.kill(process.pid, "SIGKILL");
  // Delivery is not synchronous everywhere.
  for (;;) Bun.sleepSync(1000);
}
