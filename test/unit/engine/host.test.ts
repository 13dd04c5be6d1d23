import { describe, expect, test } from "bun:test";
import { createEngineHost, type EngineProcess, type HostLimits, type Timers } from "../../../src/engine/host.ts";
import type { EngineError } from "../../../src/engine/port.ts";
import { encode, type HostMessage, decodeHost, type ChildMessage } from "../../../src/engine/protocol.ts";
import { err, ok } from "../../../src/lib/result.ts";
import { loadRequest, NEVER } from "../../support/engine.ts";

/** A clock that moves when told. */
class ManualTime implements Timers {
  #now = 0;
  #timers = new Set<{ at: number; readonly every: number | null; readonly callback: () => void }>();

  monotonic(): number {
    return this.#now;
  }
  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, every: null, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
  every(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, every: ms, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
  /** Lets time pass, timers firing in order; what they caused gets to run. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.#now = Math.max(this.#now, next.at);
      if (next.every === null) this.#timers.delete(next);
      else next.at += next.every;
      next.callback();
      await settle();
    }
    this.#now = end;
    await settle();
  }
  /** The whole machine slept: time went on and no timer fired meanwhile. */
  async sleep(ms: number): Promise<void> {
    this.#now += ms;
    for (const timer of this.#timers) if (timer.every !== null && timer.at <= this.#now) timer.at = this.#now;
    await this.pass(1);
  }
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** A child made of callbacks. */
class FakeChild implements EngineProcess {
  readonly pid = 4242;
  readonly cage = { level: "namespaces", reason: "" } as const;
  sees: (path: string) => boolean = () => true;
  readonly received: HostMessage[] = [];
  killed = false;
  inputClosed = false;
  readonly output = new Pipe();
  readonly log = new Pipe();
  readonly exited: Promise<{ exitCode: number | null; signal: string | null }>;
  #exit: (status: { exitCode: number | null; signal: string | null }) => void = () => undefined;
  onRequest: (message: HostMessage) => void = () => undefined;

  constructor() {
    this.exited = new Promise((resolve) => {
      this.#exit = resolve;
    });
  }
  say(message: ChildMessage): void {
    this.output.push(encode(message));
  }
  write(line: string): void {
    const message = decodeHost(line.trimEnd());
    if (!message) throw new Error(`not a request: ${line}`);
    this.received.push(message);
    this.onRequest(message);
  }
  closeInput(): void {
    this.inputClosed = true;
  }
  kill(): void {
    this.killed = true;
    this.die({ exitCode: null, signal: "SIGKILL" });
  }
  die(status: { exitCode: number | null; signal: string | null }): void {
    this.output.end();
    this.log.end();
    this.#exit(status);
  }
}

class Pipe implements AsyncIterable<Uint8Array> {
  #queue: Uint8Array[] = [];
  #ended = false;
  #wake: () => void = () => undefined;
  push(text: string): void {
    this.#queue.push(new TextEncoder().encode(text));
    this.#wake();
  }
  end(): void {
    this.#ended = true;
    this.#wake();
  }
  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    for (;;) {
      const next = this.#queue.shift();
      if (next) yield next;
      else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

const MODEL = {
  handle: "model-1",
  title: "t",
  architecture: "llama",
  fileBytes: 1,
  contextSize: 2048,
  trainContextSize: 2048,
  layers: 1,
  gpu: { layers: 0, device: null, reason: "" },
  template: { source: "none", wrapper: "" },
  threads: { prompt: 1, generate: 1, measured: [] },
  lastingThreads: true,
  loadMs: 1,
};

/** What each child of the last `setUp` was started for. */
let spawnedFor: (string | null)[] = [];

function setUp({ limits = {}, ready = true }: { readonly limits?: Partial<HostLimits>; readonly ready?: boolean } = {}) {
  const time = new ManualTime();
  const children: FakeChild[] = [];
  spawnedFor = [];
  const host = createEngineHost({
    timers: time,
    limits,
    spawn: (path) => {
      spawnedFor.push(path);
      const child = new FakeChild();
      children.push(child);
      if (ready) child.say({ type: "ready", pid: child.pid });
      return ok(child);
    },
  });
  const restarts: EngineError[] = [];
  host.onRestart((cause) => restarts.push(cause));
  const load = () => host.load(loadRequest("/m.gguf"), () => undefined, NEVER);
  return { time, children, host, restarts, load };
}

const last = <T>(items: readonly T[]): T => {
  const item = items.at(-1);
  if (item === undefined) throw new Error("empty");
  return item;
};

describe("engine host", () => {
  test("nothing is started before it is needed, not even to ask for memory", async () => {
    const { host, children } = setUp();
    expect(await host.memory()).toEqual({ ok: true, value: { residentBytes: 0, gpuBytes: 0, models: [] } });
    expect(await host.unload("model-1")).toEqual({ ok: false, error: { kind: "not-loaded" } });
    expect(children).toHaveLength(0);
  });

  test("a crash is the error of every request that ran, with the cause from stderr", async () => {
    const { host, children, load, restarts } = setUp();
    const requests = [load(), host.count("m", []), host.embed("m", ["x"])];
    await settle();
    const child = last(children);
    expect(child.received.map(({ op }) => op)).toEqual(["load", "count", "embed"]);
    child.log.push("llama_model_loader: loaded meta data\n/home/someone/llama.cpp/ggml.c:12: GGML_ASSERT(x > 0) failed\n#0 0x00 in ???\n");
    await settle();
    child.die({ exitCode: null, signal: "SIGABRT" });
    const crash = { kind: "crashed", exitCode: null, signal: "SIGABRT", detail: "ggml.c:12: GGML_ASSERT(x > 0) failed" } as const;
    for (const request of requests) expect(await request).toEqual({ ok: false, error: crash });
    expect(restarts).toEqual([crash]);
    const again = load();
    await settle();
    expect(children).toHaveLength(2);
    last(children).die({ exitCode: 3, signal: null });
    expect(await again).toMatchObject({ ok: false, error: { kind: "crashed", exitCode: 3, detail: "" } });
  });

  test("silence while a request runs is a hang", async () => {
    const { time, load, children, restarts } = setUp({ limits: { silence: 10_000 } });
    const request = load();
    await settle();
    await time.pass(9000);
    last(children).say({ type: "alive", stalledMs: 9000 });
    await time.pass(9000);
    expect(last(children).killed).toBe(false);
    await time.pass(3000);
    expect(await request).toMatchObject({ ok: false, error: { kind: "hung", seconds: 11 } });
    expect(restarts).toHaveLength(1);
  });

  test("silence of an idle child is none", async () => {
    const { time, host, children } = setUp({ limits: { silence: 1000 } });
    const request = host.memory();
    void request;
    const counted = host.count("m", []);
    await settle();
    last(children).say({ type: "done", id: 1, value: { messages: [], frame: 0 } });
    expect(await counted).toEqual({ ok: true, value: { messages: [], frame: 0 } });
    await time.pass(60_000);
    expect(last(children).killed).toBe(false);
  });

  test("a laptop that slept is no hang", async () => {
    const { time, load, children } = setUp({ limits: { silence: 10_000 } });
    void load();
    await settle();
    await time.sleep(3_600_000);
    expect(last(children).killed).toBe(false);
  });

  test("a slow native step is none until it takes absurdly long", async () => {
    const { time, load, children } = setUp({ limits: { silence: 10_000, step: 60_000 } });
    const request = load();
    await settle();
    for (let second = 1; second <= 60; second++) {
      last(children).say({ type: "alive", stalledMs: second * 1000 });
      await time.pass(1000);
    }
    expect(last(children).killed).toBe(false);
    last(children).say({ type: "alive", stalledMs: 61_000 });
    expect(await request).toMatchObject({ ok: false, error: { kind: "hung", seconds: 61 } });
  });

  test("a child that ignores a cancel is killed; the request is cancelled, others are told why", async () => {
    const { time, host, children } = setUp({ limits: { cancel: 5000 } });
    const controller = new AbortController();
    const request = host.load(loadRequest("/m.gguf"), () => undefined, controller.signal);
    const other = host.count("m", []);
    await settle();
    controller.abort();
    await settle();
    expect(last(last(children).received)).toEqual({ op: "cancel", id: 1 });
    await time.pass(4000);
    expect(last(children).killed).toBe(false);
    await time.pass(1000);
    expect(await request).toEqual({ ok: false, error: { kind: "cancelled" } });
    expect(await other).toMatchObject({ ok: false, error: { kind: "hung" } });
  });

  test("a request that follows a kill has nothing to do with it, however long the dying takes", async () => {
    const { time, host, children, load, restarts } = setUp({ limits: { cancel: 5000 } });
    const controller = new AbortController();
    const request = host.load(loadRequest("/m.gguf"), () => undefined, controller.signal);
    await settle();
    const first = last(children);
    first.kill = () => {
      first.killed = true;
    };
    controller.abort();
    await time.pass(5000);
    expect(await request).toEqual({ ok: false, error: { kind: "cancelled" } });
    // Whoever holds a handle knows at once that it is void.
    expect(restarts).toHaveLength(1);
    const next = host.count("m", []);
    await settle();
    expect(children).toHaveLength(1);
    first.die({ exitCode: null, signal: "SIGKILL" });
    await settle();
    expect(children).toHaveLength(2);
    last(children).say({ type: "done", id: 2, value: { messages: [], frame: 1 } });
    expect(await next).toEqual({ ok: true, value: { messages: [], frame: 1 } });
    // One that cannot die, because it waits for a stick that is gone, does not hold up the next for ever.
    last(children).kill = () => undefined;
    const stuck = load();
    await settle();
    last(children).say({ type: "done", id: 3, value: "nonsense" });
    expect(await stuck).toMatchObject({ ok: false, error: { kind: "crashed" } });
    void load();
    await time.pass(2000);
    expect(children).toHaveLength(3);
    expect(restarts).toHaveLength(2);
  });

  test("a line without end and an answer without end end the child", async () => {
    const { host, children, load } = setUp();
    const loading = load();
    await settle();
    for (let megabyte = 0; megabyte <= 32; megabyte++) last(children).output.push("x".repeat(1 << 20));
    expect(await loading).toMatchObject({ ok: false, error: { kind: "crashed", detail: "the engine sent an endless line" } });
    expect(last(children).killed).toBe(true);
    let units = 0;
    const sampling = { maxTokens: null, temperature: 0, topP: 1, topK: 0, minP: 0, seed: 1, jsonSchema: null, cacheKey: "" };
    const answer = host.generate(
      { model: "m", messages: [], ...sampling },
      (chunk) => (units += "text" in chunk ? chunk.text.length : 0),
      NEVER,
    );
    await settle();
    for (let megabyte = 0; megabyte <= 40; megabyte++)
      last(children).say({ type: "chunk", id: 2, chunk: { type: "text", text: "x".repeat(1 << 20), tokens: 1 } });
    expect(await answer).toMatchObject({ ok: false, error: { kind: "crashed", detail: "the engine sent an endless answer" } });
    expect(units).toBe(32 << 20);
  });

  test("repeated deaths make the next start wait, longer each time; a cancel ends the wait", async () => {
    const { time, children, load, host } = setUp();
    for (let death = 1; death <= 2; death++) {
      const request = load();
      await settle();
      last(children).die({ exitCode: 1, signal: null });
      await request;
      await settle();
    }
    const third = load();
    await settle();
    expect(children).toHaveLength(3);
    last(children).die({ exitCode: 1, signal: null });
    await third;
    const fourth = load();
    await settle();
    expect(children).toHaveLength(3);
    await time.pass(1000);
    expect(children).toHaveLength(4);
    last(children).die({ exitCode: 1, signal: null });
    await fourth;
    const controller = new AbortController();
    const fifth = host.load(loadRequest("/m.gguf"), () => undefined, controller.signal);
    await time.pass(1500);
    expect(children).toHaveLength(4);
    controller.abort();
    expect(await fifth).toEqual({ ok: false, error: { kind: "cancelled" } });
    await time.pass(60_000);
    void load();
    await settle();
    expect(children).toHaveLength(5);
  });

  test("a child that never gets ready is unavailable, with its last words", async () => {
    const { time, children, load } = setUp({ ready: false, limits: { start: 5000 } });
    const dying = load();
    await settle();
    last(children).log.push("error: libllama.so: cannot open shared object file\n");
    await settle();
    last(children).die({ exitCode: 1, signal: null });
    expect(await dying).toEqual({
      ok: false,
      error: { kind: "unavailable", detail: "error: libllama.so: cannot open shared object file" },
    });
    const waiting = load();
    await settle();
    await time.pass(5000);
    expect(await waiting).toEqual({ ok: false, error: { kind: "unavailable", detail: "it did not answer in time" } });
  });

  test("a command that cannot be started is unavailable", async () => {
    const host = createEngineHost({ timers: new ManualTime(), spawn: () => err("no such file") });
    expect(await host.count("m", [])).toEqual({ ok: false, error: { kind: "unavailable", detail: "no such file" } });
  });

  test("noise on stdout is evidence, not an error; an answer that makes no sense ends the child", async () => {
    const { host, children } = setUp();
    const counted = host.count("m", []);
    await settle();
    last(children).output.push("ggml_init: hello\n\n{}\n[1,2]\n");
    last(children).say({ type: "done", id: 99, value: null });
    await settle();
    expect(last(children).killed).toBe(false);
    last(children).say({ type: "done", id: 1, value: { messages: "none" } });
    expect(await counted).toMatchObject({ ok: false, error: { kind: "crashed" } });
    expect(last(children).killed).toBe(true);
  });

  test("a model out of the child's sight: another child, once this one has answered; it is no death", async () => {
    const { host, children, restarts, load } = setUp();
    const loading = load();
    await settle();
    const first = last(children);
    first.say({ type: "done", id: 1, value: MODEL });
    expect(await loading).toMatchObject({ ok: true, value: { cage: { level: "namespaces", reason: "" } } });
    first.sees = (path) => path === "/m.gguf";
    const counting = host.count("model-1", []);
    await settle();
    const other = host.load(loadRequest("/elsewhere.gguf"), () => undefined, NEVER);
    await settle();
    // It is still at work.
    expect([children.length, first.killed, restarts.length]).toEqual([1, false, 0]);
    first.say({ type: "done", id: 2, value: { messages: [], frame: 1 } });
    expect(await counting).toMatchObject({ ok: true });
    await settle();
    expect([children.length, first.killed]).toEqual([2, true]);
    expect(restarts).toEqual([{ kind: "unavailable", detail: expect.stringContaining("another folder") }]);
    last(children).say({ type: "done", id: 3, value: MODEL });
    expect(await other).toMatchObject({ ok: true });
    expect(spawnedFor).toEqual(["/m.gguf", "/elsewhere.gguf"]);
    // Nothing waits because of it, however often it happens.
    for (let round = 0; round < 4; round++) {
      last(children).sees = () => false;
      const again = load();
      await settle();
      last(children).say({ type: "done", id: 4 + round, value: MODEL });
      expect(await again).toMatchObject({ ok: true });
    }
    expect(children).toHaveLength(6);
  });

  test("a child that dies while another is wanted in its place is a death like any", async () => {
    const { host, children, restarts } = setUp();
    const counting = host.count("model-1", []);
    await settle();
    const first = last(children);
    first.sees = () => false;
    const other = host.load(loadRequest("/elsewhere.gguf"), () => undefined, NEVER);
    await settle();
    first.die({ exitCode: null, signal: "SIGABRT" });
    expect(await counting).toMatchObject({ ok: false, error: { kind: "crashed", signal: "SIGABRT" } });
    await settle();
    expect([children.length, restarts.length]).toEqual([2, 1]);
    last(children).say({ type: "done", id: 2, value: MODEL });
    expect(await other).toMatchObject({ ok: true });
  });

  test("text that fits no context is refused before it is sent", async () => {
    const { host, children, load } = setUp();
    const loaded = load();
    await settle();
    last(children).say({ type: "done", id: 1, value: MODEL });
    await loaded;
    const counted = await host.count("model-1", [{ role: "user", text: "x".repeat(30_000_000) }]);
    expect(counted).toMatchObject({ ok: false, error: { kind: "prompt-too-long", contextSize: 2048 } });
    expect(last(children).received).toHaveLength(1);
  });

  test("disposing ends the child by closing its input, and by force after a while", async () => {
    const { time, host, children, restarts } = setUp({ limits: { exit: 2000 } });
    const request = host.count("m", []);
    await settle();
    const closing = host[Symbol.asyncDispose]();
    expect(await request).toEqual({ ok: false, error: { kind: "unavailable", detail: "the engine is closed" } });
    expect(last(children).inputClosed).toBe(true);
    expect(last(children).killed).toBe(false);
    await time.pass(2000);
    await closing;
    expect(last(children).killed).toBe(true);
    expect(restarts).toEqual([]);
    expect(await host.count("m", [])).toMatchObject({ ok: false, error: { kind: "unavailable" } });
  });

  test("an aborted signal asks nothing", async () => {
    const { host, children } = setUp();
    expect(await host.load(loadRequest("/m.gguf"), () => undefined, AbortSignal.abort())).toEqual({
      ok: false,
      error: { kind: "cancelled" },
    });
    expect(children).toHaveLength(0);
  });
});
