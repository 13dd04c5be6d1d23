/**
 * Which sittings of the log go on right now on this computer. Each holds a socket with a name and no file: the kernel takes it away with the process, however that ends, and nothing is
 * left on anybody's disk. Rejected: a file with a process's number, which stays when the process is killed and may then be another's.
 */
import { readFileSync } from "node:fs";
import type { SittingPresence } from "../audit/log.ts";

const nameOf = (session: string): string => `noctem-sitting-${session}`;

export const sittingPresence: SittingPresence = {
  hold(session) {
    try {
      const listener = Bun.listen({ unix: `\0${nameOf(session)}`, socket: { data: () => undefined } });
      // Being there is all that it does: whoever has nothing else to do may end.
      listener.unref();
      return { [Symbol.dispose]: () => listener.stop(true) };
    } catch {
      // Without it somebody may be told of a call that still runs: better than a call that does not.
      return { [Symbol.dispose]: () => undefined };
    }
  },
  isHeld(session) {
    try {
      return readFileSync("/proc/net/unix", "latin1").includes(`@${nameOf(session)}\n`);
    } catch {
      return false;
    }
  },
};
