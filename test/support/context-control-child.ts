/** In a process of its own, because it loads llama.cpp: answers one line of JSON about lasting threads and interrupted batches. */
import { readdirSync, readFileSync } from "node:fs";
import type { Token } from "node-llama-cpp";
import { loadRuntime } from "../../src/platform/llama/runtime.ts";
import { type Decoder, openDecoder } from "../../src/platform/llama/raw.ts";

export interface ContextControlReport {
  readonly controlled: boolean;
  /** How many different answers the same prompt got. */
  readonly answers: number;
  /** ggml's threads while a decoder that used two and three of them is there, one number for each cycle. */
  readonly during: readonly number[];
  /** The same after it is gone. */
  readonly after: readonly number[];
  /** They had the same ids after each token of an answer. */
  readonly lasting: boolean;
  /** Ticks (of 10 ms) that ggml's threads used in the half second after an answer, and after a distribution. */
  readonly idle: readonly number[];
  /** They used processor time of their own while two threads were asked for: a pool that is there but not attached does not. */
  readonly working: boolean;
  /** Ticks that they used while one thread was asked for. */
  readonly aside: number;
  /** Of batches whose signal had come before they began: whether they were evaluated all the same, and how many of their tokens were held. */
  readonly late: { readonly evaluated: boolean; readonly sampled: boolean; readonly held: number };
  /** Batches interrupted while they were evaluated, on one thread and on two. */
  readonly interrupted: readonly number[];
  /** The model said the same after all those as before. */
  readonly sameAfter: boolean;
  /** What llama.cpp complained of meanwhile, as it is kept for the case of a crash. */
  readonly complaints: readonly string[];
  readonly refused: readonly boolean[];
  readonly accepted: boolean;
}

const TOKENS = 12;
/** Three threads share two cores badly, so there is only one token of them. */
const PLANS = [[1], [2], [2, 1, 2, 1, 2, 3, 1, 2, 2, 2, 1, 2]];

const [path = "", slow = ""] = process.argv.slice(2);
const runtime = await loadRuntime("off");
const model = await runtime.llama.loadModel({ modelPath: path });

const name = (thread: string): string => readFileSync(`/proc/self/task/${thread}/comm`, "utf8");
/** They are started by the main thread and so have its name; Bun gives its own other ones. */
function ggmlThreads(): readonly string[] {
  const main = name(`${process.pid}`);
  return readdirSync("/proc/self/task").filter((thread) => thread !== `${process.pid}` && name(thread) === main);
}

async function answer(decoder: Decoder, plan: readonly number[], onToken: () => void = () => undefined): Promise<string> {
  await decoder.keep(0);
  const generation = decoder.open({ temperature: 0, topP: 1, topK: 1, minP: 0, seed: 0, grammar: null });
  const said: Token[] = [];
  let next = [1, 2, 3] as Token[];
  for (let index = 0; index < TOKENS; index++) {
    const step = await generation.next(next, plan[index % plan.length] ?? 1);
    if (step === null) throw new Error("nobody interrupted it");
    said.push(step.token);
    next = [step.token];
    onToken();
  }
  await generation.close();
  return said.join(" ");
}

function ticks(): number {
  const used = ggmlThreads().map((thread) => {
    // User and system time are the 14th and 15th field; the second one, in parentheses, is a name and may have spaces.
    const fields = readFileSync(`/proc/self/task/${thread}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return Number(fields[11]) + Number(fields[12]);
  });
  return used.reduce((sum, each) => sum + each, 0);
}

/** Goes on until they did something, or until it is sure that they will not. */
async function work(decoder: Decoder): Promise<boolean> {
  const batch = Array.from({ length: 64 }, (_, index) => (index % 50) as Token);
  const before = ticks();
  for (let round = 0; round < 300 && ticks() - before < 3; round++) {
    await decoder.keep(0);
    await decoder.feed(batch, 2);
  }
  return ticks() - before >= 3;
}

async function usedWhileIdle(): Promise<number> {
  const before = ticks();
  await Bun.sleep(500);
  return ticks() - before;
}

const LONG = Array.from({ length: 96 }, (_, index) => (index % 50) as Token);

/** With ten tokens held that must survive: interrupted at once, and a little later, as long as it takes until ten batches were. */
async function interrupted(decoder: Decoder, threads: number): Promise<number> {
  let count = 0;
  for (let round = 0; round < 500 && count < 10; round++) {
    await decoder.keep(0);
    await decoder.feed(LONG.slice(0, 10), 1);
    const stop = new AbortController();
    using _heeded = decoder.heed(stop.signal);
    const done = decoder.feed(LONG, threads);
    if (round % 2 === 0) stop.abort();
    else setTimeout(() => stop.abort(), 1);
    if (await done) continue;
    if (decoder.held.length !== 10) return -1;
    count++;
  }
  return count;
}

async function tooLate(decoder: Decoder): Promise<ContextControlReport["late"]> {
  await decoder.keep(0);
  const generation = decoder.open({ temperature: 0, topP: 1, topK: 1, minP: 0, seed: 0, grammar: null });
  using _heeded = decoder.heed(AbortSignal.abort());
  const evaluated = await decoder.feed(LONG, 1);
  const sampled = (await generation.next(LONG, 1)) !== null;
  await generation.close();
  return { evaluated, sampled, held: decoder.held.length };
}

const answers = new Set<string>();
const during: number[] = [];
const after: number[] = [];
const idle: number[] = [];
let controlled = false;
let working = false;
let aside = Number.NaN;
let lasting = true;
for (let cycle = 0; cycle < 3; cycle++) {
  const context = await model.createContext({ contextSize: 128, sequences: 1, threads: 1 });
  const decoder = openDecoder(context, { libraries: runtime.control });
  controlled = decoder.controlled;
  for (const plan of PLANS) answers.add(await answer(decoder, plan));
  during.push(ggmlThreads().length);
  const seen: string[] = [];
  answers.add(await answer(decoder, [2], () => seen.push(ggmlThreads().join(" "))));
  lasting &&= seen.length === TOKENS && new Set(seen).size === 1;
  if (cycle === 0) {
    idle.push(await usedWhileIdle());
    const before = ticks();
    await answer(decoder, [1]);
    await answer(decoder, [1]);
    await Bun.sleep(500);
    aside = ticks() - before;
    working = await work(decoder);
    await decoder.distribution([1 as Token], 2);
    idle.push(await usedWhileIdle());
  }
  await context.dispose();
  decoder[Symbol.dispose]();
  // A thread that was waited for may stand in the list for another moment.
  for (let looks = 0; looks < 100 && ggmlThreads().length > 0; looks++) await Bun.sleep(10);
  after.push(ggmlThreads().length);
}

/** One with so many layers that a batch of it takes tens of milliseconds. */
const deep = await (await runtime.llama.loadModel({ modelPath: slow })).createContext({ contextSize: 128, sequences: 1, threads: 1 });
const decoder = openDecoder(deep, { libraries: runtime.control });
const late = await tooLate(decoder);
const before = await answer(decoder, [1]);
const interruptions: number[] = [];
let sameAfter = true;
for (const threads of [1, 2]) {
  await decoder.keep(0);
  await decoder.feed(LONG.slice(0, 10), 1);
  const undisturbed = await decoder.distribution(LONG.slice(10), 1);
  interruptions.push(await interrupted(decoder, threads));
  // First on top of what was held then, and anew.
  const disturbed = await decoder.distribution(LONG.slice(10), 1);
  sameAfter &&= undisturbed.size > 0 && Bun.deepEquals(undisturbed, disturbed) && (await answer(decoder, [1])) === before;
}

const context = await model.createContext({ contextSize: 64, sequences: 1, threads: 3 });
const { _ctx: native } = context as unknown as { readonly _ctx: object };
const { _model: owner } = model as unknown as { readonly _model: object };
const { contextSize } = context;
const attaches = (a: object, b: object, facts: { contextSize: number; threads: number }): boolean =>
  runtime.control?.attach(a, b, facts) != null;
const right = { contextSize, threads: 3 };
const report: ContextControlReport = {
  controlled,
  answers: answers.size,
  during,
  after,
  lasting,
  idle,
  working,
  aside,
  late,
  interrupted: interruptions,
  sameAfter,
  complaints: runtime.log.map(({ text }) => text),
  refused: [
    attaches(owner, native, right),
    attaches({}, {}, right),
    attaches(native, {}, right),
    attaches({}, owner, right),
    attaches(native, native, right),
    attaches(native, owner, { ...right, contextSize: contextSize + 1 }),
    attaches(native, owner, { ...right, threads: 4 }),
  ],
  accepted: attaches(native, owner, right),
};
console.log(JSON.stringify(report));
process.kill(process.pid, "SIGKILL");
