import { err, ok, type Result } from "../lib/result.ts";
import { GgufCursor, type ReadAt, Unreadable } from "./gguf-cursor.ts";

/**
 * The header of a GGUF file (versions 2 and 3, little-endian), read without trusting a number in it. The layout is that of
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. llama.cpp aborts on some broken headers, and a truncated
 * file only shows when a missing page is touched; here both end in a sentence with numbers.
 */
export interface GgufFacts {
  readonly version: number;
  readonly architecture: string;
  /** `model`, `adapter`, `mmproj`… */
  readonly type: string;
  readonly name: string | null;
  /** Elements of all tensors. */
  readonly parameters: number;
  readonly layers: number;
  readonly heads: number;
  /** Of the layer that has most; some architectures differ from layer to layer. */
  readonly kvHeads: number;
  /** Over all layers: what the KV state is proportional to. */
  readonly kvHeadSum: number;
  readonly keyLength: number;
  readonly valueLength: number;
  /** Tokens it was trained for. */
  readonly context: number;
  readonly embedding: number;
  readonly vocabulary: number;
  /** `Q4_K_M`, as the file says, else the type of most of its bytes. */
  readonly quantisation: string;
  /** Jinja source, or null for a base model. */
  readonly template: string | null;
  /** `gpt2`, `llama`, … */
  readonly tokenizer: string | null;
  /** Bytes of all tensors in this file. */
  readonly tensorBytes: number;
  /** Of those, the input embedding: it stays in memory when the layers go to a GPU, unless it is the output matrix too. */
  readonly embeddingBytes: number;
  /** 0 when the input embedding serves as the output matrix too. */
  readonly outputBytes: number;
  /** Parts, when the model is split over several files; this is part `index` of 0…count-1. */
  readonly split: { readonly index: number; readonly count: number } | null;
}

/** One line that fits after "FILE is not a usable GGUF file: ". */
export type GgufError = { readonly kind: "broken"; readonly detail: string };

const MAX_KEYS = 20_000;
const MAX_TENSORS = 200_000;
const MAX_DIMENSIONS = 4;
const MAX_NAME = 512;
/** Bytes. Templates of today have up to 30 kB. */
const MAX_TEMPLATE = 1 << 20;

export async function readGguf(read: ReadAt, size: number): Promise<Result<GgufFacts, GgufError>> {
  const cursor = new GgufCursor(read, size);
  try {
    return ok(await readHeader(cursor, size));
  } catch (error) {
    if (error instanceof Unreadable) return err({ kind: "broken", detail: error.message });
    throw error;
  }
}

async function readHeader(cursor: GgufCursor, size: number): Promise<GgufFacts> {
  if (size < 24) throw new Unreadable(`it has only ${size} bytes`);
  const magic = await cursor.u32();
  if (magic !== 0x46554747) throw new Unreadable("it does not begin with the letters GGUF");
  const version = await cursor.u32();
  if (version === 0x03000000 || version === 0x02000000) throw new Unreadable("it is a big-endian file");
  if (version !== 2 && version !== 3) throw new Unreadable(`it is of GGUF version ${version}; versions 2 and 3 are known`);
  const tensorCount = await cursor.u64();
  const keyCount = await cursor.u64();
  if (tensorCount > MAX_TENSORS) throw new Unreadable(`it claims ${tensorCount} tensors`);
  if (keyCount > MAX_KEYS) throw new Unreadable(`it claims ${keyCount} keys`);
  const metadata = await readMetadata(cursor, keyCount);
  const tensors = await readTensors(cursor, tensorCount);
  const alignment = metadata.number("general.alignment") ?? 32;
  if (alignment < 1 || alignment > 1 << 20) throw new Unreadable(`it claims an alignment of ${alignment}`);
  const dataStart = Math.ceil(cursor.at / alignment) * alignment;
  checkExtents(tensors, dataStart, size);
  return factsOf(version, metadata, tensors);
}

interface Tensor {
  readonly name: string;
  readonly elements: number;
  readonly columns: number;
  readonly rows: number;
  readonly type: number;
  readonly offset: number;
  /** Null for a type that this reader does not know. */
  readonly bytes: number | null;
}

class Metadata {
  readonly #values = new Map<string, number | string | boolean | readonly number[]>();
  /** Lengths of the arrays that were walked over. */
  readonly #lengths = new Map<string, number>();

  set(key: string, value: number | string | boolean | readonly number[]): void {
    this.#values.set(key, value);
  }

  setLength(key: string, length: number): void {
    this.#lengths.set(key, length);
  }

  length(key: string): number | null {
    return this.#lengths.get(key) ?? null;
  }

  /** Counts alone: nothing here is negative, a fraction or beyond exact integers. */
  number(key: string): number | null {
    const value = this.#values.get(key);
    return typeof value === "number" && isCount(value) ? value : null;
  }

  text(key: string): string | null {
    const value = this.#values.get(key);
    return typeof value === "string" ? value : null;
  }

  numbers(key: string): readonly number[] | null {
    const value = this.#values.get(key);
    const values = typeof value === "number" ? [value] : Array.isArray(value) ? value : null;
    return values?.every(isCount) ? values : null;
  }
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

async function readMetadata(cursor: GgufCursor, count: number): Promise<Metadata> {
  const metadata = new Metadata();
  for (let index = 0; index < count; index++) {
    const key = await cursor.string(MAX_NAME);
    const type = await cursor.u32();
    if (type === ARRAY) {
      const item = await cursor.u32();
      const length = await cursor.u64();
      metadata.setLength(key, length);
      // Per-layer numbers are facts; vocabularies and merges are only walked over.
      const numbers = await cursor.array(item, length, key.startsWith("tokenizer.") ? 0 : 1024);
      if (numbers !== null) metadata.set(key, numbers);
    } else if (type === STRING) {
      metadata.set(key, key === "tokenizer.chat_template" ? await cursor.string(MAX_TEMPLATE) : await cursor.text());
    } else metadata.set(key, await cursor.scalar(type));
  }
  return metadata;
}

const STRING = 8;
const ARRAY = 9;

async function readTensors(cursor: GgufCursor, count: number): Promise<readonly Tensor[]> {
  const tensors: Tensor[] = [];
  for (let index = 0; index < count; index++) {
    const name = await cursor.string(MAX_NAME);
    const dimensions = await cursor.u32();
    if (dimensions > MAX_DIMENSIONS) throw new Unreadable(`the tensor ${shown(name)} claims ${dimensions} dimensions`);
    const sides: number[] = [];
    for (let side = 0; side < dimensions; side++) sides.push(await cursor.u64());
    const elements = sides.reduce((product, side) => product * side, 1);
    if (!Number.isSafeInteger(elements)) throw new Unreadable(`the tensor ${shown(name)} claims ${sides.join(" × ")} elements`);
    const type = await cursor.u32();
    const offset = await cursor.u64();
    const layout = TENSOR_TYPES[type];
    const columns = sides[0] ?? 1;
    if (layout && columns % layout.block !== 0)
      throw new Unreadable(`the tensor ${shown(name)} has rows of ${columns}, which ${layout.name} cannot hold`);
    const bytes = layout ? (elements / layout.block) * layout.bytes : null;
    tensors.push({ name, elements, columns, rows: sides[1] ?? 1, type, offset, bytes });
  }
  return tensors;
}

/** The end of the last tensor is the least that the file must have. */
function checkExtents(tensors: readonly Tensor[], dataStart: number, size: number): void {
  let end = dataStart;
  for (const { offset, bytes } of tensors) end = Math.max(end, dataStart + offset + (bytes ?? 0));
  if (end > size)
    throw new Unreadable(`it is cut off: its tensors need ${end} bytes and it has ${size} (${Math.floor((size / end) * 100)}%)`);
}

function factsOf(version: number, metadata: Metadata, tensors: readonly Tensor[]): GgufFacts {
  const architecture = metadata.text("general.architecture") ?? "";
  if (architecture === "") throw new Unreadable("it does not say its architecture");
  const of = (key: string): number | null => metadata.number(`${architecture}.${key}`);
  const layers = of("block_count") ?? 0;
  const heads = Math.max(0, ...(metadata.numbers(`${architecture}.attention.head_count`) ?? [0]));
  const kv = metadata.numbers(`${architecture}.attention.head_count_kv`) ?? [heads];
  const kvHeads = Math.max(0, ...kv);
  const embedding = of("embedding_length") ?? 0;
  const headLength = heads > 0 ? Math.floor(embedding / heads) : 0;
  const input = tensors.find((tensor) => tensor.name === "token_embd.weight");
  const split = metadata.number("split.count") ?? 1;
  return {
    version,
    architecture,
    type: metadata.text("general.type") ?? (architecture === "clip" ? "mmproj" : "model"),
    name: metadata.text("general.name"),
    parameters: tensors.reduce((sum, tensor) => sum + tensor.elements, 0),
    layers,
    heads,
    kvHeads,
    kvHeadSum: kv.length > 1 ? kv.reduce((sum, count) => sum + count, 0) : kvHeads * layers,
    keyLength: of("attention.key_length") ?? headLength,
    valueLength: of("attention.value_length") ?? headLength,
    context: of("context_length") ?? 0,
    embedding,
    vocabulary: metadata.length("tokenizer.ggml.tokens") ?? of("vocab_size") ?? input?.rows ?? 0,
    quantisation: FILE_TYPES[metadata.number("general.file_type") ?? -1] ?? heaviestType(tensors),
    template: metadata.text("tokenizer.chat_template"),
    tokenizer: metadata.text("tokenizer.ggml.model"),
    tensorBytes: tensors.reduce((sum, tensor) => sum + (tensor.bytes ?? 0), 0),
    embeddingBytes: input?.bytes ?? 0,
    outputBytes: tensors.find((tensor) => tensor.name === "output.weight")?.bytes ?? 0,
    split: split > 1 ? { index: metadata.number("split.no") ?? 0, count: split } : null,
  };
}

function heaviestType(tensors: readonly Tensor[]): string {
  const bytes = new Map<number, number>();
  for (const tensor of tensors) bytes.set(tensor.type, (bytes.get(tensor.type) ?? 0) + (tensor.bytes ?? 0));
  const [type] = [...bytes].reduce((best, entry) => (entry[1] > best[1] ? entry : best), [-1, -1] as [number, number]);
  return TENSOR_TYPES[type]?.name ?? "unknown";
}

const shown = (name: string): string => JSON.stringify(name.slice(0, 60));

/** Elements and bytes of a block, from ggml.c. */
const TENSOR_TYPES: Readonly<Record<number, { readonly name: string; readonly block: number; readonly bytes: number }>> =
  Object.fromEntries(
    (
      [
        [0, "F32", 1, 4],
        [1, "F16", 1, 2],
        [2, "Q4_0", 32, 18],
        [3, "Q4_1", 32, 20],
        [6, "Q5_0", 32, 22],
        [7, "Q5_1", 32, 24],
        [8, "Q8_0", 32, 34],
        [9, "Q8_1", 32, 36],
        [10, "Q2_K", 256, 84],
        [11, "Q3_K", 256, 110],
        [12, "Q4_K", 256, 144],
        [13, "Q5_K", 256, 176],
        [14, "Q6_K", 256, 210],
        [15, "Q8_K", 256, 292],
        [16, "IQ2_XXS", 256, 66],
        [17, "IQ2_XS", 256, 74],
        [18, "IQ3_XXS", 256, 98],
        [19, "IQ1_S", 256, 50],
        [20, "IQ4_NL", 32, 18],
        [21, "IQ3_S", 256, 110],
        [22, "IQ2_S", 256, 82],
        [23, "IQ4_XS", 256, 136],
        [24, "I8", 1, 1],
        [25, "I16", 1, 2],
        [26, "I32", 1, 4],
        [27, "I64", 1, 8],
        [28, "F64", 1, 8],
        [29, "IQ1_M", 256, 56],
        [30, "BF16", 1, 2],
        [34, "TQ1_0", 256, 54],
        [35, "TQ2_0", 256, 66],
        [39, "MXFP4", 32, 17],
      ] as const
    ).map(([type, name, block, bytes]) => [type, { name, block, bytes }]),
  );

/** `general.file_type`, from llama.h. */
const FILE_TYPES: Readonly<Record<number, string>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  7: "Q8_0",
  8: "Q5_0",
  9: "Q5_1",
  10: "Q2_K",
  11: "Q3_K_S",
  12: "Q3_K_M",
  13: "Q3_K_L",
  14: "Q4_K_S",
  15: "Q4_K_M",
  16: "Q5_K_S",
  17: "Q5_K_M",
  18: "Q6_K",
  19: "IQ2_XXS",
  20: "IQ2_XS",
  21: "Q2_K_S",
  22: "IQ3_XS",
  23: "IQ3_XXS",
  24: "IQ1_S",
  25: "IQ4_NL",
  26: "IQ3_S",
  27: "IQ3_M",
  28: "IQ2_S",
  29: "IQ2_M",
  30: "IQ4_XS",
  31: "IQ1_M",
  32: "BF16",
  36: "TQ1_0",
  37: "TQ2_0",
  38: "MXFP4",
};
