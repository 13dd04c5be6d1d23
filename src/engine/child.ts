/** `noctem __engine`: the process that runs llama.cpp. A composition root: protocol, engine and standard streams meet here. */
import { endProcess, protocolStreams } from "../platform/llama/child-io.ts";
import { LlamaEngine } from "../platform/llama/engine.ts";
import { threadsFromEnv, usableCores } from "../platform/llama/cores.ts";
import { serveEngine } from "./server.ts";

/** Serves until standard input ends. There is nothing to save, so it then ends at once, even in the middle of a token. */
export async function engineMain(argv: readonly string[]): Promise<number> {
  const cores = mostCores(argv);
  const io = protocolStreams();
  await serveEngine(new LlamaEngine({ threads: threadsFromEnv(cores), cores }), io);
  return endProcess();
}

/** `--cores N`: what whoever started this may use of the machine, which a cage does not show. */
function mostCores(argv: readonly string[]): number {
  const said = Number(argv[argv.indexOf("--cores") + 1]);
  return argv.includes("--cores") && Number.isInteger(said) && said > 0 ? Math.min(said, usableCores()) : usableCores();
}

if (import.meta.main) await engineMain(process.argv.slice(2));
