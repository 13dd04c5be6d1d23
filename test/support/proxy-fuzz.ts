/** Connections to the proxy made of right and wrong pieces, cut anywhere, and what must be true of every one of them. */
import fc from "fast-check";
import { Gate, type GateStep } from "../../src/bark/proxy/gate.ts";
import type { Reach } from "../../src/bark/proxy/types.ts";
import { clientHello } from "./client-hello.ts";

export const REACH: Reach = {
  hosts: [
    { host: "allowed.example", port: 443, scheme: "https", rule: "test" },
    { host: "allowed.example", port: 80, scheme: "http", rule: "test" },
  ],
  limits: { upBytes: 1e9, downBytes: 1e9, connections: 9, requests: 9, headMs: 1e4, connectMs: 1e4, idleMs: 1e4 },
};
export const TOKEN = "0123456789abcdef";

const ascii = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0) & 255);
const basic = (user: string, password: string): string => `Proxy-Authorization: Basic ${btoa(`${user}:${password}`)}`;
const lines = (...all: readonly string[]): string => `${all.join("\r\n")}\r\n\r\n`;

const name = fc.oneof(
  { weight: 6, arbitrary: fc.constant("allowed.example") },
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      "evil.example",
      "allowed.example.",
      "ALLOWED.example",
      "127.0.0.1",
      "0x7f.1",
      "[::1]",
      "allowed.example@evil.example",
      "evil.example\0.allowed.example",
      "localhost",
      "allowed.example.evil.example",
      "evil.example#allowed.example",
      "",
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary-ascii", maxLength: 30 }) },
);
const port = fc.constantFrom(":443", ":80", ":0", "", ":99999", ":443:80");
const authorization = fc.constantFrom(
  basic("noctem", TOKEN),
  basic("noctem", TOKEN),
  basic("noctem", TOKEN),
  basic("noctem", "x"),
  basic("x", TOKEN),
  "X: y",
);
const field = fc.constantFrom(
  "Content-Length: 3",
  "Content-Length: 3\r\nContent-Length: 5",
  "Content-Length : 3",
  "Transfer-Encoding: chunked",
  "Connection: host",
  "X: y",
  " folded",
  "X: a\nHost: evil.example",
  "X: a\rHost: evil.example",
  "Upgrade: h2c",
  "Host: evil.example",
  "Expect: 100-continue",
);
const request = fc
  .record({
    method: fc.constantFrom("GET", "POST", "CONNECT", "CONNECT"),
    scheme: fc.constantFrom("http://", "https://", "", ""),
    to: name,
    port,
    host: name,
    authorization,
    fields: fc.array(field, { maxLength: 2 }),
    slash: fc.constantFrom("/", "", "/x?y", "\\"),
  })
  .map(({ method, scheme, to, port, host, authorization, fields, slash }) =>
    ascii(
      lines(
        `${method} ${method === "CONNECT" ? `${to}${port}` : `${scheme}${to}${port}${slash}`} HTTP/1.1`,
        `Host: ${host}`,
        authorization,
        ...fields,
      ),
    ),
  );
const right = fc
  .constantFrom(
    lines("CONNECT allowed.example:443 HTTP/1.1", "Host: allowed.example:443", basic("noctem", TOKEN)),
    lines("POST http://allowed.example/ HTTP/1.1", "Host: allowed.example", basic("noctem", TOKEN), "Content-Length: 3"),
  )
  .map(ascii);
const inTunnel = fc
  .constantFrom("GET /x HTTP/1.1", "GET http://allowed.example/ HTTP/1.1")
  .chain((first) => name.map((host) => ascii(lines(first, `Host: ${host}`))));
const hello = fc
  .record({ names: fc.array(name, { maxLength: 2 }), list: fc.boolean(), record: fc.integer({ min: 1, max: 400 }) })
  .map((some) => [...clientHello({ ...some, names: some.names.map((one) => one.replaceAll(/[^\0-\x7f]/gu, "?")) })]);
const greeting = fc.constantFrom([5, 1, 2], [5, 2, 0, 2], [5, 1, 0], [5, 0], [4, 1, 0, 80, 192, 0, 2, 10, 0]);
const credentials = fc.constantFrom([1, 6, ...ascii("noctem"), TOKEN.length, ...ascii(TOKEN)], [1, 6, ...ascii("noctem"), 1, 0], [1, 0, 0]);
const socks = fc
  .record({ command: fc.constantFrom(1, 1, 1, 2, 3), to: name, port: fc.constantFrom(443, 80, 0) })
  .map(({ command, to, port }) => [5, command, 0, 3, to.length, ...ascii(to), port >> 8, port & 255]);
const noise = fc.uint8Array({ maxLength: 40 }).map((bytes) => [...bytes]);

const connection = fc.oneof(
  fc.tuple(fc.oneof(request, right), fc.oneof(hello, request, inTunnel, noise), fc.oneof(request, noise)),
  fc.tuple(greeting, credentials, socks, fc.oneof(hello, inTunnel, request), fc.oneof(request, noise)),
  fc.array(fc.oneof(request, hello, greeting, credentials, socks, noise), { maxLength: 5 }),
);

export interface Played {
  readonly dialled: readonly string[];
  readonly forwarded: string;
  readonly isOpen: boolean;
  readonly answered: string;
}

/** Runs a connection whose host is there at once. */
export function playGate(bytes: Uint8Array, cuts: readonly number[]): { readonly gate: Gate; readonly played: Played } {
  const gate = new Gate({ reach: REACH, isToken: (password) => password === TOKEN });
  const played = { dialled: [] as string[], forwarded: "", isOpen: false, answered: "" };
  const act = (steps: readonly GateStep[]): void => {
    for (const step of steps) {
      if (step.kind === "dial") {
        played.dialled.push(`${step.to.host.text} ${step.to.port}`);
        act(gate.dialled(null));
      } else if (step.kind === "forward") {
        if (played.dialled.length === 0) throw new Error("something was passed on to nobody");
        played.forwarded += Buffer.from(step.bytes).toString("latin1");
      } else if (step.kind === "open") played.isOpen = true;
      else if (step.kind === "answer") played.answered += Buffer.from(step.bytes).toString("latin1");
    }
  };
  let at = 0;
  for (const cut of [...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b)) {
    act(gate.take(bytes.subarray(at, cut)));
    at = cut;
  }
  act(gate.take(bytes.subarray(at)));
  return { gate, played };
}

/** What a server would be told is for it, read in a way of its own: the first greeting's name, or every Host of the first request. */
function meantFor(forwarded: string): readonly string[] {
  if (forwarded.charCodeAt(0) !== 22) {
    const [head = ""] = forwarded.split("\r\n\r\n");
    return head
      .split(/\r\n|\r|\n/)
      .filter((line) => /^host\s*:/i.test(line))
      .map((line) => line.slice(5).trim());
  }
  let message = "";
  for (let at = 0; at < forwarded.length && forwarded.charCodeAt(at) === 22;) {
    const size = (forwarded.charCodeAt(at + 3) << 8) | forwarded.charCodeAt(at + 4);
    message += forwarded.slice(at + 5, at + 5 + size);
    at += 5 + size;
  }
  // type, three bytes of length; then a name is 0, its length, itself, at the end of a list of its own length.
  return [...message.matchAll(/\0\0(?:..)(..)\0(..)/gs)].flatMap((found) => {
    const length = ((found[2]?.charCodeAt(0) ?? 0) << 8) | (found[2]?.charCodeAt(1) ?? 0);
    const whole = ((found[1]?.charCodeAt(0) ?? 0) << 8) | (found[1]?.charCodeAt(1) ?? 0);
    const from = (found.index ?? 0) + found[0].length;
    return whole === length + 3 && length > 3 ? [message.slice(from, from + length)] : [];
  });
}

/** Throws where a connection got further than it may. Says how many got through, so that the test knows that some did. */
export function fuzzProxy(runs: number, seed?: number): { readonly through: number; readonly refused: number } {
  let [through, refused] = [0, 0];
  const cuts = fc.array(fc.nat(4000), { maxLength: 6 });
  fc.assert(
    fc.property(connection, cuts, (parts, places) => {
      const bytes = Uint8Array.from(parts.flat());
      const { gate, played } = playGate(bytes, places);
      const whole = playGate(bytes, []).played;
      // How it was cut makes no difference.
      if (JSON.stringify(played) !== JSON.stringify(whole)) throw new Error("the same bytes, cut otherwise, came to something else");
      for (const place of played.dialled)
        if (place !== "allowed.example 443" && place !== "allowed.example 80") throw new Error(`dialled ${place}`);
      if (played.forwarded === "") {
        if (gate.request.verdict === "allowed") throw new Error("allowed, and nothing passed on");
        refused++;
        return;
      }
      through++;
      if (played.dialled.length !== 1 || gate.request.verdict !== "allowed") throw new Error("passed on without a verdict");
      const names = meantFor(played.forwarded).map((text) => text.toLowerCase());
      if (names.length !== 1 || names[0] !== "allowed.example") throw new Error(`passed on for ${JSON.stringify(names)}`);
      if (played.forwarded.includes(TOKEN)) throw new Error("the token was passed on");
      if (played.forwarded.charCodeAt(0) === 22) return;
      const [head = ""] = played.forwarded.split("\r\n\r\n");
      const [, length = "0"] = /^content-length: (\d+)$/im.exec(head) ?? [];
      const body = played.forwarded.length - head.length - 4;
      if (body > Number(length)) throw new Error("more was passed on than the request has");
    }),
    { numRuns: runs, ...(seed === undefined ? {} : { seed }) },
  );
  return { through, refused };
}
