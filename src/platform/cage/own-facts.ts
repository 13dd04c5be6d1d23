/** What a cage of Noctem's own child is made of on this host: the program, the models that it may read, the GPU. */
import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DeviceFacts, ProgramFacts, SeenPath } from "../../bark/cage/children.ts";

const COMPILED = import.meta.path.startsWith("/$bunfs/") || import.meta.path.includes("~BUN");
const SOURCES = new URL("../../..", import.meta.url).pathname;
/** What a run from source consists of, below the checkout. */
const SOURCE_PARTS = ["src", "node_modules", "package.json", "profiles", "tsconfig.json"];

/** How this program starts itself. */
export const selfCommand = (): readonly string[] => (COMPILED ? [process.execPath] : [process.execPath, join(SOURCES, "src/main.ts")]);

/** How this program starts itself with a hidden command: the executable, or bun with the sources while developing. */
export function ownCommand(hidden: string, source: string): readonly string[] {
  return COMPILED ? [process.execPath, hidden] : [process.execPath, join(SOURCES, source)];
}

/** `command` by its whole path; nothing else of the folder it lies in. */
export function programFacts(command: readonly string[]): ProgramFacts {
  const files = [command[0] ?? process.execPath, ...(command.length > 1 && command[1]?.startsWith(SOURCES) ? sources() : [])];
  // GPU libraries are looked for beside the program.
  const packs = join(dirname(process.execPath), "packs");
  return { command, files: [...files, ...(existsSync(packs) ? [packs] : [])].flatMap((path) => real(path) ?? []) };
}

const sources = (): readonly string[] => SOURCE_PARTS.map((name) => join(SOURCES, name)).filter((path) => existsSync(path));

/** Nodes of a GPU's driver are a large kernel surface, so they are given only where libraries for a GPU lie beside the program. */
export function deviceFacts(
  env: Readonly<Record<string, string | undefined>>,
  packs = join(dirname(process.execPath), "packs"),
): DeviceFacts & { readonly packs: boolean } {
  if (namesIn(packs).length === 0) return { devices: [], folders: PROCESSOR.filter((path) => real(path) === path), packs: false };
  const devices = [
    ...namesIn("/dev")
      .filter((name) => /^nvidia(\d+|ctl|-modeset|-uvm|-uvm-tools|-caps)$/u.test(name))
      .map((name) => `/dev/${name}`),
    "/dev/dri",
    "/dev/kfd",
    "/dev/dxg",
  ];
  const folders = [
    ...PROCESSOR,
    ...SYS_FOLDERS,
    ...namesIn("/sys/devices")
      .filter((name) => name.startsWith("pci"))
      .map((name) => `/sys/devices/${name}`),
    ...namesIn("/sys/module")
      .filter((name) => /^(nvidia(_\w+)?|amdgpu|i915|xe|nouveau)$/u.test(name))
      .map((name) => `/sys/module/${name}`),
    // Which driver there is, as files of a few lines each.
    "/etc/vulkan",
    "/etc/glvnd",
    "/etc/drirc",
    "/etc/nvidia",
    ...libraryFolders(env),
  ];
  const there = (paths: readonly string[]): readonly string[] => paths.filter((path) => real(path) === path);
  return { devices: there(devices), folders: there(folders), packs: true };
}

/** How many cores there are, which memory is near to them, and how large its pages are. */
const PROCESSOR = ["/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/kernel/mm/transparent_hugepage"];
const SYS_FOLDERS = ["/sys/bus/pci", "/sys/class/drm", "/sys/class/kfd", "/sys/dev/char", "/sys/devices/virtual/kfd"];

/** Of LD_LIBRARY_PATH, what holds libraries and is no home or larger. */
function libraryFolders(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const home = env["HOME"] === undefined ? null : real(env["HOME"]);
  return (env["LD_LIBRARY_PATH"] ?? "")
    .split(":")
    .slice(0, 16)
    .flatMap((path) => (path.startsWith("/") ? (real(path) ?? []) : []))
    .filter((path) => path !== "/" && (home === null || !`${home}/`.startsWith(`${path}/`)))
    .filter((path) => namesIn(path).some((name) => /\.so(\.\d+)*$/u.test(name)));
}

/** What the engine may see of models. A path that is not there is left out: the engine says of it what it says of any that is missing. */
export function seenPaths(paths: readonly string[]): readonly SeenPath[] {
  return paths.flatMap((path) => {
    const found = real(path);
    return found === null ? [] : [{ path, real: found }];
  });
}

/** Entries of a folder of models that are links lead out of it, and what they lead to has to be seen as well. Bounded like the inventory. */
export function linkedModels(folder: string): readonly string[] {
  return namesIn(folder)
    .slice(0, 1000)
    .map((name) => join(folder, name))
    .filter((path) => /\.gguf$/iu.test(path) && lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true);
}

/** Which file or folder stands at a path right now; a stick that was pulled and put back is another. */
export function identityOf(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return null;
  }
}

export function real(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

export function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return [];
  }
}

/** For whoever compares what a process is in with what this one is in: `/proc/PID/ns/NAME`. */
export const namespaceOf = (pid: number | "self", name: string): string => readlinkSync(`/proc/${pid}/ns/${name}`);
