import { describe, expect, test } from "bun:test";
import { inTurn, pairedRatio, quantile, summarise } from "../../scripts/bench/stats.ts";
import { formatTable, met, skipped } from "../../scripts/bench/table.ts";

describe("bench statistics", () => {
  test("median, spread and quantiles", () => {
    expect(summarise([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, n: 3 });
    expect(summarise([4, 1, 2, 3]).median).toBe(2.5);
    expect(quantile([0, 10], 0.95)).toBe(9.5);
  });

  test("ratios are taken pair by pair", () => {
    expect(pairedRatio([2, 40, 6], [1, 10, 3])).toEqual({ median: 2, min: 2, max: 4, n: 3 });
    expect(() => pairedRatio([1], [1, 2])).toThrow();
  });

  test("two things are run in turn, and the first round does not count", async () => {
    const order: string[] = [];
    const next = (name: string) => async () => order.push(name);
    const { a, b } = await inTurn(2, next("a"), next("b"));
    expect(order.join("")).toBe("ababab");
    expect([a, b]).toEqual([
      [3, 5],
      [4, 6],
    ]);
  });
});

test("a table says what was measured, what was missed and what was skipped", () => {
  const good = { what: "fast", unit: "ms", value: summarise([1, 2, 3]), target: { at: "most", value: 5 } } as const;
  const bad = { what: "slow", unit: "×", value: summarise([0.5]), target: { at: "least", value: 0.9 } } as const;
  const none = skipped("gone", "no model");
  expect([good, bad, none].map(met)).toEqual([true, false, null]);
  expect(formatTable("area", [good, bad, none]).split("\n")).toEqual([
    "area  median   min – max         target",
    "fast  2.00 ms  1.00 – 3.00, n 3  ≤ 5     ✓",
    "slow  0.500 ×                    ≥ 0.9   ✗",
    "gone  -                                     skipped: no model",
  ]);
});
