/**
 * What host and engine child say to each other: one JSON object a line, parsed by these schemas on both sides. The child is not trusted more than
 * a file from the network (it parses hostile GGUFs), so the host checks every line it gets.
 */
import * as v from "valibot";
import { ROLES } from "../lib/message.ts";
import type {
  EngineError,
  EngineMemory,
  GenerateChunk,
  GenerateOutcome,
  LoadProgress,
  LoadedModel,
  MessageCosts,
  ThreadPlan,
} from "./port.ts";

/** Bytes. A whole conversation must fit; text that cannot fit any context is refused before it is sent. */
export const MAX_REQUEST_BYTES = 64 << 20;
/** Bytes. The longest answer is a batch of embeddings. */
export const MAX_REPLY_BYTES = 32 << 20;
/** Milliseconds between signs of life of the child. */
export const HEARTBEAT_MS = 1000;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const positive = v.pipe(v.number(), v.integer(), v.minValue(1));
const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const id = positive;
const handle = v.pipe(v.string(), v.maxLength(200));

/** Read-only like the port's own types. */
const list = <S extends v.GenericSchema>(item: S) => v.pipe(v.array(item), v.readonly());

const ThreadPlanSchema = v.strictObject({
  prompt: positive,
  generate: positive,
  measured: list(v.strictObject({ threads: positive, promptTokensPerSecond: amount, generateTokensPerSecond: amount })),
}) satisfies v.GenericSchema<ThreadPlan, ThreadPlan>;

export const ChatMessageSchema = v.strictObject({ role: v.picklist(ROLES), text: v.string() });

export const HostMessage = v.variant("op", [
  v.strictObject({
    op: v.literal("load"),
    id,
    path: v.string(),
    contextSize: positive,
    gpu: v.picklist(["auto", "off"]),
    threads: v.nullable(ThreadPlanSchema),
    template: v.nullable(v.string()),
  }),
  v.strictObject({
    op: v.literal("generate"),
    id,
    model: handle,
    messages: list(ChatMessageSchema),
    maxTokens: v.nullable(count),
    temperature: amount,
    topP: amount,
    topK: v.pipe(v.number(), v.integer()),
    minP: amount,
    seed: count,
    jsonSchema: v.unknown(),
    cacheKey: v.string(),
  }),
  v.strictObject({ op: v.literal("count"), id, model: handle, messages: list(ChatMessageSchema) }),
  v.strictObject({ op: v.literal("embed"), id, model: handle, texts: list(v.string()) }),
  v.strictObject({ op: v.literal("probabilities"), id, model: handle, text: v.string(), top: count }),
  v.strictObject({ op: v.literal("memory"), id }),
  v.strictObject({ op: v.literal("unload"), id, model: handle }),
  /** Stops the request of that id, which then answers in its own way. */
  v.strictObject({ op: v.literal("cancel"), id }),
]);
export type HostMessage = v.InferOutput<typeof HostMessage>;
/** `Omit` over a union, member by member. */
export type HostRequest = HostMessage extends infer Message ? (Message extends unknown ? Omit<Message, "id"> : never) : never;

const LoadProgressSchema = v.variant("phase", [
  v.strictObject({ phase: v.literal("read"), bytes: amount, total: amount, bytesPerSecond: amount }),
  v.strictObject({ phase: v.literal("prepare"), fraction: amount }),
  v.strictObject({ phase: v.literal("measure-threads"), threads: positive }),
]) satisfies v.GenericSchema<LoadProgress, LoadProgress>;

export const GenerateChunkSchema = v.variant("type", [
  v.strictObject({ type: v.literal("prompt"), tokens: count, cached: count, ms: amount }),
  v.strictObject({ type: v.literal("text"), text: v.string(), tokens: count }),
  v.strictObject({ type: v.literal("reasoning"), text: v.string(), tokens: count }),
]) satisfies v.GenericSchema<GenerateChunk, GenerateChunk>;

export const EngineErrorSchema = v.variant("kind", [
  v.strictObject({ kind: v.literal("model-missing"), path: v.string() }),
  v.strictObject({ kind: v.picklist(["model-broken", "model-unsupported", "template-broken"]), path: v.string(), detail: v.string() }),
  v.strictObject({ kind: v.literal("out-of-memory"), needed: amount, available: amount }),
  v.strictObject({ kind: v.literal("prompt-too-long"), promptTokens: count, contextSize: count }),
  v.strictObject({ kind: v.literal("schema-unsupported"), detail: v.string() }),
  v.strictObject({ kind: v.picklist(["not-loaded", "cancelled"]) }),
  v.strictObject({ kind: v.literal("crashed"), exitCode: v.nullable(v.number()), signal: v.nullable(v.string()), detail: v.string() }),
  v.strictObject({ kind: v.literal("hung"), seconds: amount }),
  v.strictObject({ kind: v.literal("unavailable"), detail: v.string() }),
]) satisfies v.GenericSchema<EngineError, EngineError>;

export const ChildMessage = v.variant("type", [
  /** The first line: native libraries are loaded and requests are welcome. */
  v.strictObject({ type: v.literal("ready"), pid: positive }),
  /** Sent every `HEARTBEAT_MS` by the event loop, which no native call blocks. `stalledMs`: how long the running native step takes already, 0 when idle. */
  v.strictObject({ type: v.literal("alive"), stalledMs: amount }),
  v.strictObject({ type: v.literal("progress"), id, progress: LoadProgressSchema }),
  v.strictObject({ type: v.literal("chunk"), id, chunk: GenerateChunkSchema }),
  v.strictObject({ type: v.literal("done"), id, value: v.unknown() }),
  v.strictObject({ type: v.literal("failed"), id, error: EngineErrorSchema }),
]);
export type ChildMessage = v.InferOutput<typeof ChildMessage>;

export const LoadedModelSchema = v.strictObject({
  handle,
  title: v.string(),
  architecture: v.string(),
  fileBytes: amount,
  contextSize: positive,
  trainContextSize: count,
  layers: count,
  gpu: v.strictObject({ layers: count, device: v.nullable(v.string()), reason: v.string() }),
  template: v.strictObject({ source: v.picklist(["embedded", "override", "none"]), wrapper: v.string() }),
  threads: ThreadPlanSchema,
  lastingThreads: v.boolean(),
  loadMs: amount,
}) satisfies v.GenericSchema<LoadedModel, LoadedModel>;

export const GenerateOutcomeSchema = v.strictObject({
  stop: v.picklist(["end", "length", "loop", "cancelled"]),
  tokens: v.strictObject({ prompt: count, cached: count, completion: count, reasoning: count }),
  timings: v.strictObject({ firstTokenMs: amount, promptMs: amount, generateMs: amount, tokensPerSecond: amount }),
  threads: v.strictObject({ prompt: positive, generate: positive }),
  repeated: count,
  contextUsed: count,
}) satisfies v.GenericSchema<GenerateOutcome, GenerateOutcome>;

/** What `done` carries, by operation. */
export const Replies = {
  load: LoadedModelSchema,
  generate: GenerateOutcomeSchema,
  count: v.strictObject({ messages: list(count), frame: count }) satisfies v.GenericSchema<MessageCosts, MessageCosts>,
  embed: list(list(v.pipe(v.number(), v.finite()))),
  probabilities: list(v.strictObject({ token: count, text: v.string(), logProbability: v.number() })),
  memory: v.strictObject({
    residentBytes: amount,
    gpuBytes: amount,
    models: list(v.strictObject({ handle, contextSize: count, contextUsed: count })),
  }) satisfies v.GenericSchema<EngineMemory, EngineMemory>,
  unload: v.null(),
} as const;

/** One message as a line, newline included. */
export const encode = (message: HostMessage | ChildMessage): string => `${JSON.stringify(message)}\n`;

const parseHost = v.safeParser(v.pipe(v.string(), v.parseJson(), HostMessage));
const parseChild = v.safeParser(v.pipe(v.string(), v.parseJson(), ChildMessage));

/** Null for anything that is not a message. */
export function decodeHost(line: string): HostMessage | null {
  const parsed = parseHost(line);
  return parsed.success ? parsed.output : null;
}

/**
 * Null for anything that is not a message. Native code may print to the same stream: text of it that ends without a newline stands before a message
 * on one line, so a second try begins at the first thing that looks like one.
 */
export function decodeChild(line: string): ChildMessage | null {
  const parsed = parseChild(line);
  if (parsed.success) return parsed.output;
  const start = line.indexOf('{"type":"', 1);
  if (start < 0) return null;
  const rest = parseChild(line.slice(start));
  return rest.success ? rest.output : null;
}
