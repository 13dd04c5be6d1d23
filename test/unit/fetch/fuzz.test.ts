import { test } from "bun:test";
import { fuzzPages } from "../../support/web-fuzz.ts";

test(
  "1,000 pages that nobody would write: nothing breaks, nothing hidden is read, nothing grows without bound",
  () => fuzzPages(1000),
  60_000,
);
