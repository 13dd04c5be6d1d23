import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { catalogue, parseCatalogue, partName, partOf, wholeName } from "../../../src/models/catalogue.ts";
import profile from "../../../profiles/models.json" with { type: "json" };
import { fittingContext, memoryNeed, type ModelShape, together, usableMemory } from "../../../src/models/plan.ts";
import { shapeOfCatalogue } from "../../../src/models/shape.ts";

const MIB = 2 ** 20;

function shape(name: string): ModelShape {
  const model = catalogue().find(name);
  if (!model) throw new Error(name);
  return shapeOfCatalogue(model);
}

/** MiB, without the runtime: llama.cpp's own figures. */
const bare = (name: string, context: number): number => {
  const need = memoryNeed(shape(name), context, "gpu");
  return (need.total - need.runtime) / MIB;
};

describe("the memory plan", () => {
  test.each([
    ["qwen2.5:7b", 4096, 4703],
    ["qwen2.5:7b", 32768, 6271],
    ["qwen2.5:1.5b", 4096, 1350],
    ["qwen2.5:1.5b", 32768, 2134],
  ] as const)("%s at %i tokens is within 2 %% of what llama.cpp reports", (name, context, expected) => {
    expect(Math.abs(bare(name, context) / expected - 1)).toBeLessThan(0.02);
  });

  test("weights on the GPU leave an input embedding behind that is not tied", () => {
    expect(memoryNeed(shape("qwen2.5:7b"), 4096, "gpu").weights / MIB).toBeWithin(4085, 4251);
    expect(memoryNeed(shape("qwen2.5:1.5b"), 4096, "gpu").weights / MIB).toBeWithin(916, 954);
  });

  test("both tiers at 4k take what both take, and one runtime", () => {
    const both = together(memoryNeed(shape("qwen2.5:7b"), 4096, "gpu"), memoryNeed(shape("qwen2.5:1.5b"), 4096, "gpu"));
    expect(Math.abs((both / MIB - 400) / 6053 - 1)).toBeLessThan(0.02);
  });

  test("state per token: 56 KiB for the 7B, 28 for the 1.5B", () => {
    expect(memoryNeed(shape("qwen2.5:7b"), 4096, "ram").kv / 4096).toBe(56 * 1024);
    expect(memoryNeed(shape("qwen2.5:1.5b"), 4096, "ram").kv / 4096).toBe(28 * 1024);
  });

  test("cells come in steps of 256", () => {
    expect(memoryNeed(shape("starter"), 257, "ram").kv).toBe(memoryNeed(shape("starter"), 512, "ram").kv);
  });

  test("more context never needs less, and what fits fits", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 64_000 }), fc.integer({ min: 256, max: 200_000 }), (mib, wanted) => {
        const model = shape("qwen2.5:1.5b");
        const context = fittingContext(model, mib * MIB, "ram", wanted);
        if (context === null) return expect(memoryNeed(model, Math.min(2048, wanted), "ram").total).toBeGreaterThan(mib * MIB);
        expect(context).toBeLessThanOrEqual(Math.min(wanted, 32768));
        expect(memoryNeed(model, context, "ram").total).toBeLessThanOrEqual(mib * MIB);
      }),
    );
  });

  test("no context beyond training", () => {
    expect(fittingContext(shape("starter"), 1e12, "ram", 100_000)).toBe(8192);
  });

  test("something is left to the host", () => {
    expect(usableMemory({ availableMemory: 8e9, totalMemory: 16e9 })).toBeLessThan(7.5e9);
    expect(usableMemory({ availableMemory: 1e6, totalMemory: 16e9 })).toBe(0);
  });
});

describe("the catalogue", () => {
  test("has the models of every role, found by name and alias in any case", () => {
    expect(catalogue().find("QWEN2.5:7B")?.role).toBe("primary");
    expect(catalogue().find("router")?.name).toBe("qwen2.5:1.5b-instruct-q4_K_M");
    expect(catalogue().find("starter")?.sha256).toBe("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53");
    expect(catalogue().find("nothing")).toBeNull();
  });

  test("knows files by whoever published them, whole or in parts", () => {
    const ofFile = (file: string) => catalogue().ofFile(file);
    expect(ofFile("Qwen2.5-7B-Instruct-Q4_K_M.gguf")?.role).toBe("primary");
    expect(ofFile("qwen2.5-7b-instruct-q4_k_m-00002-of-00002.gguf")?.role).toBe("primary");
    expect(ofFile("other.gguf")).toBeNull();
  });

  test("names what a person may have meant", () => {
    expect(catalogue().near("qwen2.5:7bb")).toContain("qwen2.5:7b-instruct-q4_K_M");
    expect(catalogue().near("smollm2:360m")[0]).toBe("smollm2:135m-instruct-q4_1");
    expect(catalogue().near("zzzzzzzz")).toEqual([]);
  });

  test("names, aliases and files are nobody else's", () => {
    const { models } = catalogue();
    const names = models.flatMap((model) => [model.name, ...model.aliases]).map((name) => name.toLowerCase());
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(models.map((model) => model.file)).size).toBe(models.length);
  });

  test("a slip in the profile is a bug and throws", () => {
    expect(() => parseCatalogue({ models: [{ ...profile.models[0], extra: 1 }] })).toThrow();
    expect(() => parseCatalogue({ models: [{ ...profile.models[0], file: "../../etc/passwd" }] })).toThrow();
  });

  test("parts are named as llama.cpp names them", () => {
    expect(partOf("a-00002-of-00003.gguf")).toEqual({ index: 2, count: 3 });
    expect(partOf("a.gguf")).toBeNull();
    expect(partName("a-00002-of-00003.gguf", 1)).toBe("a-00001-of-00003.gguf");
    expect(wholeName("a-00002-of-00003.gguf")).toBe("a.gguf");
  });
});
