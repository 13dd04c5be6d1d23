/**
 * What the build embeds. This file is what `bun test` and `bun src/main.ts` see: nothing is embedded, the libraries of node_modules are used.
 * scripts/build/embed-llama.ts replaces this module in the executable; the types are the contract between the two.
 */
export interface NativeFile {
  /** A plain file name. */
  readonly name: string;
  /** Bytes, and where they start in the decompressed pack. */
  readonly size: number;
  readonly offset: number;
}

export interface NativeManifest {
  /** Of the compressed pack, lower-case hex. */
  readonly sha256: string;
  readonly files: readonly NativeFile[];
}

export interface EmbeddedPack {
  /** The zstd-compressed concatenation of all files; a path inside the executable. */
  readonly path: string;
  readonly manifest: NativeManifest;
}

export const embeddedPack: EmbeddedPack | null = null;
