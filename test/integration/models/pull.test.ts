import { describe, expect, test } from "bun:test";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { httpSource } from "../../../src/platform/http.ts";
import { bigModel, droppingServer, modelServer, partialBody, sha256, testCatalogue, testShop } from "../../support/model-shop.ts";
import { tinyModel } from "../../support/gguf.ts";

const MIB = 2 ** 20;
const model = bigModel(20);
const hash = sha256(model);
const pinned = testCatalogue({ sha256: hash, size: model.length });
const unpinned = testCatalogue();

/** A body of `bytes.length` announced bytes that ends earlier. */
const partial = (from: number, count: number, then: "stall" | "end"): Response =>
  new Response(partialBody(model.subarray(from, from + count), then), {
    status: from === 0 ? 200 : 206,
    headers: {
      ETag: '"v1"',
      "Content-Length": String(model.length - from),
      ...(from > 0 && { "Content-Range": `bytes ${from}-${model.length - 1}/${model.length}` }),
    },
  });

const rangeStart = (request: Request): number => Number(/^bytes=(\d+)/u.exec(request.headers.get("range") ?? "")?.[1] ?? 0);

describe("pull", () => {
  test("installs the file with its record, its chunk list and nothing else", async () => {
    using server = modelServer(model);
    using stick = testShop(pinned, server.url);
    expect(await stick.pull()).toMatchObject({ ok: true, value: { name: "tiny:test", size: model.length, sha256: hash, notes: [] } });
    expect(sha256(await stick.read("tiny-test.gguf"))).toBe(hash);
    expect((await JSON.parse(new TextDecoder().decode(await stick.read("tiny-test.gguf.chunks")))).chunks).toHaveLength(3);
    expect(JSON.parse(new TextDecoder().decode(await stick.read("tiny-test.gguf.json")))).toMatchObject({
      pin: { from: "catalogue" },
      files: [{ sha256: hash }],
    });
    expect(await stick.exists("tiny-test.gguf.part")).toBe(false);
    expect(await stick.exists("tiny-test.gguf.part.json")).toBe(false);
    expect(stick.progress.map(({ phase }) => phase).filter((phase, index, all) => phase !== all[index - 1])).toEqual([
      "connect",
      "download",
      "verify",
    ]);
    expect(server.requests[0]).toBe("HEAD /org/tiny/resolve/main/Tiny.gguf");
  });

  test("a second pull asks nobody", async () => {
    using server = modelServer(model);
    using stick = testShop(pinned, server.url);
    await stick.pull();
    const before = server.requests.length;
    expect(await stick.pull()).toMatchObject({ ok: true, value: { sha256: hash, notes: [expect.stringContaining("here already")] } });
    expect(server.requests).toHaveLength(before);
  });

  test("without a known hash the announced one is demanded and pinned, and said", async () => {
    using server = modelServer(model);
    using stick = testShop(unpinned, server.url);
    expect(await stick.pull()).toMatchObject({ ok: true, value: { notes: [expect.stringContaining("pinned")] } });
    expect(JSON.parse(new TextDecoder().decode(await stick.read("tiny-test.gguf.json")))).toMatchObject({ pin: { from: "announced" } });
  });

  test("where nothing is announced, the first download is pinned, and said", async () => {
    using server = modelServer(model, { announce: false });
    using stick = testShop(unpinned, server.url);
    expect(await stick.pull()).toMatchObject({ ok: true, value: { notes: [expect.stringContaining("announces no checksum")] } });
  });

  test("an unknown name is answered with those like it", async () => {
    using stick = testShop(pinned, "http://127.0.0.1:1");
    expect(await stick.shop.pull("tinny", () => undefined, new AbortController().signal)).toMatchObject({
      error: { kind: "unknown-model", near: ["tiny:test"] },
    });
  });

  test("a server without HEAD and one behind a redirect to another host serve as well", async () => {
    using store = modelServer(model, { announce: false });
    using server = modelServer(model, {
      intercept: (request) =>
        request.method === "HEAD" ? new Response(null, { status: 405 }) : Response.redirect(`${store.url}/blob`, 302),
    });
    using stick = testShop(pinned, server.url);
    expect(await stick.pull()).toMatchObject({ ok: true });
  });

  test("a huge file comes in stretches, so that a slow stick is not run over", async () => {
    const large = bigModel(70);
    using server = modelServer(large);
    using stick = testShop(testCatalogue({ sha256: sha256(large), size: large.length }), server.url);
    expect(await stick.pull()).toMatchObject({ ok: true });
    expect(server.requests.filter((line) => line.startsWith("GET"))).toEqual([
      `GET /org/tiny/resolve/main/Tiny.gguf bytes=0-${64 * MIB - 1}`,
      `GET /org/tiny/resolve/main/Tiny.gguf bytes=${64 * MIB}-${128 * MIB - 1}`,
    ]);
  });
});

describe("a server that fails on the way", () => {
  test.each(["stall", "end"] as const)("%s: goes on from the byte where it stopped", async (how) => {
    let first = true;
    using server = modelServer(model, {
      intercept: (request) => {
        if (request.method !== "GET" || !first) return undefined;
        first = false;
        return partial(0, 5 * MIB, how);
      },
    });
    using stick = testShop(pinned, server.url);
    expect(await stick.pull()).toMatchObject({ ok: true, value: { sha256: hash } });
    const starts = server.requests.filter((line) => line.startsWith("GET")).map((line) => Number(/bytes=(\d+)/u.exec(line)?.[1]));
    expect(starts[0]).toBe(0);
    expect(starts[1]).toBeGreaterThan(0);
  });

  test("a connection that drops in the middle: goes on likewise", async () => {
    using server = droppingServer(model, 9 * MIB);
    using stick = testShop(pinned, server.url);
    expect(await stick.pull()).toMatchObject({ ok: true, value: { sha256: hash } });
    expect(server.requests[1]).toBe("GET 0");
    expect(server.requests[2]).toMatch(/^GET [1-9]/u);
  });

  test("and never comes back: said after a few tries, and kept for the next call", async () => {
    let broken = true;
    using server = modelServer(model, {
      intercept: (request) =>
        request.method === "GET" && broken ? partial(rangeStart(request), rangeStart(request) === 0 ? 3 * MIB : 0, "stall") : undefined,
    });
    using stick = testShop(pinned, server.url);
    expect(await stick.pull()).toMatchObject({
      error: { kind: "download-failed", attempts: [expect.stringMatching(/sent nothing for 0\.2 s|no answer within 0\.4 s/u)] },
    });
    expect(stick.pauses).toEqual([1000, 2000, 4000].slice(0, stick.pauses.length));
    expect(await stick.exists("tiny-test.gguf.part")).toBe(true);
    broken = false;
    const before = server.requests.length;
    expect(await stick.pull()).toMatchObject({ ok: true, value: { sha256: hash } });
    expect(server.requests.slice(before).find((line) => line.startsWith("GET"))).not.toContain("bytes=0-");
  });

  test("cancelling keeps what came, and the next pull goes on", async () => {
    using server = modelServer(model, {
      intercept: (request) => (request.method === "GET" && rangeStart(request) === 0 ? partial(0, 6 * MIB, "stall") : undefined),
    });
    const abort = new AbortController();
    using stick = testShop(pinned, server.url);
    const running = stick.shop.pull("tiny", ({ bytes }) => bytes >= 5 * MIB && abort.abort(), abort.signal);
    expect(await running).toEqual({ ok: false, error: { kind: "cancelled" } });
    expect(statSync(join(stick.models, "tiny-test.gguf.part")).size).toBeGreaterThanOrEqual(5 * MIB);
    expect(await stick.pull()).toMatchObject({ ok: true, value: { sha256: hash } });
  });

  test.each([false, true])("content that changed meanwhile begins anew (If-Range ignored: %p)", async (ignoreIfRange) => {
    const other = bigModel(20, { seed: 2 });
    using stick = testShop(unpinned, "");
    {
      using server = modelServer(other, {
        announce: false,
        etag: '"old"',
        intercept: (request) =>
          request.method === "GET"
            ? new Response(partialBody(other.subarray(0, 4 * MIB), "stall"), {
                headers: { ETag: '"old"', "Content-Length": String(other.length) },
              })
            : undefined,
      });
      using before = testShop(unpinned, server.url, {}, stick.path);
      expect(await before.pull()).toMatchObject({ ok: false });
    }
    using server = modelServer(model, { announce: false, etag: '"new"', ignoreIfRange });
    using after = testShop(unpinned, server.url, {}, stick.path);
    expect(await after.pull()).toMatchObject({ ok: true, value: { sha256: hash } });
  });

  test("a server that ignores ranges sends all again, and it comes out right", async () => {
    let first = true;
    using server = modelServer(model, {
      ranges: false,
      intercept: (request) => {
        if (request.method !== "GET" || !first) return undefined;
        first = false;
        return partial(0, 5 * MIB, "stall");
      },
    });
    using stick = testShop(pinned, server.url);
    expect(await stick.pull()).toMatchObject({ ok: true, value: { sha256: hash } });
  });
});

describe("a server that lies", () => {
  const failed = async (intercept: (request: Request) => Response | undefined, catalogue = pinned): Promise<string> => {
    using server = modelServer(model, { intercept, announce: false });
    using stick = testShop(catalogue, server.url);
    const pulled = await stick.pull();
    expect(await stick.exists("tiny-test.gguf")).toBe(false);
    if (pulled.ok) return "";
    return pulled.error.kind === "download-failed" ? pulled.error.attempts.join("\n") : pulled.error.kind;
  };
  const get = (answer: (request: Request) => Response) => (request: Request) => (request.method === "GET" ? answer(request) : undefined);

  test("a web page instead of the file", async () => {
    expect(
      await failed(() => new Response("<html>please log in</html>", { headers: { "Content-Type": "text/html; charset=utf-8" } })),
    ).toContain("web page");
    expect(await failed(get(() => new Response("<html>", { headers: { "Content-Type": "text/html" } })))).toContain("web page");
  });

  test.each([
    [404, /does not have this file/u],
    [403, /does not give out/u],
    [500, /trouble of its own/u],
    [416, /shorter than what is here/u],
  ])("HTTP %i", async (status, pattern) => {
    expect(await failed(get(() => new Response(null, { status })))).toMatch(pattern);
  });

  test("about the length: more than announced", async () => {
    expect(
      await failed(
        (request) =>
          request.method === "HEAD"
            ? new Response(null, { headers: { "Content-Length": String(model.length + 5), ETag: '"v1"' } })
            : undefined,
        unpinned,
      ),
    ).toContain("before it said");
  });

  test("about the length: another file than the catalogue's", async () => {
    expect(
      await failed((request) => (request.method === "HEAD" ? new Response(null, { headers: { "Content-Length": "5" } }) : undefined)),
    ).toContain("the right one has");
  });

  test("a body without end", async () => {
    const endless = (): Response =>
      new Response(
        new ReadableStream({
          pull(controller) {
            controller.enqueue(new Uint8Array(MIB));
          },
        }),
      );
    expect(await failed(get(endless))).toContain("more than");
  });

  test("another part than was asked for", async () => {
    expect(
      await failed(get(() => new Response(model.slice(5, 10), { status: 206, headers: { "Content-Range": `bytes 5-9/${model.length}` } }))),
    ).toContain("another part");
  });

  test("wrong bytes: refused by hash, and nothing of them is kept", async () => {
    const wrong = model.slice();
    wrong[10 * MIB] = (wrong[10 * MIB] ?? 0) ^ 1;
    using server = modelServer(wrong, { announce: false });
    using stick = testShop(pinned, server.url);
    expect(await stick.pull()).toMatchObject({ error: { kind: "checksum", expected: hash, found: sha256(wrong) } });
    expect(await stick.exists("tiny-test.gguf")).toBe(false);
    expect(await stick.exists("tiny-test.gguf.part")).toBe(false);
  });

  test("the announced hash is not the bytes': refused as well", async () => {
    using server = modelServer(model, { announce: "0".repeat(64) });
    using stick = testShop(unpinned, server.url);
    expect(await stick.pull()).toMatchObject({ error: { kind: "checksum", expected: "0".repeat(64) } });
  });

  test("right length, right hash, and no GGUF", async () => {
    const text = new Uint8Array(MIB).fill(65);
    using server = modelServer(text);
    using stick = testShop(unpinned, server.url);
    expect(await stick.pull()).toMatchObject({ error: { kind: "broken-file", detail: expect.stringContaining("GGUF") } });
  });

  test("redirects in a circle", async () => {
    expect(await failed((request) => Response.redirect(request.url, 302))).toContain("more than 5 times");
  });

  test("a redirect away from this computer without encryption is not followed", async () => {
    expect(await failed(get(() => Response.redirect("http://models.example/file", 302)))).toContain("not reached over HTTPS");
  });

  test("a compressed body is refused: its bytes are not the file's", async () => {
    expect(await failed(get(() => new Response(Bun.gzipSync(model.slice(0, MIB)), { headers: { "Content-Encoding": "gzip" } })))).not.toBe(
      "",
    );
  });
});

test("plain HTTP is for the loopback interface alone", async () => {
  for (const url of ["http://models.example/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://127.0.0.1.example/x", "nonsense"]) {
    const facts = await httpSource(url, "x").facts(new AbortController().signal);
    expect(facts).toMatchObject({ ok: false, error: { kind: "source", passing: false } });
  }
});

test("nobody listening is said at once", async () => {
  using stick = testShop(pinned, "http://127.0.0.1:1");
  expect(await stick.pull()).toMatchObject({
    error: { kind: "download-failed", attempts: [expect.stringContaining("cannot be reached")] },
  });
  expect(stick.pauses).toEqual([]);
});

describe("several sources", () => {
  const sources = [
    { kind: "huggingface", repo: "org/one", files: ["Tiny.gguf"] },
    { kind: "huggingface", repo: "org/two", files: ["Tiny.gguf"] },
  ];

  test("the second is asked when the first has the wrong bytes", async () => {
    const wrong = bigModel(20, { seed: 9 });
    using server = modelServer(model, {
      intercept: (request) =>
        request.url.includes("/one/")
          ? new Response(request.method === "HEAD" ? null : (wrong as Uint8Array<ArrayBuffer>), {
              headers: { "Content-Length": String(wrong.length) },
            })
          : undefined,
    });
    using stick = testShop(testCatalogue({ sha256: hash, size: model.length, sources }), server.url);
    expect(await stick.pull()).toMatchObject({ ok: true, value: { sha256: hash } });
  });

  test("what both did wrong is told", async () => {
    using server = modelServer(model, {
      intercept: (request) => new Response(null, { status: request.url.includes("/one/") ? 404 : 403 }),
    });
    using stick = testShop(testCatalogue({ sha256: hash, size: model.length, sources }), server.url);
    expect(await stick.pull()).toMatchObject({
      error: { kind: "download-failed", attempts: [expect.stringMatching(/org\/one.*404/u), expect.stringMatching(/org\/two.*403/u)] },
    });
  });

  test("a beginning from one source is gone on with from the other, because the hash is the same", async () => {
    using server = modelServer(model, {
      intercept: (request) => {
        if (request.url.includes("/one/") && request.method === "GET")
          return partial(rangeStart(request), rangeStart(request) === 0 ? 18 * MIB : 0, "stall");
        return undefined;
      },
    });
    using stick = testShop(testCatalogue({ sha256: hash, size: model.length, sources }), server.url);
    expect(await stick.pull()).toMatchObject({ ok: true, value: { sha256: hash } });
    const second = server.requests.find((line) => line.startsWith("GET /org/two"));
    expect(Number(/bytes=(\d+)/u.exec(second ?? "")?.[1])).toBeGreaterThan(16 * MIB);
  });

  test("what the computer has already is taken first", async () => {
    using home = testShop(unpinned, "");
    const blobs = join(home.path, "ollama/blobs");
    const manifests = join(home.path, "ollama/manifests/registry.ollama.ai/library/tiny");
    mkdirSync(blobs, { recursive: true });
    mkdirSync(manifests, { recursive: true });
    writeFileSync(join(blobs, `sha256-${hash}`), model);
    writeFileSync(
      join(manifests, "test"),
      JSON.stringify({
        schemaVersion: 2,
        layers: [{ mediaType: "application/vnd.ollama.image.model", digest: `sha256:${hash}`, size: model.length }],
      }),
    );
    using stick = testShop(pinned, "http://127.0.0.1:1", { env: { OLLAMA_MODELS: join(home.path, "ollama") } });
    expect(await stick.pull()).toMatchObject({ ok: true, value: { sha256: hash } });
    expect(stick.progress.find(({ phase }) => phase === "copy")?.source).toBe("Ollama on this computer");
  });
});

describe("a model in parts", () => {
  const part = (no: number): Uint8Array =>
    tinyModel({ metadata: { "split.count": { type: "u32", value: 2 }, "split.no": { type: "u32", value: no } } });
  const split = testCatalogue({
    sources: [{ kind: "huggingface", repo: "org/tiny", files: ["tiny-test-00001-of-00002.gguf", "tiny-test-00002-of-00002.gguf"] }],
  });
  const serveParts = (request: Request): Response => {
    const bytes = part(request.url.includes("00001") ? 0 : 1);
    return new Response(request.method === "HEAD" ? null : (bytes as Uint8Array<ArrayBuffer>), {
      headers: { "Content-Length": String(bytes.length) },
    });
  };

  test("comes with all of them and is one model", async () => {
    using server = modelServer(model, { intercept: serveParts });
    using stick = testShop(split, server.url);
    expect(await stick.pull()).toMatchObject({
      ok: true,
      value: { path: join(stick.models, "tiny-test-00001-of-00002.gguf"), size: part(0).length + part(1).length },
    });
    expect(await stick.shop.list()).toMatchObject([{ name: "tiny:test", state: "ready" }]);
    expect(await stick.shop.remove("tiny")).toMatchObject({ ok: true });
    expect((await stick.shop.list())[0]?.state).toBe("downloadable");
  });

  test("with one missing is broken, and says which", async () => {
    using stick = testShop(split, "");
    writeFileSync(join(stick.models, "tiny-test-00001-of-00002.gguf"), part(0));
    expect(await stick.shop.list()).toMatchObject([{ state: "broken", verdict: "part 2 of 2 is missing" }]);
  });
});
