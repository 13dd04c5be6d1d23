/**
 * Tiny GGUF models for tests: real files that llama.cpp loads and runs, a few hundred kilobytes, the same bytes for the same options.
 * `random` models babble; `says` models recite a script and end their turn, so that a test can expect exact text without a download.
 */
import { writeFileSync } from "node:fs";

export interface TinyModelOptions {
  readonly arch?: "llama" | "qwen2";
  /** Same seed, same weights. */
  readonly seed?: number;
  readonly name?: string;
  /** Tokens the model claims to be trained for. */
  readonly contextLength?: number;
  readonly weights?: "f32" | "f16" | "q8_0";
  readonly layers?: number;
  /** Jinja source; `null` leaves the template out (a base model). ChatML by default. */
  readonly template?: string | null;
  /**
   * The model answers with these pieces one after another, then ends its turn, whatever the prompt, as long as the prompt ends with a newline token as
   * ChatML's does. Pieces must differ from one another. At most 60.
   */
  readonly says?: readonly string[];
  /** After the last piece of `says`: end the turn, or begin with this piece again, forever. */
  readonly afterwards?: "end" | { readonly repeatFrom: number };
  /** Changes to the header after it is complete: another value, or `undefined` to leave the key out. */
  readonly metadata?: Readonly<Record<string, GgufValue | undefined>>;
  /** Changes to a tensor's declared shape; the data stays as it was. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Tensors to leave out. */
  readonly without?: readonly string[];
  /** Cuts the file after this share of its bytes. */
  readonly truncateTo?: number;
}

export type GgufValue =
  | { readonly type: "u32"; readonly value: number }
  | { readonly type: "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "i32s"; readonly value: readonly number[] };

export const CHATML =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** Control tokens of every tiny model; the second of them begins a message, the third ends one. */
export const TINY_SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"] as const;

/** Writes the model and returns its path. */
export function writeTinyModel(path: string, options: TinyModelOptions = {}): string {
  writeFileSync(path, tinyModel(options));
  return path;
}

const EMBEDDING = 64;
const HEADS = 4;
const KV_HEADS = 2;
const FEED_FORWARD = 128;
const ALIGNMENT = 32;

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: "f32" | "f16" | "q8_0";
  readonly values: Float32Array;
}

export function tinyModel(options: TinyModelOptions = {}): Uint8Array {
  const { arch = "llama", seed = 1, layers = 2, weights = "f16", contextLength = 2048, template = CHATML, says } = options;
  const vocabulary = makeVocabulary(says ?? []);
  const { tokens, types, merges } = vocabulary;
  const metadata: Record<string, GgufValue> = {
    "general.architecture": text(arch),
    "general.type": text("model"),
    "general.name": text(options.name ?? `tiny ${arch} ${seed}`),
    "general.file_type": u32({ f32: 0, f16: 1, q8_0: 7 }[weights]),
    "general.quantization_version": u32(2),
    [`${arch}.block_count`]: u32(layers),
    [`${arch}.context_length`]: u32(contextLength),
    [`${arch}.embedding_length`]: u32(EMBEDDING),
    [`${arch}.feed_forward_length`]: u32(FEED_FORWARD),
    [`${arch}.attention.head_count`]: u32(HEADS),
    [`${arch}.attention.head_count_kv`]: u32(KV_HEADS),
    [`${arch}.attention.layer_norm_rms_epsilon`]: { type: "f32", value: 1e-6 },
    [`${arch}.rope.freq_base`]: { type: "f32", value: 1e4 },
    [`${arch}.vocab_size`]: u32(tokens.length),
    [`${arch}.rope.dimension_count`]: u32(EMBEDDING / HEADS),
    "tokenizer.ggml.model": text("gpt2"),
    "tokenizer.ggml.pre": text("qwen2"),
    "tokenizer.ggml.tokens": { type: "strings", value: tokens },
    "tokenizer.ggml.token_type": { type: "i32s", value: types },
    "tokenizer.ggml.merges": { type: "strings", value: merges },
    "tokenizer.ggml.bos_token_id": u32(vocabulary.special("<|endoftext|>")),
    "tokenizer.ggml.eos_token_id": u32(vocabulary.special("<|im_end|>")),
    "tokenizer.ggml.padding_token_id": u32(vocabulary.special("<|endoftext|>")),
    "tokenizer.ggml.add_bos_token": { type: "bool", value: false },
  };
  if (template !== null) metadata["tokenizer.chat_template"] = text(template);
  for (const [key, value] of Object.entries(options.metadata ?? {})) {
    if (value === undefined) delete metadata[key];
    else metadata[key] = value;
  }

  const random = gaussian(seed);
  const matrix = (name: string, rows: number, columns: number): Tensor => ({
    name,
    shape: [rows, columns],
    type: weights,
    values: Float32Array.from({ length: rows * columns }, () => (says ? 0 : random() * 0.08)),
  });
  const vector = (name: string, length: number, value: number): Tensor => ({
    name,
    shape: [length],
    type: "f32",
    values: new Float32Array(length).fill(value),
  });
  const tensors: Tensor[] = says
    ? script(vocabulary, says, options.afterwards ?? "end")
    : [matrix("token_embd.weight", EMBEDDING, tokens.length)];
  tensors.push(vector("output_norm.weight", EMBEDDING, 1));
  const kv = (EMBEDDING / HEADS) * KV_HEADS;
  for (let layer = 0; layer < layers; layer++) {
    const block = `blk.${layer}.`;
    tensors.push(
      vector(`${block}attn_norm.weight`, EMBEDDING, 1),
      vector(`${block}ffn_norm.weight`, EMBEDDING, 1),
      matrix(`${block}attn_q.weight`, EMBEDDING, EMBEDDING),
      matrix(`${block}attn_k.weight`, EMBEDDING, kv),
      matrix(`${block}attn_v.weight`, EMBEDDING, kv),
      matrix(`${block}attn_output.weight`, EMBEDDING, EMBEDDING),
      matrix(`${block}ffn_gate.weight`, EMBEDDING, FEED_FORWARD),
      matrix(`${block}ffn_up.weight`, EMBEDDING, FEED_FORWARD),
      matrix(`${block}ffn_down.weight`, FEED_FORWARD, EMBEDDING),
    );
    if (arch === "qwen2")
      tensors.push(vector(`${block}attn_q.bias`, EMBEDDING, 0), vector(`${block}attn_k.bias`, kv, 0), vector(`${block}attn_v.bias`, kv, 0));
  }
  const kept = tensors
    .filter((tensor) => !options.without?.includes(tensor.name))
    .map((tensor) => Object.assign({}, tensor, { shape: options.shapes?.[tensor.name] ?? tensor.shape }));
  const bytes = gguf(metadata, kept);
  return options.truncateTo === undefined ? bytes : bytes.subarray(0, Math.floor(bytes.length * options.truncateTo));
}

interface Vocabulary {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly merges: readonly string[];
  special(name: string): number;
  /** Token of a piece of the script. */
  piece(index: number): number;
  readonly newline: number;
}

const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;

/** All bytes, so that any text has tokens; two-letter merges, so that merging happens; the script's pieces; the specials. */
function makeVocabulary(says: readonly string[]): Vocabulary {
  const bytes = byteAlphabet();
  const encode = (value: string): string => [...new TextEncoder().encode(value)].map((byte) => bytes[byte]).join("");
  const tokens = [...bytes];
  const merges: string[] = [];
  const letters = " etaoinshr".split("").map(encode);
  for (const a of letters)
    for (const b of letters) {
      tokens.push(a + b);
      merges.push(`${a} ${b}`);
    }
  const types = tokens.map(() => NORMAL);
  const pieces = says.map((piece) => {
    const known = (TINY_SPECIALS as readonly string[]).includes(piece) ? -1 : tokens.indexOf(encode(piece));
    if ((TINY_SPECIALS as readonly string[]).includes(piece)) return { special: piece };
    if (known >= 0) return { token: known };
    tokens.push(encode(piece));
    types.push(NORMAL);
    return { token: tokens.length - 1 };
  });
  const firstSpecial = tokens.length;
  for (const special of TINY_SPECIALS) {
    tokens.push(special);
    types.push(special.includes("think") ? USER_DEFINED : CONTROL);
  }
  const special = (name: string): number => firstSpecial + (TINY_SPECIALS as readonly string[]).indexOf(name);
  return {
    tokens,
    types,
    merges,
    special,
    newline: tokens.indexOf(encode("\n")),
    piece: (index) => {
      const piece = pieces[index];
      if (!piece) throw new Error(`no piece ${index}`);
      return piece.special === undefined ? piece.token : special(piece.special);
    },
  };
}

/** GPT-2's printable stand-in for each byte. */
function byteAlphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCodePoint(printable ? byte : next++);
  });
}

/**
 * With every layer zero, the logits depend on the last token alone. Each token of the script has a direction of its own in the embedding, and the
 * output row of its successor points the same way: a Markov chain with one way to go.
 */
function script(vocabulary: Vocabulary, says: readonly string[], then: "end" | { readonly repeatFrom: number }): Tensor[] {
  const tokens = [vocabulary.newline, ...says.map((_, index) => vocabulary.piece(index))];
  if (tokens.length > EMBEDDING - 3) throw new Error("a script has at most 60 pieces");
  if (new Set(tokens).size !== tokens.length) throw new Error("the pieces of a script must differ");
  const size = vocabulary.tokens.length;
  const embedding = new Float32Array(EMBEDDING * size);
  const output = new Float32Array(EMBEDDING * size);
  const end = vocabulary.special("<|im_end|>");
  const elsewhere = EMBEDDING - 1;
  for (let token = 0; token < size; token++) {
    const state = tokens.indexOf(token);
    embedding[token * EMBEDDING + (state < 0 ? elsewhere : state)] = 1;
  }
  const strong = 8;
  for (let state = 0; state < tokens.length; state++) {
    const next = state + 1 < tokens.length ? tokens[state + 1] : then === "end" ? end : tokens[then.repeatFrom + 1];
    if (next !== undefined) output[next * EMBEDDING + state] = strong;
  }
  output[end * EMBEDDING + elsewhere] = strong;
  return [
    { name: "token_embd.weight", shape: [EMBEDDING, size], type: "f32", values: embedding },
    { name: "output.weight", shape: [EMBEDDING, size], type: "f32", values: output },
  ];
}

function gguf(metadata: Readonly<Record<string, GgufValue>>, tensors: readonly Tensor[]): Uint8Array {
  const out = new Writer();
  out.raw(new TextEncoder().encode("GGUF"));
  out.u32(3);
  out.u64(tensors.length);
  out.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    out.string(key);
    writeValue(out, value);
  }
  const data = tensors.map((tensor) => encodeTensor(tensor.type, tensor.values));
  let offset = 0;
  for (const [index, tensor] of tensors.entries()) {
    out.string(tensor.name);
    out.u32(tensor.shape.length);
    for (const side of tensor.shape) out.u64(side);
    out.u32({ f32: 0, f16: 1, q8_0: 8 }[tensor.type]);
    out.u64(offset);
    offset += Math.ceil((data[index]?.length ?? 0) / ALIGNMENT) * ALIGNMENT;
  }
  out.align(ALIGNMENT);
  for (const bytes of data) {
    out.raw(bytes);
    out.align(ALIGNMENT);
  }
  return out.done();
}

function writeValue(out: Writer, value: GgufValue): void {
  switch (value.type) {
    case "u32":
      out.u32(4);
      return out.u32(value.value);
    case "f32":
      out.u32(6);
      return out.raw(new Uint8Array(Float32Array.of(value.value).buffer));
    case "bool":
      out.u32(7);
      return out.raw(Uint8Array.of(value.value ? 1 : 0));
    case "string":
      out.u32(8);
      return out.string(value.value);
    case "strings":
      out.u32(9);
      out.u32(8);
      out.u64(value.value.length);
      for (const item of value.value) out.string(item);
      return;
    case "i32s":
      out.u32(9);
      out.u32(5);
      out.u64(value.value.length);
      return out.raw(new Uint8Array(Int32Array.from(value.value).buffer));
  }
}

function encodeTensor(type: Tensor["type"], values: Float32Array): Uint8Array {
  if (type === "f32") return new Uint8Array(values.buffer);
  if (type === "f16") return new Uint8Array(Float16Array.from(values).buffer);
  const blocks = values.length / 32;
  const out = new Uint8Array(blocks * 34);
  const view = new DataView(out.buffer);
  for (let block = 0; block < blocks; block++) {
    const slice = values.subarray(block * 32, block * 32 + 32);
    const scale = Math.max(...slice.map(Math.abs)) / 127 || 1;
    view.setFloat16(block * 34, scale, true);
    for (const [index, value] of slice.entries()) view.setInt8(block * 34 + 2 + index, Math.round(value / scale));
  }
  return out;
}

const text = (value: string): GgufValue => ({ type: "string", value });
const u32 = (value: number): GgufValue => ({ type: "u32", value });

/** Mulberry32 and the sum of twelve uniforms: good enough for weights, and the same everywhere. */
function gaussian(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += uniform();
    return sum;
  };
}

class Writer {
  #bytes = new Uint8Array(1 << 16);
  #length = 0;

  raw(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  u32(value: number): void {
    this.raw(new Uint8Array(Uint32Array.of(value).buffer));
  }

  u64(value: number): void {
    this.raw(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  }

  string(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.u64(bytes.length);
    this.raw(bytes);
  }

  align(to: number): void {
    this.raw(new Uint8Array((to - (this.#length % to)) % to));
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}
