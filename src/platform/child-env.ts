/**
 * Variables that turn a Bun executable into something else: `BUN_BE_BUN=1` makes it the bun command line, `BUN_OPTIONS` adds flags such as `--preload`,
 * `NODE_OPTIONS` likewise for node; `NODE_LLAMA_CPP_*` point the engine at other builds; `GGML_BACKEND_PATH` makes ggml load one more library. A child is our own code and takes its orders from argv alone.
 */
const DROPPED = /^(BUN_|NODE_OPTIONS$|NODE_LLAMA_CPP_|GGML_BACKEND_PATH$|TEST_BINDING_CP$)/;

/** The environment for a child process: `env` without what could change which code the child runs. Every spawner uses it. */
export function cleanEnv(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const clean: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (value !== undefined && !DROPPED.test(name)) clean[name] = value;
  return clean;
}
