/**
 * GPU builds of llama.cpp beside the executable: `packs/NAME/`, laid out as the platform package of that name with a manifest of hashes. They are too large for the
 * executable (Vulkan 71 MB, CUDA 540 MB), and most hosts need none. `scripts/gpu-pack.ts` makes them.
 */
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { err, ok, type Result } from "../../lib/result.ts";
import type { BinsAnswer } from "./bins.ts";

export const GPU_PACKS = ["linux-x64-vulkan", "linux-x64-cuda", "linux-x64-cuda-ext"] as const;
export type GpuPackName = (typeof GPU_PACKS)[number];

export type GpuPackError =
  | { readonly kind: "absent" }
  /** Made for another release of node-llama-cpp; the two share a binary interface within one release only. */
  | { readonly kind: "other-version"; readonly wanted: string; readonly found: string }
  /** A file is missing, too many, or not the one in the manifest. One line. */
  | { readonly kind: "damaged"; readonly detail: string };

/** `packs/NAME/manifest.json`. Paths are relative to `bins/`. */
export const GpuPackManifest = v.strictObject({
  version: v.string(),
  files: v.pipe(
    v.array(
      v.strictObject({
        path: v.pipe(v.string(), v.regex(/^(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._/-]*$/)),
        size: v.pipe(v.number(), v.integer(), v.minValue(0)),
        sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
      }),
    ),
    v.maxLength(200),
  ),
});

/** Hashing reads the whole pack, so it happens once a process. */
const verified = new Map<string, Result<string, GpuPackError>>();

/** For node-llama-cpp: the folder of a sound pack, or nothing. */
export function gpuPack(name: string, version: string): BinsAnswer {
  if (!GPU_PACKS.includes(name as GpuPackName)) return {};
  const pack = verifyGpuPack(join(dirname(process.execPath), "packs", name), version);
  return pack.ok ? { binsDir: pack.value, packageVersion: version } : {};
}

/** The `bins` folder of the pack in `folder`, when every file is the one in its manifest. For `doctor` too. Reads the whole pack, at 0.5 GB/s and more. */
export function verifyGpuPack(folder: string, version: string): Result<string, GpuPackError> {
  const known = verified.get(folder);
  if (known !== undefined) return known;
  const found = check(folder, version);
  verified.set(folder, found);
  return found;
}

function check(folder: string, version: string): Result<string, GpuPackError> {
  let source: string;
  try {
    source = readFileSync(join(folder, "manifest.json"), "utf8");
  } catch {
    return err({ kind: "absent" });
  }
  const manifest = v.safeParse(v.pipe(v.string(), v.parseJson(), GpuPackManifest), source);
  if (!manifest.success) return err({ kind: "damaged", detail: "manifest.json is not a manifest" });
  if (manifest.output.version !== version) return err({ kind: "other-version", wanted: version, found: manifest.output.version });
  const bins = join(folder, "bins");
  try {
    // A library that nobody listed would be found and loaded all the same.
    const listed = new Set(manifest.output.files.map((file) => file.path));
    const extra = filesBelow(bins).find((path) => !listed.has(path));
    if (extra !== undefined) return err({ kind: "damaged", detail: `${extra} is not in the manifest` });
    for (const { path, size, sha256 } of manifest.output.files) {
      const full = join(bins, path);
      const entry = lstatSync(full);
      if (!entry.isFile() || entry.size !== size || hashFile(full) !== sha256)
        return err({ kind: "damaged", detail: `${path} is not the file in the manifest` });
    }
  } catch (error) {
    return err({ kind: "damaged", detail: error instanceof Error ? error.message : String(error) });
  }
  return ok(bins);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

/** SHA-256, lower-case hex. A loop of large reads is three times as fast as a stream here. */
export function hashFile(path: string): string {
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = Buffer.allocUnsafe(4 << 20);
  const file = openSync(path, "r");
  try {
    for (;;) {
      const size = readSync(file, buffer, 0, buffer.length, null);
      if (size === 0) return hasher.digest("hex");
      hasher.update(buffer.subarray(0, size));
    }
  } finally {
    closeSync(file);
  }
}
