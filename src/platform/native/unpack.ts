/**
 * Puts the embedded llama.cpp libraries where the dynamic loader can open them, for as long as loading takes. Each process unpacks into a folder of its own
 * (0700, random name) and removes it as soon as everything is mapped: no state is shared, so there is nothing to lock, to re-verify or to leave behind.
 * docs/design/0002-native-libraries.md says what was rejected.
 */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { err, ok, type Result } from "../../lib/result.ts";
import { type EmbeddedPack, embeddedPack, type NativeFile } from "./pack.ts";
import { isOurName, isStale, ownName } from "./owner.ts";
import { type NativeRoot, nativeRoots, unsafe } from "./roots.ts";

/** The libraries, ready to load. Dispose when they are loaded: mapped code does not need its files. */
export interface NativeLibraries extends Disposable {
  /** Holds `linux-x64/llama-addon.node` and the libraries beside it. */
  readonly binsDir: string;
  /** The same as disposing. Never throws; a second call does nothing. */
  release(): void;
}

export interface RootAttempt {
  readonly root: string;
  readonly reason: "unsafe" | "not-writable" | "no-room" | "noexec" | "unloadable";
  /** One line: the system's words. */
  readonly detail: string;
}

export type NativeError =
  /** The pack inside the executable does not match its hash: a bad copy, or a failing stick. */
  | { readonly kind: "damaged"; readonly detail: string }
  /** Folders could be written, but none of them lets code run. */
  | { readonly kind: "noexec"; readonly tried: readonly RootAttempt[] }
  /** `needed` in bytes. */
  | { readonly kind: "no-room"; readonly needed: number; readonly tried: readonly RootAttempt[] }
  /** The libraries are whole but do not load here, such as without libstdc++. */
  | { readonly kind: "unloadable"; readonly detail: string; readonly tried: readonly RootAttempt[] }
  /** No folder could be written at all. */
  | { readonly kind: "no-place"; readonly tried: readonly RootAttempt[] };

/** What unpacking depends on; tests give another. */
export interface NativeHost {
  readonly pack: EmbeddedPack | null;
  readonly roots: readonly NativeRoot[];
  /** Loads what lies in a folder, really, or throws the loader's error. */
  readonly probe: (folder: string) => void;
}

/** The platform's folder name inside `binsDir`; node-llama-cpp asks for it. */
const PLATFORM = "linux-x64";

let current: NativeLibraries | null = null;

/**
 * Unpacks and loads once; later calls answer the same libraries until they are released. Call it before `getLlama`: a failure here says why, node-llama-cpp's would
 * only say that nothing was found. 90 ms, of which 60 are decompression.
 */
export function unpackNative(): Result<NativeLibraries, NativeError> {
  if (current !== null) return ok(current);
  const unpacked = unpack({ pack: embeddedPack, roots: nativeRoots(process.env, process.execPath), probe: loadAddon });
  if (unpacked.ok) {
    current = unpacked.value;
    process.once("exit", () => unpacked.value.release());
  }
  return unpacked;
}

/** The same for any host. Not remembered. */
export function unpack(host: NativeHost): Result<NativeLibraries, NativeError> {
  if (host.pack === null) return ok(fromNodeModules());
  const { manifest } = host.pack;
  let raw: Uint8Array;
  try {
    const packed = readFileSync(host.pack.path);
    const found = new Bun.CryptoHasher("sha256").update(packed).digest("hex");
    if (found !== manifest.sha256) return err({ kind: "damaged", detail: `expected SHA-256 ${manifest.sha256}, found ${found}` });
    raw = Bun.zstdDecompressSync(packed);
  } catch (error) {
    return err({ kind: "damaged", detail: text(error) });
  }

  const tried: RootAttempt[] = [];
  for (const root of host.roots) {
    const attempt = tryRoot(root, manifest.files, raw, host.probe);
    if (attempt.ok) return attempt;
    tried.push(attempt.error);
  }
  return err(verdict(tried, raw.length));
}

function tryRoot(
  root: NativeRoot,
  files: readonly NativeFile[],
  raw: Uint8Array,
  probe: (folder: string) => void,
): Result<NativeLibraries, RootAttempt> {
  const failed = (reason: RootAttempt["reason"], detail: string): Result<never, RootAttempt> => err({ root: root.path, reason, detail });
  if (!root.stick) {
    const why = unsafe(root.path);
    if (why !== null) return failed("unsafe", why);
  }
  sweep(root);

  let binsDir: string;
  try {
    binsDir = mkdtempSync(join(root.path, ownName()));
  } catch (error) {
    return failed(code(error) === "ENOSPC" ? "no-room" : "not-writable", text(error));
  }
  const libraries = owned(binsDir);
  const folder = join(binsDir, PLATFORM);
  try {
    mkdirSync(folder, { mode: 0o700 });
    // `wx`: a name that exists already, or a link, is an error and is never written through.
    for (const { name, size, offset } of files)
      writeFileSync(join(folder, name), raw.subarray(offset, offset + size), { flag: "wx", mode: 0o500 });
    const why = exposed(binsDir, root.stick);
    if (why !== null) {
      libraries.release();
      return failed("unsafe", why);
    }
  } catch (error) {
    libraries.release();
    return failed(["ENOSPC", "EDQUOT", "EFBIG"].includes(code(error)) ? "no-room" : "not-writable", text(error));
  }
  try {
    probe(folder);
  } catch (error) {
    libraries.release();
    // The loader's words for a mapping that the mount (or a security module) refuses; everything else is about the libraries.
    return failed(
      /failed to map segment|Operation not permitted|Permission denied/.test(text(error)) ? "noexec" : "unloadable",
      text(error),
    );
  }
  return ok(libraries);
}

/** Whether others could change what was just written. Checked after writing, on the real folder: file systems without owners ignore the modes asked for. */
function exposed(folder: string, stick: boolean): string | null {
  const { uid, mode } = lstatSync(folder);
  const program = stick ? statSync(process.execPath) : { uid: process.geteuid?.() ?? uid, mode: 0 };
  if (uid !== program.uid && uid !== process.geteuid?.()) return "gives new folders to another user";
  return (mode & 0o022 & ~program.mode) === 0 ? null : "makes new folders writable by others";
}

function verdict(tried: readonly RootAttempt[], needed: number): NativeError {
  const unloadable = tried.find((attempt) => attempt.reason === "unloadable");
  if (unloadable) return { kind: "unloadable", detail: unloadable.detail, tried };
  if (tried.some((attempt) => attempt.reason === "no-room")) return { kind: "no-room", needed, tried };
  if (tried.some((attempt) => attempt.reason === "noexec")) return { kind: "noexec", tried };
  return { kind: "no-place", tried };
}

/** Removes what a killed process of ours left here. Best effort and bounded: a folder that cannot be listed or removed is no reason to fail. */
function sweep({ path: root, stick }: NativeRoot): void {
  try {
    // On a stick without owners everything belongs to whoever mounted it, the program too.
    const owners = [process.geteuid?.(), ...(stick ? [statSync(process.execPath).uid] : [])];
    for (const name of readdirSync(root).filter(isOurName).slice(0, 64)) {
      const path = join(root, name);
      const entry = lstatSync(path);
      const ours = entry.isDirectory() && owners.includes(entry.uid);
      if (ours && isStale(name, Date.now() - entry.mtimeMs)) remove(path);
    }
  } catch {
    // See above.
  }
}

function owned(binsDir: string): NativeLibraries {
  let released = false;
  const release = (): void => {
    if (released) return;
    released = true;
    if (current?.binsDir === binsDir) current = null;
    remove(binsDir);
  };
  return { binsDir, release, [Symbol.dispose]: release };
}

/**
 * Each file once, then the folders. On a FUSE stick a file that is still mapped only changes its name (`.fuse_hidden…`) until its process ends, so the folders stay
 * until a later start sweeps them; `rmSync` with `recursive` would delete and find such files for ever.
 */
function remove(binsDir: string): void {
  const attempt = (act: () => void): void => {
    try {
      act();
    } catch {
      // A stick that was pulled, a file that is not there: what remains is swept by a later start.
    }
  };
  const folder = join(binsDir, PLATFORM);
  attempt(() => {
    for (const name of readdirSync(folder)) attempt(() => unlinkSync(join(folder, name)));
  });
  attempt(() => rmdirSync(folder));
  attempt(() => rmdirSync(binsDir));
}

function fromNodeModules(): NativeLibraries {
  const release = (): void => {};
  return { binsDir: join(import.meta.dir, "../../../node_modules/@node-llama-cpp/linux-x64/bins"), release, [Symbol.dispose]: release };
}

/** Loads the addon and with it everything it links to, exactly as node-llama-cpp is about to: any other probe would test something else. */
function loadAddon(folder: string): void {
  process.dlopen({ exports: {} }, join(folder, "llama-addon.node"));
}

const code = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "");
const text = (error: unknown): string => (error instanceof Error ? error.message : String(error));
