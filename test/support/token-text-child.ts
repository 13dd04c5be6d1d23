/** In a process of its own, because it loads llama.cpp: answers one line of JSON about texts that are put together token by token. */
import fc from "fast-check";
import type { Token } from "node-llama-cpp";
import { loadRuntime } from "../../src/platform/llama/runtime.ts";
import { TokenText } from "../../src/platform/llama/tokens.ts";

export interface TokenTextReport {
  /** One for each model: the first text that came out differently, with the model's own reading of its tokens, or null. */
  readonly different: readonly ({ readonly expected: string; readonly got: string } | null)[];
  /** Most tokens that were held back before a piece of text. */
  readonly held: number;
}

const runtime = await loadRuntime("off");
const different: TokenTextReport["different"][number][] = [];
let held = 0;
for (const path of process.argv.slice(2)) {
  const model = await runtime.llama.loadModel({ modelPath: path });
  const say = (tokens: readonly Token[], before: readonly Token[]): string => {
    const text = new TokenText(model, new Map());
    for (const token of before) text.push(token);
    let said = "";
    let waiting = 0;
    for (const token of tokens) {
      const piece = text.push(token);
      waiting = piece === "" ? waiting + 1 : 0;
      held = Math.max(held, waiting);
      said += piece;
    }
    return said + text.end();
  };
  const character = fc.oneof(
    fc.constantFrom(" ", "\n", "\t", "a", "b", ",", ".", "'", "<|", "|>", "é", "ß", "汉", "字", "🙂", "👩‍👩‍👧", "\u0301"),
    fc.string({ unit: "grapheme", maxLength: 1 }),
  );
  const texts = fc.sample(fc.array(character, { maxLength: 60 }), { numRuns: 300, seed: 7 }).map((parts) => parts.join(""));
  const special = model.tokens.bos ?? model.tokens.eos;
  let found: TokenTextReport["different"][number] = null;
  for (const text of texts) {
    const tokens = model.tokenize(text);
    const expected = model.detokenize(tokens);
    // Alone, and after a token that is silent.
    for (const before of [[], special === null ? [] : [special]]) {
      const got = say(tokens, before);
      if (got !== expected) found ??= { expected, got };
    }
  }
  different.push(found);
  await model.dispose();
}
console.log(JSON.stringify({ different, held } satisfies TokenTextReport));
process.kill(process.pid, "SIGKILL");
