import { expect, test } from "bun:test";
import fc from "fast-check";
import type { GenerateChunk } from "../../../src/engine/port.ts";
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
  let timersSet = 0;
  let timers: { readonly at: number; readonly call: () => void }[] = [];
  const advance = (to: number): void => {
    for (;;) {
      const [next] = timers.filter(({ at }) => at <= to).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      timers = timers.filter((timer) => timer !== next);
      now = next.at;
      next.call();
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
    every: () => () => undefined,
    after: (ms, call) => {
      timersSet++;
      const timer = { at: now + ms, call };
      timers.push(timer);
      return () => (timers = timers.filter((other) => other !== timer));
    },
    write: (line) => {
      const message = JSON.parse(line) as { type: string; chunk: Spoken };
      if (message.type === "chunk") sent.push({ at: now, chunk: message.chunk });
      if (message.type === "done" || message.type === "failed") resolve();
    },
  });
  return { sent, timersSet, timersLeft: timers.length };
}

const text = (said: string): Spoken => ({ type: "text", text: said, tokens: 1 });

test("tokens at a speed that anyone can read go out at once, each in a line, and wake nothing later", async () => {
  const { sent, timersSet } = await play(["a", "b", "c", "d"].map((said) => ({ gap: 12, chunk: text(said) })));
  expect(sent.map(({ at, chunk }) => [at, chunk.text])).toEqual([
    [1012, "a"],
    [1024, "b"],
    [1036, "c"],
    [1048, "d"],
  ]);
  expect(timersSet).toBe(0);
});

test("one that comes just when the next line may go does not wait either", async () => {
  const { sent, timersSet } = await play(["a", "b", "c"].map((said) => ({ gap: 5, chunk: text(said) })));
  expect(sent.map(({ at }) => at)).toEqual([1005, 1010, 1015]);
  expect(timersSet).toBe(0);
});

test("faster ones are joined to a line every five milliseconds, and none waits longer than that", async () => {
  const { sent } = await play(Array.from({ length: 100 }, (_, index) => ({ gap: 0.5, chunk: text(`${index} `) })));
  // 50 ms in all.
  expect(sent.length).toBeLessThanOrEqual(12);
  expect(sent.length).toBeGreaterThanOrEqual(10);
});

test("whatever the speed and the kinds, nothing is lost, mixed or counted twice, and no timer is left", async () => {
  const token = fc.record({
    gap: fc.constantFrom(0, 0.3, 2, 4.9, 5, 7, 40),
    chunk: fc.record({ type: fc.constantFrom("text", "reasoning"), text: fc.string({ maxLength: 4 }), tokens: fc.nat(3) }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(token, { maxLength: 40 }), async (tokens) => {
      const { sent, timersLeft } = await play(tokens);
      const runs = (chunks: readonly Spoken[]): Spoken[] =>
        chunks.reduce<Spoken[]>((joined, chunk) => {
          const last = joined.at(-1);
          if (last?.type !== chunk.type) return [...joined, chunk];
          return [...joined.slice(0, -1), { ...last, text: last.text + chunk.text, tokens: last.tokens + chunk.tokens }];
        }, []);
      expect(runs(sent.map(({ chunk }) => chunk))).toEqual(runs(tokens.map(({ chunk }) => chunk as Spoken)));
      expect(timersLeft).toBe(0);
      for (const [index, { at, chunk }] of sent.entries()) {
        const before = sent[index - 1];
        // The last of its kind does not wait for the next one's sake.
        const alike = before?.chunk.type === chunk.type && sent[index + 1]?.chunk.type === chunk.type;
        if (before !== undefined && alike) expect(at - before.at).toBeGreaterThanOrEqual(4.999);
      }
    }),
  );
});
