import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { endorse, literalsOf } from "../../../src/bark/monitor/endorse.ts";
import { PermitDesk, PERMIT_LIFETIME } from "../../../src/bark/monitor/permit.ts";
import type { Argument, Permit } from "../../../src/bark/types.ts";
import type { Millis } from "../../../src/lib/brand.ts";

const tainted = (value: Argument["value"], role: Argument["role"] = "control"): Argument => ({
  name: "path",
  role,
  value,
  label: { c: 2, k: ["web"], i: 0, p: ["a page"] },
  required: 3,
});

describe("a literal that the person typed", () => {
  test.each([
    ["open notes/plan.md please", "path", "notes/plan.md"],
    ['read "my file.txt"', "quoted", "my file.txt"],
    ["fetch https://example.org/a?b=c.", "url", "https://example.org/a?b=c"],
    ["look at example.org", "host", "example.org"],
    ["send 13 of them", "number", 13],
  ] as const)("%s", (said, type, value) => {
    expect(endorse(tainted(value), [type], literalsOf(said)).label.i).toBe(3);
  });

  test.each([
    ["June 13 was fine", "number", 1],
    ["cat /etc/passwd", "path", "/etc"],
    ["fetch https://example.org/a", "url", "https://example.org/"],
    ["fetch https://user:pw@evil.example@example.org/", "host", "user"],
    ["delete notes.txt", "path", "notes.txt.bak"],
    ["read notes.txt", "url", "notes.txt"],
    ["send 13 of them", "number", "0x0d"],
    ["send 13 of them", "number", "13.0"],
    ["send 13 of them", "word", 13],
    ["open Notes.txt", "path", "notes.txt"],
  ] as const)("not: %s → %s %s", (said, type, value) => {
    expect(endorse(tainted(value), [type], literalsOf(said)).label.i).toBe(0);
  });

  test("lifts that argument's integrity alone", () => {
    const lifted = endorse(tainted("a/b"), ["path"], literalsOf("use a/b"));
    expect(lifted.label).toEqual({ c: 2, k: ["web"], i: 3, p: ["a page"] });
    expect(endorse(tainted("a/b", "content"), ["path"], literalsOf("use a/b")).label.i).toBe(0);
  });
});

describe("any message", () => {
  /** Entities without a character that stands for something between them. */
  const chars = (alphabet: readonly string[], minLength: number, maxLength: number) =>
    fc.array(fc.constantFrom(...alphabet), { minLength, maxLength }).map((found) => found.join(""));
  const name = chars(["a", "b", "c", "d", "e", "f", "g"], 1, 4);
  const entity = fc.oneof(
    name.map((value) => ({ type: "word" as const, value, said: value })),
    fc.tuple(name, name).map(([a, b]) => ({ type: "path" as const, value: `${a}/${b}`, said: `${a}/${b}` })),
    fc.tuple(name, name).map(([a, b]) => ({ type: "quoted" as const, value: `${a} ${b}`, said: `"${a} ${b}"` })),
    fc.tuple(name, name).map(([a, b]) => ({ type: "url" as const, value: `https://${a}.test/${b}`, said: `https://${a}.test/${b}` })),
    fc.nat({ max: 99 }).map((value) => ({ type: "number" as const, value, said: String(value) })),
  );
  const TYPES = ["path", "url", "host", "number", "word", "quoted"] as const;

  test("lifts what equals one of its entities in type and value, and nothing else: no part of one, no two of them together", () => {
    let lifted = 0;
    fc.assert(
      fc.property(
        fc.array(entity, { minLength: 1, maxLength: 6 }),
        entity,
        fc.subarray([...TYPES], { minLength: 1 }),
        fc.nat({ max: 20 }),
        (said, other, accepts, cut) => {
          const message = said.map((one) => one.said).join(" ");
          const literals = literalsOf(message);
          const whole = [other, ...said].map(({ value }) => value);
          const parts = whole.flatMap((value) =>
            typeof value === "string" ? [value.slice(cut % value.length), value.slice(0, cut % value.length), message] : [],
          );
          for (const value of [...whole, ...parts]) {
            const i = endorse(tainted(value), accepts, literals).label.i;
            const expected = says(said, accepts, value);
            if (i === 3) lifted++;
            expect(i, JSON.stringify({ message, value, accepts })).toBe(expected ? 3 : 0);
          }
        },
      ),
      { numRuns: 1500 },
    );
    expect(lifted).toBeGreaterThan(500);
  });

  interface Said {
    readonly type: string;
    readonly value: string | number;
    readonly said: string;
  }
  /** Of an address its host is an entity as well, and the words inside quotation marks are words. */
  function says(said: readonly Said[], accepts: readonly string[], value: string | number): boolean {
    const all = said.flatMap((one): readonly Said[] => {
      if (one.type === "quoted")
        return [
          one,
          ...String(one.value)
            .split(" ")
            .map((word) => ({ type: "word", value: word, said: word })),
        ];
      if (one.type === "url") return [one, { type: "host", value: new URL(one.said).hostname, said: "" }];
      return one.type === "number" ? [one, { ...one, value: one.said }] : [one];
    });
    return all.some((one) => accepts.includes(one.type) && one.value === value);
  }
});

describe("permits", () => {
  const desk = new PermitDesk((bytes) => new Uint8Array(new Bun.CryptoHasher("sha256").update(bytes).digest()));
  const plan = { argv: ["ls", "-l"], cwd: "." };
  const now = 1_000_000 as Millis;

  test("are good for their plan, once", () => {
    const permit = desk.mint(plan, now);
    expect(desk.spend(permit, { cwd: ".", argv: ["ls", "-l"] }, now)).toBeNull();
    expect(desk.spend(permit, plan, now)).toBe("spent");
  });

  test("are good for no other plan, and spent by the attempt", () => {
    const permit = desk.mint(plan, now);
    expect(desk.spend(permit, { ...plan, argv: ["ls", "-l", "/"] }, now)).toBe("other-plan");
    expect(desk.spend(permit, plan, now)).toBe("spent");
  });

  test("expire", () => {
    expect(desk.spend(desk.mint(plan, now), plan, (now + PERMIT_LIFETIME + 1) as Millis)).toBe("expired");
  });

  test("are made nowhere else: a copy, a frozen look-alike and another desk's are unknown", () => {
    const permit = desk.mint(plan, now);
    const forged = { ...permit } as Permit;
    expect(desk.spend(forged, plan, now)).toBe("unknown");
    expect(new PermitDesk((b) => b).spend(permit, plan, now)).toBe("unknown");
    expect(() => Object.assign(permit, { expiresAt: Infinity })).toThrow();
  });
});
