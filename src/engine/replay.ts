/**
 * An engine that plays back what a real one once said: tests of everything above it need no model and no luck. It is strict. A request that differs from
 * the recorded one, comes out of turn or is left over fails the test, because a transcript that no longer fits says nothing.
 */
import * as v from "valibot";
import { err, ok, type Result } from "../lib/result.ts";
import type {
  ChatMessage,
  EngineError,
  GenerateChunk,
  GenerateOutcome,
  GenerateRequest,
  LoadedModel,
  LoadRequest,
  ModelEngine,
} from "./port.ts";
import { ChatMessageSchema, EngineErrorSchema, GenerateChunkSchema, GenerateOutcomeSchema, LoadedModelSchema } from "./protocol.ts";

/** One generation as recorded: what was asked, and everything that came back. */
export interface RecordedTurn {
  readonly messages: readonly ChatMessage[];
  /** Compared when present; left out by hand where a test does not care. */
  readonly temperature?: number;
  readonly seed?: number;
  readonly maxTokens?: number | null;
  readonly jsonSchema?: unknown;
  readonly chunks: readonly GenerateChunk[];
  readonly result: Result<GenerateOutcome, EngineError>;
}

export interface Transcript {
  readonly model: LoadedModel;
  readonly turns: readonly RecordedTurn[];
}

export interface ReplayEngine extends ModelEngine {
  /** Throws unless every turn was asked for, in order, as recorded. */
  assertDone(): void;
}

/** Thrown by a request that does not fit, and again by `assertDone` in case somebody caught it. */
export class TranscriptMismatch extends Error {}

export function replayEngine(transcript: Transcript): ReplayEngine {
  return new Replay(transcript);
}

class Replay implements ReplayEngine {
  readonly #transcript: Transcript;
  #next = 0;
  #mismatch: TranscriptMismatch | null = null;

  constructor(transcript: Transcript) {
    this.#transcript = transcript;
  }

  async load(_request: LoadRequest): Promise<Result<LoadedModel, EngineError>> {
    return ok(this.#transcript.model);
  }

  async generate(
    request: GenerateRequest,
    onChunk: (chunk: GenerateChunk) => void,
    signal: AbortSignal,
  ): Promise<Result<GenerateOutcome, EngineError>> {
    const turn = this.#transcript.turns[this.#next];
    if (!turn) this.#fail(`turn ${this.#next + 1} is not in the transcript: ${shorten(request.messages)}`);
    const difference = compare(turn, request);
    if (difference !== null) this.#fail(`turn ${this.#next + 1} differs in ${difference}`);
    this.#next++;
    for (const chunk of turn.chunks) {
      // A task of its own for each chunk, as over a pipe: what must happen in between happens in between.
      await Promise.resolve();
      if (signal.aborted) return this.#cancelled(turn);
      onChunk(chunk);
    }
    return turn.result;
  }

  async count(_model: string, messages: readonly ChatMessage[]): ReturnType<ModelEngine["count"]> {
    // Four characters a token: transcripts are not about counting.
    return ok({ frame: 8, messages: messages.map(({ text }) => 4 + Math.ceil(text.length / 4)) });
  }

  async embed(_model: string, texts: readonly string[]): ReturnType<ModelEngine["embed"]> {
    return this.#fail(`${texts.length} embeddings are not in the transcript`);
  }

  async probabilities(_model: string, text: string): ReturnType<ModelEngine["probabilities"]> {
    return this.#fail(`probabilities after ${JSON.stringify(text)} are not in the transcript`);
  }

  async memory(): ReturnType<ModelEngine["memory"]> {
    return ok({ residentBytes: 0, gpuBytes: 0, models: [] });
  }

  async unload(): ReturnType<ModelEngine["unload"]> {
    return ok(undefined);
  }

  onRestart(): () => void {
    return () => undefined;
  }

  assertDone(): void {
    if (this.#mismatch) throw this.#mismatch;
    const left = this.#transcript.turns.length - this.#next;
    if (left > 0) throw new TranscriptMismatch(`${left} recorded turn${left === 1 ? " was" : "s were"} never asked for`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    return undefined;
  }

  #cancelled(turn: RecordedTurn): Result<GenerateOutcome, EngineError> {
    return turn.result.ok ? ok({ ...turn.result.value, stop: "cancelled" }) : err({ kind: "cancelled" });
  }

  #fail(message: string): never {
    this.#mismatch ??= new TranscriptMismatch(message);
    throw this.#mismatch;
  }
}

/** The first part in which a request differs from the recorded one, or null. */
function compare(turn: RecordedTurn, request: GenerateRequest): string | null {
  const length = Math.max(turn.messages.length, request.messages.length);
  for (let index = 0; index < length; index++) {
    const wanted = turn.messages[index];
    const got = request.messages[index];
    if (wanted?.role !== got?.role || wanted?.text !== got?.text)
      return `message ${index + 1}: recorded ${shorten(wanted)}, asked ${shorten(got)}`;
  }
  for (const field of ["temperature", "seed", "maxTokens", "jsonSchema"] as const) {
    const wanted = turn[field];
    if (wanted !== undefined && JSON.stringify(wanted) !== JSON.stringify(request[field]))
      return `${field}: recorded ${shorten(wanted)}, asked ${shorten(request[field])}`;
  }
  return null;
}

const shorten = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 200);

export interface RecordingEngine extends ModelEngine {
  /** Everything generated so far, with the model that was loaded last; null before a load. */
  transcript(): Transcript | null;
}

/** Passes everything through to `inner` and keeps what it says. */
export function recordEngine(inner: ModelEngine): RecordingEngine {
  let model: LoadedModel | null = null;
  const turns: RecordedTurn[] = [];
  return {
    async load(request, onProgress, signal) {
      const loaded = await inner.load(request, onProgress, signal);
      if (loaded.ok) model = loaded.value;
      return loaded;
    },
    async generate(request, onChunk, signal) {
      const chunks: GenerateChunk[] = [];
      const result = await inner.generate(
        request,
        (chunk) => {
          chunks.push(chunk);
          onChunk(chunk);
        },
        signal,
      );
      const { messages, temperature, seed, maxTokens, jsonSchema } = request;
      turns.push({ messages, temperature, seed, maxTokens, ...(jsonSchema === null ? {} : { jsonSchema }), chunks, result });
      return result;
    },
    count: (...args) => inner.count(...args),
    embed: (...args) => inner.embed(...args),
    probabilities: (...args) => inner.probabilities(...args),
    memory: () => inner.memory(),
    unload: (handle) => inner.unload(handle),
    onRestart: (listener) => inner.onRestart(listener),
    transcript: () => (model ? { model, turns: [...turns] } : null),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

/** A transcript from a file. The error is one line. */
export function parseTranscript(json: string): Result<Transcript, string> {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), TranscriptSchema), json);
  if (parsed.success) return ok(parsed.output);
  const [issue] = parsed.issues;
  return err(`${v.getDotPath(issue) ?? "the file"}: ${issue.message}`);
}

const TranscriptSchema = v.strictObject({
  model: LoadedModelSchema,
  turns: v.array(
    v.strictObject({
      messages: v.array(ChatMessageSchema),
      temperature: v.exactOptional(v.number()),
      seed: v.exactOptional(v.number()),
      maxTokens: v.exactOptional(v.nullable(v.number())),
      jsonSchema: v.exactOptional(v.unknown()),
      chunks: v.array(GenerateChunkSchema),
      result: v.variant("ok", [
        v.strictObject({ ok: v.literal(true), value: GenerateOutcomeSchema }),
        v.strictObject({ ok: v.literal(false), error: EngineErrorSchema }),
      ]),
    }),
  ),
});
