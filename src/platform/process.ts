/**
 * Child processes of our own program. Each leads a session of its own: Ctrl-C at the terminal reaches the host alone, and one signal to the group
 * ends the child with everything it started.
 */
import type { EngineProcess } from "../engine/host.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { cleanEnv } from "./child-env.ts";

/** What an engine needs to find libraries, a GPU and a place to unpack. Everything else (tokens, keys, history) stays with the host. */
const ENGINE_ENV =
  /^(PATH|HOME|TMPDIR|LANG|LC_ALL|TZ|LD_LIBRARY_PATH|XDG_RUNTIME_DIR|XDG_CACHE_HOME|NOCTEM_\w+|CUDA_\w+|NVIDIA_\w+|VK_\w+|GGML_\w+|MESA_\w+|DRI_PRIME)$/;

export const engineEnv = (env: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(cleanEnv(env)).filter(([name]) => ENGINE_ENV.test(name)));

/** How this program starts itself as the engine: the executable with a hidden command, or bun with the sources while developing. */
export function engineCommand(): readonly string[] {
  const compiled = import.meta.path.startsWith("/$bunfs/") || import.meta.path.includes("~BUN");
  return compiled ? [process.execPath, "__engine"] : [process.execPath, new URL("../engine/child.ts", import.meta.url).pathname];
}

/** Starts `command` as an engine child; the error is one line. A wrapper (bubblewrap) goes in front of the command. */
export function spawnEngine(
  command: readonly string[] = engineCommand(),
  env: Readonly<Record<string, string | undefined>> = process.env,
): Result<EngineProcess, string> {
  try {
    const child = Bun.spawn([...command], {
      stdio: ["pipe", "pipe", "pipe"],
      env: engineEnv(env),
      // Nothing relative is ever opened, and a stick that is somebody's working folder cannot be unmounted.
      cwd: "/",
      detached: true,
    });
    return ok({
      pid: child.pid,
      output: child.stdout,
      log: child.stderr,
      exited: child.exited.then(() => ({ exitCode: child.exitCode, signal: child.signalCode === null ? null : String(child.signalCode) })),
      write(line) {
        // A child that just died makes this throw EPIPE; its exit is reported by `exited`.
        try {
          void child.stdin.write(line);
          void Promise.resolve(child.stdin.flush()).catch(() => undefined);
        } catch {
          return;
        }
      },
      closeInput() {
        void Promise.resolve(child.stdin.end()).catch(() => undefined);
      },
      kill() {
        try {
          process.kill(-child.pid, "SIGKILL");
        } catch {
          // Gone already.
        }
      },
    });
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}
