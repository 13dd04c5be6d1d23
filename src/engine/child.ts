/** `noctem __engine`: the process that runs llama.cpp. A composition root: protocol, engine and standard streams meet here. */
import { endProcess, protocolStreams } from "../platform/llama/child-io.ts";
import { LlamaEngine } from "../platform/llama/engine.ts";
import { threadsFromEnv } from "../platform/llama/cores.ts";
import { serveEngine } from "./server.ts";

/** Serves until standard input ends. There is nothing to save, so it then ends at once, even in the middle of a token. */
export async function engineMain(_argv: readonly string[]): Promise<number> {
  const io = protocolStreams();
  await serveEngine(new LlamaEngine({ threads: threadsFromEnv() }), io);
  return endProcess();
}

if (import.meta.main) await engineMain([]);
