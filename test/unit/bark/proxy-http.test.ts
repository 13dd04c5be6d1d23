import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { connectTarget, type Head, MOST_HEAD, plainRequest, readHead } from "../../../src/bark/proxy/http.ts";
import { readCredentials, readGreeting, readRequest } from "../../../src/bark/proxy/socks.ts";

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const lines = (...all: readonly string[]): string => `${all.join("\r\n")}\r\n\r\n`;
const headOf = (text: string): Head => {
  const read = readHead(bytesOf(text));
  if (read.kind !== "head") throw new Error(JSON.stringify(read));
  return read.head;
};
const GET = "GET http://allowed.example/a?b HTTP/1.1";
const HOST = "Host: allowed.example";

describe("the head of a request", () => {
  test("is read however it is cut", () => {
    const whole = bytesOf(lines(GET, HOST, "X: y "));
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(whole.length), (a, b) => {
        const [first, second] = [Math.min(a, b), Math.max(a, b)];
        if (first < whole.length) expect(readHead(whole.subarray(0, first)).kind).toBe("more");
        expect(readHead(whole.subarray(0, second), first).kind).toBe(second < whole.length ? "more" : "head");
      }),
    );
    expect(readHead(bytesOf(`${lines(GET, HOST)}body`))).toMatchObject({ kind: "head", length: lines(GET, HOST).length });
  });

  test.each([
    ["a bare line feed", "GET http://allowed.example/ HTTP/1.1\nHost: allowed.example\n\n"],
    ["a bare carriage return", lines(GET, `${HOST}\rX: y`)],
    ["a NUL", lines(GET, `${HOST}\0`)],
    ["an empty line in front", `\r\n${lines(GET, HOST)}`],
    ["a folded field", lines(GET, HOST, "X: a", " b")],
    ["a folded field by a tab", lines(GET, HOST, "X: a", "\tb")],
    ["a space before the colon", lines(GET, HOST, "Content-Length : 5")],
    ["no colon", lines(GET, HOST, "X")],
    ["an empty name", lines(GET, HOST, ": x")],
    ["a name with a space", lines(GET, HOST, "X Y: z")],
    ["a control character", lines(GET, HOST, "X: \x01")],
    ["a delete", lines(GET, HOST, "X: \x7f")],
    ["two spaces", lines("GET  http://allowed.example/ HTTP/1.1", HOST)],
    ["a tab in the first line", lines("GET\thttp://allowed.example/\tHTTP/1.1", HOST)],
    ["no version", lines("GET http://allowed.example/", HOST)],
    ["HTTP/0.9", lines("GET http://allowed.example/ HTTP/0.9", HOST)],
    ["HTTP/2", lines("PRI * HTTP/2.0", "", "SM")],
    ["HTTP/1.10", lines("GET http://allowed.example/ HTTP/1.10", HOST)],
    ["a method of other characters", lines("G(T http://allowed.example/ HTTP/1.1", HOST)],
    ["letters beyond ASCII in the target", lines("GET http://allowed.example/\u00e9 HTTP/1.1", HOST)],
    ["a hundred fields and more", lines(GET, HOST, ...Array.from({ length: 120 }, (_, index) => `X${index}: y`))],
    ["a head without end", `${GET}\r\nX: ${"y".repeat(MOST_HEAD)}`],
  ])("is refused: %s", (_name, text) => expect(readHead(bytesOf(text)).kind).toBe("refused"));

  test("any bytes are read without a throw, and what is read is written back as one head", () => {
    const part = fc.constantFrom(
      "\r\n",
      "\n",
      "\r",
      " ",
      ":",
      "\t",
      "GET ",
      "http://allowed.example/",
      " HTTP/1.1",
      HOST,
      "Content-Length: 1",
      "X: y",
      "\0",
      "é",
    );
    fc.assert(
      fc.property(fc.oneof(fc.array(part, { maxLength: 14 }), fc.array(fc.string({ unit: "binary-ascii" }), { maxLength: 4 })), (parts) => {
        const read = readHead(bytesOf(parts.join("").replaceAll(/[^\0-\xff]/gu, "?")));
        if (read.kind !== "head") return;
        const request = plainRequest(read.head, "address");
        if (!request.ok) return;
        const text = textOf(request.value.head);
        expect(text.split("\r\n\r\n")).toHaveLength(2);
        expect(readHead(request.value.head)).toMatchObject({ kind: "head", length: text.length });
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a request to be passed on", () => {
  test("is written anew: the path alone, one Host, nothing for the proxy, and an end of its connection", () => {
    const head = headOf(
      lines(
        "POST HTTP://Allowed.Example:80/a?b HTTP/1.1",
        "X: \u00e9",
        "hOST: allowed.example:80",
        "Proxy-Authorization: Basic secret",
        "Proxy-Connection: keep-alive",
        "Connection: keep-alive, X-Gone",
        "X-Gone: yes",
        "Keep-Alive: 5",
        "Upgrade: h2c",
        "TE: trailers",
        "Content-Length: 4",
      ),
    );
    const request = plainRequest(head, "address");
    expect(request.ok && { ...request.value, head: textOf(request.value.head) }).toMatchObject({
      bodyBytes: 4,
      to: { host: { text: "allowed.example" }, port: 80 },
      head: lines("POST /a?b HTTP/1.1", "Host: allowed.example", "X: \u00e9", "Content-Length: 4", "Connection: close"),
    });
  });

  test.each([
    ["http://allowed.example", "/"],
    ["http://allowed.example?x", "/?x"],
    ["http://allowed.example/..//x", "/..//x"],
  ])("the path of %s is %s", (target, path) => {
    const request = plainRequest(headOf(lines(`GET ${target} HTTP/1.1`, HOST)), "address");
    expect(request.ok ? textOf(request.value.head).split(" ")[1] : request.error).toBe(path);
  });

  test.each([
    ["another Host", lines(GET, "Host: evil.example")],
    ["no Host", lines(GET)],
    ["two Hosts", lines(GET, HOST, HOST)],
    ["a Host by another port", lines(GET, "Host: allowed.example:81")],
    ["an odd Host", lines(GET, "Host: allowed.example.")],
    ["a path alone", lines("GET / HTTP/1.1", HOST)],
    ["https in the open", lines("GET https://allowed.example/ HTTP/1.1", HOST)],
    ["another scheme", lines("GET ftp://allowed.example/ HTTP/1.1", HOST)],
    ["a user", lines("GET http://u@allowed.example/ HTTP/1.1", HOST)],
    ["a host behind a user", lines("GET http://allowed.example@evil.example/ HTTP/1.1", HOST)],
    ["a host behind a backslash", lines("GET http://evil.example\\@allowed.example/ HTTP/1.1", HOST)],
    ["a fragment", lines("GET http://allowed.example/#@evil.example/ HTTP/1.1", HOST)],
    ["an empty host", lines("GET http:///x HTTP/1.1", HOST)],
    ["three slashes", lines("GET http:///allowed.example/ HTTP/1.1", HOST)],
    ["two lengths", lines(GET, HOST, "Content-Length: 4", "Content-Length: 4")],
    ["a list of lengths", lines(GET, HOST, "Content-Length: 4, 4")],
    ["a signed length", lines(GET, HOST, "Content-Length: +4")],
    ["a hexadecimal length", lines(GET, HOST, "Content-Length: 0x4")],
    ["a length with a zero in front", lines(GET, HOST, "Content-Length: 04")],
    ["a length beyond all", lines(GET, HOST, `Content-Length: ${"9".repeat(16)}`)],
    ["an empty length", lines(GET, HOST, "Content-Length:")],
    ["a body in pieces", lines(GET, HOST, "Transfer-Encoding: chunked")],
    ["a body in odd pieces", lines(GET, HOST, "Transfer-Encoding: xchunked", "Content-Length: 4")],
    ["a length that the proxy is to drop", lines(GET, HOST, "Connection: Content-Length", "Content-Length: 4")],
    ["a Host that the proxy is to drop", lines(GET, HOST, "Connection: close, host")],
  ])("is refused: %s", (_name, text) => expect(plainRequest(headOf(text), "address").ok).toBe(false));

  test("in a tunnel it names a path, and the tunnel's host", () => {
    const to = { host: { kind: "name", text: "allowed.example", bytes: null }, port: 8080 } as const;
    expect(plainRequest(headOf(lines("GET /x HTTP/1.1", "Host: allowed.example:8080")), to).ok).toBe(true);
    for (const text of [
      lines("GET /x HTTP/1.1", HOST),
      lines("GET http://allowed.example:8080/ HTTP/1.1", "Host: allowed.example:8080"),
      lines("OPTIONS * HTTP/1.1", "Host: allowed.example:8080"),
    ])
      expect(plainRequest(headOf(text), to).ok).toBe(false);
  });
});

describe("a request for a tunnel", () => {
  const target = (text: string): string | null => {
    const to = connectTarget(headOf(text));
    return to.ok ? `${to.value.host.text} ${to.value.port}` : null;
  };

  test.each([
    [lines("CONNECT allowed.example:443 HTTP/1.1", "Host: allowed.example:443"), "allowed.example 443"],
    [lines("CONNECT allowed.example:443 HTTP/1.1", HOST), "allowed.example 443"],
    [lines("CONNECT ALLOWED.example:443 HTTP/1.0"), "allowed.example 443"],
    [lines("CONNECT [2001:db8::1]:443 HTTP/1.1"), "2001:db8::1 443"],
    [lines("CONNECT allowed.example HTTP/1.1", HOST), null],
    [lines("CONNECT allowed.example:443 HTTP/1.1", "Host: evil.example:443"), null],
    [lines("CONNECT allowed.example:443 HTTP/1.1", "Host: allowed.example:80"), null],
    [lines("CONNECT allowed.example:443 HTTP/1.1", HOST, HOST), null],
    [lines("CONNECT http://allowed.example:443 HTTP/1.1", HOST), null],
    [lines("CONNECT allowed.example:443/ HTTP/1.1", HOST), null],
    [lines("CONNECT u@allowed.example:443 HTTP/1.1", HOST), null],
    [lines("CONNECT allowed.example:443 HTTP/1.1", HOST, "Content-Length: 0"), null],
    [lines("CONNECT allowed.example:443 HTTP/1.1", HOST, "Transfer-Encoding: chunked"), null],
  ])("%j leads to %j", (text, wanted) => expect(target(text)).toBe(wanted));
});

describe("SOCKS", () => {
  const request = (name: string, port = 443): Uint8Array =>
    Uint8Array.from([5, 1, 0, 3, name.length, ...bytesOf(name), port >> 8, port & 255]);
  const read = (bytes: Uint8Array): string => {
    const found = readRequest(bytes);
    if (found.kind !== "read") return found.kind;
    return found.value.to.ok ? `${found.value.to.value.host.text} ${found.value.to.value.port}` : "unreadable";
  };

  test.each<[string, Uint8Array, string]>([
    ["a name", request("allowed.example"), "allowed.example 443"],
    ["an address", Uint8Array.of(5, 1, 0, 1, 192, 0, 2, 10, 0, 80), "192.0.2.10 80"],
    ["a long address", Uint8Array.of(5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80), "2001:db8::1 80"],
    ["a NUL in the name", request("evil.example\0.allowed.example"), "unreadable"],
    ["an address as a name", request("127.0.0.1"), "127.0.0.1 443"],
    ["an odd address as a name", request("0x7f.1"), "unreadable"],
    ["no name", request(""), "unreadable"],
    ["port 0", request("allowed.example", 0), "unreadable"],
    ["a listener", request("allowed.example").with(1, 2), "refused"],
    ["datagrams", request("allowed.example").with(1, 3), "refused"],
    ["another version", request("allowed.example").with(0, 4), "refused"],
    ["a reserved byte", request("allowed.example").with(2, 1), "refused"],
    ["another kind of address", request("allowed.example").with(3, 2), "refused"],
    ["half of it", request("allowed.example").subarray(0, 9), "more"],
  ])("a request with %s is %s", (_name, bytes, wanted) => expect(read(bytes)).toBe(wanted));

  test("any bytes are read without a throw, and nothing is taken that is not there", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.constantFrom([], [5], [5, 1, 0, 3], [1, 4]), (rest, start) => {
        const bytes = Uint8Array.from([...start, ...rest]);
        for (const found of [readGreeting(bytes), readCredentials(bytes), readRequest(bytes)])
          if (found.kind === "read") expect(found.length).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 1000 },
    );
  });
});
