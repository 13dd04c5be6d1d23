/** The child's half of the protocol: requests in, events out, one engine behind it. Knows nothing of llama.cpp. */
import { err, type Result } from "../lib/result.ts";
import { LineReader } from "./lines.ts";
import type { EngineError, GenerateChunk, ModelEngine } from "./port.ts";
import { type ChildMessage, decodeHost, encode, HEARTBEAT_MS, type HostMessage, MAX_REQUEST_BYTES } from "./protocol.ts";

/** What runs models in this very process. */
export interface LocalEngine extends Omit<ModelEngine, "onRestart" | typeof Symbol.asyncDispose> {
  /** Milliseconds that the running native step takes already; 0 when none runs. */
  stalledMs(): number;
}

export interface ServerIo {
  readonly input: AsyncIterable<Uint8Array>;
  readonly write: (line: string) => void;
  readonly every: (ms: number, callback: () => void) => () => void;
  /** Milliseconds. */
  readonly monotonic: () => number;
  readonly pid: number;
}

/** Serves until the input ends, which is how the host says goodbye and how its death is noticed. */
export async function serveEngine(engine: LocalEngine, io: ServerIo): Promise<void> {
  const running = new Map<number, AbortController>();
  const send = (message: ChildMessage): void => io.write(encode(message));
  send({ type: "ready", pid: io.pid });
  const streams = new Set<ChunkStream>();
  const stopBeat = io.every(HEARTBEAT_MS, () => {
    // A model that fell silent holds nothing back.
    for (const stream of streams) stream.flush();
    send({ type: "alive", stalledMs: Math.round(engine.stalledMs()) });
  });
  const lines = new LineReader(MAX_REQUEST_BYTES);
  for await (const bytes of io.input) {
    for (const line of lines.push(bytes)) {
      // A line that is no request cannot be answered, it has no id. The host only sends what it checked.
      const message = line.type === "line" ? decodeHost(line.text) : null;
      if (!message) continue;
      if (message.op === "cancel") running.get(message.id)?.abort();
      else void answer(message);
    }
  }
  stopBeat();
  for (const [, controller] of running) controller.abort();

  async function answer(message: Exclude<HostMessage, { op: "cancel" }>): Promise<void> {
    const controller = new AbortController();
    running.set(message.id, controller);
    const result = await perform(message, controller.signal).catch((error: unknown): Result<never, EngineError> => {
      // A throw is a bug. It is reported like a crash of the request, and the stack goes where crashes leave their traces.
      console.error(error);
      return err({ kind: "crashed", exitCode: null, signal: null, detail: firstLine(error) });
    });
    running.delete(message.id);
    if (result.ok) send({ type: "done", id: message.id, value: result.value ?? null });
    else send({ type: "failed", id: message.id, error: result.error });
  }

  async function perform(message: Exclude<HostMessage, { op: "cancel" }>, signal: AbortSignal): Promise<Result<unknown, EngineError>> {
    switch (message.op) {
      case "load": {
        const { op: _op, id, ...request } = message;
        return await engine.load(request, (progress) => send({ type: "progress", id, progress }), signal);
      }
      case "generate": {
        const { op: _op, id, ...request } = message;
        const stream = new ChunkStream((chunk) => send({ type: "chunk", id, chunk }), io.monotonic);
        streams.add(stream);
        try {
          return await engine.generate(request, (chunk) => stream.push(chunk), signal);
        } finally {
          streams.delete(stream);
          stream.flush();
        }
      }
      case "count":
        return await engine.count(message.model, message.messages);
      case "embed": {
        const vectors = await engine.embed(message.model, message.texts);
        return vectors.ok ? { ok: true, value: vectors.value.map((vector) => [...vector]) } : vectors;
      }
      case "probabilities":
        return await engine.probabilities(message.model, message.text, message.top);
      case "memory":
        return await engine.memory();
      case "unload":
        return await engine.unload(message.model);
    }
  }
}

/**
 * Milliseconds: some sixty lines a second, which is what a screen shows. Above that speed a line a token would only cost: each wakes the host, and a tiny
 * model makes 2000 tokens a second.
 */
const CHUNK_INTERVAL = 16;

/**
 * Joins neighbouring chunks of one kind when they come faster than anyone can look. What is held goes out with the next chunk that finds the interval
 * over, with one of another kind, or with `flush`: it waits for no timer, which would wake this thread in the middle of the next token.
 */
class ChunkStream {
  readonly #send: (chunk: GenerateChunk) => void;
  readonly #monotonic: () => number;
  #held: Exclude<GenerateChunk, { type: "prompt" }> | null = null;
  #sent = -Infinity;

  constructor(send: (chunk: GenerateChunk) => void, monotonic: () => number) {
    this.#send = send;
    this.#monotonic = monotonic;
  }

  push(chunk: GenerateChunk): void {
    if (chunk.type === "prompt") {
      this.flush();
      return this.#send(chunk);
    }
    if (this.#held && this.#held.type !== chunk.type) this.flush();
    const held = this.#held;
    this.#held = held ? { type: held.type, text: held.text + chunk.text, tokens: held.tokens + chunk.tokens } : chunk;
    if (this.#monotonic() - this.#sent >= CHUNK_INTERVAL) this.flush();
  }

  flush(): void {
    if (this.#held === null) return;
    this.#sent = this.#monotonic();
    this.#send(this.#held);
    this.#held = null;
  }
}

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";
