import { describe, expect, test } from "bun:test";
import { endorse, literalsOf } from "../../../src/bark/monitor/endorse.ts";
import { PermitDesk, PERMIT_LIFETIME } from "../../../src/bark/monitor/permit.ts";
import type { Argument, Permit } from "../../../src/bark/types.ts";
import type { Millis } from "../../../src/lib/brand.ts";

const tainted = (value: string | number, role: Argument["role"] = "control"): Argument => ({
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
  ] as const)("not: %s → %s %s", (said, type, value) => {
    expect(endorse(tainted(value), [type], literalsOf(said)).label.i).toBe(0);
  });

  test("lifts that argument's integrity alone", () => {
    const lifted = endorse(tainted("a/b"), ["path"], literalsOf("use a/b"));
    expect(lifted.label).toEqual({ c: 2, k: ["web"], i: 3, p: ["a page"] });
    expect(endorse(tainted("a/b", "content"), ["path"], literalsOf("use a/b")).label.i).toBe(0);
  });
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
