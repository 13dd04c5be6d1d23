/**
 * What every cage needs to have on the host: the helper, the system call filters, a few small files for /etc. They are unpacked into a private
 * folder in memory when the first cage is built, and are gone with the process.
 */
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import allowArm64 from "../../../profiles/seccomp/allow-arm64.bpf" with { type: "file" };
import allowX64 from "../../../profiles/seccomp/allow-x64.bpf" with { type: "file" };
import denyArm64 from "../../../profiles/seccomp/deny-arm64.bpf" with { type: "file" };
import denyX64 from "../../../profiles/seccomp/deny-x64.bpf" with { type: "file" };
import { type CageDescriptors, type CageParts, CERTIFICATES, HELPER } from "../../bark/cage/argv.ts";
import type { Mount } from "../../bark/cage/types.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { isOurName, isStale, ownName } from "../native/owner.ts";
import { nativeRoots, unsafe } from "../native/roots.ts";
import { helperFile } from "./files.ts";

export interface UnpackedParts extends Disposable, CageParts {
  readonly folder: string;
  readonly helper: string;
  /** Programs for the kernel's filter, as files. */
  readonly filters: { readonly deny: string; readonly allow: string };
  /** The helper and small files of /etc, by where they lie on the host. */
  readonly copied: readonly { readonly to: string; readonly path: string; readonly program?: boolean }[];
  /** The same, opened: `opened` here, to be closed by whoever asked; `fd` in the child, from `first` on. */
  files(first: number): readonly (CageDescriptors["files"][number] & { readonly opened: number })[];
  /** Of the kernel; 0 without. */
  readonly landlockAbi: number;
}

const FILTERS = process.arch === "arm64" ? { deny: denyArm64, allow: allowArm64 } : { deny: denyX64, allow: allowX64 };

/** The error is a sentence. */
export function unpackParts(env: Readonly<Record<string, string | undefined>>, helper = helperFile): Result<UnpackedParts, string> {
  if (helper === null) return err("This build of Noctem has no cage helper: it was made on a computer without a C compiler.");
  const tried: string[] = [];
  for (const root of nativeRoots(env, process.execPath)) {
    const reason = unsafe(root.path);
    if (reason !== null) {
      tried.push(`${root.path} ${reason}`);
      continue;
    }
    const parts = unpackInto(root.path, helper);
    if (parts.ok) return parts;
    tried.push(parts.error);
  }
  return err(`The cage's helper cannot run from any folder of this computer: ${tried.join("; ")}.`);
}

function unpackInto(root: string, helper: string): Result<UnpackedParts, string> {
  let folder: string | null = null;
  sweep(root);
  try {
    folder = mkdtempSync(join(root, ownName()));
    const program = join(folder, "helper");
    writeFileSync(program, readFileSync(helper), { mode: 0o500 });
    const asked = Bun.spawnSync([program, "landlock-abi"], { stdio: ["ignore", "pipe", "ignore"], env: {} });
    if (asked.exitCode !== 0) throw new Error(`${root}: programs cannot run there`);
    const filters = { deny: join(folder, "deny.bpf"), allow: join(folder, "allow.bpf") };
    writeFileSync(filters.deny, readFileSync(FILTERS.deny));
    writeFileSync(filters.allow, readFileSync(FILTERS.allow));
    mkdirSync(join(folder, "view"));
    mkdirSync(join(folder, "standby"));
    const files = [{ to: HELPER, path: program, program: true }, ...etcFiles(folder)];
    const made = folder;
    return ok({
      folder,
      helper: program,
      filters,
      etc: etcFolders(),
      copied: files,
      files: (first) => files.map(({ path, ...file }, index) => ({ ...file, fd: first + index, opened: openSync(path, "r") })),
      roots: rootMounts(),
      hidden: HIDDEN.filter(isReadable),
      landlockAbi: Number(asked.stdout.toString().trim()),
      [Symbol.dispose]: () => rmSync(made, { recursive: true, force: true }),
    });
  } catch (error) {
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
    return err(error instanceof Error ? error.message : String(error));
  }
}

/** Removes what a killed process of ours left here: the native libraries have a sweep of their own, which knows their files alone. Best effort. */
function sweep(root: string): void {
  try {
    for (const name of readdirSync(root).filter(isOurName).slice(0, 64)) {
      const path = join(root, name);
      const { mtimeMs, uid } = lstatSync(path);
      if (uid === process.geteuid?.() && existsSync(join(path, "helper")) && isStale(name, Date.now() - mtimeMs))
        rmSync(path, { recursive: true, force: true });
    }
  } catch {
    // A folder that cannot be listed is no reason to fail.
  }
}

/** Nobody's names but the user's own, and what makes programs find libraries and certificates. Nothing of it is secret. Place in the cage, and file on the host. */
function etcFiles(folder: string): readonly { readonly to: string; readonly path: string }[] {
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  const own: Record<string, string> = {
    passwd: `noctem:x:${uid}:${gid}::/home/noctem:/bin/sh\n`,
    group: `noctem:x:${gid}:\n`,
    hosts: "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
  };
  const files: Record<string, string> = {};
  for (const [name, text] of Object.entries(own)) {
    files[name] = join(folder, name);
    writeFileSync(join(folder, name), text, { mode: 0o444 });
  }
  for (const name of FROM_HOST) if (kindOf(`/etc/${name}`) === "file") files[name] = `/etc/${name}`;
  return Object.entries(files).map(([name, path]) => ({ to: `/etc/${name}`, path }));
}

/** What is no small file. */
const etcFolders = (): readonly Mount[] => [
  ...FOLDERS_FROM_HOST.filter((path) => kindOf(path) === "folder").map((path): Mount => ({ kind: "read-only", from: path, to: path })),
  localTime(),
];

/** The person's keys by name, and what the kernel says of the whole computer. */
const HIDDEN = [
  "keys",
  "key-users",
  "kcore",
  "kallsyms",
  "kpagecount",
  "kpageflags",
  "timer_list",
  "sched_debug",
  "latency_stats",
  "slabinfo",
  "vmallocinfo",
].map((name) => `/proc/${name}`);

const FROM_HOST = ["ld.so.cache", "ssl/openssl.cnf", "mime.types"];
const FOLDERS_FROM_HOST = ["/etc/alternatives", CERTIFICATES];

/**
 * The host's time zone by its name. Without this link Node and Bun compare every file of the zone database with one that is not there, which takes them
 * 0.1 s at each start.
 */
function localTime(): Mount {
  const to = "/etc/localtime";
  const link = lstatSync(to, { throwIfNoEntry: false })?.isSymbolicLink() === true ? readlinkSync(to) : "";
  const [zone = "/zoneinfo/Etc/UTC"] = /\/zoneinfo\/[\w+/-]+$/u.exec(link) ?? [];
  return { kind: "link", target: `/usr/share${zone}`, to };
}

/** Merged into /usr on most systems; on the others they are folders of their own. */
function rootMounts(): readonly Mount[] {
  return ["bin", "sbin", "lib", "lib32", "lib64", "libx32"].flatMap((name): Mount[] => {
    const path = `/${name}`;
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return [];
    if (found.isSymbolicLink()) return [{ kind: "link", target: readlinkSync(path), to: path }];
    return found.isDirectory() ? [{ kind: "read-only", from: path, to: path }] : [];
  });
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Not through a link: what it led to could change between this look and the mount. */
function kindOf(path: string): "file" | "folder" | null {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true ? "file" : found?.isDirectory() === true ? "folder" : null;
}
