/** `heart-power-child.ts FOLDER OTHER COUNT`: says COUNT things, merges OTHER, and says one more; a line on stdout after each that was acknowledged. */
import { writeSync } from "node:fs";
import { heartCopies } from "../../src/heart/copies.ts";
import type { MessageId } from "../../src/lib/brand.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn, say } from "./heart.ts";

const [folder = "", other = "", count = "0"] = process.argv.slice(2);
const acknowledge = (what: string): void => void writeSync(1, `ack ${what}\n`);

using heart = openIn(folder);
const session = must(heart.createSession());
const said: MessageId[] = [];
const speak = (text: string): MessageId => {
  const { id } = say(heart, session, said.at(-1) ?? null, text);
  said.push(id);
  acknowledge(id);
  return id;
};
for (let i = 0; i < Number(count); i++) {
  const id = speak(`${i} ${"x".repeat((i * 977) % 6000)}`);
  // Forgetting frees pages, and secure_delete writes zeroes over them.
  if (i % 4 === 3) {
    must(heart.redact(id));
    acknowledge(`forget ${id}`);
  }
}
must(heartCopies(heartDeps(), placeIn(folder), BUILD).merge(placeIn(other).file, { dryRun: false }));
acknowledge("merge");
speak("the last word");
