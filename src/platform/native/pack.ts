/**
 * What the build embeds. This file is what `bun test` and `bun src/main.ts` see: nothing is embedded, the libraries of node_modules are used.
 * scripts/build/embed-llama.ts replaces this module in the executable; the types are the contract between the two.
 */
export interface NativeFile {
  readonly name: string;
  /** Bytes, and where they start in the unpacked pack. */
  readonly size: number;
  readonly offset: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface NativeManifest {
  /** SHA-256 of all file names and hashes: names the folder, so that two versions of Noctem never share one. */
  readonly id: string;
  readonly files: readonly NativeFile[];
}

export interface EmbeddedPack {
  /** Path inside the executable of the zstd-compressed concatenation of all files. */
  readonly path: string;
  readonly manifest: NativeManifest;
}

export const embeddedPack: EmbeddedPack | null = null;
