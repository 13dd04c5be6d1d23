import { basename, join } from "node:path";
import { type Catalogue, type CatalogueModel, partName, partOf, wholeName } from "./catalogue.ts";
import { readGguf } from "./gguf.ts";
import type { FileFacts, ModelFiles } from "./ports.ts";
import { factsFor, knownFacts, type KnownFacts, MAX_RECORD, type ModelRecord, parseRecord, recordPath } from "./record.ts";

/** A model whose file is here. */
export interface Installed {
  readonly name: string;
  /** Absolute path of the first file. */
  readonly path: string;
  readonly files: readonly { readonly path: string; readonly size: number }[];
  readonly size: number;
  readonly first: FileFacts;
  readonly entry: CatalogueModel | null;
  readonly record: ModelRecord | null;
  readonly facts: KnownFacts;
  /** Lies on this computer, not on the stick. */
  readonly linked: boolean;
}

/** Here, and of no use. */
export interface Broken {
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly entry: CatalogueModel | null;
  readonly detail: string;
}

export type Found = { readonly state: "ready"; readonly model: Installed } | { readonly state: "broken"; readonly model: Broken };

export interface InventoryDeps {
  readonly files: ModelFiles;
  readonly catalogue: Catalogue;
  readonly fingerprint: string;
}

/** Files looked at in a folder. A stick with more models than this has another problem. */
const MAX_MODELS = 500;

/** All models of a folder, linked ones included. Half-loaded files (`.part`) are none. */
export async function takeInventory(folder: string, deps: InventoryDeps): Promise<readonly Found[]> {
  const names = (await deps.files.names(folder)).filter((name) => !name.startsWith("."));
  // One entry for all parts of a split model, whichever of them are there.
  const firsts = new Set(names.filter((name) => /\.gguf$/iu.test(name)).map((name) => (partOf(name) ? partName(name, 1) : name)));
  const found: Found[] = [];
  for (const name of [...firsts].slice(0, MAX_MODELS)) {
    const model = await examine(join(folder, name), deps);
    if (model !== null) found.push(model);
  }
  const links = names.filter((name) => /\.gguf\.json$/iu.test(name) && !firsts.has(name.slice(0, -5)));
  for (const name of links.slice(0, MAX_MODELS)) {
    const model = await followLink(join(folder, name.slice(0, -5)), deps);
    if (model !== null) found.push(model);
  }
  return found;
}

/** One model file; null when there is nothing at the path. */
export async function examine(path: string, deps: InventoryDeps): Promise<Found | null> {
  const record = parseRecord(await deps.files.readText(recordPath(path), MAX_RECORD));
  return await examineWith(path, record, basename(path), false, deps);
}

/** A record without a file beside it that names a path of this computer. On another computer it says nothing. */
async function followLink(path: string, deps: InventoryDeps): Promise<Found | null> {
  const record = parseRecord(await deps.files.readText(recordPath(path), MAX_RECORD));
  if (!record?.link || record.link.host !== deps.fingerprint) return null;
  return await examineWith(record.link.path, record, basename(path), true, deps);
}

async function examineWith(
  path: string,
  record: ModelRecord | null,
  file: string,
  linked: boolean,
  deps: InventoryDeps,
): Promise<Found | null> {
  const entry = deps.catalogue.ofFile(file);
  const name = entry?.name ?? nameOf(file);
  const paths = partPaths(path);
  const sizes: { path: string; size: number }[] = [];
  let first: FileFacts | null = null;
  const missing: number[] = [];
  for (const [index, part] of paths.entries()) {
    const facts = await deps.files.stat(part);
    if (facts === null) missing.push(index + 1);
    else {
      sizes.push({ path: part, size: facts.size });
      if (index === 0) first = facts;
    }
  }
  const size = sizes.reduce((sum, part) => sum + part.size, 0);
  const broken = (detail: string): Found => ({ state: "broken", model: { name, path, size, entry, detail } });
  if (sizes.length === 0) return linked ? broken("the file it was linked to is gone") : null;
  if (first === null || missing.length > 0) return broken(`part ${missing.join(", ")} of ${paths.length} is missing`);

  const known = factsFor(record, first) ?? (await headerOf(paths, sizes, deps.files));
  if (typeof known === "string") return broken(known);
  if (known.type !== "model") return broken(`it is not a model but of the kind "${known.type}"`);
  return { state: "ready", model: { name, path, files: sizes, size, first, entry, record, facts: known, linked } };
}

/** Facts of the first part with the tensors of all; or what is wrong. */
async function headerOf(
  paths: readonly string[],
  sizes: readonly { readonly path: string; readonly size: number }[],
  files: ModelFiles,
): Promise<KnownFacts | string> {
  let whole: KnownFacts | null = null;
  for (const [index, path] of paths.entries()) {
    const size = sizes[index]?.size ?? 0;
    const header = await readHeader(path, size, files);
    if (typeof header === "string") return paths.length > 1 ? `part ${index + 1}: ${header}` : header;
    whole = whole === null ? header : joined(whole, header);
  }
  return whole ?? "it has no parts";
}

export async function readHeader(path: string, size: number, files: ModelFiles): Promise<KnownFacts | string> {
  let failure: string | null = null;
  const header = await readGguf(async (offset, length) => {
    const bytes = await files.read(path, offset, length);
    if (bytes.ok) return bytes.value;
    failure = bytes.error.kind === "read-only" ? "it may not be read" : "detail" in bytes.error ? bytes.error.detail : bytes.error.kind;
    return new Uint8Array(0);
  }, size);
  return header.ok ? knownFacts(header.value) : (failure ?? header.error.detail);
}

function joined(first: KnownFacts, next: KnownFacts): KnownFacts {
  return {
    ...first,
    parameters: first.parameters + next.parameters,
    tensorBytes: first.tensorBytes + next.tensorBytes,
    embeddingBytes: first.embeddingBytes + next.embeddingBytes,
    outputBytes: first.outputBytes + next.outputBytes,
  };
}

/** Parts claimed by a name. */
const MAX_PARTS = 1000;

/** All files of a model by the name of its first. */
export function partPaths(path: string): readonly string[] {
  const part = partOf(basename(path));
  if (part === null) return [path];
  return Array.from({ length: Math.min(part.count, MAX_PARTS) }, (_, index) => partName(path, index + 1));
}

/** The name of a model that the catalogue does not know. */
const nameOf = (file: string): string => wholeName(file).replace(/\.gguf$/iu, "");
