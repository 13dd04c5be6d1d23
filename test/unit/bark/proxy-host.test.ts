import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { notPublic, parseIpv4, parseIpv6, printIpv4, printIpv6 } from "../../../src/bark/proxy/address.ts";
import { parseAuthority, parseHost, spelled } from "../../../src/bark/proxy/host.ts";

const textOf = (written: string): string | null => {
  const host = parseHost(written);
  return host.ok ? host.value.text : null;
};

describe("a host as a program wrote it", () => {
  test.each([
    ["Example.ORG", "example.org"],
    ["a-b.c1.example", "a-b.c1.example"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["192.0.2.10", "192.0.2.10"],
    ["[2001:DB8::1]", "2001:db8::1"],
    ["[2001:0db8:0:0:0:0:0:1]", "2001:db8::1"],
    ["[::ffff:10.0.0.1]", "::ffff:a00:1"],
  ])("%j is %j", (written, text) => expect(textOf(written)).toBe(text));

  test.each([
    ["nothing", ""],
    ["a number", "2130706433"],
    ["a short number", "127.1"],
    ["hexadecimal", "0x7f.1"],
    ["hexadecimal in one", "0x7f000001"],
    ["octal", "0177.0.0.1"],
    ["a leading zero", "127.0.0.01"],
    ["too large a part", "127.0.0.256"],
    ["five parts", "1.2.3.4.5"],
    ["an empty hexadecimal", "127.0.0.0x"],
    ["a trailing dot", "example.org."],
    ["a trailing dot on an address", "127.0.0.1."],
    ["two dots", "example..org"],
    ["a leading dot", ".example.org"],
    ["one label", "localhost"],
    ["letters of another script", "exаmple.org"],
    ["full-width letters", "ｅxample.org"],
    ["an ideographic full stop", "example。org"],
    ["circled digits", "①②⑦.⓪.⓪.①"],
    ["a soft hyphen", "exam\u00adple.org"],
    ["a user", "allowed.example@evil.example"],
    ["a NUL", "evil.example\0.allowed.example"],
    ["an escape", "evil%2eexample.org"],
    ["a space", "evil example.org"],
    ["a line end", "evil.example\r\nHost: allowed.example"],
    ["a slash", "evil.example/allowed.example"],
    ["a backslash", "evil.example\\.allowed.example"],
    ["a question mark", "evil.example?.allowed.example"],
    ["an underscore", "_x.example.org"],
    ["a hyphen at the end", "a-.example"],
    ["a long label", `${"a".repeat(64)}.example`],
    ["a long name", `${"abcdefg.".repeat(32)}example`],
    ["a zone", "[fe80::1%eth0]"],
    ["an escaped zone", "[fe80::1%25eth0]"],
    ["an address without brackets", "::1"],
    ["half a bracket", "[::1"],
    ["two gaps", "[1::2::3]"],
    ["nine groups", "[1:2:3:4:5:6:7:8:9]"],
    ["a gap of nothing", "[1:2:3:4:5:6:7::8]"],
    ["an odd address in an address", "[::ffff:0x7f.1]"],
    ["a future address", "[v1.x]"],
  ])("is refused: %s", (_name, written) => expect(textOf(written)).toBeNull());

  test("whatever it is, a name that passes has one spelling and none of the characters that another reader acts on", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: "binary", maxLength: 40 }), fc.webAuthority(), fc.domain(), fc.ipV4Extended(), fc.ipV6()),
        (written) => {
          for (const form of [written, `[${written}]`]) {
            const host = parseHost(form);
            if (!host.ok) continue;
            expect(host.value.text).toMatch(host.value.kind === "v6" ? /^[0-9a-f:]+$/ : /^[a-z0-9.-]+$/);
            const again = host.value.kind === "v6" ? `[${host.value.text}]` : host.value.text;
            expect(textOf(again)).toBe(host.value.text);
            // A name is none that a reader of numbers takes for an address.
            if (host.value.kind === "name") expect(new URL(`http://${host.value.text}/`).hostname).toBe(host.value.text);
          }
        },
      ),
    );
  });

  test.each([
    ["example.org:443", ["example.org", 443]],
    ["[2001:db8::1]:8080", ["2001:db8::1", 8080]],
    ["example.org", null],
    ["example.org:", null],
    ["example.org:0", null],
    ["example.org:65536", null],
    ["example.org:+80", null],
    ["example.org:080", null],
    ["example.org:80:90", null],
    ["example.org: 80", null],
    ["u:p@example.org:80", null],
    ["example.org:80@evil.example:443", null],
    ["[2001:db8::1]", null],
    ["2001:db8::1:80", null],
  ])("host and port of %j", (written, wanted) => {
    const found = parseAuthority(written, null);
    expect(found.ok ? [found.value.host.text, found.value.port] : null).toEqual(wanted);
  });

  test("what stands in the log is short, and nothing that a terminal acts on", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => expect(spelled(text)).toMatch(/^[\x21-\x7e…]{0,100}$/)));
  });
});

describe("an address", () => {
  const kind = (text: string): string | null => {
    const bytes = parseIpv4(text) ?? parseIpv6(text);
    if (bytes === null) throw new Error(`${text} is no address`);
    return notPublic(bytes);
  };

  test.each([
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:192.0.2.10",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2002:a00:1::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "5f00::1",
    "4000::1",
    "2001:db8::5efe:10.0.0.1",
    "2001:db8::200:5efe:10.0.0.1",
  ])("is none of the internet at large: %s", (text) => expect(kind(text)).not.toBeNull());

  test.each([
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "192.0.2.10",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.1",
    "198.51.100.20",
    "203.0.113.5",
    "223.255.255.255",
    "2001:200::1",
    "2001:db8::10",
    "2003::1",
    "2600::1",
    "2a00:1450::1",
    "3fff::1",
  ])("is one of it: %s", (text) => expect(kind(text)).toBeNull());

  test("is read and written back the same, and read as a URL's reader reads it", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
        expect(parseIpv4(printIpv4(bytes))).toEqual(bytes);
      }),
    );
    const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, (values) => {
        const bytes = Uint8Array.from(values.flatMap((value) => [value >> 8, value & 255]));
        const text = printIpv6(bytes);
        expect(parseIpv6(text)).toEqual(bytes);
        expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
      }),
    );
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const bytes = parseIpv6(text);
        expect(bytes).not.toBeNull();
        // Some forms that RFC 4291 has, a URL's reader does not take.
        const url = URL.parse(`http://[${text}]/`);
        if (bytes !== null && url !== null) expect(`[${printIpv6(bytes)}]`).toBe(url.hostname);
      }),
    );
  });
});
