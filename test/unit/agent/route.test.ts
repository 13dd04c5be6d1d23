import { describe, expect, test } from "bun:test";
import { route } from "../../../src/agent/route.ts";
import type { PlannedModel } from "../../../src/models/port.ts";

const model = (name: string): PlannedModel => ({
  name,
  path: `models/${name}.gguf`,
  fileBytes: 1,
  contextSize: 4096,
  gpu: "auto",
  threads: null,
  template: null,
});
const both = { quick: model("small"), task: model("large"), reason: "", hint: "" };

describe("route", () => {
  test.each([
    ["hi, how are you?", "quick"],
    ["What is the capital of France?", "quick"],
    ["Please summarise this letter", "task"],
    ["Write a poem", "task"],
    ["why does this fail? ```ls```", "task"],
    ["x".repeat(300), "task"],
    ["The rewriter left", "quick"],
  ] as const)("%s → %s", (prompt, tier) => {
    const chosen = route(prompt, both);
    expect(chosen?.tier).toBe(tier);
    expect(chosen?.model.name).toBe(tier === "quick" ? "small" : "large");
    expect(chosen?.reason).not.toBe("");
  });

  test("one model serves both tiers, and the reason says so", () => {
    const only = model("only");
    const chosen = route("Write a poem", { ...both, quick: only, task: only });
    expect(chosen).toMatchObject({ tier: "task", model: only });
    expect(chosen?.reason).toContain("one model serves both tiers");
  });

  test("without a model there is no route", () => {
    expect(route("hi", { ...both, quick: null, task: null })).toBeNull();
  });
});
