/**
 * Child processes of our own program. Each leads a session of its own: Ctrl-C at the terminal reaches the host alone, and one signal to the group
 * ends the child with everything it started.
 */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { enginePlan } from "../bark/cage/children.ts";
import type { EngineProcess } from "../engine/host.ts";
import type { EngineCage } from "../engine/port.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { cagedCommand, type CagedCommand } from "./cage/own.ts";
import { deviceFacts, identityOf, ownCommand, programFacts, real, seenPaths } from "./cage/own-facts.ts";
import { cleanEnv } from "./child-env.ts";
import { usableCores } from "./llama/cores.ts";

/** What an engine needs to find libraries, a GPU and a place to unpack. Everything else (tokens, keys, history) stays with the host. */
const ENGINE_ENV =
  /^(PATH|HOME|TMPDIR|LANG|LC_ALL|TZ|LD_LIBRARY_PATH|XDG_RUNTIME_DIR|XDG_CACHE_HOME|NOCTEM_\w+|CUDA_\w+|NVIDIA_\w+|VK_\w+|GGML_\w+|MESA_\w+|DRI_PRIME)$/;

/** In a cage: no folder of the host's, and nothing of ours but the number of threads. */
const CAGED_ENV =
  /^(PATH|HOME|TMPDIR|LANG|LC_ALL|TZ|LD_LIBRARY_PATH|NOCTEM_THREADS|CUDA_\w+|NVIDIA_\w+|VK_\w+|GGML_\w+|MESA_\w+|DRI_PRIME)$/;

type Env = Readonly<Record<string, string | undefined>>;

export const engineEnv = (env: Env): Record<string, string> =>
  Object.fromEntries(Object.entries(cleanEnv(env)).filter(([name]) => ENGINE_ENV.test(name)));

/** How this program starts itself as the engine. */
export const engineCommand = (): readonly string[] => ownCommand("__engine", "src/engine/child.ts");

/** Starts `command` as an engine child without a cage; the error is one line. A wrapper goes in front of the command. */
export function spawnEngine(command: readonly string[] = engineCommand(), env: Env = process.env): Result<EngineProcess, string> {
  return start({ command, env: engineEnv(env), cage: { level: "none", reason: "started without one" } });
}

export interface CagedEngineOptions {
  readonly command?: readonly string[];
  readonly env?: Env;
  /** How the cage is made; for tests of hosts that have none. */
  readonly cagedCommand?: typeof cagedCommand;
}

/**
 * Starts the engine in a cage that shows it `models` (folders, or single files) and nothing else of anybody's; without a cage where this host has
 * none, and then it says so.
 */
export function spawnCagedEngine(models: readonly string[], options: CagedEngineOptions = {}): Result<EngineProcess, string> {
  const { env = process.env } = options;
  // Quotas of a control group are read from files that are not in a cage.
  const command = [...(options.command ?? engineCommand()), "--cores", String(usableCores())];
  const seen = seenPaths(models);
  const plan = enginePlan({
    program: programFacts(command),
    models: seen,
    machine: deviceFacts(env),
    env: Object.fromEntries(Object.entries(cleanEnv(env)).filter(([name]) => CAGED_ENV.test(name))),
  });
  const caged = (options.cagedCommand ?? cagedCommand)(plan, env);
  if (!caged.ok)
    return start({ command, env: engineEnv(env), cage: { level: "none", reason: `${caged.error.detail} ${caged.error.fix}` } });
  const shown = seen.map((at) => ({ ...at, identity: identityOf(at.real) }));
  // A file that is no longer what was mounted, and one that was never mounted, are both out of the child's sight.
  const sees = (path: string): boolean => {
    const found = real(path);
    if (found === null) return true;
    const held = (at: (typeof shown)[number]): boolean => identityOf(at.real) === at.identity;
    const file = shown.some((at) => at.real === found && held(at));
    const folder = shown.some((at) => [at.real, at.path].some((folderPath) => path.startsWith(`${folderPath}/`)) && held(at));
    return found === path ? file || folder : file && (folder || shown.some((at) => at.path === path));
  };
  return start({ command: caged.value.command, env: {}, cage: { level: caged.value.level, reason: "" }, caged: caged.value, sees });
}

interface Start {
  readonly command: readonly string[];
  readonly env: Record<string, string>;
  readonly cage: EngineCage;
  readonly caged?: CagedCommand;
  readonly sees?: (path: string) => boolean;
}

function start({ command, env, cage, caged, sees = () => true }: Start): Result<EngineProcess, string> {
  try {
    const child = Bun.spawn([...command], {
      stdio: ["pipe", "pipe", "pipe", ...(caged?.descriptors ?? [])],
      env,
      // Nothing relative is ever opened, and a stick that is somebody's working folder cannot be unmounted.
      cwd: "/",
      detached: true,
    });
    caged?.started();
    void child.exited.then(() => caged?.[Symbol.dispose]());
    return ok({
      get pid() {
        return caged === undefined ? child.pid : (innermost(child.pid) ?? child.pid);
      },
      cage,
      sees,
      output: firstThen(child.stdout, () => caged?.[Symbol.dispose]()),
      log: child.stderr,
      exited: child.exited.then(() => endOf(child, caged !== undefined)),
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
    caged?.[Symbol.dispose]();
    return err(error instanceof Error ? error.message : String(error));
  }
}

/** A cage reports how its program ended as a shell does: 128 and the signal's number. */
function endOf(child: Bun.Subprocess, caged: boolean): Awaited<EngineProcess["exited"]> {
  const { exitCode, signalCode } = child;
  if (signalCode !== null) return { exitCode, signal: String(signalCode) };
  if (!caged || exitCode === null || exitCode <= 128) return { exitCode, signal: null };
  const name = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128)?.[0];
  return name === undefined ? { exitCode, signal: null } : { exitCode: null, signal: name };
}

/** The same stream; `then` is called with its first piece. */
async function* firstThen(stream: AsyncIterable<Uint8Array>, then: () => void): AsyncGenerator<Uint8Array> {
  let first = true;
  for await (const bytes of stream) {
    if (first) then();
    first = false;
    yield bytes;
  }
}

/** The program below bubblewrap and the cage's first process, by its number out here; null before it is there. */
function innermost(outer: number): number | null {
  let pid = outer;
  for (let depth = 0; depth < 2; depth++) {
    try {
      pid = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ")[0]);
    } catch {
      return null;
    }
    if (!(pid > 0)) return null;
  }
  return pid;
}
