import { describe, expect, test } from "bun:test";
import { askReach } from "../../../src/bark/proxy/ask.ts";
import { Gate } from "../../../src/bark/proxy/gate.ts";
import { refusedOf } from "../../../src/bark/proxy/report.ts";
import { proxyVariables, type ProxyRequest } from "../../../src/bark/proxy/types.ts";
import { loadPolicy } from "../../../src/bark/policy/load.ts";
import compiled from "../../../profiles/bark/policy.json";
import { sha256 } from "../../support/cage.ts";
import { clientHello } from "../../support/client-hello.ts";
import { fuzzProxy, playGate, REACH, TOKEN } from "../../support/proxy-fuzz.ts";

const AUTH = `Proxy-Authorization: Basic ${btoa(`noctem:${TOKEN}`)}`;
const lines = (...all: readonly string[]): string => `${all.join("\r\n")}\r\n\r\n`;
const bytesOf = (...parts: readonly (string | Uint8Array)[]): Uint8Array =>
  Uint8Array.from(
    parts.flatMap((part) => (typeof part === "string" ? Array.from(part, (character) => character.charCodeAt(0)) : [...part])),
  );
const CONNECT = lines("CONNECT allowed.example:443 HTTP/1.1", AUTH);
const SOCKS = Uint8Array.from([
  5,
  1,
  2,
  1,
  6,
  ...bytesOf("noctem"),
  TOKEN.length,
  ...bytesOf(TOKEN),
  5,
  1,
  0,
  3,
  15,
  ...bytesOf("allowed.example"),
  1,
  187,
]);

describe("a connection to the proxy", () => {
  test("is answered 407 without the token, and no verdict is given", () => {
    for (const head of [
      lines("CONNECT allowed.example:443 HTTP/1.1"),
      lines("CONNECT evil.example:443 HTTP/1.1", `Proxy-Authorization: Basic ${btoa("noctem:wrong")}`),
      lines("CONNECT evil.example:443 HTTP/1.1", `Proxy-Authorization: Basic ${btoa(`other:${TOKEN}`)}`),
      lines("CONNECT evil.example:443 HTTP/1.1", `Proxy-Authorization: Bearer ${TOKEN}`),
      lines("CONNECT evil.example:443 HTTP/1.1", `Authorization: Basic ${btoa(`noctem:${TOKEN}`)}`),
      lines("CONNECT evil.example:443 HTTP/1.1", AUTH, AUTH),
      lines("GET http://allowed.example/ HTTP/1.1", "Host: allowed.example"),
    ]) {
      const { gate, played } = playGate(bytesOf(head), []);
      expect(played).toMatchObject({ dialled: [], forwarded: "" });
      expect(played.answered).toStartWith('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="noctem"\r\n');
      expect(gate.request).toMatchObject({ verdict: "unauthenticated", rule: "proxy.token" });
    }
    const socks = playGate(Uint8Array.from([5, 1, 2, 1, 6, ...bytesOf("noctem"), 1, 0]), []);
    expect([socks.gate.request.verdict, socks.played.answered]).toEqual(["unauthenticated", "\x05\x02\x01\x01"]);
    expect(playGate(Uint8Array.of(5, 1, 0), []).played.answered).toBe("\x05\xff");
  });

  test("passes on nothing of a tunnel until it was said inside whom it is for", () => {
    const hello = clientHello();
    const { played } = playGate(bytesOf(CONNECT, hello.subarray(0, -1)), []);
    expect(played).toMatchObject({ dialled: ["allowed.example 443"], forwarded: "", isOpen: false });
    expect(playGate(bytesOf(CONNECT, hello, "rest"), []).played).toMatchObject({
      forwarded: Buffer.from(bytesOf(hello, "rest")).toString("latin1"),
      isOpen: true,
    });
    expect(playGate(bytesOf(SOCKS, hello), []).played).toMatchObject({ forwarded: Buffer.from(hello).toString("latin1"), isOpen: true });
  });

  test.each([
    ["another name inside", clientHello({ names: ["evil.example"] }), "inside it asks for evil.example"],
    ["no name inside", clientHello({ names: [] }), "its greeting names no server"],
    ["no TLS inside", bytesOf("SSH-2.0-x\r\n"), "what it says is not TLS"],
    ["a request in the open inside", bytesOf(lines("GET / HTTP/1.1", "Host: allowed.example")), "what it says is not TLS"],
  ])("refuses a tunnel with %s", (_name, inside, reason) => {
    const { gate, played } = playGate(bytesOf(CONNECT, inside), []);
    expect(played.forwarded).toBe("");
    expect(gate.request).toMatchObject({ verdict: "refused", rule: "proxy.inner-host", host: "allowed.example" });
    expect(gate.request.reason).toContain(reason);
  });

  test("takes one request a connection: what follows is noted, and passed on to nobody", () => {
    const first = lines("POST http://allowed.example/a HTTP/1.1", "Host: allowed.example", AUTH, "Content-Length: 2");
    const { gate, played } = playGate(bytesOf(first, "xy", lines("GET http://evil.example/ HTTP/1.1", "Host: evil.example", AUTH)), []);
    expect(played.forwarded).toBe(`${lines("POST /a HTTP/1.1", "Host: allowed.example", "Content-Length: 2", "Connection: close")}xy`);
    expect([gate.request.verdict, gate.second?.verdict, gate.second?.rule]).toEqual(["allowed", "refused", "proxy.second-request"]);
  });

  test("speaks to a host in the way that was named, by the port that was named", () => {
    const refused = (head: string): string => {
      const { gate, played } = playGate(bytesOf(head), []);
      expect(played.dialled).toEqual([]);
      return gate.request.rule;
    };
    expect(refused(lines("CONNECT allowed.example:80 HTTP/1.1", AUTH))).toBe("proxy.unnamed");
    expect(refused(lines("CONNECT allowed.example:22 HTTP/1.1", AUTH))).toBe("proxy.unnamed");
    expect(refused(lines("GET http://allowed.example:443/ HTTP/1.1", "Host: allowed.example:443", AUTH))).toBe("proxy.unnamed");
    // A tunnel by SOCKS says inside how it speaks.
    const inside = playGate(bytesOf(SOCKS, lines("GET / HTTP/1.1", "Host: allowed.example:443")), []);
    expect([inside.played.forwarded, inside.gate.request.rule]).toEqual(["", "proxy.unnamed"]);
  });

  test("says why there is no connection, and lets nothing through then", () => {
    const gate = new Gate({ reach: REACH, isToken: (password) => password === TOKEN });
    expect(gate.take(bytesOf(CONNECT, clientHello())).map(({ kind }) => kind)).toEqual(["dial"]);
    expect(gate.take(bytesOf("more"))).toEqual([]);
    const steps = gate.dialled({ verdict: "refused", rule: "proxy.address", reason: "It leads inside." });
    expect(steps.map(({ kind }) => kind)).toEqual(["answer", "close"]);
    expect(gate.take(clientHello())).toEqual([]);
    expect(gate.request).toMatchObject({ verdict: "refused", rule: "proxy.address", reason: "It leads inside." });
  });

  test("of a thousand connections of right and wrong pieces, cut anywhere, only what was named goes out", () => {
    const { through, refused } = fuzzProxy(1000);
    expect(through).toBeGreaterThan(30);
    expect(refused).toBeGreaterThan(300);
  });
});

describe("what a call may ask of the network", () => {
  const loaded = loadPolicy(compiled, sha256);
  if (!loaded.ok) throw new Error(loaded.error.join(" "));
  const { policy } = loaded.value;
  const ask = (skill: string, ...words: readonly string[]): unknown => {
    const asked = askReach(policy, skill, words);
    return asked.ok
      ? [
          asked.value.ruling.outcome,
          asked.value.ruling.rule,
          ...asked.value.reach.hosts.map(({ host, port, scheme }) => `${scheme}://${host}:${port}`),
        ]
      : asked.error;
  };

  test("is what the policy opens for programs of this skill, and the strictest of several counts", () => {
    expect(ask("shell", "Docs.RS", "https://en.wikipedia.org/")).toEqual([
      "allow",
      "host.reading",
      "https://docs.rs:443",
      "https://en.wikipedia.org:443",
    ]);
    expect(ask("code_exec", "docs.rs", "example.org")).toEqual(["deny", "host.unlisted", "https://docs.rs:443", "https://example.org:443"]);
    expect(ask("shell", "http://docs.rs")).toEqual(["deny", "host.unlisted", "http://docs.rs:80"]);
    expect(ask("shell", "docs.rs:8443")).toEqual(["deny", "host.unlisted", "https://docs.rs:8443"]);
    expect(ask("shell", "printer.local:9100")).toEqual(["deny", "host.local", "https://printer.local:9100"]);
    expect(ask("shell", "http://printer.local")).toEqual(["deny", "host.local", "http://printer.local:80"]);
    expect(ask("web_fetch", "example.org")).toEqual(["ask", "host.unknown", "https://example.org:443"]);
  });

  test("is refused where it cannot be read, or the skill has none", () => {
    expect(ask("shell", "0x7f.1")).toBe('"0x7f.1" names no host: it is an odd way to write an address.');
    expect(ask("shell", "docs.rs/x")).toBe('"docs.rs/x" names no host: it is no host name.');
    expect(ask("shell", "*.wikipedia.org")).toBe('"*.wikipedia.org" names no host: it is no host name.');
    expect(ask("shell", "a@docs.rs")).toBe('"a@docs.rs" names no host: a user name stands before it.');
    expect(ask("file_ops", "docs.rs")).toBe("The policy gives file_ops no network.");
  });

  test("a skill's list names rules that there are", () => {
    const shell = { ...compiled.skills.shell, network: { ...compiled.skills.shell.network, rules: ["host.gone"] } };
    const wrong = loadPolicy({ ...compiled, skills: { ...compiled.skills, shell } }, sha256);
    expect(wrong.ok ? [] : wrong.error).toEqual(["shell: there is no rule host.gone over hosts."]);
  });

  test("what was refused is told once each", () => {
    const request: ProxyRequest = {
      kind: "http",
      host: "evil.example",
      port: 80,
      verdict: "refused",
      rule: "r",
      reason: "No.",
      instead: null,
      up: 0,
      down: 0,
      ms: 1,
    };
    const requests = [
      request,
      request,
      { ...request, verdict: "unauthenticated" as const },
      { ...request, verdict: "failed" as const },
      { ...request, host: "2001:db8::1" },
    ];
    expect(refusedOf({ requests, unlisted: 0, up: 0, down: 0 }).map(({ what }) => what)).toEqual(["evil.example:80", "[2001:db8::1]:80"]);
    expect(refusedOf(null)).toEqual([]);
  });

  test("tools find the proxy by every name, and nothing goes past it", () => {
    const env = proxyVariables(3128, "t");
    expect(Object.keys(env).sort()).toEqual([
      "ALL_PROXY",
      "HTTPS_PROXY",
      "HTTP_PROXY",
      "NO_PROXY",
      "all_proxy",
      "http_proxy",
      "https_proxy",
      "no_proxy",
    ]);
    expect([env["NO_PROXY"], env["http_proxy"]]).toEqual(["", "http://noctem:t@127.0.0.1:3128"]);
  });
});
