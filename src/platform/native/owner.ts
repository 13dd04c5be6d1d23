/**
 * Folder names that say whose they are: `noctem-lib-PIDNS-PID-START-XXXXXX`. A folder is swept when its process is gone, which only a process of the same PID
 * namespace can tell: another container that shares /dev/shm has other numbers, so what it made goes by age.
 */
import { readFileSync, readlinkSync } from "node:fs";

const PREFIX = "noctem-lib-";

export const isOurName = (name: string): boolean => name.startsWith(PREFIX);

/** For `mkdtemp`, which adds six random characters. */
export function ownName(): string {
  return `${PREFIX}${namespaceId()}-${process.pid}-${startTime("self") ?? 0}-`;
}

/** Loading takes a second at most; what another namespace left an hour ago is nobody's. Milliseconds. */
const ABANDONED = 3_600_000;

/** Whether the process that made the folder `name`, `age` milliseconds ago, has left it. */
export function isStale(name: string, age: number): boolean {
  const [, space, pid, start] = /^noctem-lib-(\d+)-(\d+)-(\d+)-\w{6}$/.exec(name) ?? [];
  if (space === undefined || pid === undefined) return false;
  if (space === "0" || space !== namespaceId()) return age > ABANDONED;
  // A PID is used again; together with the moment of its start it is not.
  return startTime(pid) !== start;
}

function namespaceId(): string {
  try {
    return /\[(\d+)\]/.exec(readlinkSync("/proc/self/ns/pid"))?.[1] ?? "0";
  } catch {
    return "0";
  }
}

/** Clock ticks since boot (proc(5), stat field 22), or `undefined` when there is no such process, or only what nobody has waited for yet. */
function startTime(pid: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the name in parentheses and may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
