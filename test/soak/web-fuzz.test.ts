import { test } from "bun:test";
import { fuzzPages } from "../support/web-fuzz.ts";

test(
  "10,000 pages that nobody would write: nothing breaks, nothing hidden is read, nothing grows without bound",
  () => fuzzPages(10_000),
  900_000,
);
