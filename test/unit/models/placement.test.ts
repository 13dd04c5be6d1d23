import { describe, expect, test } from "bun:test";
import type { HostFacts } from "../../../src/config/host.ts";
import { catalogue } from "../../../src/models/catalogue.ts";
import type { Installed } from "../../../src/models/inventory.ts";
import { type Candidate, placeBest, placeNamed } from "../../../src/models/placement.ts";
import { emptyRecord, withHost } from "../../../src/models/record.ts";
import { shapeOfCatalogue } from "../../../src/models/shape.ts";

const FINGERPRINT = "0123456789abcdef";
const host = (gigabytes: number): HostFacts => ({
  cores: 4,
  totalMemory: gigabytes * 1e9,
  availableMemory: gigabytes * 1e9,
  gpu: null,
  fingerprint: FINGERPRINT,
});
const wish = { model: null, contextSize: null, gpu: "auto" } as const;

function candidate(name: string, speed: number | null = null): Candidate {
  const entry = catalogue().find(name);
  if (!entry) throw new Error(name);
  const size = entry.size ?? 0;
  const empty = emptyRecord([{ name: entry.file, size }]);
  const threads =
    speed === null
      ? null
      : { prompt: 2, generate: 2, measured: [{ threads: 2, promptTokensPerSecond: speed * 9, generateTokensPerSecond: speed }] };
  const model = {
    name: entry.name,
    path: `/stick/models/${entry.file}`,
    files: [],
    size,
    first: { size, mtimeMs: 0, inode: 1 },
    entry,
    record: threads ? withHost(empty, FINGERPRINT, { threads }) : null,
    facts: { parameters: entry.parameters },
    linked: false,
  } as unknown as Installed;
  return { model, shape: shapeOfCatalogue(entry), template: null };
}

const names = (placed: ReturnType<typeof placeBest>) =>
  placed.ok ? [placed.value.task?.name, placed.value.quick?.name] : placed.error.kind;
const [primary, router, starter, four] = ["primary", "router", "starter", "qwen3:4b"].map((name) => candidate(name)) as [
  Candidate,
  Candidate,
  Candidate,
  Candidate,
];

describe("the automatic choice", () => {
  test("primary and router, where both fit", () => {
    const placed = placeBest(host(16), [starter, router, primary], wish);
    expect(names(placed)).toEqual([primary.model.name, router.model.name]);
    expect(placed).toMatchObject({ value: { task: { contextSize: 8192 }, quick: { contextSize: 8192 } } });
  });

  test("with less memory contexts shrink before a tier is given up", () => {
    const placed = placeBest(host(7.1), [router, primary], wish);
    expect(names(placed)).toEqual([primary.model.name, router.model.name]);
    expect(placed.ok && (placed.value.quick?.contextSize ?? 0) < 8192).toBe(true);
  });

  test("one model for both, where two do not fit", () => {
    expect(names(placeBest(host(5.9), [router, primary], wish))).toEqual([primary.model.name, primary.model.name]);
  });

  test("the largest that fits, and the reason names the one that does not", () => {
    const placed = placeBest(host(3), [starter, router, primary], wish);
    expect(names(placed)).toEqual([router.model.name, router.model.name]);
    expect(placed.ok && placed.value.reason).toContain(`${primary.model.name} does not`);
  });

  test("the starter answers for nobody larger", () => {
    expect(names(placeBest(host(16), [starter, primary], wish))).toEqual([primary.model.name, primary.model.name]);
    expect(names(placeBest(host(16), [starter], wish))).toEqual([starter.model.name, starter.model.name]);
  });

  test("two task models: the smaller is no quick one", () => {
    expect(names(placeBest(host(32), [four, primary], wish))).toEqual([primary.model.name, primary.model.name]);
  });

  test("nothing fits: an error with both figures", () => {
    expect(placeBest(host(0.3), [primary, starter], wish)).toMatchObject({
      ok: false,
      error: { kind: "does-not-fit", name: starter.model.name },
    });
  });

  test("nothing installed is no error", () => {
    expect(placeBest(host(16), [], wish)).toMatchObject({ ok: true, value: { quick: null, task: null } });
  });

  test("order of the folder does not matter", () => {
    expect(placeBest(host(16), [primary, router, starter], wish)).toEqual(placeBest(host(16), [starter, router, primary], wish));
  });
});

describe("a wish", () => {
  test("for a model is met by that one for both tiers", () => {
    const placed = placeNamed(host(16), router, { ...wish, model: "router" });
    expect(names(placed)).toEqual([router.model.name, router.model.name]);
  });

  test("for a context is met exactly, within training", () => {
    expect(placeNamed(host(16), router, { ...wish, contextSize: 5000 })).toMatchObject({ value: { task: { contextSize: 5000 } } });
    expect(placeNamed(host(16), router, { ...wish, contextSize: 1_000_000 })).toMatchObject({ value: { task: { contextSize: 32768 } } });
  });

  test("that does not fit is refused, never quietly cut", () => {
    expect(placeNamed(host(6), primary, { ...wish, contextSize: 32768 })).toMatchObject({ ok: false, error: { kind: "does-not-fit" } });
    expect(placeBest(host(6), [primary], { ...wish, contextSize: 32768 })).toMatchObject({ ok: false, error: { kind: "does-not-fit" } });
  });
});

describe("speed", () => {
  test("is quoted from a measurement of this computer", () => {
    const placed = placeBest(host(16), [candidate("router", 12.34)], wish);
    expect(placed.ok && placed.value.reason).toContain("measured on this computer: 12 tokens/s");
    expect(placed).toMatchObject({ value: { task: { threads: { generate: 2 } } } });
  });

  test("of another computer says nothing here", () => {
    const placed = placeBest({ ...host(16), fingerprint: "fedcba9876543210" }, [candidate("router", 12.34)], wish);
    expect(placed.ok && placed.value.reason).toContain("not measured yet");
    expect(placed).toMatchObject({ value: { task: { threads: null } } });
  });
});
