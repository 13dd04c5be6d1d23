/** Mounts for tests, each in a mount namespace of its own or gone with its block. Only root can make them; tests ask `canMount` and are skipped by name. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { tempDir, type TempDir } from "./noctem.ts";

const sh = (command: string): { ok: boolean; out: string } => {
  const run = Bun.spawnSync(["sh", "-c", command], { stdio: ["ignore", "pipe", "pipe"], env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
  return { ok: run.exitCode === 0, out: run.stdout.toString().trim() };
};

/** Root with the right to unshare the mount namespace; false in most containers. */
export const canMount: boolean = process.getuid?.() === 0 && sh("unshare -m mount -t tmpfs none /mnt").ok;

/** `command` for `sh -c`, run where `mounts` (shell lines) were made first. They vanish with the command. */
export function inMounts(mounts: readonly string[], argv: readonly string[]): string[] {
  return ["unshare", "-m", "sh", "-c", `${["set -e", ...mounts].join("\n")}\nexec "$@"`, "sh", ...argv];
}

export type StickKind = "exfat" | "vfat";

/** A freshly formatted stick on a loop device. */
export function loopStick(kind: StickKind, megabytes: number): TempDir {
  const dir = tempDir("noctem-loop-");
  const image = join(dir.path, "image");
  const path = join(dir.path, "mount");
  mkdirSync(path);
  const device = sh(`truncate -s ${megabytes}M '${image}' && mkfs.${kind} '${image}' >&2 && losetup -f --show '${image}'`).out;
  const undo = (): void => {
    sh(`umount '${path}' || umount -l '${path}'`);
    if (device !== "") sh(`losetup -d ${device}`);
    rmSync(dir.path, { recursive: true, force: true });
  };
  const mounted =
    device !== "" &&
    sh(
      kind === "exfat" ? `mount.exfat-fuse ${device} '${path}' || mount -t exfat ${device} '${path}'` : `mount -t vfat ${device} '${path}'`,
    ).ok;
  if (!mounted) {
    undo();
    throw new Error(`${kind} cannot be mounted here`);
  }
  return { path, [Symbol.dispose]: undo };
}

/** Why a stick of this kind cannot be made here, for the name of the skipped test; `null` when it can. */
export function noStick(kind: StickKind): string | null {
  if (process.getuid?.() !== 0) return "needs root";
  try {
    loopStick(kind, kind === "vfat" ? 40 : 8)[Symbol.dispose]();
    return null;
  } catch {
    return `needs mkfs.${kind}, a loop device and ${kind} in the kernel${kind === "exfat" ? " or exfat-fuse" : ""}`;
  }
}

/** A folder that is an overlay upon an overlay: as deep as the kernel stacks them, so that no third can stand on it. */
export function stackedFolder(): TempDir {
  const dir = tempDir("noctem-stack-");
  const [first, second] = ["first", "second"].map((name) => join(dir.path, name)) as [string, string];
  for (const at of [first, second]) for (const name of ["lower", "upper", "work", "mount"]) mkdirSync(join(at, name), { recursive: true });
  const mount = (at: string, lower: string): boolean =>
    sh(`mount -t overlay none -o 'lowerdir=${lower},upperdir=${at}/upper,workdir=${at}/work' '${at}/mount'`).ok;
  const undo = (): void => {
    for (const at of [second, first]) sh(`umount '${at}/mount' || umount -l '${at}/mount'`);
    rmSync(dir.path, { recursive: true, force: true });
  };
  if (mount(first, join(first, "lower")) && mount(second, join(first, "mount")))
    return { path: join(second, "mount"), [Symbol.dispose]: undo };
  undo();
  throw new Error("overlays cannot be stacked here");
}

/** Why there can be none here; `null` when there can. */
export function noStack(): string | null {
  if (process.getuid?.() !== 0) return "needs root";
  try {
    stackedFolder()[Symbol.dispose]();
    return null;
  } catch {
    return "needs overlays that can be stacked";
  }
}
