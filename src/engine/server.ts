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
  readonly after: (ms: number, callback: () => void) => () => void;
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
  const stopBeat = io.every(HEARTBEAT_MS, () => send({ type: "alive", stalledMs: Math.round(engine.stalledMs()) }));
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
        const stream = new ChunkStream((chunk) => send({ type: "chunk", id, chunk }), io);
        const outcome = await engine.generate(request, (chunk) => stream.push(chunk), signal);
        stream.flush();
        return outcome;
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

/** Milliseconds: at most 200 lines a second. A line a token costs nothing at reading speed, but a tiny model makes 2000 tokens a second. */
const CHUNK_INTERVAL = 5;

/** Joins neighbouring chunks of one kind when they come faster than anyone can look. */
class ChunkStream {
  readonly #send: (chunk: GenerateChunk) => void;
  readonly #time: Pick<ServerIo, "after" | "monotonic">;
  #held: Exclude<GenerateChunk, { type: "prompt" }> | null = null;
  #sent = -Infinity;
  #stopTimer: (() => void) | null = null;

  constructor(send: (chunk: GenerateChunk) => void, time: Pick<ServerIo, "after" | "monotonic">) {
    this.#send = send;
    this.#time = time;
  }

  push(chunk: GenerateChunk): void {
    if (chunk.type === "prompt") {
      this.flush();
      return this.#send(chunk);
    }
    if (this.#held && this.#held.type !== chunk.type) this.flush();
    const held = this.#held;
    this.#held = held ? { type: held.type, text: held.text + chunk.text, tokens: held.tokens + chunk.tokens } : chunk;
    // A timer only for what waits: it would wake this thread in the middle of the next token, on the core that works on it.
    const wait = this.#sent + CHUNK_INTERVAL - this.#time.monotonic();
    if (wait <= 0) this.flush();
    else this.#stopTimer ??= this.#time.after(wait, () => this.flush());
  }

  flush(): void {
    this.#stopTimer?.();
    this.#stopTimer = null;
    if (this.#held === null) return;
    this.#sent = this.#time.monotonic();
    this.#send(this.#held);
    this.#held = null;
  }
}

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";
