/** What every end-to-end test needs: the executable itself, a run of it with all that a shell would give it, and folders that vanish. */
import { copyFileSync, existsSync, linkSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dir, "../..");

/** The compiled program; `make test` built it. A single test run by hand builds it when it is missing, and never rebuilds it. */
export function binary(): string {
  const path = join(ROOT, "dist/noctem");
  if (!existsSync(path)) {
    const built = Bun.spawnSync([process.execPath, join(ROOT, "scripts/build.ts")], { stdio: ["ignore", "ignore", "inherit"] });
    if (built.exitCode !== 0) throw new Error("scripts/build.ts failed");
  }
  return path;
}

export interface RunOptions {
  /** The whole input; without it stdin is /dev/null, never the test runner's. */
  readonly stdin?: string | Uint8Array;
  /** Replaces the environment; `cleanEnvironment` is the default. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Milliseconds; then SIGKILL, and `signal` says so. */
  readonly timeout?: number;
  /** Another program than `binary()`, such as a copy on a stick. */
  readonly program?: string;
}

export interface RunResult {
  /** -1 when a signal ended it. */
  readonly code: number;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** No HOME of the developer, no CI variable, no NOCTEM_ setting: a test must not depend on who runs it. */
export const cleanEnvironment: Readonly<Record<string, string>> = {
  PATH: "/usr/bin:/bin:/usr/sbin:/sbin",
  LANG: "C.UTF-8",
  TERM: "xterm-256color",
};

/** Runs `noctem ARGS` to its end. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = Bun.spawn([options.program ?? binary(), ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { ...(options.env ?? cleanEnvironment) },
    stdin: options.stdin === undefined ? "ignore" : typeof options.stdin === "string" ? Buffer.from(options.stdin) : options.stdin,
    stdout: "pipe",
    stderr: "pipe",
    timeout: options.timeout ?? 60_000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return { code: child.exitCode ?? -1, signal: child.signalCode === null ? null : String(child.signalCode), stdout, stderr };
}

export interface TempDir extends Disposable {
  readonly path: string;
}

/** `using dir = tempDir()`: a fresh folder that goes away with the block. */
export function tempDir(prefix = "noctem-test-", parent = tmpdir()): TempDir {
  const path = mkdtempSync(join(parent, prefix));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Stick extends TempDir {
  /** The copy of the program on it. */
  readonly program: string;
  readonly models: string;
}

/** A folder laid out as a stick: the program and `models/`, with the given model files in it. */
export function stickWith({ models = [] }: { readonly models?: readonly string[] } = {}): Stick {
  const dir = tempDir("noctem-stick-");
  const program = join(dir.path, "noctem");
  const folder = join(dir.path, "models");
  mkdirSync(folder);
  place(binary(), program);
  for (const model of models) place(model, join(folder, basename(model)));
  return { ...dir, program, models: folder };
}

/** A hard link where that works: copying 110 MB for each test is most of its time. */
function place(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
