/** In a process of its own, because it loads llama.cpp: answers one line of JSON about tokens that are made ahead of whoever asks for them. */
import { readdirSync, readFileSync } from "node:fs";
import { type LlamaContext, type LlamaModel, LlamaGrammar, type Token } from "node-llama-cpp";
import type { ContextLibraries } from "../../src/platform/ffi/context-control.ts";
import type { LoopEnd } from "../../src/platform/ffi/token-loop.ts";
import { type Decoder, type Generation, openDecoder, type Sampling, type Step } from "../../src/platform/llama/raw.ts";
import { loadRuntime } from "../../src/platform/llama/runtime.ts";

export interface RunAheadReport {
  /** For each model: made ahead when allowed; when not allowed; with a grammar; without the context in hand. */
  readonly ahead: readonly (readonly boolean[])[];
  /** Models and settings whose tokens differed from those that are made step by step. */
  readonly different: readonly string[];
  /** Different answers of one prompt at temperature 1, seeds 1 to 4: or else the settings above would prove nothing. */
  readonly variety: number;
  /** Threads that were at the tokens of an answer whose count changed after the tenth, and whether its tokens were the same as on one thread. */
  readonly switched: { readonly threads: readonly number[]; readonly same: boolean };
  /** Tokens that two threads were given no time for, and all the time: how often one thread took over, threads that they were begun on, and whether they were the same as ever. */
  readonly impatient: { readonly none: number; readonly plenty: number; readonly threads: readonly number[]; readonly same: boolean };
  /** Threads that llama.cpp has for a batch on two, after an answer in which one took over for a token that nobody took. */
  readonly afterwards: number;
  /** A reader who stopped reading: tokens held at the end, those that the context had meanwhile, and those that it has after. */
  readonly idle: { readonly held: number; readonly reached: number; readonly left: number };
  /** The likelihoods of what follows are the same, to the bit, as after an answer that was made step by step. */
  readonly exact: boolean;
  /** A limit and an end of turn: tokens that the context had when the thread stopped by itself, less those that were held. */
  readonly beyond: readonly number[];
  /** Feeding something else than what came, and going on beyond the end of a turn: greedily, the same as step by step. */
  readonly strayed: boolean;
  /** Signals that came while tokens were made: how often, whether each ended the answer, and left just what had been asked for. */
  readonly cancelled: { readonly rounds: number; readonly ended: number; readonly exact: number; readonly sameAfter: boolean };
  /** Beyond the end of the context: what was said, and what was held then; and whether the next answer is as ever. */
  readonly full: { readonly error: string; readonly stepwise: string; readonly held: number; readonly sameAfter: boolean };
  /** Two contexts at work at one time say what each says alone. */
  readonly sideBySide: boolean;
  /** Milliseconds that one token took at most, of those after a pause of the reader, and the pause. */
  readonly paused: { readonly slowest: number; readonly pause: number };
  /** Turns that the event loop had while a reader took tokens that were all there already. */
  readonly turns: number;
  /** Times that Bun took the process for one that waits for nothing. */
  readonly forsaken: number;
  /** Threads of this kind: before, with two contexts, and after. */
  readonly threads: readonly number[];
}

const GREEDY = { temperature: 0, topP: 1, topK: 1, minP: 0, seed: 0, grammar: null } as const;
const SETTINGS: readonly Sampling[] = [
  GREEDY,
  { temperature: 0.8, topP: 0.95, topK: 40, minP: 0.05, seed: 7, grammar: null },
  { temperature: 1, topP: 1, topK: 0, minP: 0, seed: 4_000_000_000, grammar: null },
  { temperature: 1.5, topP: 0.5, topK: 5, minP: 0, seed: 0, grammar: null },
];
const LENGTH = 110;
const BOUNDLESS = { limit: 10_000, end: null } as const;

let forsaken = 0;
let takenOver = 0;
process.on("beforeExit", () => forsaken++);

const loopThreads = (): number =>
  readdirSync("/proc/self/task").filter((thread) => readFileSync(`/proc/self/task/${thread}/comm`, "utf8") === "token-loop\n").length;

const prompt = (length: number): Token[] => Array.from({ length }, (_, index) => (1 + ((index * 7) % 60)) as Token);

async function token(generation: Generation, input: readonly Token[], threads = 1, patience = 0): Promise<Step> {
  const step = await generation.next(input, threads, { threads, patience });
  if (step === null) throw new Error("nobody interrupted it");
  return step;
}

/** Goes on whatever the tokens are, so that there are as many as are wanted. */
async function answer(
  decoder: Decoder,
  sampling: Sampling,
  length = LENGTH,
  threads: (index: number) => number = () => 1,
  patience = 0,
): Promise<Step[]> {
  await decoder.keep(0);
  const generation = decoder.open(sampling);
  const steps: Step[] = [];
  for (let input: readonly Token[] = prompt(12); steps.length < length; input = [steps.at(-1)?.token ?? (0 as Token)])
    steps.push(await token(generation, input, threads(steps.length), patience));
  // Time to go on in, if there were something to be made.
  if (sampling.ahead !== undefined && sampling.ahead.limit < 20) await Bun.sleep(20);
  await generation.close();
  const given = [...prompt(12), ...steps.slice(0, -1).map((step) => step.token)];
  if (!Bun.deepEquals(decoder.held, given)) throw new Error("what is held is not what was given");
  return steps;
}

const text = (steps: readonly Step[]): string => steps.map((step) => step.token).join(" ");

interface Opened {
  readonly context: LlamaContext;
  readonly decoder: Decoder;
  /** What the context had at the end of each run. */
  readonly ends: LoopEnd[];
}

async function main(): Promise<RunAheadReport> {
  const [tiny = "", qwen = "", deep = "", script = "", ...others] = process.argv.slice(2);
  const runtime = await loadRuntime("off");
  const open = async (model: LlamaModel, contextSize = 256): Promise<Opened> => {
    const context = await model.createContext({ contextSize, sequences: 1, threads: 1 });
    const ends: LoopEnd[] = [];
    const libraries: ContextLibraries = {
      attach(native, owner, facts) {
        const control = runtime.control?.attach(native, owner, facts) ?? null;
        if (!control?.loop) return control;
        const { loop } = control;
        const next = loop.next.bind(loop);
        loop.next = async () => {
          const step = await next();
          if (step?.late === true) takenOver++;
          return step;
        };
        const stop = loop.stop.bind(loop);
        loop.stop = async () => {
          const end = await stop();
          ends.push(end);
          return end;
        };
        return control;
      },
    };
    return { context, decoder: openDecoder(context, { libraries }), ends };
  };
  const close = async ({ context, decoder }: Opened): Promise<void> => {
    await context.dispose();
    decoder[Symbol.dispose]();
  };
  const load = async (modelPath: string): Promise<LlamaModel> => await runtime.llama.loadModel({ modelPath });
  const models = { tiny: await load(tiny), qwen: await load(qwen), deep: await load(deep), script: await load(script) };
  const threads = [loopThreads()];

  const ahead: boolean[][] = [];
  const different: string[] = [];
  const grammar = new LlamaGrammar(runtime.llama, { grammar: 'root ::= "a"' });
  const all = { ...models, ...Object.fromEntries(await Promise.all(others.map(async (path) => [path, await load(path)] as const))) };
  for (const [name, model] of Object.entries(all)) {
    const opened = await open(model);
    const { decoder } = opened;
    const makesAhead = async (sampling: Sampling, of = decoder): Promise<boolean> => {
      const generation = of.open(sampling);
      await generation.close();
      return generation.ahead;
    };
    const bare = await model.createContext({ contextSize: 64, sequences: 1, threads: 1 });
    ahead.push([
      await makesAhead({ ...GREEDY, ahead: BOUNDLESS }),
      await makesAhead(GREEDY),
      await makesAhead({ ...GREEDY, grammar, ahead: BOUNDLESS }),
      await makesAhead({ ...GREEDY, ahead: BOUNDLESS }, openDecoder(bare)),
    ]);
    await bare.dispose();
    // A real model takes its time.
    for (const [index, sampling] of SETTINGS.slice(0, others.includes(name) ? 2 : undefined).entries()) {
      const stepwise = text(await answer(decoder, sampling));
      if (text(await answer(decoder, { ...sampling, ahead: BOUNDLESS })) !== stepwise) different.push(`${name}, setting ${index}`);
    }
    await close(opened);
  }

  const one = await open(models.tiny);
  const { decoder, ends } = one;
  const two = await open(models.qwen);
  threads.push(loopThreads());
  const said = new Set<string>();
  for (const seed of [1, 2, 3, 4]) said.add(text(await answer(decoder, { ...SETTINGS[2]!, seed, ahead: BOUNDLESS }, 20)));

  const steps = await answer(decoder, { ...GREEDY, ahead: BOUNDLESS }, 60, (index) => (index < 10 ? 1 : 2));
  const switched = { threads: steps.map((step) => step.threads), same: text(steps) === text(await answer(decoder, GREEDY, 60)) };

  const onTwo = async (patience: number): Promise<{ readonly count: number; readonly steps: readonly Step[] }> => {
    takenOver = 0;
    const made = await answer(decoder, { ...GREEDY, ahead: BOUNDLESS }, 60, () => 2, patience);
    return { count: takenOver, steps: made };
  };
  const [none, plenty] = [await onTwo(1e-6), await onTwo(60_000)];
  const impatient = {
    none: none.count,
    plenty: plenty.count,
    threads: none.steps.map((step) => step.threads),
    same: [none, plenty].every((made) => text(made.steps) === text(steps)),
  };

  await decoder.keep(0);
  const left = decoder.open({ ...GREEDY, ahead: BOUNDLESS });
  await token(left, prompt(12), 2, 1e-6);
  await Bun.sleep(100);
  await left.close();
  await answer(decoder, GREEDY, 1, () => 2);
  const afterwards = (one.context as unknown as { readonly _ctx: { getThreads(): number } })._ctx.getThreads();

  /** Takes some tokens, lets the thread run into its bound, and looks at what comes after. */
  const followed = async (some: Partial<Sampling>): Promise<ReadonlyMap<Token, number>> => {
    await decoder.keep(0);
    const generation = decoder.open({ ...GREEDY, ...some });
    let input: readonly Token[] = prompt(12);
    for (let index = 0; index < 5; index++) input = [(await token(generation, input)).token];
    await Bun.sleep(200);
    await generation.close();
    return await decoder.distribution(prompt(7), 1);
  };
  const stepwise = await followed({});
  ends.length = 0;
  const exact = Bun.deepEquals(await followed({ ahead: BOUNDLESS }), stepwise) && stepwise.size > 1;
  const [end] = ends;
  const { _ctx: native } = one.context as unknown as { readonly _ctx: { getSequenceKvCacheMaxPosition(sequence: number): number } };
  // Seven tokens more came with the likelihoods.
  const idle = { held: decoder.held.length - 7, reached: end?.position ?? 0, left: native.getSequenceKvCacheMaxPosition(0) + 1 - 7 };

  const beyond: number[] = [];
  for (const [index, limit] of [1, 9].entries()) {
    ends.length = 0;
    const upTo = await answer(decoder, { ...GREEDY, ahead: { limit, end: null } }, limit);
    beyond.push((ends[0]?.position ?? 0) - decoder.held.length);
    if (index === 0) continue;
    // The last one but two as the end of a turn, if it comes there for the first time.
    const mark = upTo.findIndex((step) => step.token === upTo.at(-3)?.token);
    ends.length = 0;
    await answer(decoder, { ...GREEDY, ahead: { limit: mark + 2, end: upTo[mark]?.token ?? null } }, mark + 1);
    beyond.push((ends[0]?.position ?? 0) - decoder.held.length);
  }

  const reciting = await open(models.script);
  const stray = async (from: Decoder, some: Partial<Sampling>): Promise<string> => {
    await from.keep(0);
    const generation = from.open({ ...GREEDY, ...some });
    const got: Token[] = [];
    let input: readonly Token[] = prompt(12);
    for (let index = 0; index < 40; index++) {
      got.push((await token(generation, input)).token);
      // Every fifth time another token than the one that came, and once several.
      input = index % 5 === 4 ? prompt(index === 14 ? 3 : 1) : got.slice(-1);
    }
    await generation.close();
    return got.join(" ");
  };
  const [random, recited] = [await stray(decoder, {}), await stray(reciting.decoder, {})];
  const somewhere = { ahead: { limit: 25, end: null } };
  const strayed = (await stray(decoder, somewhere)) === random && (await stray(reciting.decoder, somewhere)) === recited;
  await close(reciting);

  const slow = await open(models.deep);
  const before = text(await answer(slow.decoder, { ...GREEDY, ahead: BOUNDLESS }, 20));
  const cancelled = { rounds: 0, ended: 0, exact: 0, sameAfter: true };
  for (let round = 0; round < 12; round++) {
    await slow.decoder.keep(0);
    const stop = new AbortController();
    using _heeded = slow.decoder.heed(stop.signal);
    const generation = slow.decoder.open({ ...GREEDY, ahead: BOUNDLESS });
    let input: readonly Token[] = prompt(12);
    let taken = 0;
    for (; taken < 3 + round; taken++) input = [(await token(generation, input)).token];
    // At once, and in the middle of what is being decoded.
    if (round % 3 === 0) stop.abort();
    else setTimeout(() => stop.abort(), round % 3);
    let last: Step | null = { token: input[0] as Token, ms: 0, threads: 1 };
    for (; taken < 200 && last !== null; taken++) last = await generation.next([last.token], 1);
    await generation.close();
    cancelled.rounds++;
    if (last === null) cancelled.ended++;
    const { _ctx: memory } = slow.context as unknown as { readonly _ctx: { getSequenceKvCacheMaxPosition(sequence: number): number } };
    // All that came but the last one had been given back.
    if (slow.decoder.held.length === 12 + taken - 2 && memory.getSequenceKvCacheMaxPosition(0) + 1 === slow.decoder.held.length)
      cancelled.exact++;
  }
  cancelled.sameAfter = text(await answer(slow.decoder, { ...GREEDY, ahead: BOUNDLESS }, 20)) === before;
  await close(slow);

  const small = await open(models.tiny, 64);
  const room = small.context.contextSize;
  const overflow = async (some: Partial<Sampling>): Promise<string> => {
    try {
      await answer(small.decoder, { ...GREEDY, ...some }, room + 20);
      return "";
    } catch (error) {
      return error instanceof Error ? error.message : "";
    }
  };
  const full = {
    stepwise: await overflow({}),
    error: await overflow({ ahead: BOUNDLESS }),
    held: small.decoder.held.length,
    sameAfter: text(await answer(small.decoder, { ...GREEDY, ahead: BOUNDLESS }, 20)) === text(await answer(decoder, GREEDY, 20)),
  };
  await close(small);

  const alone = [await answer(decoder, SETTINGS[1]!), await answer(two.decoder, SETTINGS[1]!)].map(text);
  const together = await Promise.all(
    [decoder, two.decoder].map(async (each) => text(await answer(each, { ...SETTINGS[1]!, ahead: BOUNDLESS }))),
  );
  const sideBySide = Bun.deepEquals(alone, together);

  let turns = 0;
  let counting = true;
  const count = (): void => {
    turns++;
    if (counting) setImmediate(count);
  };
  await decoder.keep(0);
  const hurried = decoder.open({ ...GREEDY, ahead: BOUNDLESS });
  let input: readonly Token[] = [(await token(hurried, prompt(12))).token];
  const paused = { slowest: 0, pause: 500 };
  await Bun.sleep(paused.pause);
  setImmediate(count);
  turns = 0;
  for (let index = 0; index < 160; index++) {
    // So long that the thread is always ahead.
    Bun.sleepSync(3);
    const step = await token(hurried, input);
    paused.slowest = Math.max(paused.slowest, step.ms);
    input = [step.token];
  }
  counting = false;
  await hurried.close();

  await close(one);
  await close(two);
  threads.push(loopThreads());
  return {
    ahead,
    different,
    variety: said.size,
    switched,
    impatient,
    afterwards,
    idle,
    exact,
    beyond,
    strayed,
    cancelled,
    full,
    sideBySide,
    paused,
    turns,
    forsaken,
    threads,
  };
}

// Not awaited at the top: then Bun would wait whatever happened.
void main().then((report) => {
  console.log(JSON.stringify(report));
  process.kill(process.pid, "SIGKILL");
});
