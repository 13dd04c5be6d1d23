/**
 * Builds the static helper that stands between the host, bubblewrap and a skill's program (native/helper). With the host's compiler, or with the
 * Python package `ziglang` where there is none or where it is for another processor.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
/** The last is the little that it needs of a C library. */
const PARTS = ["helper", "inside", "relay", "outside", "standby", "system"].map((name) => join(ROOT, `native/helper/${name}.c`));
const HEADER = join(ROOT, "native/helper/helper.h");

export interface BuiltHelper {
  readonly path: string;
  readonly sha256: string;
}

/**
 * The same source gives the same bytes with the same compiler: no build id, no paths, no debug lines. Nothing of the compiler's own is linked, so no canaries (they lie
 * where a C library puts them) and no checked functions.
 */
const COMPILING = [
  "-std=gnu17",
  "-Os",
  "-ffreestanding",
  "-fno-stack-protector",
  "-U_FORTIFY_SOURCE",
  "-ffunction-sections",
  "-fdata-sections",
  "-ffile-prefix-map=/=/",
  "-fno-asynchronous-unwind-tables",
];
const LINKING = ["-static", "-nostdlib", "-s", "-Wl,--build-id=none", "-Wl,--gc-sections"];

const COMPILERS: Readonly<Record<"x64" | "arm64", readonly (readonly string[])[]>> = {
  x64: [["musl-gcc"], ["cc"], ["python3", "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"]],
  arm64: [["aarch64-linux-gnu-gcc"], ["python3", "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"]],
};

/** The helper for this processor, built once for each version of its source; the error is a sentence. */
export function buildHelper(arch: "x64" | "arm64" = process.arch === "arm64" ? "arm64" : "x64"): BuiltHelper | string {
  const folder = join(ROOT, "build/helper");
  const path = join(folder, `helper-${arch}`);
  const stamp = `${path}.source`;
  const key = createHash("sha256");
  for (const source of [...PARTS, HEADER]) key.update(readFileSync(source));
  const version = key.update([...COMPILING, ...LINKING].join(" ")).digest("hex");
  if (!existsSync(path) || !existsSync(stamp) || readFileSync(stamp, "utf8") !== version) {
    mkdirSync(folder, { recursive: true });
    // Two builds at once must not see each other's half.
    const part = `${path}.${process.pid}`;
    const said: string[] = [];
    if (!COMPILERS[arch].some((compiler) => compile(compiler, part, said))) {
      rmSync(part, { force: true });
      return `no compiler for the cage's helper: ${said.at(-1) ?? "none found"} (apt-get install gcc libc6-dev, or pip install ziglang)`;
    }
    renameSync(part, path);
    writeFileSync(stamp, version);
  }
  return { path, sha256: createHash("sha256").update(readFileSync(path)).digest("hex") };
}

/** In two steps: without the library ziglang has no headers of it either. */
function compile(compiler: readonly string[], out: string, said: string[]): boolean {
  const [program = ""] = compiler;
  if (Bun.which(program) === null) return false;
  const run = (...args: readonly string[]): boolean => {
    const ran = Bun.spawnSync([...compiler, ...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, SOURCE_DATE_EPOCH: "0" },
    });
    if (ran.exitCode !== 0) said.push(`${program}: ${ran.stderr.toString().split("\n", 1)[0] ?? "failed"}`);
    return ran.exitCode === 0;
  };
  const folder = mkdtempSync(`${out}.`);
  try {
    const objects = PARTS.map((source, index) => [source, join(folder, `${index}.o`)] as const);
    return (
      objects.every(([source, object]) => run(...COMPILING, "-c", source, "-o", object)) &&
      run(...LINKING, "-o", out, ...objects.map(([, object]) => object))
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
