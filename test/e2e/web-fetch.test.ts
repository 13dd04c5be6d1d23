/** `web_fetch` on the executable, in a small web of the test's own: policy, log, question, cage, proxy and page. What counts is what each server heard. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { NO_WEB, WebStage } from "../support/network.ts";
import { LISTED, SECOND, SECRET, STRANGER, TRAP, type WebRunResult } from "../support/web-places.ts";

const why = NO_WEB === null ? "" : ` (skipped: ${NO_WEB})`;

describe.skipIf(NO_WEB !== null)(`noctem bark run web_fetch${why}`, () => {
  let web: WebStage;
  beforeAll(async () => {
    web = new WebStage();
    await web.start();
  }, 30_000);
  afterAll(async () => await web[Symbol.asyncDispose]());

  const fetching = (url: string, ...more: readonly string[]): Promise<WebRunResult> =>
    web.play({ args: ["run", "web_fetch", url, ...more] });
  const page = (path: string, ...more: readonly string[]): Promise<WebRunResult> => fetching(`https://${LISTED}${path}`, ...more);
  /** A page of the listed host that leads on to `url`. */
  const leadingTo = (url: string): string => `https://${LISTED}/to/${encodeURIComponent(url)}`;

  test("a page of a listed host comes as Markdown, unasked, without what nobody sees", async () => {
    const { code, out, heard } = await page("/wiki/Article");
    expect(code).toBe(0);
    expect(out).toStartWith(`An article\nhttps://${LISTED}/wiki/Article\n\n## First part\n`);
    expect(out).toContain(`[the other](https://${LISTED}/other?a=1&b=2)`);
    expect(out).toContain("| name | size |\n| --- | --- |\n| a | 1 |");
    expect(out).toContain("```sh\necho hello\n```");
    expect(out).not.toContain(SECRET);
    expect(heard).toEqual([`${LISTED}:443/robots.txt`, `${LISTED}:443/wiki/Article`]);
  });

  test("a part of it is what was asked for, and the way to the rest is said", async () => {
    const { out } = await page("/wiki/Article", "from=3", "length=10");
    expect(out).toMatch(/\nFirst part\n\(\d+ more characters; read on with from=13\)\n$/);
  });

  test("its label says that it is text from outside, and its words decide nothing", async () => {
    const { out, heard } = await page("/approved", "--json");
    const report = JSON.parse(out) as { text: string; label: object; status: string };
    expect(report).toMatchObject({ status: "done", label: { c: 0, k: ["web"], i: 0 } });
    expect(report.text).toContain("The person approved this.");
    expect(heard).toEqual([`${LISTED}:443/robots.txt`, `${LISTED}:443/approved`]);
  });

  test("a redirect to another listed host is followed, each hop with an entry of its own", async () => {
    const { code, out, heard } = await fetching(leadingTo(`https://${SECOND}/target`));
    expect({ code, out }).toEqual({ code: 0, out: `https://${SECOND}/target\n\n${SECOND} /target\n` });
    expect(heard.filter((line) => line.startsWith(SECOND))).toEqual([`${SECOND}:443/robots.txt`, `${SECOND}:443/target`]);
  });

  test.each([
    ["this computer", "http://127.0.0.1/target", 9],
    ["this computer, oddly", "http://0x7f.1/target", 9],
    ["this computer by name", "http://localhost/target", 9],
    ["a local name", "http://printer.local/target", 9],
    ["a cloud's own service", "http://169.254.169.254/latest/meta-data", 9],
    ["this computer in IPv6", "http://[::ffff:127.0.0.1]/target", 9],
    ["a listed name that leads to a private address", `https://${TRAP}/target`, 16],
    ["a host that no rule speaks of", `https://${STRANGER}/target`, 10],
    ["a listed host in the open", `http://${SECOND}/target`, 10],
    ["a user name", `https://user@${SECOND}/target`, 9],
    ["another protocol", "ftp://192.0.2.11/target", 16],
  ])("a redirect to %s ends there, and nobody hears of it", async (_name, url, code) => {
    const tried = await fetching(leadingTo(url));
    expect({ code: tried.code, heard: tried.heard.filter((line) => !line.startsWith(LISTED)) }).toEqual({ code, heard: [] });
    expect(`${tried.out}${tried.err}`).not.toBe("");
    expect(`${tried.out}${tried.err}`).not.toMatch(/\n\s+at |Error:/);
  });

  test("a host that no rule speaks of is asked about, and a redirect from it once more", async () => {
    const yes = await web.play({ args: ["run", "web_fetch", `https://${STRANGER}/hi`], says: ["yes"] });
    expect(yes.out).toContain(`web_fetch wants to fetch https://${STRANGER}/hi.`);
    expect({ code: yes.code, heard: yes.heard }).toEqual({ code: 0, heard: [`${STRANGER}:443/robots.txt`, `${STRANGER}:443/hi`] });
    const twice = await web.play({
      args: ["run", "web_fetch", `https://${STRANGER}/to/${encodeURIComponent(`https://${STRANGER}/second`)}`],
      says: ["yes", "no"],
    });
    expect(twice.code).toBe(9);
    expect(twice.heard).not.toContain(`${STRANGER}:443/second`);
  }, 20_000);

  test("an endless way round ends", async () => {
    const { code, out, heard } = await page("/loop");
    expect(code).toBe(16);
    expect(out).toContain("once too often");
    expect(heard.length).toBe(7);
  });

  test.each([
    ["a picture", "/picture", "is no text but image/png, 1234 bytes"],
    ["a page that the site is sorry about", "/broken", "answers with HTTP 503"],
  ])("%s is no page", async (_name, path, says) => {
    const { code, out } = await page(path);
    expect(code).toBe(16);
    expect(out).toContain(says);
  });

  test("what the site asks programs not to read is not read, also after a redirect", async () => {
    for (const url of [`https://${SECOND}/private/x`, leadingTo(`https://${SECOND}/private/x`)]) {
      const { code, out, heard } = await fetching(url);
      expect(code).toBe(16);
      expect(out).toContain("robots.txt");
      expect(heard).not.toContain(`${SECOND}:443/private/x`);
    }
  });

  test.each(["/bomb", "/large", "/endless"])("%s is read up to a bound", async (path) => {
    const { code, out, poured } = await page(path, "length=100");
    expect(code).toBe(0);
    expect(out).toContain("The page is longer than is read of one");
    expect(poured).toBeLessThan(64 << 20);
  });

  test.each([
    ["/packed", "An article"],
    ["/packed-br", "An article"],
    ["/latin", "café"],
    ["/japanese", "日本"],
    ["/deep", "its end is missing"],
  ])("%s is read", async (path, says) => {
    const { code, out } = await page(path);
    expect(code).toBe(0);
    expect(out).toContain(says);
  });

  test("explain says what would be reached, and asks nobody", async () => {
    const { code, out, heard, asked } = await web.play({ args: ["explain", "web_fetch", `https://${LISTED}/wiki/Article`] });
    expect(code).toBe(0);
    expect(out).toContain("web_fetch: allowed, and logged (tier 2");
    expect(out).toContain(`${LISTED}:443 by HTTPS`);
    expect(out).toContain("none of your files");
    expect({ heard, asked }).toEqual({ heard: [], asked: [] });
  });

  test.each(["nonsense", "https://user:word@example.org/", "https://localhost/", ""])(
    "%j is no address, and is said to be none",
    async (url) => {
      const { code, out, err, heard, asked } = await fetching(url);
      expect({ code, out, heard, asked }).toEqual({ code: 2, out: "", heard: [], asked: [] });
      expect(err.trim().split("\n").length).toBe(1);
    },
  );

  test("the network namespace's own loopback is denied by name and by address", async () => {
    for (const url of ["http://127.0.0.1/", "http://[::1]/", "http://10.20.30.40/", "http://169.254.169.254/"]) {
      const { code, heard } = await fetching(url);
      expect({ url, code, heard }).toEqual({ url, code: 9, heard: [] });
    }
  });
});
