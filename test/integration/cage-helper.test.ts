/** The helper alone, as it is built: what kind of program it is, on both processors, and what it says where it cannot do what it was told. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { buildHelper } from "../../scripts/build/helper.ts";

const built = { x64: buildHelper("x64"), arm64: buildHelper("arm64") };
const MACHINES = { x64: 62, arm64: 183 };
const own = built[process.arch === "arm64" ? "arm64" : "x64"];
const path = typeof own === "string" ? null : own.path;
const why = typeof own === "string" ? ` (skipped: ${own})` : "";

/** Of an ELF file of 64 bits: the processor, and types and rights of its segments. */
function segments(file: string): {
  readonly machine: number;
  readonly parts: readonly { readonly type: number; readonly flags: number }[];
} {
  const bytes = readFileSync(file);
  const [start, size, count] = [Number(bytes.readBigUInt64LE(32)), bytes.readUInt16LE(54), bytes.readUInt16LE(56)];
  const parts = Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    return { type: bytes.readUInt32LE(at), flags: bytes.readUInt32LE(at + 4) };
  });
  return { machine: bytes.readUInt16LE(18), parts };
}
const [DYNAMIC, INTERPRETER, STACK] = [2, 3, 0x6474e551];
const [EXECUTE, WRITE] = [1, 2];

describe.each(["x64", "arm64"] as const)("built for %s", (arch) => {
  const helper = built[arch];
  test.skipIf(typeof helper === "string")(
    `it is static, of a few pages, and writes to nothing that it runs${typeof helper === "string" ? ` (skipped: ${helper})` : ""}`,
    () => {
      if (typeof helper === "string") throw new Error(helper);
      const { machine, parts } = segments(helper.path);
      expect(machine).toBe(MACHINES[arch]);
      expect(parts.filter(({ type }) => type === DYNAMIC || type === INTERPRETER)).toEqual([]);
      expect(parts.some(({ type }) => type === STACK)).toBe(true);
      expect(parts.filter(({ flags }) => (flags & EXECUTE) !== 0 && (flags & WRITE) !== 0)).toEqual([]);
      expect(readFileSync(helper.path).length).toBeLessThan(32 << 10);
    },
  );
});

describe.skipIf(path === null)(`the helper's words${why}`, () => {
  const run = (...args: readonly string[]): { readonly code: number; readonly out: string; readonly err: string } => {
    const ran = Bun.spawnSync([path ?? "", ...args], { stdio: ["ignore", "pipe", "pipe"], env: { A: "1" } });
    return { code: ran.exitCode, out: ran.stdout.toString(), err: ran.stderr.toString() };
  };

  test.each([
    [["inside", "--rlimit", "nofile=x", "--", "/bin/true"], "not a number: x"],
    [["inside", "--rlimit", "nofile=", "--", "/bin/true"], "not a number: "],
    [["inside", "--rlimit", "nofile=-1", "--", "/bin/true"], "not a number: -1"],
    [["inside", "--rlimit", "nofile=9223372036854775808", "--", "/bin/true"], "not a number: 9223372036854775808"],
    [["inside", "--rlimit", "nofile=184467440737095516160", "--", "/bin/true"], "not a number: 184467440737095516160"],
    [["inside", "--rlimit", "nofiles=1", "--", "/bin/true"], "no such limit: nofiles=1"],
    [["inside", "--landlock-ro", "/nowhere", "--", "/bin/true"], "landlock /nowhere: No such file or directory"],
    [["inside", "--same", "/:1:2", "--", "/bin/true"], "/ is not what it was a moment ago"],
    [["inside", "--same", "/nowhere:1:2", "--", "/bin/true"], "/nowhere: No such file or directory"],
    [["inside", "--same", "/:1", "--", "/bin/true"], "not PATH:DEV:INO"],
    [["inside", "--same", "/:1:2x", "--", "/bin/true"], "not PATH:DEV:INO"],
    [["inside", "--what", "1", "--", "/bin/true"], "unknown option --what"],
    [["inside", "--same"], "--same wants a value"],
    [["inside"], "no program"],
    [["what"], "inside, overlay, devices, standby, user-namespace or landlock-abi"],
    [[], "inside, overlay, devices, standby, user-namespace or landlock-abi"],
  ])("what it cannot do it says, and ends with 125: %p", (args, said) => {
    expect(run(...args)).toEqual({ code: 125, out: "", err: `noctem-helper: ${said}\n` });
  });

  test("says no more than a line holds", () => {
    expect(run("inside", `--${"x".repeat(5000)}`, "1").err).toBe(`noctem-helper: unknown option --${"x".repeat(1006)}\n`);
  });

  test("a program gets its arguments and the environment, its limits, and its end is the helper's", () => {
    const shown = run(
      "inside",
      "--rlimit",
      "nofile=77",
      "--rlimit",
      "core=0",
      "--",
      "/bin/sh",
      "-c",
      'echo "$A $1 $(ulimit -n)"; exit 7',
      "sh",
      "b c",
    );
    expect(shown).toEqual({ code: 7, out: "1 b c 77\n", err: "" });
    expect(run("inside", "--", "/bin/sh", "-c", "kill -9 $$").code).toBe(137);
    expect(run("inside", "--", "/nowhere")).toEqual({ code: 127, out: "", err: "/nowhere: No such file or directory\n" });
    expect(run("inside", "--", "/")).toEqual({ code: 126, out: "", err: "/: Permission denied\n" });
  });
});
