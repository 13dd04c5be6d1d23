/**
 * What the file system under a path can do, from its kind: sticks come with FAT and exFAT, where chmod does nothing, links and sockets fail, and FAT32 ends a file
 * at 4 GiB. Trying it out would write to the stick; the kind tells the same (measured on vfat and exfat mounts).
 */
import { readFileSync, realpathSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { err, ok, type Result } from "../lib/result.ts";

export interface Filesystem {
  /** The kernel's name: `ext4`, `vfat`, `exfat`, `fuseblk`, `tmpfs`… */
  readonly type: string;
  /** What it is really: a FUSE mount of an exFAT or NTFS stick is named after FUSE. */
  readonly family: "unix" | "fat" | "exfat" | "ntfs" | "network" | "unknown";
  readonly mountPoint: string;
  /** The device or share, as the kernel names it. */
  readonly source: string;
  readonly readOnly: boolean;
  readonly noexec: boolean;
  /** vfat only: files without `.exe`, `.com` or `.bat` cannot be executed. The desktop default of many distributions. */
  readonly showexec: boolean;
  /** Bytes that this user may still write. */
  readonly free: number;
  /** Bytes; `Infinity` where no file that matters here reaches it. */
  readonly maxFileSize: number;
  readonly permissions: boolean;
  readonly symlinks: boolean;
  readonly sockets: boolean;
}

/** One line of /proc/self/mountinfo. */
export interface Mount {
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
  /** `major:minor`. */
  readonly device: string;
  /** Of the mount and of the file system behind it. */
  readonly options: ReadonlySet<string>;
}

export type FilesystemError =
  | { readonly kind: "missing"; readonly path: string }
  | { readonly kind: "unknown-mount"; readonly path: string };

const GIB = 2 ** 30;

/** Of the nearest folder of `path` that exists: one asks before a file is made. */
export function filesystemOf(path: string): Result<Filesystem, FilesystemError> {
  const real = nearest(path);
  if (real === null) return err({ kind: "missing", path });
  let mount: Mount | null;
  try {
    mount = mountOf(real, parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8")));
  } catch {
    mount = null;
  }
  if (mount === null) return err({ kind: "unknown-mount", path });
  const { bavail, bsize } = statfsSync(real);
  return ok({ ...abilities(mount, mount.type === "fuseblk" ? udevType(mount.device) : null), free: bavail * bsize });
}

/** exfat-fuse and ntfs-3g both mount as `fuseblk`; what udev read from the device tells them apart, and everybody may read it. */
function udevType(device: string): string | null {
  try {
    return /^E:ID_FS_TYPE=(\w+)$/m.exec(readFileSync(`/run/udev/data/b${device}`, "utf8"))?.[1] ?? null;
  } catch {
    return null;
  }
}

/** The lines that can be read; a line of a later kernel that cannot is left out. */
export function parseMountInfo(text: string): readonly Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    // proc(5): id parent major:minor root mount-point options [tags…] - type source super-options
    const [left, right] = line.split(" - ", 2);
    const [, , device, , mountPoint, options] = left?.split(" ") ?? [];
    const [type, source, superOptions] = right?.split(" ") ?? [];
    if (device === undefined || mountPoint === undefined || options === undefined || type === undefined || source === undefined) continue;
    mounts.push({
      mountPoint: unescape(mountPoint),
      type,
      source: unescape(source),
      device,
      options: new Set([...options.split(","), ...(superOptions ?? "").split(",")]),
    });
  }
  return mounts;
}

/** The mount that `path` (absolute, without links) lies on: the longest prefix, and of several on one point the last, which covers the others. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | null {
  let best: Mount | null = null;
  for (const mount of mounts) {
    const { mountPoint } = mount;
    const covers = path === mountPoint || mountPoint === "/" || path.startsWith(`${mountPoint}/`);
    if (covers && mountPoint.length >= (best?.mountPoint.length ?? 0)) best = mount;
  }
  return best;
}

/** Everything but the free space. `inside` is the type found on the device of a FUSE mount, when known. */
export function abilities({ type, source, mountPoint, options }: Mount, inside: string | null = null): Omit<Filesystem, "free"> {
  const family = familyOf(inside ?? type);
  const unix = family === "unix" || family === "unknown";
  return {
    type,
    family,
    mountPoint,
    source,
    readOnly: options.has("ro"),
    noexec: options.has("noexec"),
    showexec: options.has("showexec"),
    maxFileSize: family === "fat" ? 4 * GIB - 1 : Infinity,
    permissions: unix,
    // NTFS has links of its own kind; over FUSE they work.
    symlinks: unix || family === "network" || family === "ntfs",
    sockets: unix,
  };
}

function familyOf(type: string): Filesystem["family"] {
  switch (type) {
    case "vfat":
    case "msdos":
    case "fat":
      return "fat";
    case "exfat":
    case "texfat":
    case "fuse.exfat":
      return "exfat";
    case "ntfs":
    case "ntfs3":
    case "fuse.ntfs-3g":
    case "fuse.ntfs":
      return "ntfs";
    case "fuseblk":
      // Unknown which of the two; exFAT promises less.
      return "exfat";
    case "nfs":
    case "nfs4":
    case "cifs":
    case "smb3":
    case "9p":
    case "fuse.sshfs":
      return "network";
    case "ext2":
    case "ext3":
    case "ext4":
    case "xfs":
    case "btrfs":
    case "f2fs":
    case "zfs":
    case "bcachefs":
    case "tmpfs":
    case "ramfs":
    case "overlay":
      return "unix";
    default:
      return "unknown";
  }
}

/** The kernel writes space, tab, newline and backslash as three octal digits of a byte; everything else is UTF-8 as it is. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function nearest(path: string): string | null {
  for (let at = path; ; at = dirname(at)) {
    try {
      return realpathSync(at);
    } catch {
      if (at === dirname(at)) return null;
    }
  }
}
