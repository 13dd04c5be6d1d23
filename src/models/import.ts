import { basename, join } from "node:path";
import { err, ok, type Result } from "../lib/result.ts";
import { partOf } from "./catalogue.ts";
import type { ShopDeps } from "./deps.ts";
import { findOnHost, type HostFind, localName } from "./host-finds.ts";
import { partPaths, readHeader } from "./inventory.ts";
import { finish } from "./install.ts";
import { localSource } from "./local-source.ts";
import type { InstalledModel, ModelError, PullProgress } from "./port.ts";
import { emptyRecord, formatRecord, recordPath } from "./record.ts";
import { fileError, transfer, type Transferred } from "./transfer.ts";

export interface ImportOptions {
  /** Leave the file where it is and only note its place: the model is then there on this computer alone. */
  readonly link: boolean;
  /** Jinja source that replaces the model's own template from now on. */
  readonly template: string | null;
}

/** Takes in a GGUF file of this computer; `path` is absolute. A split model comes with all its parts. */
export async function importFile(
  path: string,
  options: ImportOptions,
  deps: ShopDeps,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<InstalledModel, ModelError>> {
  const find = (await hostFinds(deps)).find((candidate) => candidate.path === path) ?? null;
  const files = await sourceFiles(path, find, deps);
  if (!files.ok) return files;
  const [first] = files.value;
  if (first === undefined) return err({ kind: "missing-file", path });
  const name = nameFor(first.name, find, deps);
  const here = await inPlace(first, name, deps);
  if (here !== null) return here;
  const template = options.template === null ? null : `${first.name}.jinja`;
  if (template !== null && options.template !== null) {
    const written = await deps.files.replaceText(join(deps.layout.models, template), options.template);
    if (!written.ok) return err(fileError(written.error, join(deps.layout.models, template), options.template.length));
  }
  const label = find === null ? "this computer" : `${find.origin} on this computer`;
  if (options.link) return await link(files.value, { name, template, label }, deps, onProgress, signal);

  const done: (Transferred & { readonly target: string })[] = [];
  const whole = files.value.reduce((sum, file) => sum + file.size, 0);
  let before = 0;
  for (const file of files.value) {
    const target = join(deps.layout.models, file.name);
    const source = localSource(file.path, label, files.value.length === 1 ? (find?.sha256 ?? null) : null, deps.files);
    const moved = await transfer({ source, target, sha256: null, size: file.size, before, whole, phase: "copy" }, deps, onProgress, signal);
    if (!moved.ok) {
      const { error } = moved;
      if (error.kind === "stop") return err(error.error);
      return err(error.kind === "checksum" ? { ...error, name } : { kind: "io", path: file.path, detail: error.detail });
    }
    done.push({ ...moved.value, target });
    before += file.size;
  }
  return await finish({ name, files: done, pin: { from: "import", source: label }, template }, deps, onProgress, signal);
}

export const hostFinds = (deps: ShopDeps): Promise<readonly HostFind[]> =>
  findOnHost({ files: deps.files, catalogue: deps.catalogue, env: deps.env });

interface SourceFile {
  readonly path: string;
  /** On the stick. */
  readonly name: string;
  readonly size: number;
}

/** The file or its parts, each looked at before a byte is copied. */
async function sourceFiles(path: string, find: HostFind | null, deps: ShopDeps): Promise<Result<readonly SourceFile[], ModelError>> {
  const found: SourceFile[] = [];
  const paths = partPaths(path);
  for (const part of paths) {
    const facts = await deps.files.stat(part);
    if (facts === null) return err({ kind: "missing-file", path: part });
    const header = await readHeader(part, facts.size, deps.files);
    if (typeof header === "string") return err({ kind: "broken-file", path: part, detail: header });
    if (header.type !== "model")
      return err({ kind: "broken-file", path: part, detail: `it is not a model but of the kind "${header.type}"` });
    found.push({ path: part, size: facts.size, name: paths.length > 1 ? basename(part) : targetName(path, find, deps) });
  }
  return ok(found);
}

function targetName(path: string, find: HostFind | null, deps: ShopDeps): string {
  if (find !== null) return find.file;
  const file = basename(path);
  // FAT knows no colon, and the inventory looks for the ending.
  const named = /\.gguf$/iu.test(file) ? file : `${file}.gguf`;
  return localName(named.replaceAll(/[^\w.-]+/gu, "-"), deps.catalogue.ofFile(named));
}

const nameFor = (file: string, find: HostFind | null, deps: ShopDeps): string =>
  find?.entry?.name ??
  deps.catalogue.ofFile(file)?.name ??
  (partOf(file) ? file.replace(/-\d{5}-of-\d{5}\.gguf$/iu, "") : file.replace(/\.gguf$/iu, ""));

/** Nothing on the stick is replaced by an import: two models may share a file name, and one of them would be gone. */
async function inPlace(first: SourceFile, name: string, deps: ShopDeps): Promise<Result<InstalledModel, ModelError> | null> {
  const target = join(deps.layout.models, first.name);
  const facts = await deps.files.stat(target);
  if (facts === null) return null;
  if ((await deps.files.sample(target)) !== (await deps.files.sample(first.path))) return err({ kind: "occupied", path: target });
  return ok({ name, path: target, size: facts.size, sha256: "", notes: ['It is here already; "noctem models verify" checks it.'] });
}

async function link(
  files: readonly SourceFile[],
  { name, template, label }: { readonly name: string; readonly template: string | null; readonly label: string },
  deps: ShopDeps,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<InstalledModel, ModelError>> {
  const [first] = files;
  if (first === undefined) return err({ kind: "missing-file", path: "" });
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const hashes: string[] = [];
  let before = 0;
  for (const file of files) {
    const start = before;
    const hash = await deps.files.hash(file.path, {
      signal,
      onProgress: (bytes) =>
        onProgress({ phase: "verify", bytes: start + bytes, total, bytesPerSecond: 0, secondsLeft: null, source: label }),
    });
    if (!hash.ok) return err(fileError(hash.error, file.path));
    hashes.push(hash.value.sha256);
    before += file.size;
  }
  const empty = emptyRecord(files);
  const record = {
    ...empty,
    files: empty.files.map((file, index) => ({ ...file, sha256: hashes[index] ?? null })),
    pin: { from: "import" as const, source: label, at: deps.now() },
    link: { path: first.path, host: deps.host().fingerprint },
    template,
  };
  const path = recordPath(join(deps.layout.models, first.name));
  const written = await deps.files.replaceText(path, formatRecord(record));
  if (!written.ok) return err(fileError(written.error, path, 4096));
  const notes = [`${name} stays at ${first.path}. On other computers the stick does without it.`];
  return ok({ name, path: first.path, size: total, sha256: hashes.join(","), notes });
}
