import type { EngineError, ModelEngine } from "../engine/port.ts";
import type { Greeting } from "./record.ts";

/** Tokens within which a model that knows its template has ended its answer to a greeting. */
const LIMIT = 200;
/** Tokens. */
const CONTEXT = 1024;

/**
 * Says hello to a model. A template that does not suit it shows at once: the answer never ends, because the token that
 * would end it is not one that the model was taught. Better known at import than in the first conversation.
 */
export async function greet(
  engine: ModelEngine,
  path: string,
  template: string | null,
  cores: number,
  signal: AbortSignal,
): Promise<Omit<Greeting, "at">> {
  const failed = (error: EngineError): Omit<Greeting, "at"> => ({ outcome: "failed", tokens: 0, detail: describe(error) });
  const threads = { prompt: cores, generate: 1, measured: [] };
  const loaded = await engine.load({ path, contextSize: CONTEXT, gpu: "off", threads, template }, () => undefined, signal);
  if (!loaded.ok) return failed(loaded.error);
  const model = loaded.value.handle;
  if (loaded.value.template.source === "none") {
    await engine.unload(model);
    return { outcome: "no-template", tokens: 0, detail: "" };
  }
  const answered = await engine.generate(
    {
      model,
      messages: [{ role: "user", text: "Hello!" }],
      maxTokens: LIMIT,
      temperature: 0,
      topP: 1,
      topK: 0,
      minP: 0,
      seed: 1,
      jsonSchema: null,
      cacheKey: "greeting",
    },
    () => undefined,
    signal,
  );
  await engine.unload(model);
  if (!answered.ok) return failed(answered.error);
  const { stop, tokens } = answered.value;
  if (stop === "cancelled") return { outcome: "failed", tokens: tokens.completion, detail: "cancelled" };
  return { outcome: stop === "end" ? "ends" : "rambles", tokens: tokens.completion, detail: "" };
}

function describe(error: EngineError): string {
  if ("detail" in error && error.detail !== "") return error.detail.slice(0, 300);
  switch (error.kind) {
    case "model-missing":
      return "its file is gone";
    case "out-of-memory":
      return `it needs ${Math.ceil(error.needed / 1e6)} MB of memory, and ${Math.floor(error.available / 1e6)} MB are free`;
    case "crashed":
      return "the engine crashed on it";
    case "hung":
      return `the engine gave no sign of life for ${error.seconds} s`;
    case "cancelled":
      return "cancelled";
    case "model-broken":
    case "model-unsupported":
    case "template-broken":
    case "prompt-too-long":
    case "schema-unsupported":
    case "not-loaded":
    case "unavailable":
      return `the engine refused it (${error.kind})`;
  }
}
