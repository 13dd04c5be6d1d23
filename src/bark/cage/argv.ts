import { PROXY_SOCKET } from "../proxy/types.ts";
import { BUS_SOCKET, BUS_VARIABLE } from "./dbus.ts";
import type { CagePlan, ChildPlan, Mount } from "./types.ts";

/** Where things of the host lie that every cage is made of. Absolute, resolved, free of links. */
export interface CageParts {
  /** Folders and links that stand in /etc. Few, because bubblewrap reads the table of all mounts again for each one that it makes. */
  readonly etc: readonly Mount[];
  /** `/bin` → `usr/bin` and the like where the host has them merged, else folders to bind. */
  readonly roots: readonly Mount[];
  /** Files below /proc that speak of the host and that this user may read. */
  readonly hidden: readonly string[];
}

/** Descriptors that the launcher leaves open, by number. */
export interface CageDescriptors {
  readonly seccomp: readonly number[];
  /** Small files that are copied into the root, which is no mount for each; the helper is one. */
  readonly files: readonly { readonly to: string; readonly fd: number; readonly program?: boolean }[];
}

/** The proxy of one run: its socket on the host, and the variables by which tools find it. */
export interface CageProxy {
  readonly socket: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Inside, out of the way of what tools look for. */
export const HELPER = "/run/noctem/helper";
export const HOME = "/home/noctem";

/** Text, or bytes where a path is none. */
export type Word = string | Uint8Array;

/** As it can be printed. */
export const wordText = (word: Word): string => (typeof word === "string" ? word : new TextDecoder().decode(word));

/**
 * A plan as bubblewrap's options, to be handed over by `--args`: mounts and variables are visible in no process list. (The command, which follows
 * on the command line, is: any process shows its own.) The order is that in which bubblewrap acts, so that nothing later uncovers what something
 * earlier covered.
 */
export function bwrapOptions(
  plan: CagePlan | ChildPlan,
  parts: CageParts,
  descriptors: CageDescriptors,
  proxy: CageProxy | null = null,
  bus: string | null = null,
): readonly Word[] {
  // PID 1 is our helper: bubblewrap's own would run beside the program without the system call filter, within reach of /proc/1/mem.
  return [
    ...NAMESPACES,
    "--as-pid-1",
    ...first(plan, proxy, bus),
    ...root(plan, parts, descriptors.files),
    ...above(plan, proxy, bus, descriptors),
  ];
}

/** Nodes that bubblewrap gives every cage. */
export const NODES = ["null", "zero", "full", "random", "urandom", "tty"].map((name) => `/dev/${name}`);

/** Of the process itself. */
export function first(plan: CagePlan | ChildPlan, proxy: CageProxy | null, bus: string | null): readonly Word[] {
  return [
    "--new-session",
    "--die-with-parent",
    "--cap-drop",
    "ALL",
    "--clearenv",
    // The run's own last: no plan can lead a tool past the proxy.
    ...Object.entries({ ...plan.env, ...proxy?.env, ...busVariable(bus) }).flatMap(([name, value]) => ["--setenv", name, value]),
  ];
}

/** Set by the run alone: a plan cannot name another bus. */
const busVariable = (bus: string | null): Readonly<Record<string, string>> =>
  bus === null ? {} : { [BUS_VARIABLE]: `unix:path=${BUS_SOCKET}` };

const NAMESPACES = ["--unshare-all", "--unshare-user", "--disable-userns", "--hostname", "noctem"];

/** What the kernel shows. */
const kernel = (parts: CageParts): readonly Word[] => [
  "--proc",
  "/proc",
  // As real root some settings of the kernel open for writing, even in a user namespace of one's own.
  ...bind("--ro-bind", "/proc/sys", "/proc/sys"),
  ...parts.hidden.flatMap((path) => bind("--ro-bind", "/dev/null", path)),
];

/** The root is an empty file system that is made read-only once everything stands in it. */
function root(plan: CagePlan | ChildPlan, parts: CageParts, files: CageDescriptors["files"]): readonly Word[] {
  // Where nothing is spoken to, nobody is to be trusted.
  const etc = plan.network.kind === "none" ? parts.etc.filter(({ to }) => to !== CERTIFICATES) : parts.etc;
  return [
    // Nearly half of all mounts, and each costs by how many there are already; so they come first.
    ...kernel(parts),
    "--dev",
    "/dev",
    ...bind("--ro-bind", "/usr", "/usr"),
    // Made on the way to what is mounted below them, they would be readable by their owner alone.
    ...["/etc", "/run", "/run/noctem"].flatMap((path) => ["--perms", "0755", "--dir", path]),
    ...parts.roots.flatMap(mountArguments),
    ...etc.flatMap(mountArguments),
    ...files.flatMap(({ to, fd, program }) => ["--perms", program === true ? "0555" : "0444", "--file", String(fd), to]),
    ...tmpfs("/dev/shm", SHARED_MEMORY),
    ...writable(plan),
  ];
}

export const writable = ({ limits: { diskBytes } }: CagePlan | ChildPlan): readonly Word[] => [
  ...tmpfs("/tmp", diskBytes),
  ...tmpfs(HOME, diskBytes),
];

/** What is the plan's and the run's own, and that the root is closed over it. */
export function above(
  plan: CagePlan | ChildPlan,
  proxy: CageProxy | null,
  bus: string | null,
  descriptors: Pick<CageDescriptors, "seccomp">,
): readonly Word[] {
  return [
    ...plan.mounts.flatMap(mountArguments),
    ...(proxy === null ? [] : bind("--ro-bind", proxy.socket, PROXY_SOCKET)),
    ...(bus === null ? [] : bind("--ro-bind", bus, BUS_SOCKET)),
    "--remount-ro",
    "/",
    "--chdir",
    plan.cwd,
    ...descriptors.seccomp.flatMap((fd) => ["--add-seccomp-fd", String(fd)]),
  ];
}

/** Certificates of authorities, as most systems have them. */
export const CERTIFICATES = "/etc/ssl/certs";
/** Bytes. */
export const SHARED_MEMORY = 16 << 20;
/** Bytes of an empty folder. */
const MASK = 4096;

export function mountArguments(mount: Mount): readonly Word[] {
  switch (mount.kind) {
    case "read-only":
      return bind("--ro-bind", mount.from, mount.to);
    case "read-write":
      return bind("--bind", mount.from, mount.to);
    case "device":
      return bind("--dev-bind", mount.from, mount.to);
    case "tmpfs":
      return tmpfs(mount.to, mount.bytes);
    case "folder":
      return ["--dir", mount.to];
    case "mask": {
      const to = mount.raw === undefined ? mount.to : Uint8Array.fromHex(mount.raw);
      // An empty device reads as nothing, whatever is done to it.
      return mount.folder ? tmpfs(to, MASK) : bind("--ro-bind", "/dev/null", to);
    }
    case "link":
      return ["--symlink", mount.target, mount.to];
  }
}

export const bind = (how: string, from: string, to: Word): readonly Word[] => [how, from, to];
const tmpfs = (to: Word, bytes: number): readonly Word[] => ["--size", String(bytes), "--tmpfs", to];

/**
 * `same`: what was looked at on the host and has to be what is found, as PATH:DEV:INO.
 *
 * The helper sets limits that bubblewrap knows nothing of, restricts files once more by Landlock, and runs the program below itself.
 */
export const innerCommand = (plan: CagePlan | ChildPlan, same: readonly string[] = []): readonly string[] => [
  HELPER,
  "inside",
  ...innerWords(plan, same),
];

/** The same without the helper's own name, for a cage that stands ready: the helper is told them later. */
export function innerWords(
  { argv, limits, network, mounts, workspace }: CagePlan | ChildPlan,
  same: readonly string[] = [],
): readonly string[] {
  const writable = mounts.flatMap((mount) => (mount.kind === "read-write" || mount.kind === "tmpfs" ? [mount.to] : []));
  const view = workspace?.mode !== "copy-on-write" ? [] : [workspace.inside, ...(workspace.git === undefined ? [] : [workspace.git.host])];
  const writes = ["/tmp", HOME, "/dev", "/proc", ...writable, ...view];
  return [
    ...Object.entries({
      cpu: limits.cpuSeconds,
      as: limits.memoryBytes + ADDRESS_SPACE,
      nproc: limits.processes,
      nofile: limits.openFiles,
      fsize: limits.fileBytes,
      core: 0,
    }).flatMap(([name, value]) => (Number.isFinite(value) ? ["--rlimit", `${name}=${value}`] : [])),
    ...same.flatMap((identity) => ["--same", identity]),
    "--landlock-ro",
    "/",
    ...writes.flatMap((path) => ["--landlock-rw", path]),
    ...(network.kind === "proxy" ? ["--relay", String(network.port), PROXY_SOCKET, "--no-net-but", String(network.port)] : []),
    "--",
    ...argv,
  ];
}

/** Beyond what may be resident: V8 and the JVM reserve far more address space than they use. */
const ADDRESS_SPACE = 64 * 2 ** 30;
