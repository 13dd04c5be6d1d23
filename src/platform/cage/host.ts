/** What this computer can hold a process with, found by doing it once rather than by asking for versions. */
import { existsSync, readFileSync, statSync } from "node:fs";
import type { CageLevel } from "../../bark/cage/types.ts";

export interface CageHost {
  readonly level: CageLevel;
  /** Absolute; null where it is not installed. */
  readonly bwrap: string | null;
  /** Whether a copy-on-write view can be mounted; null when nothing was tried. */
  readonly overlay: boolean | null;
  readonly landlockAbi: number;
  /** What stands in the way, and what to do about it; both empty when nothing does. */
  readonly detail: string;
  readonly fix: string;
}

/** The system's own first: distributions that restrict user namespaces make their exception for that path. */
const PLACES = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"];

/** Not by PATH: whoever sets it would choose the cage. Nor one that others may write. */
export function findBwrap(): string | null {
  return PLACES.find((path) => existsSync(path) && (statSync(path).mode & 0o022) === 0) ?? null;
}

/** The smallest cage that has what all of them rest on. */
const TRIAL = [
  "--unshare-all",
  "--unshare-user",
  "--disable-userns",
  "--cap-drop",
  "ALL",
  "--ro-bind",
  "/",
  "/",
  "--proc",
  "/proc",
  "--",
  "/bin/true",
];

/** The same trial beside other work; null where it failed, and `probeHost` has to say why. */
export async function tryHost(bwrap = findBwrap()): Promise<Omit<CageHost, "overlay" | "landlockAbi"> | null> {
  if (bwrap === null) return null;
  try {
    const tried = Bun.spawn([bwrap, ...TRIAL], { stdio: ["ignore", "ignore", "ignore"], env: {} });
    tried.unref();
    return (await tried.exited) === 0 ? { level: "namespaces", bwrap, detail: "", fix: "" } : null;
  } catch {
    return null;
  }
}

export function probeHost(landlockAbi: number, bwrap = findBwrap()): CageHost {
  const without = (detail: string, fix: string): CageHost => ({
    level: landlockAbi > 0 ? "landlock" : "none",
    bwrap,
    overlay: null,
    landlockAbi,
    detail,
    fix,
  });
  if (bwrap === null)
    return without(
      "Bubblewrap is not installed here.",
      "Install it: apt-get install bubblewrap (or dnf, pacman, zypper: the package has that name).",
    );
  const tried = Bun.spawnSync([bwrap, ...TRIAL], { stdio: ["ignore", "ignore", "pipe"], env: {} });
  if (tried.exitCode === 0) return { level: "namespaces", bwrap, overlay: null, landlockAbi, detail: "", fix: "" };
  const said = tried.stderr.toString().split("\n", 1)[0] ?? "";
  return without(`Bubblewrap cannot make a cage here: ${said}`, fixFor());
}

/** In the order in which they are met in the wild. */
function fixFor(): string {
  if (read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === "1")
    return "This system's AppArmor keeps programs from making user namespaces. An administrator can load its profile for bwrap (package apparmor-profiles, file bwrap-userns-restrict), or run: sysctl kernel.apparmor_restrict_unprivileged_userns=0";
  if (read("/proc/sys/kernel/unprivileged_userns_clone") === "0")
    return "User namespaces are switched off. An administrator can run: sysctl kernel.unprivileged_userns_clone=1";
  if (read("/proc/sys/user/max_user_namespaces") === "0")
    return "User namespaces are switched off. An administrator can run: sysctl user.max_user_namespaces=15000";
  if (existsSync("/.dockerenv") || existsSync("/run/.containerenv"))
    return "This is a container that allows no user namespaces. Start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or use Noctem outside of it.";
  return "An administrator of this computer has to allow user namespaces.";
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
}
