/**
 * Where the libraries may be unpacked, and whether a place is safe: nobody but this user and root may be able to change a path between our write and the loader's
 * open. A folder that others can write is safe only when sticky (/tmp, /dev/shm): then our own 0700 folder in it cannot be renamed away.
 */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

export interface NativeRoot {
  readonly path: string;
  /** The folder of the program itself. It need not be safer than the program is: who can change one can change the other. */
  readonly stick: boolean;
}

/** Best first: memory that is gone after a reboot, then the disk's own temporary and cache folders, then the stick (slow, but ours). */
export function nativeRoots(env: Readonly<Record<string, string | undefined>>, program: string): readonly NativeRoot[] {
  const uid = process.geteuid?.() ?? 0;
  const home = env["HOME"] ?? safely(() => homedir()) ?? safely(() => userInfo().homedir);
  const hosts = [
    env["XDG_RUNTIME_DIR"],
    "/dev/shm",
    `/run/user/${uid}`,
    safely(() => tmpdir()),
    "/tmp",
    env["XDG_CACHE_HOME"],
    home === undefined ? undefined : join(home, ".cache"),
  ].filter((path): path is string => path !== undefined && isAbsolute(path));
  return [...[...new Set(hosts)].map((path) => ({ path, stick: false })), { path: dirname(program), stick: true }];
}

/** Why `path` must not be used, or `null`. Never creates a folder: an empty one left on the host would be a trace. */
export function unsafe(path: string): string | null {
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    return "is not there";
  }
  if (!statSync(real).isDirectory()) return "is not a folder";
  const trusted = trustedOwners();
  for (let at = real; ; at = dirname(at)) {
    const { uid, mode } = statSync(at);
    if (!trusted.has(uid)) return at === real ? "belongs to another user" : `lies in ${at}, which belongs to another user`;
    const sticky = (mode & 0o1000) !== 0;
    if ((mode & 0o022) !== 0 && !sticky) return at === real ? "can be written by others" : `lies in ${at}, which others can write`;
    if (at === dirname(at)) return null;
  }
}

/** Root and this user. In a user namespace (a bubblewrap cage) root outside of it shows as the overflow user. */
function trustedOwners(): ReadonlySet<number> {
  const owners = new Set([0, process.geteuid?.() ?? 0]);
  const map = safely(() => readFileSync("/proc/self/uid_map", "utf8").trim().split(/\s+/));
  const whole = map?.[0] === "0" && map[1] === "0" && map[2] === "4294967295";
  if (map !== undefined && !whole) owners.add(Number(safely(() => readFileSync("/proc/sys/kernel/overflowuid", "utf8")) ?? 65534));
  return owners;
}

function safely<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
