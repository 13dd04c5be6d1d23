/**
 * A control group for one run, where this process may make one: the kernel then counts processes and memory of all of them together, at the moment they are asked for. Root
 * needs it, because RLIMIT_NPROC does not bind it and a fork bomb is faster than whoever counts from outside.
 */
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Limits } from "../../bark/cage/types.ts";

export interface RunGroup extends Disposable {
  /** Folders of groups that the first process enters, before it is anything else. */
  readonly folders: readonly string[];
  /** Where it was made before it was known what run it would be for. */
  limit(limits: Limits): void;
  /** Takes away what a Noctem that was killed has left; for whoever has a moment. */
  sweep(): void;
}

/** Bubblewrap and the helper are not the program's. */
const OWN = 4;

/** Null where none can be made: the limits of each process and the supervisor are what is left. */
export function runGroup(name: string, limits: Limits, root = "/sys/fs/cgroup"): RunGroup | null {
  const folders: string[] = [];
  const dispose = (): void => folders.splice(0).toReversed().forEach(remove);
  try {
    const settings = settingsIn(root, name);
    if (settings === null) return null;
    for (const [folder, of] of settings) {
      mkdirSync(folder);
      folders.push(folder);
      set(folder, of(limits));
    }
    const limit = (next: Limits): void => settings.forEach(([folder, of]) => set(folder, of(next)));
    return { folders: [...folders], limit, sweep: () => sweep(root), [Symbol.dispose]: dispose };
  } catch {
    dispose();
    return null;
  }
}

type Settings = Readonly<Record<string, number>>;

/** Folders to be made, and what is written in them. */
function settingsIn(root: string, name: string): readonly (readonly [folder: string, of: (limits: Limits) => Settings])[] | null {
  if (existsSync(join(root, "cgroup.controllers"))) {
    const base = join(root, ownGroup());
    if (!readFileSync(join(base, "cgroup.subtree_control"), "utf8").includes("pids")) return null;
    const of = ({ processes, memoryBytes }: Limits): Settings => ({
      "pids.max": processes + OWN,
      "memory.max": memoryBytes,
      "memory.swap.max": 0,
    });
    return [[join(base, name), of]];
  }
  const pids = [join(root, "pids", name), ({ processes }: Limits): Settings => ({ "pids.max": processes + OWN })] as const;
  if (!writable(join(root, "memory"))) return [pids];
  // Page cache of what is written to memory counts here too, so it is the second fence: the supervisor's is closer.
  return [
    pids,
    [join(root, "memory", name), ({ memoryBytes, diskBytes }: Limits): Settings => ({ "memory.limit_in_bytes": memoryBytes + diskBytes })],
  ];
}

/** Groups of a Noctem that was killed: empty since the kernel ended their processes with it, and nobody else's to remove. */
function sweep(root: string): void {
  for (const parent of [root, join(root, "pids"), join(root, "memory")]) {
    if (!existsSync(parent)) continue;
    for (const name of readdirSync(parent)) {
      const pid = /^noctem-(\d+)-\d+$/.exec(name)?.[1];
      if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
      try {
        rmdirSync(join(parent, name));
      } catch {
        // Its last process is not gone yet; the next run takes it away.
      }
    }
  }
}

/** Of version 2, where a process may not sit in a group that has groups below it: only the root group is exempt. */
const ownGroup = (): string => (process.geteuid?.() === 0 ? "" : (/^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? ""));

function set(folder: string, settings: Settings): void {
  for (const [file, value] of Object.entries(settings)) {
    // Not every kernel counts swap.
    if (existsSync(join(folder, file))) writeFileSync(join(folder, file), String(value));
    else if (file !== "memory.swap.max" && file !== "memory.max") throw new Error(`no ${file}`);
  }
}

function writable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Empty groups alone can be removed; the last of the dead may take a moment to be gone. */
function remove(folder: string): void {
  for (let tries = 0; tries < 500; tries++) {
    try {
      rmdirSync(folder);
      return;
    } catch {
      if (!existsSync(folder)) return;
      Bun.sleepSync(2);
    }
  }
}
