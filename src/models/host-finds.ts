import { basename, join } from "node:path";
import * as v from "valibot";
import { type Catalogue, type CatalogueModel, partOf } from "./catalogue.ts";
import type { ModelFiles } from "./ports.ts";

/** A model that another program has on this computer. */
export interface HostFind {
  readonly origin: "Ollama" | "the Hugging Face cache" | "LM Studio";
  readonly name: string;
  /** Absolute path of the (first) GGUF file; Ollama's have no ending. */
  readonly path: string;
  /** What the file would be called on the stick. */
  readonly file: string;
  readonly size: number;
  /** Ollama names its files by their hash. */
  readonly sha256: string | null;
  readonly entry: CatalogueModel | null;
}

/** The variables by which these programs are told where to keep their models. */
export type FindEnv = Readonly<Record<string, string | undefined>>;

/** Models looked at. */
const MAX_FINDS = 300;
/** Bytes. */
const MAX_MANIFEST = 256 * 1024;

interface FindDeps {
  readonly files: ModelFiles;
  readonly catalogue: Catalogue;
  readonly env: FindEnv;
}

export async function findOnHost(deps: FindDeps): Promise<readonly HostFind[]> {
  const finds = [...(await inOllama(deps)), ...(await inHuggingFace(deps)), ...(await inLmStudio(deps))];
  const seen = new Set<string>();
  return finds.filter((find) => !seen.has(find.path) && seen.add(find.path) !== undefined).slice(0, MAX_FINDS);
}

const ManifestSchema = v.object({ layers: v.array(v.object({ mediaType: v.string(), digest: v.string(), size: v.optional(v.number()) })) });

/** manifests/HOST/NAMESPACE/MODEL/TAG name blobs by hash. */
async function inOllama({ files, catalogue, env }: FindDeps): Promise<readonly HostFind[]> {
  const found: HostFind[] = [];
  const roots = [env["OLLAMA_MODELS"], inHome(env, ".ollama/models"), "/usr/share/ollama/.ollama/models", "/var/lib/ollama/.ollama/models"];
  for (const root of present(roots)) {
    for (const manifest of await walk(join(root, "manifests"), 4, files)) {
      const [tag = "", model = "", namespace = "", host = ""] = manifest.slice(root.length).split("/").toReversed();
      const layer = modelLayer(await files.readText(manifest, MAX_MANIFEST));
      if (layer === null) continue;
      const path = join(root, "blobs", `sha256-${layer}`);
      const facts = await files.stat(path);
      if (facts === null) continue;
      const short = `${model}:${tag}`;
      const official = host === "registry.ollama.ai" && namespace === "library";
      const entry = official ? catalogue.find(short) : null;
      const file =
        entry?.file ??
        `${[...(official ? [] : [namespace]), model, tag]
          .join("-")
          .replaceAll(/[^\w.-]+/gu, "-")
          .toLowerCase()}.gguf`;
      found.push({
        origin: "Ollama",
        name: official ? short : `${namespace}/${short}`,
        path,
        file,
        size: facts.size,
        sha256: layer,
        entry,
      });
    }
  }
  return found;
}

function modelLayer(text: string | null): string | null {
  if (text === null) return null;
  try {
    const manifest = v.safeParse(ManifestSchema, JSON.parse(text));
    if (!manifest.success) return null;
    const layer = manifest.output.layers.find(({ mediaType }) => mediaType === "application/vnd.ollama.image.model");
    return /^sha256:([0-9a-f]{64})$/u.exec(layer?.digest ?? "")?.[1] ?? null;
  } catch {
    return null;
  }
}

/** models--ORG--REPO/snapshots/REVISION/FILE, links to blobs. */
async function inHuggingFace(deps: FindDeps): Promise<readonly HostFind[]> {
  const { env, files } = deps;
  const home = env["HF_HOME"];
  const roots = [
    env["HF_HUB_CACHE"],
    home && join(home, "hub"),
    env["XDG_CACHE_HOME"] && join(env["XDG_CACHE_HOME"], "huggingface/hub"),
    inHome(env, ".cache/huggingface/hub"),
  ];
  const found: HostFind[] = [];
  for (const root of present(roots))
    for (const repo of (await files.names(root)).filter((name) => name.startsWith("models--")))
      for (const path of await walk(join(root, repo, "snapshots"), 3, files)) {
        const find = await ggufFind(path, "the Hugging Face cache", deps);
        if (find) found.push(find);
      }
  return found;
}

/** models/PUBLISHER/REPO/FILE. */
async function inLmStudio(deps: FindDeps): Promise<readonly HostFind[]> {
  const found: HostFind[] = [];
  for (const root of present([inHome(deps.env, ".lmstudio/models"), inHome(deps.env, ".cache/lm-studio/models")]))
    for (const path of await walk(root, 3, deps.files)) {
      const find = await ggufFind(path, "LM Studio", deps);
      if (find) found.push(find);
    }
  return found;
}

async function ggufFind(path: string, origin: HostFind["origin"], { files, catalogue }: FindDeps): Promise<HostFind | null> {
  const file = basename(path);
  if (!/\.gguf$/iu.test(file) || /^mmproj/iu.test(file) || (partOf(file)?.index ?? 1) !== 1) return null;
  const facts = await files.stat(path);
  if (facts === null) return null;
  const entry = catalogue.ofFile(file);
  return {
    origin,
    name: entry?.name ?? file.replace(/\.gguf$/iu, ""),
    path,
    file: localName(file, entry),
    size: facts.size,
    sha256: null,
    entry,
  };
}

/** Whole files get the catalogue's name; parts keep theirs, because llama.cpp finds the others by it. */
export const localName = (file: string, entry: CatalogueModel | null): string => (entry === null || partOf(file) ? file : entry.file);

/** Files exactly `depth` folders or less below `folder`; bounded, because the folder is somebody else's. */
async function walk(folder: string, depth: number, files: ModelFiles): Promise<readonly string[]> {
  const found: string[] = [];
  const queue: { readonly path: string; readonly depth: number }[] = [{ path: folder, depth }];
  for (let looked = 0; queue.length > 0 && looked < 2000 && found.length < MAX_FINDS; looked++) {
    const next = queue.shift();
    if (next === undefined) break;
    for (const name of (await files.names(next.path)).slice(0, 500)) {
      const path = join(next.path, name);
      if ((await files.stat(path)) !== null) found.push(path);
      else if (next.depth > 1) queue.push({ path, depth: next.depth - 1 });
    }
  }
  return found;
}

const inHome = (env: FindEnv, path: string): string | undefined => (env["HOME"] ? join(env["HOME"], path) : undefined);
const present = (roots: readonly (string | undefined)[]): readonly string[] => [
  ...new Set(roots.filter((root): root is string => root !== undefined && root.startsWith("/"))),
];
