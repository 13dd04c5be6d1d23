import { expect, test } from "bun:test";
import fc from "fast-check";
import { MAX_PIPED, readLines, readPiped, type SilenceRule } from "../../../src/headless/piped-text.ts";
import { ManualTimers } from "../../support/scripted-session.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const rule = (rest: Partial<SilenceRule> = {}): SilenceRule => ({
  policy: "auto",
  timers: new ManualTimers(),
  onSilent: () => undefined,
  ...rest,
});

async function* from(...chunks: readonly (Uint8Array | string)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === "string" ? encode(chunk) : chunk;
}

/** `text` cut at the given places, wherever they fall in a character. */
function cut(text: string, places: readonly number[]): Uint8Array[] {
  const bytes = encode(text);
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.slice(at[index], end));
}

test("any text in any pieces comes out whole", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "grapheme" }), fc.array(fc.nat(200), { maxLength: 5 }), async (text, places) => {
      fc.pre(!text.includes("\0") && !text.startsWith("\ufeff"));
      expect(await readPiped(from(...cut(text, places)), rule())).toEqual({ ok: true, value: text });
    }),
  );
});

test("lines in any pieces are the lines of the whole", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: "grapheme" }), { minLength: 1 }),
      fc.array(fc.nat(200), { maxLength: 6 }),
      async (texts, places) => {
        const lines = texts.map((text) => text.replaceAll(/[\0\n\r\ufeff]/gu, "x"));
        const found: string[] = [];
        for await (const line of readLines(from(...cut(`${lines.join("\n")}\n`, places)), rule())) if (line.ok) found.push(line.value);
        expect(found).toEqual(lines);
      },
    ),
  );
});

test("a BOM is dropped, CRLF ends a line too, a last line needs no end", async () => {
  expect(await readPiped(from("\ufeffhi"), rule())).toEqual({ ok: true, value: "hi" });
  const lines: unknown[] = [];
  for await (const line of readLines(from("\ufeffa\r\nb"), rule())) lines.push(line.ok && line.value);
  expect(lines).toEqual(["a", "b"]);
});

test("what is no text is refused by what it is", async () => {
  expect(await readPiped(from("ab", "c\0d"), rule())).toMatchObject({ error: { kind: "binary", offset: 3 } });
  expect(await readPiped(from(new Uint8Array([0x63, 0xe9, 0x20])), rule())).toMatchObject({ error: { kind: "not-utf8" } });
  expect(await readPiped(from(new Uint8Array([0xc3])), rule())).toMatchObject({ error: { kind: "not-utf8" } });
  expect(await readPiped(from(new Uint8Array([0xff, 0xfe, 0x68, 0])), rule())).toMatchObject({ error: { kind: "utf16" } });
});

test("a bad line does not spoil the next", async () => {
  const kinds: unknown[] = [];
  for await (const line of readLines(from(new Uint8Array([0xe9, 10]), "ok\n", "a\0\n", "fine"), rule()))
    kinds.push(line.ok ? line.value : line.error.kind);
  expect(kinds).toEqual(["not-utf8", "ok", "binary", "fine"]);
});

test("reading stops at the limit and leaves the rest unread", async () => {
  let read = 0;
  let closed = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        read += 1_000_000;
        yield new Uint8Array(1_000_000).fill(97);
      }
    } finally {
      closed = true;
    }
  }
  expect(await readPiped(endless(), rule())).toMatchObject({ error: { kind: "too-large", limit: MAX_PIPED } });
  expect(read).toBeLessThan(MAX_PIPED + 3_000_000);
  expect(closed).toBe(true);
});

test("silence is named once after 2 s and left after 30 s", async () => {
  const timers = new ManualTimers();
  let named = 0;
  const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
  const reading = readPiped(silent, rule({ timers, onSilent: () => named++ }));
  await Bun.sleep(0);
  timers.advance(1999);
  expect(named).toBe(0);
  timers.advance(1);
  expect(named).toBe(1);
  timers.advance(28_000);
  expect(await reading).toEqual({ ok: false, error: { kind: "silent", seconds: 30 } });
  expect(named).toBe(1);
  expect(timers.pending).toBe(0);
});

test("--stdin wait names the silence and waits on; every piece starts the clock anew", async () => {
  for (const policy of ["wait", "auto"] as const) {
    const timers = new ManualTimers();
    let release: (() => void) | undefined;
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (const part of ["a", "b"]) {
        await new Promise<void>((resolve) => (release = resolve));
        yield encode(part);
      }
    }
    const reading = readPiped(slow(), rule({ timers, policy }));
    for (let part = 0; part < 2; part++) {
      await Bun.sleep(0);
      timers.advance(policy === "wait" ? 3_600_000 : 29_000);
      release?.();
    }
    expect(await reading).toEqual({ ok: true, value: "ab" });
  }
});
