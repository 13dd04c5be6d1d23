/** One hop over real sockets, through a proxy that passes everything on: what a server may do, and where it ends. The cage's own proxy has tests of its own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { brotliCompressSync, constants, deflateSync, gzipSync } from "node:zlib";
import { hop } from "../../src/fetch/hop.ts";
import type { FetchReply } from "../../src/fetch/protocol.ts";
import { proxyWire } from "../../src/platform/fetch/wire.ts";

const site = "http://site.example";
/** robots.txt of the test at hand. */
let robots: (path: string, host: string) => Response = () => new Response("", { status: 404 });
let poured = 0;
const asked: string[] = [];
const packed = (made: Buffer, encoding: string): Response =>
  new Response(Uint8Array.from(made), { headers: { "Content-Type": "text/html", "Content-Encoding": encoding } });
const PAGE = "<title>T</title><p>words";

const answers: Readonly<Record<string, (request: Request) => Response | Promise<Response>>> = {
  "/page": () => new Response(PAGE, { headers: { "Content-Type": "text/html" } }),
  "/gzip": () => packed(gzipSync(PAGE), "gzip"),
  "/deflate": () => packed(deflateSync(PAGE), "deflate"),
  "/br": () => packed(brotliCompressSync(PAGE), "br"),
  "/bomb": () => packed(gzipSync(new Uint8Array(60 << 20)), "gzip"),
  "/bomb-br": () => packed(brotliCompressSync(new Uint8Array(12 << 20), { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }), "br"),
  "/damaged": () => packed(Buffer.from("no gzip at all"), "gzip"),
  "/short": () => packed(gzipSync(PAGE.repeat(100)).subarray(0, 30), "gzip"),
  "/twice": () => packed(gzipSync(gzipSync(PAGE)), "gzip, gzip"),
  "/unknown": () => packed(Buffer.from("x"), "zstd"),
  "/none": () => new Response(Uint8Array.from([1, 2, 3]), { headers: { "Content-Type": "" } }),
  "/picture": () => new Response(new Uint8Array(99), { headers: { "Content-Type": "image/png" } }),
  "/json": () => new Response('{"a": 1}', { headers: { "Content-Type": "application/json" } }),
  "/gone": () => new Response("", { status: 410 }),
  "/moved": () => new Response(null, { status: 308, headers: { Location: "//other.example/a?b#c" } }),
  "/meta": () =>
    new Response('<meta http-equiv="refresh" content="0; url=http://127.0.0.1/x"><p>Wait', { headers: { "Content-Type": "text/html" } }),
  "/nowhere": () => new Response(null, { status: 302 }),
  "/run": () => new Response(null, { status: 302, headers: { Location: "javascript:alert(1)" } }),
  "/silent": () => new Promise<Response>(() => undefined),
  "/endless": () =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull(controller) {
          poured += 1 << 16;
          controller.enqueue(new Uint8Array(1 << 16).fill(97));
        },
      }),
      { headers: { "Content-Type": "text/plain" } },
    ),
  "/drips": () =>
    new Response(
      new ReadableStream<Uint8Array>({
        async pull(controller) {
          await Bun.sleep(50);
          controller.enqueue(new Uint8Array([97]));
        },
      }),
      { headers: { "Content-Type": "text/plain" } },
    ),
  "/head": (request) =>
    new Response(JSON.stringify([...request.headers.keys()].sort()), { headers: { "Content-Type": "application/json" } }),
};

let proxy = "";
let stop = (): void => undefined;
beforeAll(() => {
  // A request through a proxy names its whole address; one server is all of the web.
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch(request) {
      const { pathname, hostname } = new URL(request.url);
      asked.push(pathname);
      return pathname.endsWith("robots.txt")
        ? robots(pathname, hostname)
        : (answers[pathname]?.(request) ?? new Response("", { status: 404 }));
    },
  });
  proxy = `http://127.0.0.1:${server.port}`;
  stop = () => void server.stop(true);
});
afterAll(() => stop());

const get = async (
  path: string,
  options: { from?: number; length?: number; askRobots?: boolean; wallMs?: number } = {},
): Promise<FetchReply> => {
  const { from = 0, length = 1000, askRobots = false, wallMs = 20_000 } = options;
  asked.length = 0;
  const wire = proxyWire({ proxy: { https: proxy, http: proxy }, certificates: null, wallMs, agent: "Noctem/test" });
  return await hop({ url: `${site}${path}`, from, length, askRobots }, wire);
};

describe("one hop", () => {
  test.each(["/page", "/gzip", "/deflate", "/br"])("%s becomes text", async (path) => {
    expect(await get(path)).toMatchObject({ kind: "page", title: "T", type: "text/html", text: "words", total: 5, cut: false });
  });

  test("a part of a text is what was asked for", async () => {
    expect(await get("/json", { from: 2, length: 3 })).toMatchObject({ text: 'a":', from: 2, total: 8 });
    expect(await get("/json", { from: 100, length: 3 })).toMatchObject({ text: "", from: 100, total: 8 });
  });

  test.each([
    ["/damaged", "encoding", "it is damaged"],
    ["/short", "encoding", "it is damaged"],
    ["/twice", "encoding", "gzip, gzip"],
    ["/unknown", "encoding", "zstd"],
    ["/picture", "type", "image/png, 99 bytes"],
    ["/gone", "status", "410"],
    ["/nowhere", "nowhere", ""],
    ["/run", "nowhere", ""],
  ] as const)("%s is refused: %s", async (path, why, fact) => {
    expect(await get(path)).toEqual({ kind: "refused", why, fact });
  });

  test("a redirect is an answer, and nothing is asked of where it leads", async () => {
    expect(await get("/moved")).toEqual({ kind: "redirect", to: "http://other.example/a?b#c", rules: null });
    expect(asked).toEqual(["/moved"]);
    expect(await get("/meta")).toEqual({ kind: "redirect", to: "http://127.0.0.1/x", rules: null });
    expect(asked).toEqual(["/meta"]);
  });

  test.each(["/bomb", "/bomb-br", "/endless"])("%s is read up to a bound, and the rest is not waited for", async (path) => {
    poured = 0;
    expect(await get(path)).toMatchObject({ kind: "page", cut: true });
    expect(poured).toBeLessThan(32 << 20);
  });

  test.each(["/silent", "/drips"])("%s ends by the clock", async (path) => {
    expect(await get(path, { wallMs: 400 })).toEqual({ kind: "refused", why: "time", fact: "" });
  });

  test("says who it is, and nothing else of anybody", async () => {
    const reply = await get("/head");
    expect(reply.kind === "page" && JSON.parse(reply.text)).toEqual([
      "accept",
      "accept-encoding",
      "host",
      "proxy-connection",
      "user-agent",
    ]);
  });

  test("without a proxy there is no network, whatever else there is", async () => {
    const wire = proxyWire({ proxy: { https: null, http: null }, certificates: null, wallMs: 1000, agent: "x" });
    expect(
      await hop({ url: `${proxy.replace("127.0.0.1", "127.0.0.1.example")}/page`, from: 0, length: 1, askRobots: false }, wire),
    ).toMatchObject({
      why: "unreachable",
    });
  });
});

describe("robots.txt", () => {
  const rules =
    (text: string): ((path: string) => Response) =>
    () =>
      new Response(text);
  test.each([
    ["allows", rules("User-agent: *\nDisallow: /other"), "page"],
    ["is not there", () => new Response("", { status: 404 }), "page"],
    ["is denied us", () => new Response("", { status: 403 }), "page"],
    ["forbids", rules("User-agent: *\nDisallow: /"), "robots"],
    ["forbids us", rules("User-agent: Noctem\nDisallow: /pa"), "robots"],
    ["is broken", () => new Response("", { status: 500 }), "robots-unreachable"],
    [
      "is of another site",
      (_path: string, host: string) =>
        host === "site.example"
          ? new Response(null, { status: 301, headers: { Location: "http://other.example/robots.txt" } })
          : new Response("User-agent: *\nDisallow: /"),
      "page",
    ],
    [
      "is elsewhere on the site",
      (path: string) =>
        path === "/robots.txt"
          ? new Response(null, { status: 301, headers: { Location: "/x/robots.txt" } })
          : new Response("User-agent: *\nDisallow: /"),
      "robots",
    ],
    ["leads in a circle", () => new Response(null, { status: 301, headers: { Location: "/robots.txt" } }), "page"],
    ["is longer than is read", rules(`User-agent: *\nDisallow: /\n${"#".repeat(2 << 20)}`), "robots"],
  ])("%s", async (_name, answer, wanted) => {
    robots = answer;
    const reply = await get("/page", { askRobots: true });
    expect(reply.kind === "refused" ? reply.why : reply.kind).toBe(wanted as never);
    expect(asked.includes("/page")).toBe(wanted === "page");
    expect(asked.length).toBeLessThan(9);
  });
});
