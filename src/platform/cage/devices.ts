/**
 * What stands around root's cages (native/helper/outside.c). Root owns the nodes of /dev, in its cages as well: there they stand on mounts that let nobody change what they are. And
 * bubblewrap reads the table of all mounts again for each one that it makes, so those that the cage has nothing of are let go of first.
 */
import { readFileSync } from "node:fs";
import { type CageParts, NODES } from "../../bark/cage/argv.ts";
import type { CagePlan, ChildPlan } from "../../bark/cage/types.ts";

/** Whatever the plan: where programs, nodes and the kernel's own files come from. */
export const ALWAYS = ["/usr", "/proc", "/dev", "/etc"];

export interface Guarded {
  readonly plan: Pick<CagePlan | ChildPlan, "mounts" | "workspace">;
  readonly parts: CageParts & { readonly helper: string; readonly folder: string };
  /** Control groups that it enters before it is anything else. */
  readonly groups?: readonly string[];
}

/** `command` with that around it where it is needed. */
export function guardDevices(command: readonly string[], { plan, parts, groups = [] }: Guarded): readonly string[] {
  if (process.geteuid?.() !== 0) return command;
  const { workspace } = plan;
  const mounts = [...plan.mounts, ...parts.etc, ...parts.roots];
  const sources = [
    ...ALWAYS,
    parts.folder,
    ...mounts.flatMap((mount) => ("from" in mount ? [mount.from] : [])),
    ...(workspace === null ? [] : [workspace.host, ...(workspace.git === undefined ? [] : [workspace.git.host])]),
  ];
  const nodes = plan.mounts.flatMap((mount) => (mount.kind === "device" ? [mount.from] : []));
  return [
    parts.helper,
    "devices",
    ...groups.flatMap((folder) => ["--group", folder]),
    ...needless(mountTable(), sources).flatMap((folder) => ["--gone", folder]),
    ...NODES,
    ...nodes,
    "--",
    ...command,
  ];
}

/** Of a process that lives for hours it may be an old one: what was mounted since is read along, what is gone is not found. */
let known: string | null = null;

function mountTable(): string {
  try {
    return (known ??= readFileSync("/proc/self/mountinfo", "utf8"));
  } catch {
    return "";
  }
}

/** The kernel's own, and the images of snaps: no program of the host's that starts a cage lies in one. */
const KERNELS =
  /^(?:sysfs|cgroup2?|securityfs|selinuxfs|debugfs|tracefs|pstore|efivarfs|bpf|fusectl|configfs|devpts|mqueue|hugetlbfs|binfmt_misc|autofs|rpc_pipefs|nfsd|nsfs|ramfs|squashfs)$/;
/** More than a command line should hold. */
const MOST = 200;

/**
 * Where one of those is mounted that none of `sources` is, lies in, or holds: the outermost folders, each as often as it is mounted over. What lies below goes with it.
 * `table`: as of proc_pid_mountinfo(5).
 */
export function needless(table: string, sources: readonly string[]): readonly string[] {
  const gone: string[] = [];
  for (const line of table.split("\n")) {
    const [mount = "", kind = ""] = line.split(" - ", 2);
    const at = mount.split(" ", 5)[4] ?? "";
    // What is not spelled in plain letters stays.
    if (!at.startsWith("/") || at.includes("\\") || !KERNELS.test(kind.split(" ", 1)[0] ?? "")) continue;
    if (gone.some((folder) => folder !== at && within(at, folder))) continue;
    if (sources.every((source) => !within(source, at) && !within(at, source))) gone.push(at);
  }
  return gone.slice(0, MOST);
}

const within = (path: string, folder: string): boolean => path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
