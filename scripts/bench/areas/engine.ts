import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { createEngineHost } from "../../../src/engine/host.ts";
import type { ModelEngine, ThreadPlan } from "../../../src/engine/port.ts";
import { LlamaEngine } from "../../../src/platform/llama/engine.ts";
import { spawnEngine } from "../../../src/platform/process.ts";
import { systemTimers } from "../../../src/platform/timers.ts";
import { inTurn, pairedRatio, summarise } from "../stats.ts";
import { type LlamaBench, llamaBench } from "../support/llama-bench.ts";
import { type Row, skipped } from "../table.ts";

const ROOT = join(import.meta.dir, "../../..");
const NAME = "smollm2-135m-instruct-q4_1.gguf";
const ROUNDS = 7;
/** Where the target is within a few parts in a hundred of the baseline: single rounds of a shared machine differ by ten. */
const CLOSE_ROUNDS = 21;
/** Where a round is short, even more. */
const SHORT_ROUNDS = 41;
const GENERATE = 64;

type Speaking = Pick<ModelEngine, "load" | "generate">;

/** Tokens a second of the compiled child, through its pipe, against llama-bench on the same libraries, in turn. */
export async function engine(): Promise<readonly Row[]> {
  const model = [join(ROOT, "dist/models", NAME), join(ROOT, "../shared/models", NAME)].find((path) => existsSync(path));
  if (model === undefined) return [skipped("engine", `no ${NAME} in dist/models`)];
  const baseline = llamaBench();
  const rows: Row[] = typeof baseline === "string" ? [skipped("against llama-bench", baseline)] : [];
  if (typeof baseline !== "string") {
    for (const threads of [1, 2].filter((count) => count <= cpus().length)) rows.push(...(await againstBench(model, baseline, threads)));
  }
  return [...rows, ...(await planned(model)), await overInProcess(model)];
}

async function againstBench(model: string, bench: LlamaBench, threads: number): Promise<Row[]> {
  await using child = compiledEngine();
  const speak = await speaker(child, model, { prompt: threads, generate: threads, measured: [] });
  const name = `${threads} thread${threads === 1 ? "" : "s"}`;
  const close = threads === 1;
  const prompt = await inTurn(close ? CLOSE_ROUNDS : ROUNDS, speak.promptSpeed, () => bench.run(model, { prompt: 512 }, threads));
  const generated = await inTurn(close ? SHORT_ROUNDS : ROUNDS, speak.generateSpeed, () =>
    bench.run(model, { generate: GENERATE }, threads),
  );
  return [
    { what: `prompt of 512, ${name}`, unit: "t/s", value: summarise(prompt.a) },
    {
      what: `  over llama-bench`,
      unit: "×",
      value: pairedRatio(prompt.a, prompt.b),
      target: { at: "least", value: close ? 0.97 : 0.8 },
    },
    { what: `generation of ${GENERATE}, ${name}`, unit: "t/s", value: summarise(generated.a) },
    {
      what: `  over llama-bench`,
      unit: "×",
      value: pairedRatio(generated.a, generated.b),
      target: { at: "least", value: close ? 0.94 : 0.8 },
    },
  ];
}

/** What a person gets: thread counts as measured at the load, alone and beside a busy neighbour, against one thread alone. */
async function planned(model: string): Promise<Row[]> {
  await using one = compiledEngine();
  await using measured = compiledEngine();
  const single = await speaker(one, model, { prompt: 1, generate: 1, measured: [] });
  const chosen = await speaker(measured, model, null);
  const idle = await inTurn(ROUNDS, chosen.generateSpeed, single.generateSpeed);
  const neighbour = Bun.spawn(["sh", "-c", "while :; do :; done"], { stdio: ["ignore", "ignore", "ignore"] });
  const busy: number[] = [];
  try {
    for (let round = -1; round < ROUNDS; round++) {
      const speed = await chosen.generateSpeed();
      if (round >= 0) busy.push(speed);
    }
  } finally {
    neighbour.kill("SIGKILL");
    await neighbour.exited;
  }
  const note = `plan: ${chosen.threads.prompt} for prompts, ${chosen.threads.generate} to generate`;
  return [
    {
      what: "generation as planned over one thread, idle",
      unit: "×",
      value: pairedRatio(idle.a, idle.b),
      target: { at: "least", value: 1 },
      note,
    },
    {
      what: "  beside a busy neighbour, over one thread idle",
      unit: "×",
      value: pairedRatio(busy, idle.b),
      target: { at: "least", value: 0.9 },
    },
  ];
}

async function overInProcess(model: string): Promise<Row> {
  const plan = { prompt: 1, generate: 1, measured: [] };
  await using child = compiledEngine();
  const here = new LlamaEngine({ threads: plan });
  const through = await speaker(child, model, plan);
  const direct = await speaker(here, model, plan);
  const speeds = await inTurn(CLOSE_ROUNDS, through.generateSpeed, direct.generateSpeed);
  return {
    what: "generation through the pipe over in-process",
    unit: "×",
    value: pairedRatio(speeds.a, speeds.b),
    target: { at: "least", value: 0.97 },
  };
}

const compiledEngine = () =>
  createEngineHost({ spawn: () => spawnEngine([join(ROOT, "dist/noctem"), "__engine"], { PATH: "/usr/bin:/bin" }), timers: systemTimers });

async function speaker(engine: Speaking, path: string, threads: ThreadPlan | null) {
  const signal = new AbortController().signal;
  const loaded = await engine.load({ path, contextSize: 2048, gpu: "off", threads, template: null }, () => undefined, signal);
  if (!loaded.ok) throw new Error(`the model does not load: ${JSON.stringify(loaded.error)}`);
  let count = 0;
  const ask = async (text: string, maxTokens: number) => {
    const answer = await engine.generate(
      {
        model: loaded.value.handle,
        messages: [{ role: "user", text }],
        maxTokens,
        temperature: 0,
        topP: 1,
        topK: 0,
        minP: 0,
        seed: 1,
        jsonSchema: null,
        cacheKey: `bench ${count}`,
      },
      () => undefined,
      signal,
    );
    if (!answer.ok) throw new Error(`no answer: ${JSON.stringify(answer.error)}`);
    return answer.value;
  };
  return {
    threads: loaded.value.threads,
    /** Each prompt begins with another word, so that nothing of it is remembered. */
    promptSpeed: async () => {
      const { tokens, timings } = await ask(`${++count} ${"the quick brown fox jumps over ".repeat(83)}`, 1);
      if (tokens.cached > 16 || Math.abs(tokens.prompt - 512) > 32)
        throw new Error(`${tokens.prompt} tokens, ${tokens.cached} remembered: not a prompt of 512`);
      return (tokens.prompt - tokens.cached) / (timings.promptMs / 1000);
    },
    generateSpeed: async () => {
      const { tokens, timings } = await ask(`${++count}. Tell me a long story about the sea.`, GENERATE);
      if (tokens.completion < GENERATE) throw new Error(`only ${tokens.completion} tokens`);
      return timings.tokensPerSecond;
    },
  };
}
