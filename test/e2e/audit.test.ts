/** The log on the executable itself: written by calls of skills, checked on a copy without keys, proved and attested to an independent program. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/noctem.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { publicLine } from "../../src/platform/parent-key.ts";
import { VERDICT_CODES } from "../../src/cli/audit-verify-run.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { NO_CAGE } from "../support/cage.ts";
import { binary, cleanEnvironment, run, type RunResult, tempDir, type TempDir } from "../support/noctem.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;

describe.skipIf(NO_CAGE !== null)(`noctem audit${why}`, () => {
  let dir: TempDir;
  let program = "";
  let workspace = "";
  const at = (...parts: readonly string[]) => join(dir.path, ...parts);
  beforeAll(() => {
    dir = tempDir("noctem-audit-");
    mkdirSync(at("stick"));
    program = at("stick/noctem");
    linkSync(binary(), program);
    workspace = at("work");
    mkdirSync(workspace);
    writeFileSync(join(workspace, "a.txt"), "one\n");
    writeFileSync(join(workspace, "<img src=x onerror=alert(1)>"), "evil\n");
  });
  afterAll(() => dir[Symbol.dispose]());

  const noctem = (...args: readonly string[]): Promise<RunResult> => run(args, { program, cwd: workspace });
  const json = async (...args: readonly string[]): Promise<Record<string, unknown>> =>
    JSON.parse((await noctem(...args, "--json")).stdout) as Record<string, unknown>;
  const entries = async (kind: string): Promise<{ readonly session: string; readonly seq: number; readonly object: string }[]> =>
    ((await json("audit", "log", "--kind", kind)) as { entries: { session: string; seq: number; object: string }[] }).entries;
  const python = (args: readonly string[], input: string): { readonly code: number; readonly out: string } => {
    const ran = Bun.spawnSync(["python3", join(ROOT, "test/support/dsse_check.py"), ...args], {
      stdin: Buffer.from(input),
      stdout: "pipe",
      stderr: "pipe",
    });
    return { code: ran.exitCode, out: ran.stdout.toString().trim() };
  };

  test("nothing was done, nothing is in it", async () => {
    expect(await noctem("audit", "log")).toMatchObject({ code: 0, stdout: "" });
    expect(await noctem("audit", "verify")).toMatchObject({ code: 30 });
    expect(existsSync(at("stick/heart.sqlite"))).toBe(false);
  });

  test("a call is shown, signed, anchored, and checked on a copy without keys", async () => {
    expect(await noctem("bark", "run", "shell", "cat a.txt")).toMatchObject({ code: 0 });
    expect(await noctem("bark", "run", "shell", "cat < '<img src=x onerror=alert(1)>'")).toBeDefined();
    expect((await noctem("audit", "verify")).code).toBe(24);
    expect(await noctem("audit", "anchor", "--file", at("heads.txt"))).toMatchObject({ code: 0 });
    expect((await noctem("audit", "anchor", "--file", at("heads.txt"))).code).toBe(2);
    mkdirSync(at("elsewhere"));
    copyFileSync(at("stick/heart.sqlite"), at("elsewhere/copy.sqlite"));
    const there = await noctem("audit", "verify", "--heart", at("elsewhere/copy.sqlite"), "--anchor", at("heads.txt"));
    expect(there).toMatchObject({ code: 0 });
    expect(there.stdout).toStartWith("Sound, and witnessed");
    expect(await noctem("audit", "verify", "--against", at("elsewhere/copy.sqlite"))).toMatchObject({ code: 0 });
    expect((await noctem("audit", "verify", "--anchor", at("nowhere"))).code).toBe(2);
    writeFileSync(at("broken.txt"), readFileSync(at("heads.txt"), "utf8").replace("time 1", "time 2"));
    expect((await noctem("audit", "verify", "--anchor", at("broken.txt"))).code).toBe(30);
    const qr = await noctem("audit", "anchor", "--qr");
    expect(qr.code).toBe(0);
    expect(qr.stdout.split("\n").length).toBeGreaterThan(25);
  });

  test("each kind of fault has its exit code", async () => {
    expect(VERDICT_CODES).toEqual({ sound: 0, altered: 20, truncated: 21, fork: 22, key: 23, unwitnessed: 24, cannot: 30 });
    for (const [code, sql] of [
      [20, "update leaf set leaves = replace(leaves, 'cat a.txt', 'cat b.txt') where leaves like '%\"kind\":\"intent\"%'"],
      [21, 'delete from leaf where leaves like \'%"kind":"end"%\''],
      [23, "update cell set v = replace(v, '\u2014 noctem', '\u2014 nobody') where ns = 'audit'"],
    ] as const) {
      const file = at(`elsewhere/${code}.sqlite`);
      copyFileSync(at("stick/heart.sqlite"), file);
      {
        using db = sqliteDriver.open(file, { create: false, readOnly: false });
        expect(db.run(sql).changes).toBeGreaterThan(0);
      }
      const found = await noctem("audit", "verify", "--heart", file, "--anchor", at("heads.txt"), "--json");
      expect(found.code).toBe(code);
      expect(JSON.parse(found.stdout)).toMatchObject({ code });
      expect((await noctem("audit", "anchor", "--heart", file)).code).toBe(code);
      expect((await noctem("audit", "report", "--heart", file)).code).toBe(code);
    }
  }, 60_000);

  test("one entry is shown and proved, to us and to a program that knows nothing of us", async () => {
    const [intent] = await entries("intent");
    const name = `${intent?.session ?? ""}:${intent?.seq ?? 0}`;
    const shown = await noctem("audit", "show", name.replace(/^(.{6}).{26}/u, "$1"));
    expect(shown).toMatchObject({ code: 0 });
    expect(shown.stdout).toContain("What lies apart from it:");
    expect((await noctem("audit", "show", `${intent?.session ?? ""}:99`)).code).toBe(2);
    const proof = await noctem("audit", "prove", name, "--anchor", at("heads.txt"));
    expect(proof.code).toBe(0);
    writeFileSync(at("proof.json"), proof.stdout);
    expect((await noctem("audit", "prove", "--check", at("proof.json"))).code).toBe(24);
    expect((await noctem("audit", "prove", "--check", at("proof.json"), "--anchor", at("heads.txt"))).code).toBe(0);
    expect(python(["--proof"], proof.stdout)).toEqual({ code: 0, out: "intent" });
    const forged = proof.stdout.replace('\\"allow\\"', '\\"deny\\"');
    expect(forged).not.toBe(proof.stdout);
    writeFileSync(at("forged.json"), forged);
    expect((await noctem("audit", "prove", "--check", at("forged.json"))).code).toBe(20);
    expect(python(["--proof"], forged).code).not.toBe(0);
    const goesOn = await noctem("audit", "prove", "--anchor", at("heads.txt"));
    writeFileSync(at("goes-on.json"), goesOn.stdout);
    expect((await noctem("audit", "prove", "--check", at("goes-on.json"), "--anchor", at("heads.txt"))).code).toBe(0);
  });

  test("an attestation is checked by us and by an independent program, and not when a letter is another", async () => {
    expect(await noctem("audit", "attest", "--out", at("report.dsse"))).toMatchObject({ code: 0 });
    const envelope = readFileSync(at("report.dsse"), "utf8");
    const key = (JSON.parse(readFileSync(at("stick/keys/stick.json"), "utf8")) as { public: string }).public;
    expect(python([key], envelope)).toEqual({ code: 0, out: "https://noctem.invalid/attestation/audit-report/v1" });
    expect((await noctem("audit", "attest", "--check", at("report.dsse"), "--anchor", at("heads.txt"))).code).toBe(0);
    const parsed = JSON.parse(envelope) as { payload: string };
    const changed = JSON.stringify({
      ...parsed,
      payload: Buffer.from(Buffer.from(parsed.payload, "base64").toString().replace("shell", "sheII")).toString("base64"),
    });
    writeFileSync(at("changed.dsse"), changed);
    expect((await noctem("audit", "attest", "--check", at("changed.dsse"), "--anchor", at("heads.txt"))).code).toBe(20);
    expect(python([key], changed).code).not.toBe(0);
    // What the key signed stands in the log.
    expect(await entries("key")).toHaveLength(1);
  });

  test("the report is for a terminal, for scripts, and one file for a browser that runs and fetches nothing", async () => {
    const report = await json("parent", "report");
    expect(report).toMatchObject({ verdict: "unwitnessed", calls: { all: 2 }, code: 0 });
    expect((await noctem("audit", "report", "--anchor", at("heads.txt"))).stdout).toContain("Calls       2");
    expect((await noctem("audit", "report", "--html", at("report.html"))).code).toBe(0);
    const html = readFileSync(at("report.html"), "utf8");
    expect(html).toContain("default-src 'none'");
    expect(html).not.toMatch(/<(?:script|img|link|iframe|object|form|a)\b|\b(?:src|href|on\w+)=["']|url\(|javascript:/iu);
    expect(html).toContain("What was refused");
  });

  test("the export is the text that was signed", async () => {
    const lines = (await noctem("audit", "export")).stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string });
    expect(lines[0]).toMatchObject({ type: "log", version: 1 });
    expect(lines.filter(({ type }) => type === "leaf").length).toBeGreaterThan(10);
    expect((await noctem("audit", "export", at("log.jsonl"))).code).toBe(0);
    expect((await noctem("audit", "export", at("log.jsonl"))).code).toBe(2);
  });

  test("killed between intent and effect: the log shows an intent without an outcome, and the next call says so", async () => {
    expect(Bun.spawnSync(["mkfifo", join(workspace, "pipe")]).exitCode).toBe(0);
    const child = Bun.spawn([program, "bark", "run", "shell", "cat pipe"], {
      cwd: workspace,
      env: { ...cleanEnvironment },
      stdio: ["ignore", "ignore", "ignore"],
    });
    const begun = async (): Promise<boolean> => (await entries("intent")).some(({ object }) => object.includes("cat pipe"));
    for (let tries = 0; tries < 100 && !(await begun()); tries++) await Bun.sleep(50);
    child.kill("SIGKILL");
    await child.exited;
    expect((await noctem("audit", "verify", "--anchor", at("heads.txt"))).code).toBe(0);
    const report = (await json("audit", "report")) as { open: { what: string }[] };
    expect(report.open.map(({ what }) => what)).toEqual(["shell run cat pipe"]);
    const next = await noctem("bark", "run", "shell", "ls");
    expect(next.stderr).toContain("without an outcome in the log");
    expect(next.stderr).toContain("cat pipe");
    expect((await noctem("bark", "run", "shell", "ls")).stderr).not.toContain("cat pipe");
    const incidents = ((await json("audit", "report")) as { incidents: { what: string }[] }).incidents;
    expect(incidents.map(({ what }) => what)).toEqual(["audit.interrupted"]);
  }, 60_000);

  test("a parent countersigns, and a copy is then checked with their public key alone", async () => {
    const secret = at("passphrase");
    writeFileSync(secret, "correct horse battery staple\n");
    const withSecret = (command: string): RunResult => {
      const ran = Bun.spawnSync(["sh", "-c", `"$0" ${command} --passphrase-fd 3 3<"$1"`, program, secret], {
        cwd: workspace,
        env: { ...cleanEnvironment },
        stdout: "pipe",
        stderr: "pipe",
      });
      return { code: ran.exitCode, signal: null, stdout: ran.stdout.toString(), stderr: ran.stderr.toString() };
    };
    expect(withSecret("parent keygen")).toMatchObject({ code: 0 });
    expect(withSecret("parent cosign")).toMatchObject({ code: 0 });
    copyFileSync(at("stick/heart.sqlite"), at("elsewhere/signed.sqlite"));
    copyFileSync(at("stick/keys/parent.pub"), at("parent.pub"));
    const checked = await noctem("audit", "verify", "--heart", at("elsewhere/signed.sqlite"), "--parent-key", at("parent.pub"));
    expect(checked).toMatchObject({ code: 0 });
    expect(checked.stdout).toContain("The parent countersigned it");
    // Another key in the parent's name does not witness.
    writeFileSync(at("other.pub"), publicLine({ name: "noctem-parent", publicKey: auditCrypto.ephemeral().publicKey }));
    expect((await noctem("audit", "verify", "--parent-key", at("other.pub"))).code).toBe(24);
  }, 60_000);
});
