/** In a process of its own, because it loads llama.cpp: answers one line of JSON about lasting threads. */
import { readdirSync } from "node:fs";
import type { Token } from "node-llama-cpp";
import { loadRuntime } from "../../src/platform/llama/runtime.ts";
import { openDecoder } from "../../src/platform/llama/raw.ts";

const [path = ""] = process.argv.slice(2);
const tasks = (): number => readdirSync("/proc/self/task").length;
const runtime = await loadRuntime("off");
const model = await runtime.llama.loadModel({ modelPath: path });
const answers: string[] = [];
const counts: number[] = [];
let pooled = false;
for (let cycle = 0; cycle < 4; cycle++) {
  const context = await model.createContext({ contextSize: 128, sequences: 1, threads: 1 });
  const decoder = openDecoder(context, { libraries: runtime.pools });
  pooled = decoder.pooled;
  for (const plan of [[1], [2], [2, 1, 2, 3, 1, 2]]) {
    await decoder.keep(0);
    const generation = decoder.open({ temperature: 0, topP: 1, topK: 1, minP: 0, seed: 0, grammar: null });
    let next: Token[] = [1, 2, 3] as Token[];
    const said: Token[] = [];
    for (let i = 0; i < 24; i++) {
      const token = await generation.next(next, plan[i % plan.length] ?? 1);
      said.push(token);
      next = [token];
    }
    await generation.close();
    answers.push(said.join(" "));
  }
  await context.dispose();
  decoder[Symbol.dispose]();
  counts.push(tasks());
}
const context = await model.createContext({ contextSize: 64, sequences: 1, threads: 1 });
const internals = context as unknown as { readonly _ctx: object };
const owner = model as unknown as { readonly _model: object };
const attach = (a: object, b: object, size: number): boolean => runtime.pools?.attach(a, b, size) != null;
const refused = [
  attach(owner._model, internals._ctx, 64),
  attach({}, {}, 64),
  attach(internals._ctx, {}, 64),
  attach(internals._ctx, owner._model, 65),
];
const accepted = attach(internals._ctx, owner._model, context.contextSize);
console.log(JSON.stringify({ pooled, answers: new Set(answers).size, counts, refused, accepted }));
process.kill(process.pid, "SIGKILL");
