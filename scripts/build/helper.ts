/**
 * Builds the static helper that stands between the host, bubblewrap and a skill's program (native/helper/helper.c). With the host's compiler, or with the
 * Python package `ziglang` where there is none or where it is for another processor.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
export const HELPER_SOURCE = join(ROOT, "native/helper/helper.c");

export interface BuiltHelper {
  readonly path: string;
  readonly sha256: string;
}

/** No build id, no paths, no debug lines: the same source gives the same bytes with the same compiler. */
const FLAGS = ["-std=gnu17", "-Os", "-static", "-s", "-Wl,--build-id=none", "-ffile-prefix-map=/=/", "-fno-asynchronous-unwind-tables"];

const COMPILERS: Readonly<Record<"x64" | "arm64", readonly (readonly string[])[]>> = {
  x64: [["musl-gcc"], ["cc"], ["python3", "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"]],
  arm64: [["aarch64-linux-gnu-gcc"], ["python3", "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"]],
};

/** The helper for this processor, built once for each version of its source; the error is a sentence. */
export function buildHelper(arch: "x64" | "arm64" = process.arch === "arm64" ? "arm64" : "x64"): BuiltHelper | string {
  const source = readFileSync(HELPER_SOURCE);
  const folder = join(ROOT, "build/helper");
  const path = join(folder, `helper-${arch}`);
  const stamp = `${path}.source`;
  const key = createHash("sha256").update(source).update(FLAGS.join(" ")).digest("hex");
  if (!existsSync(path) || !existsSync(stamp) || readFileSync(stamp, "utf8") !== key) {
    mkdirSync(folder, { recursive: true });
    // Two builds at once must not see each other's half.
    const part = `${path}.${process.pid}`;
    const said: string[] = [];
    if (!COMPILERS[arch].some((compiler) => compile(compiler, part, said))) {
      rmSync(part, { force: true });
      return `no compiler for the cage's helper: ${said.at(-1) ?? "none found"} (apt-get install gcc libc6-dev, or pip install ziglang)`;
    }
    renameSync(part, path);
    writeFileSync(stamp, key);
  }
  return { path, sha256: createHash("sha256").update(readFileSync(path)).digest("hex") };
}

function compile([program = "", ...args]: readonly string[], out: string, said: string[]): boolean {
  if (Bun.which(program) === null) return false;
  const built = Bun.spawnSync([program, ...args, ...FLAGS, "-o", out, HELPER_SOURCE], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, SOURCE_DATE_EPOCH: "0" },
  });
  if (built.exitCode === 0) return true;
  said.push(`${program}: ${built.stderr.toString().split("\n", 1)[0] ?? "failed"}`);
  return false;
}
