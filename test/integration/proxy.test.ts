/** The only way out of a cage, in a network of the test's own. What counts is what a server heard, and what the resolver was asked. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { NETWORK_PRELUDE } from "../../src/bark/redteam/network-prelude.ts";
import type { Scenario } from "../support/net-names.ts";
import { NetworkStage, NO_NETWORK } from "../support/network.ts";

const why = NO_NETWORK === null ? "" : ` (skipped: ${NO_NETWORK})`;
const https = (host: string) => ({ host, port: 443, scheme: "https" }) as const;
const http = (host: string) => ({ host, port: 80, scheme: "http" }) as const;
const ALLOWED = [https("allowed.example"), http("allowed.example")];
/** The address of the proxy without its scheme, for tools that are told by an option. */
const SOCKS = `socks5h://\${HTTP_PROXY#http://}`;
const python = (script: string, hosts: Scenario["hosts"] = ALLOWED, limits: Scenario["limits"] = {}): Scenario => ({
  script: NETWORK_PRELUDE + script,
  language: "python3",
  hosts,
  limits,
});

describe.skipIf(NO_NETWORK !== null)(`a cage with a network${why}`, () => {
  let stage: NetworkStage;
  beforeAll(async () => {
    stage = new NetworkStage();
    await stage.start();
  });
  afterAll(async () => await stage[Symbol.asyncDispose]());

  test.each([
    ["a tunnel with TLS inside", "curl -sS --cacert ca.crt https://allowed.example/", "192.0.2.10 443", "connect"],
    ["plain HTTP", "curl -sS http://allowed.example/", "192.0.2.10 80", "http"],
    ["TLS through SOCKS", `curl -sS --cacert ca.crt --proxy ${SOCKS} https://allowed.example/`, "192.0.2.10 443", "socks"],
    ["plain HTTP through SOCKS", `curl -sS --proxy ${SOCKS} http://allowed.example/`, "192.0.2.10 80", "socks"],
    ["a body that is sent", "curl -sS --data-binary @ca.crt http://allowed.example/", "192.0.2.10 80", "http"],
    [
      "a form that is sent, with a tool that waits to be told to go on",
      "head -c 2000000 /dev/zero | curl -sS -H 'Expect: 100-continue' --data-binary @- http://allowed.example/",
      "192.0.2.10 80",
      "http",
    ],
    [
      "Python's own reader",
      `python3 -c 'import urllib.request as u; print(u.urlopen("http://allowed.example/").read().decode(), end="")'`,
      "192.0.2.10 80",
      "http",
    ],
    [
      "Python's own reader, with TLS",
      `SSL_CERT_FILE=ca.crt python3 -c 'import urllib.request as u; print(u.urlopen("https://allowed.example/").read().decode(), end="")'`,
      "192.0.2.10 443",
      "connect",
    ],
    ["wget", "wget -qO- http://allowed.example/", "192.0.2.10 80", "http"],
    [
      "openssl",
      `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -verify_quiet -CAfile ca.crt -proxy 127.0.0.1:3128 -proxy_user noctem -proxy_pass "env:T" -connect allowed.example:443 -servername allowed.example 2>/dev/null | tail -1`.replace(
        "printf",
        `T=\${HTTP_PROXY#*noctem:}; export T="\${T%@*}"; printf`,
      ),
      "192.0.2.10 443",
      "connect",
    ],
  ])("reaches what its call named: %s", async (_name, script, place, kind) => {
    const { out, err, heard, network } = await stage.play({ script, hosts: ALLOWED });
    expect(`${out}${err}`).toBe(`you reached ${place.replace(" ", " port ")}\n`);
    expect(Object.keys(heard)).toEqual([place]);
    expect(network?.requests.filter(({ verdict }) => verdict !== "unauthenticated")).toMatchObject([
      { kind, host: "allowed.example", verdict: "allowed", rule: "test" },
    ]);
  });

  test("reaches a name that has IPv6 alone", async () => {
    const { out, heard } = await stage.play({ script: "curl -sS --cacert ca.crt https://six.example/", hosts: [https("six.example")] });
    expect([out, Object.keys(heard)]).toEqual(["you reached 2001:db8::10 port 443\n", ["2001:db8::10 443"]]);
  });

  test("brings much, to a reader that takes its time, whole", async () => {
    const slow = `s = dial(); s.sendall(b"GET http://allowed.example/bytes/6000000 HTTP/1.1\\r\\nHost: allowed.example\\r\\n" + AUTH + b"\\r\\n")
n = 0
while True:
    part = s.recv(200000)
    if not part: break
    n += len(part); time.sleep(0.005)
print(n)`;
    const { out, network } = await stage.play(python(slow));
    expect(Number(out)).toBe(6_000_000 + "HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\nConnection: close\r\n\r\n".length);
    expect(network?.down).toBe(Number(out));
  });

  test.each([
    ["a tunnel", `print(connect("other.example:443", hello("other.example")))`, "proxy.unnamed"],
    ["plain HTTP", `print(get("http://other.example/", "other.example"))`, "proxy.unnamed"],
    ["SOCKS", `print(socks("other.example", 443, hello("other.example")))`, "proxy.unnamed"],
    ["an address", `print(connect("198.51.100.20:443", hello("other.example")))`, "proxy.unnamed"],
    [
      "an address by SOCKS",
      `print(socks(bytes([198, 51, 100, 20]), 80, b"GET / HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n", kind=1))`,
      "proxy.unnamed",
    ],
    ["another port", `print(get("http://allowed.example:8080/", "allowed.example:8080"))`, "proxy.unnamed"],
    ["a port in another way", `print(get("http://allowed.example:443/", "allowed.example:443"))`, "proxy.unnamed"],
    [
      "a name in front of the right one",
      `print(get("http://other.example.allowed.example/", "other.example.allowed.example"))`,
      "proxy.unnamed",
    ],
    [
      "a name behind the right one",
      `print(get("http://allowed.example.other.example/", "allowed.example.other.example"))`,
      "proxy.unnamed",
    ],
    ["a user before the name", `print(get("http://allowed.example@other.example/", "allowed.example"))`, "proxy.malformed"],
    ["a NUL in a SOCKS name", `print(socks("other.example\\0.allowed.example", 80), socks("allowed.example\\0", 80))`, "proxy.malformed"],
    ["a NUL in a request", `print(get("http://allowed.example\\0.other.example/", "allowed.example"))`, "proxy.malformed"],
    ["a trailing dot", `print(connect("allowed.example.:443", hello("allowed.example")))`, "proxy.malformed"],
    [
      "line ends in a target",
      `print(connect("allowed.example:443 HTTP/1.1\\r\\nHost: other.example:443\\r\\nX: y", hello("allowed.example")))`,
      "proxy.malformed",
    ],
    [
      "listeners and datagrams",
      `print(socks("allowed.example", 80, command=2), socks("allowed.example", 80, command=3))`,
      "proxy.malformed",
    ],
    ["SOCKS 4", `print(say(b"\\4\\1\\0\\x50\\xc0\\0\\2\\x0auser\\0"))`, "proxy.malformed"],
    ["another Host inside", `print(get("http://allowed.example/", "other.example"))`, "proxy.malformed"],
    ["two Hosts", `print(get("http://allowed.example/", "allowed.example", "Host: other.example"))`, "proxy.malformed"],
    [
      "two lengths",
      `print(get("http://allowed.example/", "allowed.example", "Content-Length: 4", "Content-Length: 40", method="POST", body="aaaa"))`,
      "proxy.malformed",
    ],
    [
      "a body in pieces",
      `print(get("http://allowed.example/", "allowed.example", "Transfer-Encoding: chunked", method="POST", body="0\\r\\n\\r\\n"))`,
      "proxy.malformed",
    ],
    ["a folded field", `print(get("http://allowed.example/", "allowed.example", "X: y\\r\\n Host: other.example"))`, "proxy.malformed"],
    ["a bare line feed", `print(get("http://allowed.example/", "allowed.example", "X: y\\nHost: other.example"))`, "proxy.malformed"],
    ["HTTP/2 from the start", `print(say(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n"))`, "proxy.malformed"],
    ["a head without end", `print(say(b"GET http://allowed.example/ HTTP/1.1\\r\\n" + b"X: " + b"y" * 100000))`, "proxy.malformed"],
  ])("opens no connection, and asks no resolver, for what it did not name: %s", async (_name, script, rule) => {
    const { heard, asked, network, out } = await stage.play(python(script));
    expect(out).not.toBe("");
    expect({ heard, asked }).toEqual({ heard: {}, asked: [] });
    const { requests = [] } = network ?? {};
    expect(requests.length).toBeGreaterThan(0);
    for (const request of requests) expect(request).toMatchObject({ verdict: "refused", rule });
  });

  test.each([
    [
      "without a token",
      `print(get("http://allowed.example/", "allowed.example", auth=b""), connect("allowed.example:443", hello("allowed.example"), auth=b""))`,
    ],
    [
      "with another token",
      `print(get("http://allowed.example/", "allowed.example", auth=basic(USER, "0" * 64)), socks("allowed.example", 80, token="x"))`,
    ],
    [
      "with another name",
      `print(get("http://allowed.example/", "allowed.example", auth=basic("other", TOKEN)), socks("allowed.example", 80, user="other"))`,
    ],
    [
      "with the token for the server",
      `print(get("http://allowed.example/", "allowed.example", "Authorization: Basic " + base64.b64encode((USER + ":" + TOKEN).encode()).decode(), auth=b""))`,
    ],
  ])("is told 407 %s", async (_name, script) => {
    const { heard, asked, network } = await stage.play(python(script));
    expect({ heard, asked }).toEqual({ heard: {}, asked: [] });
    for (const request of network?.requests ?? []) expect(request).toMatchObject({ verdict: "unauthenticated", rule: "proxy.token" });
    expect(network?.requests.length).toBeGreaterThan(0);
  });

  test.each(["private", "metadata", "carrier", "loop", "loop6", "mapped", "nat64", "unique", "mixed"])(
    "goes nowhere where a name leads inside: %s.example",
    async (name) => {
      const host = `${name}.example`;
      const script = `print(get("http://${host}/", "${host}"), connect("${host}:443", hello("${host}")), socks("${host}", 80))`;
      const { heard, asked, network } = await stage.play(python(script, [http(host), https(host)]));
      expect({ heard, asked }).toEqual({ heard: {}, asked: [host] });
      expect(network?.requests.map(({ verdict, rule }) => `${verdict} ${rule}`)).toEqual(
        Array.from({ length: 3 }, () => "refused proxy.address"),
      );
    },
  );

  test.each([
    ["127.0.0.1", `get("http://127.0.0.1/", "127.0.0.1")`],
    ["10.20.30.40", `socks(bytes([10, 20, 30, 40]), 80, kind=1)`],
    ["169.254.169.254", `get("http://169.254.169.254/", "169.254.169.254")`],
    ["::ffff:a14:1e28", `get("http://[::ffff:10.20.30.40]/", "[::ffff:10.20.30.40]")`],
    ["fd00::10", `get("http://[fd00::10]/", "[fd00::10]")`],
  ])("goes nowhere where an address is one inside, even if a policy opened it: %s", async (host, script) => {
    const { heard, network } = await stage.play(python(`print(${script})`, [http(host)]));
    expect(heard).toEqual({});
    expect(network?.requests).toMatchObject([{ host, verdict: "refused", rule: "proxy.address" }]);
  });

  test("stays with the address that it was told first: a name that answers otherwise the next time leads nowhere new", async () => {
    const script = `for i in range(4): print(get("http://rebind.example/", "rebind.example")[-40:])`;
    const { out, heard, asked } = await stage.play(python(script, [http("rebind.example")]));
    expect(out.match(/you reached 192.0.2.10 port 80/g)).toHaveLength(4);
    expect([Object.keys(heard), asked]).toEqual([["192.0.2.10 80"], ["rebind.example"]]);
  });

  test.each([
    ["another server's name", `hello("other.example")`],
    ["no server's name", `hello()`],
    ["two names", `hello("allowed.example", "other.example")`],
    ["two names in one list", `hello("allowed.example", "other.example", together=True)`],
    ["another name in pieces", `hello("other.example", record=7)`],
    ["a name with a dot behind it", `hello("allowed.example.")`],
    ["a second message behind the greeting", `hello("allowed.example", more=b"\\x0e\\0\\0\\0")`],
    ["no TLS", `b"GET / HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n"`],
    ["SSH", `b"SSH-2.0-secret\\r\\n"`],
    ["half a greeting", `hello("allowed.example")[:60]`],
  ])("says nothing to a host of what stands in a tunnel with %s", async (_name, inside) => {
    const script = `print(connect("allowed.example:443", ${inside}), socks("allowed.example", 443, ${inside}))`;
    const { heard, network } = await stage.play(python(script, ALLOWED, { headMs: 400 }));
    expect(Object.values(heard).join("")).toBe("");
    for (const { verdict } of network?.requests ?? []) expect(["refused", "failed"]).toContain(verdict);
    expect(network?.requests).toHaveLength(2);
  });

  test("takes one request a connection: the second is heard by nobody, whoever it is for", async () => {
    const second = (host: string) => `b"GET http://${host}/second HTTP/1.1\\r\\nHost: ${host}\\r\\n" + AUTH + b"\\r\\n"`;
    const first = `b"GET http://allowed.example/first HTTP/1.1\\r\\nHost: allowed.example\\r\\n" + AUTH + b"\\r\\n"`;
    for (const host of ["other.example", "allowed.example"]) {
      const { heard, network } = await stage.play(
        python(`print(say(${first} + ${second(host)})); print(say(${first}, ${second(host)}, pause=0.02))`),
      );
      expect(heard["192.0.2.10 80"]).toContain("/first");
      expect(Object.values(heard).join("")).not.toContain("second");
      expect(Object.keys(heard)).toEqual(["192.0.2.10 80"]);
      expect(network?.requests.filter(({ verdict }) => verdict === "allowed")).toHaveLength(2);
    }
  });

  test("does not pass on its token, nor what would make another protocol of the connection", async () => {
    const script = `print(get("http://allowed.example/", "allowed.example", "Upgrade: h2c", "Connection: Upgrade, X-Mark", "X-Mark: marked", "Proxy-Mark: marked"))
print(TOKEN)`;
    const { heard, out } = await stage.play(python(script));
    const said = heard["192.0.2.10 80"] ?? "";
    expect(said).toBe("GET / HTTP/1.1\r\nHost: allowed.example\r\nConnection: close\r\n\r\n");
    expect(said).not.toContain(out.trim().split("\n").at(-1) ?? "no token");
  });

  test("follows no redirection: whoever does asks again, and is judged again", async () => {
    const { heard, network } = await stage.play({ script: "curl -sSL http://allowed.example/redirect", hosts: ALLOWED });
    expect(Object.keys(heard)).toEqual(["192.0.2.10 80"]);
    expect(network?.requests.map(({ host, verdict }) => [host, verdict])).toEqual([
      ["allowed.example", "allowed"],
      ["other.example", "refused"],
    ]);
  });

  test("says when a host is not there, and when nobody knows its name", async () => {
    const hosts = [http("dead.example"), http("silent.example"), http("nobody.example")];
    const script = hosts.map(({ host }) => `print(get("http://${host}/", "${host}")[:12])`).join("\n");
    const { network, out } = await stage.play(
      python(`socket.setdefaulttimeout(5)\n${script.replaceAll("[:12]", "[:12]")}`, hosts, { connectMs: 700 }),
    );
    expect(network?.requests.map(({ verdict }) => verdict)).toEqual(["failed", "failed", "failed"]);
    expect(out).toContain("502");
  });

  test("a server that is slow to speak may be waited for with one half of the connection closed", async () => {
    const script = `s = dial(); s.sendall(b"POST http://allowed.example/ HTTP/1.1\\r\\nHost: allowed.example\\r\\nContent-Length: 3\\r\\n" + AUTH + b"\\r\\nabc")
s.shutdown(socket.SHUT_WR); print(rest(s))`;
    const { out } = await stage.play(python(script));
    expect(out).toContain("you reached 192.0.2.10 port 80");
  });

  test("who closes half-way leaves nothing behind, and nothing half goes out", async () => {
    const script = `for part in (b"", b"G", b"GET http://allowed.example/half HTTP/1.1\\r\\nHost: allowed.example\\r\\n" + AUTH, b"\\5", b"\\5\\1\\2"):
    s = dial(); s.sendall(part); s.close()
    s = dial(); s.sendall(part); s.shutdown(socket.SHUT_WR); rest(s)
print(get("http://allowed.example/whole", "allowed.example"))`;
    const { heard, network } = await stage.play(python(script));
    expect(heard["192.0.2.10 80"]).toStartWith("GET /whole ");
    expect(network?.requests.filter(({ verdict }) => verdict === "failed").length).toBeGreaterThanOrEqual(9);
  });

  test("who speaks too slowly is cut off, and the others are served meanwhile", async () => {
    const script = `slow = [dial() for i in range(8)]
for i in range(8):
    for s in slow:
        try: s.sendall(b"GET http"[i:i+1])
        except OSError: pass
    time.sleep(0.05)
print(get("http://allowed.example/", "allowed.example"))
print([len(rest(s)) for s in slow])`;
    const { out, network } = await stage.play(python(script, ALLOWED, { headMs: 700 }));
    expect(out).toContain("you reached 192.0.2.10 port 80");
    expect(network?.requests.filter(({ rule }) => rule === "proxy.limit")).toHaveLength(8);
  });

  test("who says nothing more, in either direction, is cut off", async () => {
    const { network } = await stage.play(
      python(`print(get("http://allowed.example/silent", "allowed.example"))\ntime.sleep(0.5)`, ALLOWED, { idleMs: 400 }),
    );
    expect(network?.requests).toMatchObject([{ rule: "proxy.limit", reason: "Nothing was said for 400 ms." }]);
  });

  test("connections at one time, and requests in all, have a bound", async () => {
    const many = `held = []
for i in range(60):
    try: held.append(dial())
    except OSError: break
time.sleep(0.3)
for s in held: s.close()
time.sleep(0.3)
print(get("http://allowed.example/", "allowed.example"))`;
    const bounded = await stage.play(python(many, ALLOWED, { connections: 5 }));
    expect(bounded.out).toContain("you reached 192.0.2.10 port 80");
    expect(bounded.network?.requests.filter(({ rule }) => rule === "proxy.limit")).toHaveLength(55);
    const counted = await stage.play(
      python(`for i in range(5): print(get("http://allowed.example/%d" % i, "allowed.example"))`, ALLOWED, { requests: 3 }),
    );
    expect(counted.heard["192.0.2.10 80"]?.match(/GET/g)).toHaveLength(3);
    expect(counted.network?.requests.filter(({ rule }) => rule === "proxy.limit")).toHaveLength(2);
  });

  test("a flood of requests is listed as far as a person would read, and counted beyond", async () => {
    const { network } = await stage.play(python(`for i in range(150): get("http://other.example/%d" % i, "other.example")`));
    expect(network?.requests).toHaveLength(100);
    expect(network?.unlisted).toBe(50);
  });

  test("what leaves and what comes has a bound, over all connections together", async () => {
    const post = `for i in range(4): print(get("http://allowed.example/", "allowed.example", "Content-Length: 30000", method="POST", body="x" * 30000))`;
    const up = await stage.play(python(post, ALLOWED, { upBytes: 100_000 }));
    expect(up.out.match(/you reached/g)).toHaveLength(3);
    expect(up.network?.requests.at(-1)).toMatchObject({
      verdict: "refused",
      rule: "proxy.limit",
      reason: "More than 100000 bytes were to leave.",
    });
    const fetch = `for i in range(4): print(len(get("http://allowed.example/bytes/40000", "allowed.example")))`;
    const down = await stage.play(python(fetch, ALLOWED, { downBytes: 100_000 }));
    expect(
      down.out
        .trim()
        .split("\n")
        .map(Number)
        .filter((bytes) => bytes > 40_000),
    ).toHaveLength(2);
    expect(down.network?.requests.at(-1)).toMatchObject({ verdict: "refused", rule: "proxy.limit" });
  });

  test("a program that is ended takes its connections with it", async () => {
    const { heard, network } = await stage.play(
      python(
        `s = dial(); s.sendall(b"GET http://allowed.example/silent HTTP/1.1\\r\\nHost: allowed.example\\r\\n" + AUTH + b"\\r\\n"); time.sleep(0.2); os.kill(os.getpid(), 9)`,
      ),
    );
    expect(heard["192.0.2.10 80"]).toStartWith("GET /silent");
    expect(network?.requests).toMatchObject([{ verdict: "allowed", host: "allowed.example" }]);
  });

  test("beside the proxy there is no way out: no address, no name, no datagram", async () => {
    const script = `for family, address in ((socket.AF_INET, "192.0.2.10"), (socket.AF_INET, "10.20.30.40"), (socket.AF_INET6, "2001:db8::10"), (socket.AF_INET, "127.0.0.1")):
    for kind, port in ((socket.SOCK_STREAM, 80), (socket.SOCK_DGRAM, 53)):
        try:
            s = socket.socket(family, kind); s.settimeout(0.3); s.connect((address, port)); s.send(b"hello")
        except OSError: pass
try: print(socket.getaddrinfo("allowed.example", 80))
except OSError: pass`;
    const { heard, asked, network } = await stage.play(python(script));
    expect({ heard, asked, requests: network?.requests }).toEqual({ heard: {}, asked: [], requests: [] });
  });
});
