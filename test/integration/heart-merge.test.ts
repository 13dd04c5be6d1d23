import { describe, expect, test } from "bun:test";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { heartCopies } from "../../src/heart/copies.ts";
import type { MessageId } from "../../src/lib/brand.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn, raw, say, talk, texts } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";

/** Two copies of one heart in folders of their own. */
function twins(...said: readonly string[]) {
  const dir = tempDir("noctem-merge-");
  const a = join(dir.path, "a");
  const b = join(dir.path, "b");
  const heart = openIn(mk(a));
  const { session, messages } = talk(heart, ...said);
  heart[Symbol.dispose]();
  cpSync(a, b, { recursive: true });
  return { ...dir, a, b, session, messages };
}

const mk = (folder: string): string => {
  cpSync(tempDir("noctem-empty-").path, folder, { recursive: true });
  return folder;
};

const merge = (into: string, from: string, dryRun = false) =>
  heartCopies(heartDeps(), placeIn(into), BUILD).merge(placeIn(from).file, { dryRun });

describe("two copies that went on apart", () => {
  test("have all messages of both after one merge each way", () => {
    using pair = twins("first", "second");
    const leaf = pair.messages.at(-1)?.id as MessageId;
    for (const [folder, word] of [
      [pair.a, "from a"],
      [pair.b, "from b"],
    ] as const) {
      using heart = openIn(folder);
      say(heart, pair.session, leaf, word);
      talk(heart, `a new talk ${word}`);
    }
    const there = must(merge(pair.a, pair.b));
    expect(there).toMatchObject({ same: false, mode: "delta", messages: 2, conflicts: 0, sessions: 1 });
    expect(must(merge(pair.b, pair.a))).toMatchObject({ messages: 2 });
    expect(must(merge(pair.a, pair.b)).same).toBe(true);
    expect(must(merge(pair.b, pair.a)).same).toBe(true);
    using a = openIn(pair.a);
    using b = openIn(pair.b);
    expect(a.messages(pair.session).map((m) => m.id)).toEqual(b.messages(pair.session).map((m) => m.id));
    expect(a.sessions(9)).toEqual(b.sessions(9));
    expect(a.sessions(9)).toHaveLength(3);
    expect(texts(a, pair.session)).toEqual(texts(b, pair.session));
  });

  test("a redaction wins over every copy", () => {
    using pair = twins("keep", "the secret word xyzzy");
    {
      using heart = openIn(pair.a);
      must(heart.redact(pair.messages[1]?.id as MessageId));
    }
    expect(must(merge(pair.a, pair.b)).forgotten).toBe(0);
    expect(must(merge(pair.b, pair.a)).forgotten).toBe(1);
    using b = openIn(pair.b);
    expect(texts(b, pair.session)).toEqual(["keep", ""]);
    using db = raw(pair.b);
    expect(db.all("select * from message_body")).toHaveLength(1);
  });
});
