import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { type GgufFacts, readGguf } from "../../../src/models/gguf.ts";
import { modelFiles } from "../../../src/platform/model-files.ts";
import { CHATML, tinyModel } from "../../support/gguf.ts";

const read = (bytes: Uint8Array) => readGguf(async (offset, length) => bytes.subarray(offset, offset + length), bytes.length);

async function facts(bytes: Uint8Array): Promise<GgufFacts> {
  const header = await read(bytes);
  if (!header.ok) throw new Error(header.error.detail);
  return header.value;
}

async function detail(bytes: Uint8Array): Promise<string> {
  const header = await read(bytes);
  return header.ok ? "" : header.error.detail;
}

const sound = tinyModel();

describe("a sound header", () => {
  test("gives the figures that planning needs", async () => {
    expect(await facts(tinyModel({ name: "tiny one", contextLength: 4096, layers: 3 }))).toMatchObject({
      version: 3,
      architecture: "llama",
      type: "model",
      name: "tiny one",
      layers: 3,
      heads: 4,
      kvHeads: 2,
      kvHeadSum: 6,
      keyLength: 16,
      valueLength: 16,
      context: 4096,
      embedding: 64,
      quantisation: "F16",
      template: CHATML,
      tokenizer: "gpt2",
      split: null,
    });
  });

  test("counts the bytes of its tensors", async () => {
    const { tensorBytes, embeddingBytes, outputBytes, vocabulary, parameters } = await facts(sound);
    expect(embeddingBytes).toBe(vocabulary * 64 * 2);
    expect(outputBytes).toBe(0);
    expect(tensorBytes).toBeGreaterThan(parameters * 2);
    expect(tensorBytes).toBeLessThan(sound.length);
  });

  test("a base model has no template", async () => {
    expect((await facts(tinyModel({ template: null }))).template).toBeNull();
  });

  test("version 2 is read too", async () => {
    const bytes = sound.slice();
    bytes[4] = 2;
    expect((await facts(bytes)).version).toBe(2);
  });

  test("parts of a split model say which they are", async () => {
    const metadata = { "split.count": { type: "u32", value: 3 }, "split.no": { type: "u32", value: 1 } } as const;
    expect((await facts(tinyModel({ metadata }))).split).toEqual({ index: 1, count: 3 });
  });

  const starter = join(import.meta.dir, "../../../../shared/models/smollm2-135m-instruct-q4_1.gguf");
  test.skipIf(!existsSync(starter))("the starter model reads as it is published (needs the model)", async () => {
    const { size } = (await modelFiles.stat(starter)) ?? { size: 0 };
    const header = await readGguf(async (offset, length) => {
      const bytes = await modelFiles.read(starter, offset, length);
      return bytes.ok ? bytes.value : new Uint8Array(0);
    }, size);
    expect(header).toMatchObject({
      ok: true,
      value: { layers: 30, heads: 9, kvHeads: 3, vocabulary: 49152, quantisation: "Q4_1", parameters: 134515008 },
    });
  });
});

describe("a broken file is named by what is wrong", () => {
  test.each([
    ["empty", new Uint8Array(0), /only 0 bytes/u],
    ["a text", new TextEncoder().encode("this is not a model, it is a text\n"), /does not begin with the letters GGUF/u],
    ["version 1", withByte(4, 1), /version 1/u],
    ["big-endian", Uint8Array.from([...sound.subarray(0, 4), 0, 0, 0, 3, ...sound.subarray(8)]), /big-endian/u],
    ["too many tensors", withBytes(8, [255, 255, 255, 255, 0, 0, 0, 0]), /claims 4294967295 tensors/u],
    ["too many keys", withBytes(16, [255, 255, 255, 0, 0, 0, 0, 0]), /claims 16777215 keys/u],
    ["a length beyond exact numbers", withBytes(24, [255, 255, 255, 255, 255, 255, 255, 255]), /18446744073709551615/u],
    ["no architecture", tinyModel({ metadata: { "general.architecture": undefined } }), /does not say its architecture/u],
  ] as const)("%s", async (_, bytes, pattern) => {
    expect(await detail(bytes)).toMatch(pattern);
  });

  test("a truncated file says how much is missing", async () => {
    const cut = tinyModel({ truncateTo: 0.6 });
    const found = /its tensors need (\d+) bytes and it has (\d+) \((\d+)%\)/u.exec(await detail(cut));
    expect(Number(found?.[2])).toBe(cut.length);
    expect(sound.length - Number(found?.[1])).toBeLessThan(32);
    expect(Number(found?.[3])).toBeWithin(59, 62);
  });

  test("every cut is found, wherever it is", async () => {
    const end = sound.length - 32;
    for (let length = 0; length < end; length += 997) expect(await detail(sound.subarray(0, length))).not.toBe("");
  });

  test("a tensor that claims more than the file holds", async () => {
    expect(await detail(tinyModel({ shapes: { "token_embd.weight": [64, 1 << 20] } }))).toMatch(/cut off/u);
  });

  test("a tensor of more elements than there are numbers", async () => {
    expect(await detail(tinyModel({ shapes: { "token_embd.weight": [2 ** 40, 2 ** 40] } }))).toMatch(
      /claims 1099511627776 × 1099511627776/u,
    );
  });
});

describe("whatever the bytes", () => {
  test("random ones: an answer, never a throw", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (tail) => {
        expect(typeof (await read(Uint8Array.from([...sound.subarray(0, 8), ...tail]))).ok).toBe("boolean");
      }),
      { numRuns: 300 },
    );
  });

  test("a sound file with a few bytes changed: an answer, and every figure a count", async () => {
    const change = fc.tuple(fc.nat(20_000), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (changes) => {
        const bytes = sound.slice();
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        const header = await read(bytes);
        if (!header.ok) return expect(header.error.detail).not.toContain("\n");
        for (const value of Object.values(header.value))
          if (typeof value === "number") expect(Number.isSafeInteger(value) && value >= 0).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test("a reader that gives less than asked ends in an error", async () => {
    const header = await readGguf(async (offset, length) => sound.subarray(offset, offset + Math.min(length, 100)), sound.length);
    expect(header.ok).toBe(false);
  });
});

function withBytes(at: number, values: readonly number[]): Uint8Array {
  const bytes = sound.slice();
  bytes.set(values, at);
  return bytes;
}
function withByte(at: number, value: number): Uint8Array {
  return withBytes(at, [value]);
}
