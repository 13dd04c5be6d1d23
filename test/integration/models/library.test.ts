import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { catalogue } from "../../../src/models/catalogue.ts";
import { chunksPath, recordPath } from "../../../src/models/record.ts";
import { modelFiles } from "../../../src/platform/model-files.ts";
import { probeHost } from "../../../src/platform/host-probe.ts";
import { tinyModel, writeTinyModel } from "../../support/gguf.ts";
import { bigModel, modelServer, sha256, TEST_HOST, testCatalogue, testShop } from "../../support/model-shop.ts";
import { tempDir } from "../../support/noctem.ts";

const MIB = 2 ** 20;
const NO_NET = "http://127.0.0.1:1";
const never = new AbortController().signal;
const silent = (): void => undefined;
const wish = { model: null, contextSize: null, gpu: "off" } as const;
const threads = { prompt: 2, generate: 1, measured: [{ threads: 1, promptTokensPerSecond: 90, generateTokensPerSecond: 33 }] };

const flip = (path: string, at: number): void => {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 255;
  writeFileSync(path, bytes);
};

describe("a folder of models", () => {
  test("gives its best, by file names that need not be known", async () => {
    using stick = testShop(catalogue(), NO_NET);
    writeTinyModel(join(stick.models, "my own.gguf"), { layers: 2 });
    writeFileSync(join(stick.models, "notes.txt"), "x");
    writeFileSync(join(stick.models, "half.gguf.part"), "x");
    const placed = await stick.shop.place(wish);
    expect(placed).toMatchObject({ ok: true, value: { task: { name: "my own", contextSize: 2048, threads: null }, hint: "" } });
    expect(await stick.shop.place({ ...wish, model: "MY OWN.GGUF" })).toMatchObject({ ok: true });
    expect(await stick.shop.place({ ...wish, model: join(stick.models, "my own.gguf") })).toMatchObject({ ok: true });
  });

  test("that is empty says how to get one; one that cannot be read is empty", async () => {
    using stick = testShop(catalogue(), NO_NET);
    expect(await stick.shop.place(wish)).toMatchObject({
      ok: true,
      value: { task: null, hint: expect.stringContaining("noctem models pull qwen2.5:7b") },
    });
  });

  test("with nothing but a broken file says what is wrong with it", async () => {
    using stick = testShop(catalogue(), NO_NET);
    writeTinyModel(join(stick.models, "cut.gguf"), { truncateTo: 0.5 });
    expect(await stick.shop.place(wish)).toMatchObject({
      ok: false,
      error: { kind: "broken-file", detail: expect.stringContaining("cut off") },
    });
    expect((await stick.shop.list())[0]).toMatchObject({ name: "cut", state: "broken" });
    expect(await stick.shop.place({ ...wish, model: "cut" })).toMatchObject({ error: { kind: "broken-file" } });
  });

  test("a broken one beside a sound one is passed over", async () => {
    using stick = testShop(catalogue(), NO_NET);
    writeFileSync(join(stick.models, "a.gguf"), "nonsense");
    writeTinyModel(join(stick.models, "b.gguf"));
    expect(await stick.shop.place(wish)).toMatchObject({ value: { task: { name: "b" } } });
  });

  test("adapters and projectors are no models", async () => {
    using stick = testShop(catalogue(), NO_NET);
    writeTinyModel(join(stick.models, "lora.gguf"), { metadata: { "general.type": { type: "string", value: "adapter" } } });
    expect((await stick.shop.list())[0]).toMatchObject({ state: "broken", verdict: expect.stringContaining('"adapter"') });
  });

  test("names are told apart: unknown, known but not here, a path without a file", async () => {
    using stick = testShop(catalogue(), NO_NET);
    writeTinyModel(join(stick.models, "mine.gguf"));
    expect(await stick.shop.place({ ...wish, model: "mime" })).toMatchObject({ error: { kind: "unknown-model", near: ["mine"] } });
    expect(await stick.shop.place({ ...wish, model: "qwen2.5:7b" })).toMatchObject({
      error: { kind: "not-installed", name: "qwen2.5:7b-instruct-q4_K_M" },
    });
    expect(await stick.shop.place({ ...wish, model: "/nowhere/x.gguf" })).toMatchObject({ error: { kind: "missing-file" } });
  });

  test("threads that were measured come back, from the record beside the model", async () => {
    using stick = testShop(catalogue(), NO_NET);
    const path = writeTinyModel(join(stick.models, "mine.gguf"));
    await stick.shop.recordThreads(path, threads);
    expect(await stick.shop.place(wish)).toMatchObject({ value: { task: { threads }, reason: expect.stringContaining("33 tokens/s") } });
    using elsewhere = testShop(catalogue(), NO_NET, { host: () => ({ ...TEST_HOST, fingerprint: "1111111111111111" }) }, stick.path);
    expect(await elsewhere.shop.place(wish)).toMatchObject({ value: { task: { threads: null } } });
  });

  test("a corrupt record is as good as none and is replaced", async () => {
    using stick = testShop(catalogue(), NO_NET);
    const path = writeTinyModel(join(stick.models, "mine.gguf"));
    writeFileSync(recordPath(path), '{"version": 1, "files": [');
    expect(await stick.shop.place(wish)).toMatchObject({ value: { task: { threads: null } } });
    await stick.shop.recordThreads(path, threads);
    expect(await stick.shop.place(wish)).toMatchObject({ value: { task: { threads } } });
  });

  test("header facts in the record do not outlive the file they are of", async () => {
    using stick = testShop(catalogue(), NO_NET);
    const path = writeTinyModel(join(stick.models, "mine.gguf"));
    await stick.shop.recordThreads(path, threads);
    truncateSync(path, 1000);
    utimesSync(path, 1, 1);
    expect(await stick.shop.place(wish)).toMatchObject({ error: { kind: "broken-file" } });
  });

  test("a file somewhere else on the host gets no neighbour", async () => {
    using stick = testShop(catalogue(), NO_NET);
    using other = tempDir();
    const path = writeTinyModel(join(other.path, "theirs.gguf"));
    await stick.shop.recordThreads(path, threads);
    expect(readdirSync(other.path)).toEqual(["theirs.gguf"]);
    expect(readdirSync(stick.models)).toEqual([]);
  });
});

describe("import", () => {
  test("copies a file and notes where it is from", async () => {
    using stick = testShop(catalogue(), NO_NET);
    using other = tempDir();
    const bytes = bigModel(9);
    const path = join(other.path, "Some Model:v2.gguf");
    writeFileSync(path, bytes);
    expect(await stick.shop.importFile(path, silent, never)).toMatchObject({
      ok: true,
      value: { name: "Some-Model-v2", sha256: sha256(bytes), path: join(stick.models, "Some-Model-v2.gguf") },
    });
    expect(sha256(await stick.read("Some-Model-v2.gguf"))).toBe(sha256(bytes));
    expect(await stick.shop.importFile(path, silent, never)).toMatchObject({
      ok: true,
      value: { notes: [expect.stringContaining("here already")] },
    });
    writeFileSync(path, bigModel(9, { seed: 2 }));
    expect(await stick.shop.importFile(path, silent, never)).toMatchObject({ error: { kind: "occupied" } });
    expect(sha256(await stick.read("Some-Model-v2.gguf"))).toBe(sha256(bytes));
    expect(await stick.shop.remove(path)).toMatchObject({ error: { kind: "foreign" } });
    expect(await stick.shop.remove(`${stick.models}/../../../..${path}`)).toMatchObject({ ok: false });
    expect(existsSync(path)).toBe(true);
  });

  test("a broken or missing file is refused before anything is copied", async () => {
    using stick = testShop(catalogue(), NO_NET);
    using other = tempDir();
    const path = writeTinyModel(join(other.path, "cut.gguf"), { truncateTo: 0.4 });
    expect(await stick.shop.importFile(path, silent, never)).toMatchObject({ error: { kind: "broken-file" } });
    expect(await stick.shop.importFile(join(other.path, "none.gguf"), silent, never)).toMatchObject({ error: { kind: "missing-file" } });
    expect(readdirSync(stick.models)).toEqual([]);
  });

  test("linked, it stays where it is and is there on this computer alone", async () => {
    using stick = testShop(catalogue(), NO_NET);
    using other = tempDir();
    const path = writeTinyModel(join(other.path, "linked.gguf"));
    expect(await stick.shop.importModel(path, { link: true, template: null }, silent, never)).toMatchObject({ ok: true, value: { path } });
    expect(readdirSync(stick.models)).toEqual(["linked.gguf.json"]);
    expect(await stick.shop.place(wish)).toMatchObject({ value: { task: { name: "linked", path } } });
    await stick.shop.recordThreads(path, threads);
    expect(await stick.shop.place(wish)).toMatchObject({ value: { task: { threads } } });
    expect(readdirSync(other.path)).toEqual(["linked.gguf"]);
    using elsewhere = testShop(catalogue(), NO_NET, { host: () => ({ ...TEST_HOST, fingerprint: "1111111111111111" }) }, stick.path);
    expect(await elsewhere.shop.place(wish)).toMatchObject({ value: { task: null } });
    expect(await stick.shop.verify("linked", false, silent, never)).toMatchObject({ value: [{ state: "sound" }] });
    expect(await stick.shop.verify(path, false, silent, never)).toMatchObject({ ok: true });
    expect(readdirSync(other.path)).toEqual(["linked.gguf"]);
    expect(await stick.shop.remove("linked")).toMatchObject({ ok: true });
    expect(existsSync(path)).toBe(true);
    expect(readdirSync(stick.models)).toEqual([]);
  });

  test("a template given with it is used from then on", async () => {
    using stick = testShop(catalogue(), NO_NET);
    using other = tempDir();
    const path = writeTinyModel(join(other.path, "plain.gguf"), { template: null });
    await stick.shop.importModel(path, { link: false, template: "{{ messages }}" }, silent, never);
    expect(await stick.shop.place(wish)).toMatchObject({ value: { task: { template: "{{ messages }}" } } });
  });

  test("how it answers a greeting is kept and shown", async () => {
    const greet = async () => ({ outcome: "rambles" as const, tokens: 200, detail: "" });
    using stick = testShop(catalogue(), NO_NET, { greet });
    using other = tempDir();
    const path = writeTinyModel(join(other.path, "odd.gguf"));
    expect(await stick.shop.importFile(path, silent, never)).toMatchObject({
      ok: true,
      value: { notes: [expect.stringContaining("did not end its answer")] },
    });
    expect((await stick.shop.list())[0]?.verdict).toContain("did not end its answer to a greeting");
  });

  test("finds what Ollama, the Hugging Face cache and LM Studio have", async () => {
    using home = tempDir();
    const bytes = tinyModel();
    const digest = sha256(bytes);
    const put = (path: string, content: string | Uint8Array): string => {
      mkdirSync(join(home.path, path, ".."), { recursive: true });
      writeFileSync(join(home.path, path), content);
      return join(home.path, path);
    };
    put(`.ollama/models/blobs/sha256-${digest}`, bytes);
    const manifest = JSON.stringify({
      layers: [
        { mediaType: "application/vnd.ollama.image.template", digest: `sha256:${"1".repeat(64)}` },
        { mediaType: "application/vnd.ollama.image.model", digest: `sha256:${digest}` },
      ],
    });
    put(".ollama/models/manifests/registry.ollama.ai/library/qwen2.5/7b-instruct-q4_K_M", manifest);
    put(".ollama/models/manifests/registry.ollama.ai/someone/own/latest", manifest.replace(digest, "2".repeat(64)));
    put(".ollama/models/manifests/registry.ollama.ai/library/bad/latest", "{");
    const blob = put(".cache/huggingface/hub/models--a--b/blobs/123", bytes);
    mkdirSync(join(home.path, ".cache/huggingface/hub/models--a--b/snapshots/rev"), { recursive: true });
    symlinkSync(blob, join(home.path, ".cache/huggingface/hub/models--a--b/snapshots/rev/Qwen3-8B-Q4_K_M.gguf"));
    put(".lmstudio/models/pub/repo/Other-Model.gguf", bytes);
    put(".lmstudio/models/pub/repo/mmproj-Other.gguf", bytes);
    using stick = testShop(catalogue(), NO_NET, { env: { HOME: home.path } });
    const finds = await stick.shop.finds();
    expect(finds.map(({ origin, name, file }) => [origin, name, file])).toEqual([
      ["Ollama", "qwen2.5:7b-instruct-q4_K_M", "qwen2.5-7b-instruct-q4_k_m.gguf"],
      ["the Hugging Face cache", "qwen3:8b-q4_K_M", "qwen3-8b-q4_k_m.gguf"],
      ["LM Studio", "Other-Model", "Other-Model.gguf"],
    ]);
    expect((await stick.shop.list()).filter(({ state }) => state === "found-on-host")).toHaveLength(3);
    expect(await stick.shop.importFile(finds[0]?.path ?? "", silent, never)).toMatchObject({
      ok: true,
      value: { name: "qwen2.5:7b-instruct-q4_K_M", sha256: digest },
    });
  });
});

describe("verify", () => {
  const model = bigModel(20);
  const pinned = testCatalogue({ sha256: sha256(model), size: model.length });

  test("a sound model; one bad byte is found in its chunk", async () => {
    using server = modelServer(model);
    using stick = testShop(pinned, server.url);
    await stick.pull();
    expect(await stick.shop.verify("tiny", false, silent, never)).toMatchObject({ value: [{ state: "sound" }] });
    flip(join(stick.models, "tiny-test.gguf"), 9 * MIB);
    expect(await stick.shop.verify(null, false, silent, never)).toMatchObject({
      value: [{ state: "damaged", files: [{ chunks: { total: 3, bad: 1, repaired: 0 } }] }],
    });
  });

  test("repair fetches the bad chunks and nothing else", async () => {
    using server = modelServer(model);
    using stick = testShop(pinned, server.url);
    await stick.pull();
    flip(join(stick.models, "tiny-test.gguf"), 9 * MIB);
    flip(join(stick.models, "tiny-test.gguf"), 19 * MIB);
    const before = server.requests.length;
    expect(await stick.shop.verify("tiny", true, silent, never)).toMatchObject({
      value: [{ state: "repaired", files: [{ chunks: { bad: 2, repaired: 2 } }] }],
    });
    expect(server.requests.slice(before).filter((line) => line.startsWith("GET"))).toEqual([
      `GET /org/tiny/resolve/main/Tiny.gguf bytes=${8 * MIB}-${16 * MIB - 1}`,
      `GET /org/tiny/resolve/main/Tiny.gguf bytes=${16 * MIB}-${20 * MIB - 1}`,
    ]);
    expect(sha256(await stick.read("tiny-test.gguf"))).toBe(sha256(model));
  });

  test("a source with other bytes cannot repair, and the file is left as it is", async () => {
    using server = modelServer(model);
    using stick = testShop(pinned, server.url);
    await stick.pull();
    flip(join(stick.models, "tiny-test.gguf"), 9 * MIB);
    using wrong = modelServer(bigModel(20, { seed: 5 }).map((byte) => byte ^ 1));
    using repairing = testShop(pinned, wrong.url, {}, stick.path);
    expect(await repairing.shop.verify("tiny", true, silent, never)).toMatchObject({
      error: { kind: "download-failed", attempts: [expect.stringContaining("not to be had")] },
    });
  });

  test("a broken header is repaired too", async () => {
    using server = modelServer(model);
    using stick = testShop(pinned, server.url);
    await stick.pull();
    flip(join(stick.models, "tiny-test.gguf"), 0);
    utimesSync(join(stick.models, "tiny-test.gguf"), 1, 1);
    expect((await stick.shop.list())[0]?.state).toBe("broken");
    expect(await stick.shop.verify("tiny", true, silent, never)).toMatchObject({ value: [{ state: "repaired" }] });
    expect((await stick.shop.list())[0]?.state).toBe("ready");
  });

  test("changed together with its chunk list it is still not the catalogue's", async () => {
    using stick = testShop(pinned, NO_NET);
    const other = bigModel(20, { seed: 3 });
    using elsewhere = testShop(testCatalogue(), NO_NET);
    writeFileSync(join(elsewhere.models, "tiny-test.gguf"), other);
    await elsewhere.shop.verify(null, false, silent, never);
    for (const path of ["tiny-test.gguf", "tiny-test.gguf.chunks", "tiny-test.gguf.json"])
      writeFileSync(join(stick.models, path), await elsewhere.read(path));
    expect(await stick.shop.verify("tiny", false, silent, never)).toMatchObject({
      value: [{ state: "damaged", files: [{ expected: sha256(model), chunks: null }] }],
    });
  });

  test("a file nobody knows is pinned as it is, and compared from then on", async () => {
    using stick = testShop(catalogue(), NO_NET);
    const path = join(stick.models, "mine.gguf");
    writeFileSync(path, bigModel(9));
    expect(await stick.shop.verify("mine", false, silent, never)).toMatchObject({ value: [{ state: "pinned" }] });
    expect(existsSync(chunksPath(path))).toBe(true);
    expect(await stick.shop.verify("mine", false, silent, never)).toMatchObject({ value: [{ state: "sound" }] });
    flip(path, 8.5 * MIB);
    expect(await stick.shop.verify("mine", false, silent, never)).toMatchObject({ value: [{ state: "damaged" }] });
  });

  test("stops when it is told to", async () => {
    using stick = testShop(pinned, NO_NET);
    writeFileSync(join(stick.models, "tiny-test.gguf"), model);
    expect(await stick.shop.verify("tiny", false, silent, AbortSignal.abort())).toEqual({ ok: false, error: { kind: "cancelled" } });
  });
});

describe("the machine", () => {
  test("hashing leaves the event loop free", async () => {
    using dir = tempDir();
    const path = join(dir.path, "large");
    writeFileSync(path, new Uint8Array(200 * MIB));
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const hash = await modelFiles.hash(path, { chunkBytes: 8 * MIB });
    clearInterval(timer);
    expect(hash).toMatchObject({ ok: true, value: { size: 200 * MIB } });
    // Fifty steps of 4 MiB; between any two a timer may run.
    expect(ticks).toBeGreaterThan(10);
  });

  test("chunk hashes are those of the chunks, whatever the file's length", async () => {
    using dir = tempDir();
    for (const length of [0, 1, 5000, 8192, 8193]) {
      const bytes = new Uint8Array(length).map((_, index) => index * 7);
      const path = join(dir.path, `f${length}`);
      writeFileSync(path, bytes);
      const chunks = Array.from({ length: Math.ceil(length / 4096) }, (_, index) =>
        sha256(bytes.subarray(index * 4096, index * 4096 + 4096)),
      );
      expect(await modelFiles.hash(path, { chunkBytes: 4096 })).toEqual({
        ok: true,
        value: { sha256: sha256(bytes), size: length, chunks },
      });
    }
  });

  test("the host has cores, memory and a stable name", () => {
    const host = probeHost({ gpuPack: false });
    expect(host.cores).toBeGreaterThan(0);
    expect(host.availableMemory).toBeWithin(1, host.totalMemory + 1);
    expect(host.fingerprint).toMatch(/^[0-9a-f]{16}$/u);
    expect(probeHost({ gpuPack: true }).fingerprint).toBe(host.fingerprint);
  });
});
