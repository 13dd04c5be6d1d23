/**
 * Tests a GPU build of llama.cpp in a child before the engine loads it: a bad driver may abort or hang the process that touches it. node-llama-cpp does this by
 * forking its own file, which an executable does not have; the build puts `testBindingBinary` here in its place (scripts/build/embed-llama.ts).
 */
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { cleanEnv } from "./child-env.ts";
import type { NativeError } from "./native/unpack.ts";
import { unpackNative } from "./native/unpack.ts";

/** A driver that wakes a sleeping GPU takes seconds; one that takes longer than this is taken for hung. Milliseconds. */
const LIMIT = 20_000;

type Gpu = "cuda" | "vulkan" | "metal" | false;

/** Whether the binding at `path` loads here and finds the GPU it was built for. Never throws: "no" is an answer. */
export async function testBindingBinary(path: string, extPath: string | undefined, gpu: Gpu): Promise<boolean> {
  // Our own CPU libraries were loaded once already when their folder was chosen (native/unpack.ts): a child would cost 60 ms and learn nothing.
  if (gpu === false) return true;
  const child = Bun.spawn([process.execPath, "__bindtest", path, extPath ?? "", gpu], {
    stdio: ["ignore", "ignore", "ignore"],
    env: cleanEnv(process.env),
    timeout: LIMIT,
    killSignal: "SIGKILL",
  });
  return (await child.exited) === 0;
}

interface Binding {
  setLoggerLogLevel(level: number): void;
  loadBackends(folder?: string): void;
  getGpuType(): Gpu | null | undefined;
  init(): Promise<unknown>;
  getGpuVramInfo(): unknown;
  getGpuDeviceInfo(): unknown;
  ensureGpuDeviceIsSupported(): void;
}

/** llama.cpp's own level for errors. */
const LOG_ERRORS = 2;

/** What `noctem __bindtest` without arguments prints, as one line of JSON. */
export type NativeReport = { readonly ok: true; readonly root: string } | { readonly ok: false; readonly error: NativeError };

/**
 * `noctem __bindtest PATH EXT GPU` does all that the engine would do before it trusts a GPU; exit code 0 only when that worked.
 * Without arguments it unpacks and loads the embedded CPU libraries and prints a `NativeReport`: `doctor` asks that, and the tests.
 */
export async function bindTestMain(argv: readonly string[]): Promise<number> {
  const [path, extPath, wanted] = argv;
  if (path === undefined) {
    const native = unpackNative();
    const report: NativeReport = native.ok ? { ok: true, root: dirname(native.value.binsDir) } : native;
    if (native.ok) native.value.release();
    console.log(JSON.stringify(report));
    return native.ok ? 0 : 1;
  }
  const gpu = wanted === "false" ? false : wanted;
  try {
    const binding = createRequire(import.meta.url)(path) as Binding;
    binding.setLoggerLogLevel(LOG_ERRORS);
    const found = (): boolean => {
      const type = binding.getGpuType();
      return type !== null && type !== undefined && (type !== false || gpu === false);
    };
    const folder = dirname(resolve(path));
    binding.loadBackends(folder);
    if (!found()) binding.loadBackends(join(extPath === undefined || extPath === "" ? folder : extPath, "fallback"));
    await binding.init();
    binding.getGpuVramInfo();
    binding.getGpuDeviceInfo();
    if (binding.getGpuType() !== gpu) return 3;
    binding.ensureGpuDeviceIsSupported();
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}
