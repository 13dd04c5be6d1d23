/** What takes too long for every day: more pages that nobody would write, and servers that are waited for. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { NO_WEB, WebStage } from "../support/network.ts";
import { fuzzPages } from "../support/web-fuzz.ts";
import { LISTED } from "../support/web-places.ts";

test(
  "10,000 pages that nobody would write: nothing breaks, nothing hidden is read, nothing grows without bound",
  () => fuzzPages(10_000),
  900_000,
);

const why = NO_WEB === null ? "" : ` (skipped: ${NO_WEB})`;
describe.skipIf(NO_WEB !== null)(`web_fetch on the executable waits for nobody for ever${why}`, () => {
  let web: WebStage;
  beforeAll(async () => {
    web = new WebStage();
    await web.start();
  }, 30_000);
  afterAll(async () => await web[Symbol.asyncDispose]());

  test.each(["/silent", "/drips"])(
    "%s",
    async (path) => {
      const { code, out } = await web.play({ args: ["run", "web_fetch", `https://${LISTED}${path}`] });
      expect(code).toBe(16);
      expect(out).toContain("gave no answer in time");
    },
    90_000,
  );
});
