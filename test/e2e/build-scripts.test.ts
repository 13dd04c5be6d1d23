/** The scripts behind `make`: set-up that is instant and refuses a foreign lock, and a test runner that cannot say "passed" by mistake. */
import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanEnvironment, ROOT, run, tempDir, type TempDir } from "../support/noctem.ts";

/** A repository with the scripts and nothing else. */
function repository(): TempDir {
  const dir = tempDir();
  for (const folder of ["scripts", ".tools", "node_modules", "test/unit"]) mkdirSync(join(dir.path, folder), { recursive: true });
  for (const file of ["scripts/setup.sh", "scripts/test.ts", "package.json", "bunfig.toml", "bun.lock"])
    copyFileSync(join(ROOT, file), join(dir.path, file));
  symlinkSync(process.execPath, join(dir.path, ".tools/bun"));
  return dir;
}

describe("set-up", () => {
  const setup = (dir: TempDir): ReturnType<typeof run> => run(["scripts/setup.sh"], { program: "/bin/sh", cwd: dir.path });

  test("does and says nothing when everything is there", async () => {
    using dir = repository();
    const inputs = ["package.json", "bun.lock", "bunfig.toml"].map((file) => readFileSync(join(dir.path, file)));
    writeFileSync(join(dir.path, ".tools/dependencies"), `${new Bun.CryptoHasher("sha256").update(Buffer.concat(inputs)).digest("hex")}\n`);
    expect(await setup(dir)).toEqual({ code: 0, signal: null, stdout: "", stderr: "" });
  });

  test("refuses a lock that names a host, and shows where", async () => {
    using dir = repository();
    writeFileSync(
      join(dir.path, "bun.lock"),
      readFileSync(join(dir.path, "bun.lock"), "utf8").replace('", "", {', '", "https://evil.example/x.tgz", {'),
    );
    const result = await setup(dir);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("https://evil.example/x.tgz");
    expect(result.stderr).toContain("bun.lock names a host");
    expect(readdirSync(join(dir.path, "node_modules"))).toEqual([]);
  });
});

describe("the test runner", () => {
  async function suite(source: string): Promise<{ code: number; last: string; all: string }> {
    using dir = repository();
    writeFileSync(join(dir.path, "test/unit/a.test.ts"), `import { expect, test } from "bun:test";\n${source}`);
    const result = await run(["scripts/test.ts", "unit"], {
      program: process.execPath,
      cwd: dir.path,
      env: { ...cleanEnvironment, CI: "true" },
    });
    return { code: result.code, last: result.stdout.trimEnd().split("\n").at(-1) ?? "", all: result.stdout };
  }

  test("counts what passed, failed and was skipped, and names the failures", async () => {
    const result = await suite('test("good", () => {}); test("bad <&\\"> one", () => expect(1).toBe(2)); test.skip("later", () => {});');
    expect(result).toMatchObject({ code: 1, last: "1 passed, 1 failed, 1 skipped" });
    expect(result.all).toContain('a.test.ts bad <&"> one');
  });

  test("ends well when all passed, also under CI", async () => {
    expect(await suite('test("good", () => expect(process.env.CI).toBeUndefined());')).toMatchObject({
      code: 0,
      last: "1 passed, 0 failed, 0 skipped",
    });
  });

  test.each([
    ["a crash", 'test("good", () => {}); test("crash", () => { process.kill(process.pid, "SIGSEGV"); });'],
    ["an error outside of any test", 'test("good", () => {}); throw new Error("outside");'],
    ["an exit in the middle", 'test("good", () => process.exit(0)); test("never", () => {});'],
  ])("takes %s for a failure", async (_, source) => {
    const result = await suite(source);
    expect(result.code).toBe(1);
    expect(result.last).toMatch(/, [1-9]\d* failed, /);
  });

  test("what runs beside the others is waited for, shown and counted, whichever of them fails", async () => {
    for (const [beside, last] of [
      ["expect(1).toBe(2)", "1 passed, 1 failed, 0 skipped"],
      ["expect(1).toBe(1)", "2 passed, 0 failed, 0 skipped"],
      ["process.kill(process.pid, 'SIGKILL')", "1 passed, 1 failed, 0 skipped"],
    ] as const) {
      using dir = repository();
      mkdirSync(join(dir.path, "test/property"));
      writeFileSync(join(dir.path, "test/unit/a.test.ts"), 'import { test } from "bun:test";\ntest("quick", () => {});');
      const slow = `import { expect, test } from "bun:test";\ntest("slow one", async () => { await Bun.sleep(300); ${beside}; });`;
      writeFileSync(join(dir.path, "test/property/b.test.ts"), slow);
      const result = await run(["scripts/test.ts", "property", "unit"], {
        program: process.execPath,
        cwd: dir.path,
        env: cleanEnvironment,
      });
      expect(result.stdout.trimEnd().split("\n").at(-1)).toBe(last);
      expect(result.code).toBe(last.includes(" 0 failed") ? 0 : 1);
      if (!beside.includes("kill")) expect(result.stdout).toContain("slow one");
    }
  });

  test("no tests at all are no success", async () => {
    using dir = repository();
    const result = await run(["scripts/test.ts", "unit"], { program: process.execPath, cwd: dir.path });
    expect(result).toMatchObject({ code: 1 });
    expect(result.stdout.trimEnd()).toEndWith("0 passed, 0 failed, 0 skipped");
  });
});
