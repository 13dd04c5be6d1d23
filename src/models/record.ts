import * as v from "valibot";
import type { GgufFacts } from "./gguf.ts";
import type { ThreadPlan } from "../engine/port.ts";
import type { FileFacts } from "./ports.ts";

/**
 * What is known of a model file and cannot be read off it quickly: `NAME.gguf.json` beside it. It travels with the model
 * from stick to stick, so everything that holds for one computer only stands under that computer's fingerprint. It is a
 * cache and a pin, never needed: without it a model works and is measured again.
 */
export type ModelRecord = v.InferOutput<typeof RecordSchema>;
export type Greeting = NonNullable<ModelRecord["greeting"]>;

export const RECORD_VERSION = 1;
/** Computers whose measurements are kept; the one used longest ago goes. */
const MAX_HOSTS = 16;
/** Bytes. */
export const MAX_RECORD = 256 * 1024;

const Hex = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/u));
const Fingerprint = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/u));
const Count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Speed = v.pipe(v.number(), v.finite(), v.minValue(0));
const Threads = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4096));
const Time = v.pipe(v.string(), v.maxLength(40));
const Line = v.pipe(v.string(), v.maxLength(1000));

const PlanSchema = v.strictObject({
  prompt: Threads,
  generate: Threads,
  measured: v.pipe(
    v.array(v.strictObject({ threads: Threads, promptTokensPerSecond: Speed, generateTokensPerSecond: Speed })),
    v.maxLength(64),
  ),
});

const FactsSchema = v.strictObject({
  version: Count,
  architecture: Line,
  type: Line,
  name: v.nullable(Line),
  parameters: Count,
  layers: Count,
  heads: Count,
  kvHeads: Count,
  kvHeadSum: Count,
  keyLength: Count,
  valueLength: Count,
  context: Count,
  embedding: Count,
  vocabulary: Count,
  quantisation: Line,
  hasTemplate: v.boolean(),
  tokenizer: v.nullable(Line),
  tensorBytes: Count,
  embeddingBytes: Count,
  outputBytes: Count,
});

const FileSchema = v.strictObject({
  name: v.pipe(v.string(), v.maxLength(255), v.regex(/^[^/\0]+$/u)),
  size: Count,
  sha256: v.nullable(Hex),
  /** The file when it was last hashed. No inode: FAT and exFAT number them anew at every mount. */
  seen: v.nullable(v.strictObject({ mtimeMs: v.number(), samples: Hex })),
});

const RecordSchema = v.strictObject({
  version: v.literal(RECORD_VERSION),
  /** The file, or the parts of a split one in order. */
  files: v.pipe(v.array(FileSchema), v.minLength(1), v.maxLength(1000)),
  /** Where the expected hash comes from. `first-download`: trust on first use. */
  pin: v.nullable(v.strictObject({ from: v.picklist(["catalogue", "announced", "first-download", "import"]), source: Line, at: Time })),
  /** Header facts, so that a slow stick need not be read for them at every start. */
  facts: v.nullable(v.strictObject({ size: Count, mtimeMs: v.number(), header: FactsSchema })),
  greeting: v.nullable(
    v.strictObject({ outcome: v.picklist(["ends", "rambles", "no-template", "failed"]), tokens: Count, detail: Line, at: Time }),
  ),
  /** File name of a template that replaces the model's own, beside the model. */
  template: v.nullable(v.pipe(v.string(), v.maxLength(255), v.regex(/^[^/\0]+$/u))),
  /** A model that stays on one computer: its path there. */
  link: v.nullable(v.strictObject({ path: v.pipe(v.string(), v.maxLength(4096)), host: Fingerprint })),
  /** Newest last. */
  hosts: v.pipe(
    v.array(v.strictObject({ host: Fingerprint, threads: v.nullable(PlanSchema), readBytesPerSecond: v.nullable(Speed) })),
    v.maxLength(MAX_HOSTS),
  ),
});

/** Facts without the template's text, which can be long and is read by the engine anyway. */
export type KnownFacts = Omit<GgufFacts, "template" | "split"> & { readonly hasTemplate: boolean };

export const knownFacts = (facts: GgufFacts): KnownFacts => ({
  version: facts.version,
  architecture: facts.architecture,
  type: facts.type,
  name: facts.name,
  parameters: facts.parameters,
  layers: facts.layers,
  heads: facts.heads,
  kvHeads: facts.kvHeads,
  kvHeadSum: facts.kvHeadSum,
  keyLength: facts.keyLength,
  valueLength: facts.valueLength,
  context: facts.context,
  embedding: facts.embedding,
  vocabulary: facts.vocabulary,
  quantisation: facts.quantisation,
  hasTemplate: facts.template !== null,
  tokenizer: facts.tokenizer,
  tensorBytes: facts.tensorBytes,
  embeddingBytes: facts.embeddingBytes,
  outputBytes: facts.outputBytes,
});

/** Null for anything but a sound record of this version: a corrupt one is as good as none. */
export function parseRecord(text: string | null): ModelRecord | null {
  if (text === null) return null;
  try {
    const parsed = v.safeParse(RecordSchema, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

export const formatRecord = (record: ModelRecord): string => `${JSON.stringify(record, null, 1)}\n`;

export const emptyRecord = (files: readonly { readonly name: string; readonly size: number }[]): ModelRecord => ({
  version: RECORD_VERSION,
  files: files.map(({ name, size }) => ({ name, size, sha256: null, seen: null })),
  pin: null,
  facts: null,
  greeting: null,
  template: null,
  link: null,
  hosts: [],
});

type HostEntry = ModelRecord["hosts"][number];

/** What was measured on this computer. */
export const onHost = (record: ModelRecord | null, host: string): HostEntry | null =>
  record?.hosts.find((entry) => entry.host === host) ?? null;

export const threadsOn = (record: ModelRecord | null, host: string): ThreadPlan | null => onHost(record, host)?.threads ?? null;

export interface HostChange {
  readonly threads?: ThreadPlan;
  readonly readBytesPerSecond?: number;
}

export function withHost(record: ModelRecord, host: string, { threads, readBytesPerSecond }: HostChange): ModelRecord {
  const before = onHost(record, host) ?? { host, threads: null, readBytesPerSecond: null };
  const others = record.hosts.filter((entry) => entry.host !== host);
  const after: HostEntry = {
    host,
    threads: threads ? { ...threads, measured: threads.measured.slice(-64).map((sample) => ({ ...sample })) } : before.threads,
    readBytesPerSecond: readBytesPerSecond ?? before.readBytesPerSecond,
  };
  return { ...record, hosts: [...others, after].slice(-MAX_HOSTS) };
}

/** Header facts that still hold: the file is as long and as old as when they were read. */
export function factsFor(record: ModelRecord | null, file: FileFacts): KnownFacts | null {
  const facts = record?.facts;
  return facts && facts.size === file.size && sameTime(facts.mtimeMs, file.mtimeMs) ? facts.header : null;
}

/** FAT keeps every other second; before the first remount the kernel remembers more. */
export const sameTime = (a: number, b: number): boolean => Math.abs(a - b) <= 2000;

export const recordPath = (modelPath: string): string => `${modelPath}.json`;
export const chunksPath = (modelPath: string): string => `${modelPath}.chunks`;
