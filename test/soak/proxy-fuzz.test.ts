import { expect, test } from "bun:test";
import { fuzzProxy } from "../support/proxy-fuzz.ts";

test("of ten thousand connections to the proxy only what was named goes out", () => {
  const { through, refused } = fuzzProxy(10_000);
  expect(through).toBeGreaterThan(300);
  expect(refused).toBeGreaterThan(3000);
}, 120_000);
