/**
 * A process at a heart, for tests: `heart-child.ts write FOLDER COUNT` says COUNT things and prints a line for each that was
 * acknowledged; `fill FOLDER` says things until one is refused, and then reads them again; `open FOLDER` prints what opening gives; `append FOLDER` what one write gives.
 */
import { openHeart } from "../../src/heart/open.ts";
import type { MessageId } from "../../src/lib/brand.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, draft, must, openIn, placeIn, say } from "./heart.ts";

const [mode = "", folder = "", count = "0"] = process.argv.slice(2);
const print = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

if (mode === "write") {
  using heart = openIn(folder);
  const session = must(heart.createSession());
  let parent: MessageId | null = null;
  print({ ready: heart.id });
  for (let i = 0; i < Number(count); i++) {
    const { id } = say(heart, session, parent, `${process.pid}:${i} ${"x".repeat(i % 700)}`);
    print({ session, id });
    // A conversation of one thousand messages is a test of patience, not of durability.
    parent = i % 50 === 49 ? null : id;
  }
} else if (mode === "fill") {
  using heart = openIn(folder);
  const session = must(heart.createSession());
  const ids: string[] = [];
  for (let error: string | null = null; error === null && ids.length < 10_000;) {
    const said = heart.append(draft(session, null, "x".repeat(3000)));
    if (said.ok) ids.push(said.value.id);
    else {
      // The heart stays usable, and so does what was acknowledged.
      using again = must(heart.reopen());
      const kept = again.messages(session).map((message) => message.id);
      const forgotten = again.deleteSession(session);
      error = said.error.kind;
      print({ error, acknowledged: ids.length, kept: JSON.stringify(kept) === JSON.stringify(ids), forgotten: forgotten.ok });
    }
  }
} else {
  const opened = openHeart(heartDeps(), placeIn(folder), BUILD);
  if (!opened.ok) print({ error: opened.error.kind });
  else if (mode === "open") {
    using heart = opened.value;
    const sessions = heart.sessions(10);
    print({ mode: heart.mode, sessions: sessions.length, id: heart.id });
  } else {
    using heart = opened.value;
    const written = heart.append(draft(must(heart.createSession()), null, "one more ".repeat(Number(count))));
    print(written.ok ? { written: written.value.id, mode: heart.mode } : { error: written.error.kind, mode: heart.mode });
  }
}
