/** Another Noctem, started and killed: what of it lives on, and what of it lies about. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { selfCommand } from "../cage/own-facts.ts";

/** Milliseconds: until a cage stands, and for the dead to be gone. */
const STARTING = 20_000;
const DYING = 10_000;
const LOOK = 25;
/** Noctem's child, bubblewrap, the helper and a program: with fewer there is no cage yet. */
const ENOUGH = 4;

export const isExecutable = (): boolean => selfCommand().length === 1;

/** Standard output of a run that ends by itself. */
export function runSelf(args: readonly string[], cwd: string): string {
  const ran = Bun.spawnSync([...selfCommand(), ...args], { cwd, env: {}, stdio: ["ignore", "pipe", "pipe"], timeout: STARTING });
  return ran.stdout.toString() + ran.stderr.toString();
}

export interface Killed {
  readonly pid: number;
  /** Who of its descendants is still there after a while, by command. */
  left(): Promise<readonly string[]>;
}

/** Null when it ended before a cage stood. */
export async function killSelf(args: readonly string[], cwd: string): Promise<Killed | null> {
  const child = Bun.spawn([...selfCommand(), ...args], { cwd, env: {}, stdio: ["ignore", "ignore", "ignore"] });
  const seen = new Map<string, string>();
  for (let waited = 0; waited < STARTING && child.exitCode === null; waited += LOOK) {
    await Bun.sleep(LOOK);
    const now = below(child.pid);
    if (now.size < ENOUGH) continue;
    for (const [pid, start] of now) seen.set(pid, start);
    break;
  }
  if (seen.size === 0) {
    child.kill("SIGKILL");
    await child.exited;
    return null;
  }
  // What was born between the look and the end counts too, as long as it can still be found below.
  for (const [pid, start] of below(child.pid)) seen.set(pid, start);
  child.kill("SIGKILL");
  await child.exited;
  return {
    pid: child.pid,
    async left() {
      for (let waited = 0; ; waited += LOOK) {
        const alive = [...seen].filter(([pid, start]) => startOf(pid) === start);
        if (alive.length === 0 || waited >= DYING) return alive.map(([pid]) => commandOf(pid) || pid);
        await Bun.sleep(LOOK);
      }
    },
  };
}

/** Everything below a process: number → the moment it began, because numbers are used again. */
function below(root: number): ReadonlyMap<string, string> {
  const children = new Map<string, string[]>();
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const parent = fieldsOf(pid)?.[1];
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = new Map<string, string>();
  const waiting = [String(root)];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    for (const child of children.get(pid) ?? []) {
      const start = startOf(child);
      if (start !== null) found.set(child, start);
      waiting.push(child);
    }
  }
  return found;
}

/** proc(5), stat, from the state on; null when there is no such process. */
function fieldsOf(pid: string): readonly string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}
function startOf(pid: string): string | null {
  const fields = fieldsOf(pid);
  return fields === null || fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
}
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

/** Control groups that a process made for its runs and that are still there. */
export function groupsOf(pid: number): readonly string[] {
  const roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"];
  return roots
    .filter((root) => existsSync(root))
    .flatMap((root) =>
      readdirSync(root)
        .filter((name) => name.startsWith(`noctem-${pid}-`))
        .map((name) => join(root, name)),
    );
}
