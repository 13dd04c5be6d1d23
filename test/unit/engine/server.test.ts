import { expect, test } from "bun:test";
import fc from "fast-check";
import type { GenerateChunk } from "../../../src/engine/port.ts";
import { HEARTBEAT_MS } from "../../../src/engine/protocol.ts";
import { type LocalEngine, serveEngine } from "../../../src/engine/server.ts";
import { ok } from "../../../src/lib/result.ts";

type Spoken = Exclude<GenerateChunk, { type: "prompt" }>;
interface Sent {
  readonly at: number;
  readonly chunk: Spoken;
}

const REQUEST = {
  op: "generate",
  id: 1,
  model: "m",
  messages: [],
  maxTokens: null,
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  seed: 1,
  jsonSchema: null,
  cacheKey: "c",
};

/** Plays tokens that come `gap` milliseconds after each other through the child's half of the protocol, on a clock of its own. */
async function play(tokens: readonly { readonly gap: number; readonly chunk: Spoken }[]) {
  let now = 1000;
  let beat: { readonly ms: number; readonly call: () => void; next: number } | null = null;
  const advance = (to: number): void => {
    const beating = beat;
    if (beating !== null) {
      for (; beating.next <= to; beating.next += beating.ms) {
        now = beating.next;
        beating.call();
      }
    }
    now = to;
  };
  const sent: Sent[] = [];
  const engine = {
    stalledMs: () => 0,
    generate: async (_: unknown, emit: (chunk: GenerateChunk) => void) => {
      for (const { gap, chunk } of tokens) {
        advance(now + gap);
        emit(chunk);
      }
      return ok(null);
    },
  } as unknown as LocalEngine;
  const { promise: answered, resolve } = Promise.withResolvers<void>();
  async function* input() {
    yield Buffer.from(`${JSON.stringify(REQUEST)}\n`);
    await answered;
  }
  await serveEngine(engine, {
    input: input(),
    pid: 1,
    monotonic: () => now,
    every: (ms, call) => {
      beat = { ms, call, next: now + ms };
      return () => (beat = null);
    },
    write: (line) => {
      const message = JSON.parse(line) as { type: string; chunk: Spoken };
      if (message.type === "chunk") sent.push({ at: now, chunk: message.chunk });
      if (message.type === "done" || message.type === "failed") resolve();
    },
  });
  return { sent, beating: beat !== null };
}

const text = (said: string): Spoken => ({ type: "text", text: said, tokens: 1 });

test("tokens at a speed that anyone can read go out at once, each in a line", async () => {
  const { sent } = await play(["a", "b", "c", "d"].map((said) => ({ gap: 16, chunk: text(said) })));
  expect(sent.map(({ at, chunk }) => [at, chunk.text])).toEqual([
    [1016, "a"],
    [1032, "b"],
    [1048, "c"],
    [1064, "d"],
  ]);
});

test("faster ones are joined to some sixty lines a second", async () => {
  const { sent } = await play(Array.from({ length: 200 }, (_, index) => ({ gap: 1, chunk: text(`${index} `) })));
  // The first, one each 16 ms, and what is left at the end.
  expect(sent.map(({ at }) => at - 1000)).toEqual([1, 17, 33, 49, 65, 81, 97, 113, 129, 145, 161, 177, 193, 200]);
});

test("what is held when a model falls silent goes out with the next sign of life", async () => {
  const { sent } = await play([
    { gap: 20, chunk: text("a") },
    { gap: 3, chunk: text("b") },
    { gap: 5000, chunk: text("c") },
  ]);
  expect(sent.map(({ at, chunk }) => [at, chunk.text])).toEqual([
    [1020, "a"],
    [2000, "b"],
    [6023, "c"],
  ]);
});

test("whatever the speed and the kinds, nothing is lost, mixed or counted twice, and nothing goes on afterwards", async () => {
  const token = fc.record({
    gap: fc.constantFrom(0, 0.3, 2, 15, 16, 18, 40),
    chunk: fc.record({ type: fc.constantFrom("text", "reasoning"), text: fc.string({ maxLength: 4 }), tokens: fc.nat(3) }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(token, { maxLength: 40 }), async (tokens) => {
      const { sent, beating } = await play(tokens);
      const runs = (chunks: readonly Spoken[]): Spoken[] =>
        chunks.reduce<Spoken[]>((joined, chunk) => {
          const last = joined.at(-1);
          if (last?.type !== chunk.type) return [...joined, chunk];
          return [...joined.slice(0, -1), { ...last, text: last.text + chunk.text, tokens: last.tokens + chunk.tokens }];
        }, []);
      expect(runs(sent.map(({ chunk }) => chunk))).toEqual(runs(tokens.map(({ chunk }) => chunk as Spoken)));
      expect(beating).toBe(false);
      for (const [index, { at, chunk }] of sent.entries()) {
        const before = sent[index - 1];
        // The last of its kind does not wait for the next one's sake.
        const alike = before?.chunk.type === chunk.type && sent[index + 1]?.chunk.type === chunk.type;
        // A sign of life takes what it finds with it.
        if (before !== undefined && alike && at % HEARTBEAT_MS !== 0) expect(at - before.at).toBeGreaterThanOrEqual(15.999);
      }
    }),
  );
});
