/** Turns what llama.cpp and node-llama-cpp say into the engine's errors. */
import { InsufficientMemoryError } from "node-llama-cpp";
import type { EngineError } from "../../engine/port.ts";

export interface MemoryFacts {
  readonly needed: number;
  readonly available: number;
}

/** A load that failed. `log` is what llama.cpp said meanwhile, which knows better than the exception ("Failed to load model"). */
export function loadError(path: string, error: unknown, log: readonly LogLine[], memory: MemoryFacts): EngineError {
  const message = error instanceof Error ? error.message : String(error);
  const said = log.filter(({ level }) => level === "error" || level === "fatal").map(({ text }) => clean(text));
  if (error instanceof InsufficientMemoryError || [...said, message].some((line) => MEMORY.test(line)))
    return { kind: "out-of-memory", ...memory };
  const unsupported = said.find((line) => UNSUPPORTED.test(line));
  if (unsupported !== undefined) return { kind: "model-unsupported", path, detail: unsupported };
  const cause = said.find((line) => !VAGUE.test(line)) ?? said[0];
  // Without a word from llama.cpp it was node-llama-cpp's own reader of headers that gave up.
  return { kind: "model-broken", path, detail: cause ?? `its header is damaged (${clean(message)})` };
}

export interface LogLine {
  readonly level: string;
  readonly text: string;
}

const MEMORY = /insufficient memory|not enough (?:v?ram|memory)|out of memory|failed to allocate|bad_alloc|cannot allocate/i;
const UNSUPPORTED =
  /unknown (?:model )?architecture|unsupported (?:model )?architecture|unknown pre-tokenizer|invalid ggml type|unsupported gguf version|unknown tensor type/i;
/** True of every failure, so it explains none. */
const VAGUE = /^failed to (?:load model|read (?:key-value pairs|tensor data|tensor info|header))/i;

/** Without llama.cpp's function names and the file's own path, which the error carries anyway. */
function clean(line: string): string {
  return line
    .replace(/^(?:[a-z_0-9]+: )+/i, "")
    .replace(/^error loading model: (?:[a-z_0-9]+: )*/i, "")
    .replaceAll(/\s+/g, " ")
    .trim()
    .slice(0, 300);
}
