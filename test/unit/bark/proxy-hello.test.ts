import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { MOST_HELLO, readHello } from "../../../src/bark/proxy/hello.ts";
import { clientHello, helloMessage, type HelloOptions } from "../../support/client-hello.ts";

describe("the greeting inside a tunnel", () => {
  test("is read from one record or many, and from any number of segments", () => {
    const options = fc.record({ record: fc.integer({ min: 1, max: 300 }), padding: fc.nat(600), cut: fc.nat(2000) });
    fc.assert(
      fc.property(options, ({ record, padding, cut }) => {
        const bytes = clientHello({ record, padding });
        expect(readHello(bytes)).toEqual({ kind: "hello", name: "allowed.example" });
        // Until its last byte nobody knows what it says.
        expect(readHello(bytes.subarray(0, Math.min(cut, bytes.length - 1)))).toEqual({ kind: "more" });
      }),
    );
  });

  const changed = (at: number, value: number): Uint8Array => clientHello().with(at, value);
  test.each<[string, Uint8Array]>([
    ["no server name", clientHello({ names: [] })],
    ["no extensions", clientHello({ withoutExtensions: true })],
    ["two server names in two extensions", clientHello({ names: ["allowed.example", "evil.example"] })],
    ["the same name twice", clientHello({ names: ["allowed.example", "allowed.example"] })],
    ["two server names in one extension", clientHello({ names: ["allowed.example", "evil.example"], list: true })],
    ["an empty name", clientHello({ names: [""] })],
    ["plain HTTP", new TextEncoder().encode("GET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n")],
    ["SSH", new TextEncoder().encode("SSH-2.0-x\r\n")],
    ["SSL 2", Uint8Array.of(0x80, 0x2e, 1, 3, 1)],
    ["an alert", Uint8Array.of(21, 3, 1, 0, 2, 1, 0)],
    ["another handshake message", changed(5, 2)],
    ["a record of another version", changed(1, 2)],
    ["a message of another version", changed(9, 2)],
    ["an empty record", Uint8Array.of(22, 3, 1, 0, 0)],
    ["a record that is too long", Uint8Array.of(22, 3, 1, 0x40, 1)],
    ["a message that is too long", Uint8Array.of(22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff)],
    ["a message within the greeting's last record", joined(clientHello().with(4, (clientHello()[4] ?? 0) + 4), Uint8Array.of(14, 0, 0, 0))],
    ["another kind of record in the middle", joined(clientHello({ record: 20 }).subarray(0, 25), Uint8Array.of(23, 3, 3, 0, 1, 0))],
  ])("is refused: %s", (_name, bytes) => expect(readHello(bytes).kind).toBe("refused"));

  function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
    return Uint8Array.from([...a, ...b]);
  }

  test("what follows it in a record of its own is none of its", () => {
    expect(readHello(clientHello({ after: Uint8Array.of(20, 3, 3, 0, 1, 1) }))).toEqual({ kind: "hello", name: "allowed.example" });
  });

  test("with any byte changed it names the server that it names, or is refused, and never is waited for without end", () => {
    const message = fc.record({ at: fc.nat(120), value: fc.nat(255), record: fc.integer({ min: 1, max: 200 }) });
    fc.assert(
      fc.property(message, ({ at, value, record }) => {
        const bytes = clientHello({ record });
        if (at >= bytes.length) return;
        const read = readHello(bytes.with(at, value));
        if (read.kind === "hello") expect(read.name).toHaveLength("allowed.example".length);
      }),
      { numRuns: 1000 },
    );
    const endless = clientHello({ record: 1 }).subarray(0, 6);
    expect(readHello(joined(endless, new Uint8Array(MOST_HELLO * 2))).kind).toBe("refused");
  });

  test("any bytes at all are read without a throw", () => {
    const options = fc.record({
      names: fc.array(fc.string({ unit: "binary-ascii", maxLength: 300 }), { maxLength: 3 }),
      list: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 400 }),
          options.map((some: HelloOptions) => helloMessage(some)),
        ),
        (bytes) => {
          const inRecord = joined(Uint8Array.of(22, 3, 1, bytes.length >> 8, bytes.length & 255), bytes);
          for (const text of [bytes, inRecord]) expect(["more", "hello", "refused"]).toContain(readHello(text).kind);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
