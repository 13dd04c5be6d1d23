/** What a cage that stands ready is made of before it is known what for, and what is left to be told then. */
import {
  above,
  bind,
  type CageDescriptors,
  type CageParts,
  type CageProxy,
  CERTIFICATES,
  first,
  HOME,
  mountArguments,
  NODES,
  SHARED_MEMORY,
  type Word,
  writable,
} from "./argv.ts";
import type { CagePlan } from "./types.ts";

/**
 * A plan as bubblewrap's options where a cage stands ready (native/helper/standby.c), with namespaces around it that are its own already. `root`: the folder in which its root does; `diskBytes`: how large what can be
 * written to is in it.
 */
export function standbyOptions(
  plan: CagePlan,
  { etc }: CageParts,
  { root, diskBytes }: { readonly root: string; readonly diskBytes: number },
  descriptors: Pick<CageDescriptors, "seccomp">,
  proxy: CageProxy | null,
  bus: string | null,
): readonly Word[] {
  return [
    "--unshare-user",
    "--disable-userns",
    ...first(plan, proxy, bus),
    // With the nodes of /dev in it, and with each mount's own restrictions, which bubblewrap keeps.
    ...bind("--dev-bind", root, "/"),
    ...(diskBytes === plan.limits.diskBytes ? [] : writable(plan)),
    ...etc.filter((mount) => mount.to === CERTIFICATES && plan.network.kind !== "none").flatMap(mountArguments),
    ...above(plan, proxy, bus, descriptors),
  ];
}

/** What a standing cage has in its root, as options of the helper: all but what is of the kernel, of the plan, or of the run. */
export function standbyRoot(
  parts: CageParts,
  files: readonly { readonly to: string; readonly path: string; readonly program?: boolean }[],
  diskBytes: number,
): readonly string[] {
  const mounts = [...parts.roots, ...parts.etc.filter(({ to }) => to !== CERTIFICATES)];
  const folders = new Set(["/etc", "/run", "/home", "/dev/pts"]);
  for (const { to } of [...mounts, ...files]) for (const above of foldersAbove(to)) folders.add(above);
  return [
    "--devices",
    "/dev",
    ...[...folders].flatMap((path) => ["--folder", path]),
    "--tmpfs",
    String(SHARED_MEMORY),
    "/dev/shm",
    ...["/tmp", HOME].flatMap((path) => ["--tmpfs", String(diskBytes), path]),
    ...NODES.flatMap((path) => ["--node", path]),
    "--terminals",
    "/dev/pts",
    ...DEVICE_LINKS.flatMap(([name, target]) => ["--link", target, `/dev/${name}`]),
    "--kernel",
    "/proc",
    ...parts.hidden.flatMap((path) => ["--hide", path]),
    "--mount",
    "/usr",
    "/usr",
    ...mounts.flatMap((mount) =>
      mount.kind === "link" ? ["--link", mount.target, mount.to] : "from" in mount ? ["--mount", mount.from, mount.to] : [],
    ),
    ...files.flatMap(({ to, path, program }) => [program === true ? "--program" : "--file", path, to]),
  ];
}

/** The outermost first. */
const foldersAbove = (path: string): readonly string[] =>
  path.split("/").flatMap((_, index, names) => (index < 2 ? [] : [names.slice(0, index).join("/")]));

/** As bubblewrap makes them. */
const DEVICE_LINKS = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
  ["core", "/proc/kcore"],
  ["ptmx", "pts/ptmx"],
] as const;
