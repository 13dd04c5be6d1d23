/** Turns what llama.cpp and node-llama-cpp say into the engine's errors. */
import { InsufficientMemoryError } from "node-llama-cpp";
import type { EngineError } from "../../engine/port.ts";

/** A load that failed. `log` is what llama.cpp said meanwhile; it usually knows better than the exception. */
export function loadError(
  path: string,
  error: unknown,
  log: readonly string[],
  memory: { readonly needed: number; readonly available: number },
): EngineError {
  const message = error instanceof Error ? error.message : String(error);
  const said = [...log, message].map(clean);
  const memoryLine = said.find((line) =>
    /insufficient memory|not enough (vram|ram|memory)|out of memory|failed to allocate|bad_alloc|cannot allocate/i.test(line),
  );
  if (error instanceof InsufficientMemoryError || memoryLine !== undefined) return { kind: "out-of-memory", ...memory };
  const unsupported = said.find((line) =>
    /unknown (model )?architecture|unsupported (model )?architecture|unknown pre-tokenizer|invalid ggml type|unsupported gguf version|unknown tensor type/i.test(
      line,
    ),
  );
  if (unsupported !== undefined) return { kind: "model-unsupported", path, detail: unsupported };
  const cause = said.find((line) => CAUSE.test(line)) ?? said.findLast((line) => line !== "" && !/^failed to load model$/i.test(line));
  return { kind: "model-broken", path, detail: cause ?? "llama.cpp refuses it" };
}

const CAUSE =
  /corrupt|not within|missing|magic|mismatch|wrong (shape|number|type)|invalid|key not found|truncated|unexpected|out of (range|bounds)/i;

/** Without llama.cpp's function names and the file's own path, which the error carries anyway. */
function clean(line: string): string {
  return line
    .replace(/^(?:[a-z_0-9]+: )+/i, "")
    .replace(/^error loading model: /i, "")
    .replaceAll(/\s+/g, " ")
    .trim()
    .slice(0, 300);
}
