/** Packs the CPU build of llama.cpp into one zstd file with a manifest: 30 MB become 4.9 MB, because the CPU variants are near copies. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NativeFile, NativeManifest } from "../../src/platform/native/pack.ts";

/** Part of the cache key: a change of format must not find an old pack. */
const FORMAT = 2;
const LEVEL = 19;
/**
 * Every file of the package is needed: the addon links to llama-common, that to llama and ggml, and ggml picks one of the CPU variants by what the host can do.
 * The list is spelled out so that a new or missing library is a decision and not a surprise.
 */
const EXPECTED =
  /^(_nlcBuildMetadata\.json|llama-addon\.node|libggml-base\.so|libggml\.v[\d.]+\.so|libllama\.v[\d.]+\.so|libllama-common\.so|libggml-cpu-[a-z0-9]+\.so)$/;
const REQUIRED = [
  "_nlcBuildMetadata.json",
  "llama-addon.node",
  "libggml-base.so",
  "libllama-common.so",
  "libggml-cpu-x64.so",
  "libggml-cpu-haswell.so",
];

export interface PackFiles {
  readonly pack: string;
  readonly manifest: string;
}

/** Makes the pack, or finds it in `cacheDir` from an earlier build of the same libraries (compressing takes 15 s). */
export function nativePack(binsDir: string, cacheDir: string): PackFiles {
  const names = readdirSync(binsDir).sort();
  const unknown = names.filter((name) => !EXPECTED.test(name));
  const missing = REQUIRED.filter((name) => !names.includes(name));
  if (unknown.length > 0 || missing.length > 0)
    throw new Error(
      `The libraries of @node-llama-cpp/linux-x64 are not the ones this build knows (unknown: ${unknown.join(" ") || "none"}; missing: ${missing.join(" ") || "none"}).\n` +
        "Check what they are for, then change EXPECTED and REQUIRED in scripts/build/native-pack.ts.",
    );

  const parts: Buffer[] = [];
  const files: NativeFile[] = [];
  let offset = 0;
  for (const name of names) {
    const bytes = readFileSync(join(binsDir, name));
    files.push({ name, size: bytes.length, offset });
    parts.push(bytes);
    offset += bytes.length;
  }
  const raw = Buffer.concat(parts);
  const key = `native-${sha256(Buffer.concat([Buffer.from(JSON.stringify([FORMAT, LEVEL, files])), raw])).slice(0, 24)}`;
  const out = { pack: join(cacheDir, `${key}.pack`), manifest: join(cacheDir, `${key}.json`) };
  if (existsSync(out.pack) && existsSync(out.manifest)) return out;

  mkdirSync(cacheDir, { recursive: true });
  const packed = Bun.zstdCompressSync(raw, { level: LEVEL });
  const manifest: NativeManifest = { sha256: sha256(packed), files };
  write(out.pack, packed);
  write(out.manifest, JSON.stringify(manifest));
  return out;
}

/** Whole or not at all, so that an interrupted build leaves no half pack in the cache. */
function write(path: string, data: Uint8Array | string): void {
  const part = `${path}.${process.pid}.part`;
  writeFileSync(part, data);
  renameSync(part, path);
}

function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}
