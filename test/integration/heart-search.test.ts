import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import type { MessageId } from "../../src/lib/brand.ts";
import { must, openIn, placeIn, raw, talk } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";

const bytesOf = (folder: string): string => readFileSync(placeIn(folder).file).toString("latin1");

/** Words of four letters' make that begin alike, so that FTS5 shortens them and they fill pages of their own. */
const SECRET = /[qxzj]{5,}/;
function secretText(words: number): string {
  const word = (i: number): string => Array.from({ length: 9 }, (_, k) => "qxzj"[(Math.floor(i / 4 ** k) + k * (i % 5)) % 4]).join("");
  return Array.from({ length: words }, (_, i) => `qxzjqxzjqxzj${word(i * 7919)}`).join(" ");
}

/** Words of all other letters: as many different ones as it takes to fill an index of many pages. */
function plainText(words: number, seed: number): string {
  const letters = "abcdefghiklmnoprstuvwy";
  let state = seed + 1;
  const letter = (): string => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
    return letters[(state >> 16) % letters.length] ?? "a";
  };
  return Array.from({ length: words }, () => letter() + letter() + letter() + letter()).join(" ");
}

describe("what is forgotten is in no file", () => {
  // FTS5 keeps the words that stand at a border of two pages: the more words, the more borders.
  for (const [messages, plain, secret] of [
    [3, 5, 40],
    [4, 4000, 1500],
    [4, 200, 20_000],
    [40, 600, 3000],
  ] as const) {
    test(`${secret} words of one message among ${messages} of ${plain}`, () => {
      using dir = tempDir("noctem-search-");
      {
        using heart = openIn(dir.path);
        const at = Math.floor(messages / 2);
        const said = talk(
          heart,
          ...Array.from({ length: messages }, (_, i) => (i === at ? `secret ${secretText(secret)}` : `plain ${plainText(plain, i)}`)),
        );
        expect(heart.search("qxzjqxzjq", 5).hits).toHaveLength(1);
        // A second segment of the index, and a third that forgetting itself makes.
        talk(heart, `secret ${secretText(30)}`.slice(0, 7), plainText(plain, 99));
        heart.search("plain", 5);
        expect(SECRET.test(bytesOf(dir.path))).toBe(true);
        must(heart.redact(said.messages[at]?.id as MessageId));
        expect(heart.search("qxzjqxzjq", 5).hits).toEqual([]);
        expect(heart.search("plain", 99)).toMatchObject({ complete: true, hits: { length: messages - 1 } });
      }
      expect(SECRET.exec(bytesOf(dir.path))?.[0]).toBeUndefined();
    });
  }

  test("a whole conversation, of which many words stand at borders", () => {
    using dir = tempDir("noctem-search-");
    {
      using heart = openIn(dir.path);
      talk(heart, plainText(3000, 1), plainText(3000, 2));
      const said = talk(heart, secretText(4000), `secret ${secretText(900)}`, secretText(2));
      expect(heart.search("secret", 5).hits).toHaveLength(1);
      expect(must(heart.deleteSession(said.session))).toEqual({ forgotten: 3 });
      expect(heart.search("secret", 5).hits).toEqual([]);
      expect(heart.search(plainText(1, 2), 5).hits.length).toBeGreaterThan(0);
    }
    expect(SECRET.exec(bytesOf(dir.path))?.[0]).toBeUndefined();
  });

  test("common words cost the others nothing: the index stays when no word of its own is lost", () => {
    using dir = tempDir("noctem-search-");
    using heart = openIn(dir.path);
    const text = plainText(3000, 1);
    const said = talk(heart, text, text, text);
    heart.search("plain", 5);
    must(heart.redact(said.messages[1]?.id as MessageId));
    using db = raw(dir.path);
    expect(db.get("select count(*) as n from search_docsize")).toEqual({ n: 2 });
  });
});

test("an index that is damaged is made anew, and keeps nobody from forgetting", () => {
  for (const first of ["search", "redact", "delete"] as const) {
    using dir = tempDir("noctem-search-");
    {
      using heart = openIn(dir.path);
      talk(heart, "a quiet zulupattern", "another day");
      heart.search("day", 5);
    }
    const bytes = readFileSync(placeIn(dir.path).file);
    // A word in the index: how much it shares with the one before, its length, and the rest. Its length now reaches beyond the page.
    const at = bytes.indexOf("\x01\x0bzulupattern");
    expect(at).toBeGreaterThan(0);
    bytes[at] = 0x7f;
    bytes[at + 1] = 0x7f;
    writeFileSync(placeIn(dir.path).file, bytes);
    using heart = openIn(dir.path);
    const session = heart.newestSession();
    if (session === null) throw new Error("no session");
    const [message] = heart.messages(session);
    if (first === "redact") must(heart.redact(message?.id as MessageId));
    if (first === "delete") must(heart.deleteSession(session));
    expect(heart.search("zulupattern", 5).hits).toHaveLength(first === "search" ? 1 : 0);
    expect(heart.search("day", 5).hits).toHaveLength(first === "delete" ? 0 : 1);
    if (first !== "search") expect(bytesOf(dir.path)).not.toContain("ulupattern");
  }
});
