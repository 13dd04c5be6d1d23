/** The executable as a file: it works anywhere, obeys nobody else's settings, and is made the same way each time. */
import { describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json";
import { build } from "../../scripts/build.ts";
import { embedLlama, PINNED_LLAMA } from "../../scripts/build/embed-llama.ts";
import { blankRuntimeSwitches } from "../../scripts/build/harden.ts";
import { nativePack } from "../../scripts/build/native-pack.ts";
import { binary, cleanEnvironment, ROOT, run, stickWith, tempDir } from "../support/noctem.ts";

const root = process.getuid?.() === 0;
const greeting = `noctem ${version}\n`;

/** A copy of the program alone in a folder that everybody may enter. */
function alone(): Disposable & { path: string; program: string } {
  const dir = tempDir();
  chmodSync(dir.path, 0o755);
  const program = join(dir.path, "noctem");
  copyFileSync(binary(), program);
  chmodSync(program, 0o755);
  return { ...dir, program };
}

/** Whether the process has a handler for the signal: how far its start has come. */
function handles(pid: number, signal: "SIGSEGV" | "SIGHUP"): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${mask}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n;
}

describe("the executable", () => {
  test("runs alone in an empty folder, with an empty environment", async () => {
    using dir = alone();
    expect(await run(["--version"], { program: dir.program, cwd: dir.path, env: {} })).toEqual({
      code: 0,
      signal: null,
      stdout: greeting,
      stderr: "",
    });
  });

  test("finds its libraries with an empty environment and without a home", async () => {
    using dir = alone();
    for (const env of [{}, { HOME: "/nonexistent" }])
      expect(JSON.parse((await run(["__bindtest"], { program: dir.program, env })).stdout)).toMatchObject({ ok: true });
  });

  test.skipIf(!root)("runs as another user, libraries included (needs root)", async () => {
    using dir = alone();
    const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    const result = await run([...nobody, dir.program, "__bindtest"], { program: "/usr/bin/setpriv", env: {}, cwd: "/" });
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(result.stdout)).toMatchObject({ ok: true });
  });

  test("holds no path of the machine that built it", () => {
    expect(readFileSync(binary()).includes(ROOT)).toBe(false);
  });
});

describe("foreign orders are not obeyed", () => {
  /** A folder with every file that Bun would read by itself, all leading to code that says so. */
  function trap(folder: string): string {
    const evil = join(folder, "evil.ts");
    writeFileSync(evil, 'require("node:fs").writeSync(1, "EVIL");');
    writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./evil.ts"]\n[test]\npreload = ["./evil.ts"]\n');
    writeFileSync(join(folder, ".env"), `BUN_OPTIONS=--preload=${evil}\nHOME=/evil\n`);
    writeFileSync(join(folder, "tsconfig.json"), '{"compilerOptions":{"paths":{"*":["./evil.ts"]}}}');
    writeFileSync(join(folder, "package.json"), '{"imports":{"#*":"./evil.ts"},"type":"commonjs"}');
    return evil;
  }

  test("settings of Bun in the current folder and beside the program", async () => {
    using stick = stickWith();
    trap(stick.path);
    const result = await run(["--version"], { program: stick.program, cwd: stick.path });
    expect(result).toMatchObject({ code: 0, stdout: greeting });
    expect((await run(["__bindtest"], { program: stick.program, cwd: stick.path })).stdout).not.toContain("EVIL");
  });

  test.each([
    ["BUN_BE_BUN", "1"],
    ["BUN_OPTIONS", "--preload=EVIL"],
    ["BUN_OPTIONS", "--version"],
    ["BUN_INSPECT_PRELOAD", "EVIL"],
    ["NODE_OPTIONS", "--require=EVIL"],
  ])("%s=%s in the environment", async (name, value) => {
    using folder = tempDir();
    const evil = trap(folder.path);
    const env = { ...cleanEnvironment, [name]: value.replace("EVIL", evil) };
    expect(await run(["--version"], { env, cwd: folder.path })).toEqual({ code: 0, signal: null, stdout: greeting, stderr: "" });
    // As an argument it would be a script for bun; for Noctem it is no command.
    expect((await run([evil], { env, cwd: folder.path, stdin: "" })).stdout).not.toContain("EVIL");
  });

  test("a debugger port is not opened", async () => {
    // The debugger binds its port before the program runs, and complains on stderr when it cannot: 203.0.113.1 is no address of any host.
    const result = await run(["__bindtest"], {
      env: { ...cleanEnvironment, BUN_INSPECT: "ws://203.0.113.1:6499/x", BUN_INSPECT_CONNECT_TO: "203.0.113.1:6499" },
    });
    expect(result).toMatchObject({ code: 0, stderr: "" });
  });

  test("a crash sends no report", async () => {
    using folder = tempDir();
    const log = join(folder.path, "sent");
    writeFileSync(join(folder.path, "curl"), `#!/bin/sh\necho "$@" >> ${log}\n`, { mode: 0o755 });
    const child = Bun.spawn([binary(), "--headless", "--stdin", "wait"], {
      stdio: ["pipe", "ignore", "pipe"],
      env: {
        ...cleanEnvironment,
        PATH: `${folder.path}:/usr/bin:/bin`,
        BUN_ENABLE_CRASH_REPORTING: "1",
        BUN_CRASH_REPORT_URL: "http://127.0.0.1:9",
      },
    });
    const ready = (): boolean => handles(child.pid, "SIGSEGV") && handles(child.pid, "SIGHUP");
    while (!ready()) await Bun.sleep(10);
    child.kill("SIGSEGV");
    // Bun's own handler ran; this is where it would have sent its report.
    expect(await new Response(child.stderr).text()).toContain("panic");
    await child.exited;
    expect(existsSync(log)).toBe(false);
  });
});

describe("the build", () => {
  test("gives the same bytes for the same sources", async () => {
    using dir = tempDir();
    const files = ["a", "b"].map((folder) => join(dir.path, folder, "noctem"));
    for (const outfile of files) await build({ outfile });
    const [first, second] = files.map((file) => new Bun.CryptoHasher("sha256").update(readFileSync(file)).digest("hex"));
    expect(second).toBe(first as string);
  });

  const pack = { pack: join(ROOT, "package.json"), manifest: join(ROOT, "package.json") };

  /** A package with the same file names as node-llama-cpp where this build replaces them; `moved` lies elsewhere. */
  function fakeLlama(folder: string, llamaVersion: string, moved: string | null): string {
    const llama = join(folder, "node_modules/node-llama-cpp");
    const modules = [
      "dist/utils/getModuleVersion.js",
      "dist/bindings/utils/binariesGithubRelease.js",
      "dist/bindings/utils/testBindingBinary.js",
    ];
    const at = (path: string): string => (path === moved ? path.replace("dist/", "dist/new/") : path);
    for (const path of modules.map(at)) {
      mkdirSync(join(llama, path, ".."), { recursive: true });
      writeFileSync(join(llama, path), "export const x = 1;");
    }
    mkdirSync(join(llama, "llama"), { recursive: true });
    writeFileSync(join(llama, "llama/binariesGithubRelease.json"), '{"release":"b1"}');
    writeFileSync(join(llama, "package.json"), JSON.stringify({ name: "node-llama-cpp", version: llamaVersion, main: "dist/index.js" }));
    writeFileSync(
      join(llama, "dist/index.js"),
      [...modules.map((path) => `import "../${at(path)}";`), 'import("@node-llama-cpp/linux-x64");'].join("\n"),
    );
    return llama;
  }

  test("refuses another node-llama-cpp than the pinned one", () => {
    using dir = tempDir();
    const llama = fakeLlama(dir.path, "3.99.0", null);
    expect(() => embedLlama({ root: ROOT, llama, pack })).toThrow(
      `node-llama-cpp is 3.99.0, but scripts/build/embed-llama.ts was written against ${PINNED_LLAMA}`,
    );
  });

  test.each([null, "dist/utils/getModuleVersion.js", "dist/bindings/utils/testBindingBinary.js"])(
    "names a module of node-llama-cpp that moved: %p",
    async (moved) => {
      using dir = tempDir();
      const embed = embedLlama({ root: ROOT, llama: fakeLlama(dir.path, PINNED_LLAMA, moved), pack });
      const entry = join(dir.path, "entry.ts");
      writeFileSync(
        entry,
        `import "node-llama-cpp"; import { embeddedPack } from ${JSON.stringify(join(ROOT, "src/platform/native/pack.ts"))}; console.log(embeddedPack);`,
      );
      const result = await Bun.build({ entrypoints: [entry], target: "bun", plugins: [embed.plugin], throw: false });
      expect(result.logs.map(String)).toEqual([]);
      if (moved === null) expect(() => embed.check()).not.toThrow();
      else expect(() => embed.check()).toThrow(`node-llama-cpp's layout moved: the build never met node-llama-cpp/${moved}.`);
    },
  );

  test("refuses libraries that it does not know, and names missing ones", () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, "libnew.so"), "");
    writeFileSync(join(dir.path, "llama-addon.node"), "");
    expect(() => nativePack(dir.path, dir.path)).toThrow(/unknown: libnew\.so; missing: .*libggml-base\.so/);
  });

  test("refuses a runtime that keeps its switches elsewhere", () => {
    using dir = tempDir();
    const file = join(dir.path, "runtime");
    writeFileSync(file, "ELF\0BUN_ONE\0BUN_TWO\0BUN_TWO\0");
    expect(() => blankRuntimeSwitches(file, ["BUN_NONE"])).toThrow("the variable BUN_NONE");
    expect(() => blankRuntimeSwitches(file, ["BUN_TWO"])).toThrow("the variable BUN_TWO");
    blankRuntimeSwitches(file, ["BUN_ONE"]);
    expect(readFileSync(file, "latin1")).toBe("ELF\0\0UN_ONE\0BUN_TWO\0BUN_TWO\0");
  });
});
