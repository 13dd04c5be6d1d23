import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { openHeart } from "../../src/heart/open.ts";
import { MATCHING } from "../../src/heart/search.ts";
import type { MessageId } from "../../src/lib/brand.ts";
import { BOTTOM } from "../../src/lib/label.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { BUILD, must, openIn, placeIn, raw, say, talk } from "../support/heart.ts";
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
  for (const first of ["search", "redact", "delete", "read only"] as const) {
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
    if (first === "read only") rmSync(placeIn(dir.path).keysDir, { recursive: true });
    using heart = openIn(dir.path);
    const session = heart.newestSession();
    if (session === null) throw new Error("no session");
    const [message] = heart.messages(session);
    if (first === "redact") must(heart.redact(message?.id as MessageId));
    if (first === "delete") must(heart.deleteSession(session));
    expect(heart.search("zulupattern", 5).hits).toHaveLength(first === "search" || first === "read only" ? 1 : 0);
    expect(heart.search("day", 5).hits).toHaveLength(first === "delete" ? 0 : 1);
    if (first === "redact" || first === "delete") expect(bytesOf(dir.path)).not.toContain("ulupattern");
  }
});

describe("where nothing can be written", () => {
  test("what was said in memory since is found too, and a conversation that went on once", () => {
    using dir = tempDir("noctem-search-");
    {
      using heart = openIn(dir.path);
      talk(heart, "old heron");
      heart.search("heron", 5);
      talk(heart, "another heron, never indexed");
    }
    rmSync(placeIn(dir.path).keysDir, { recursive: true });
    using heart = openIn(dir.path);
    const session = heart.newestSession();
    if (session === null) throw new Error("no session");
    say(heart, session, heart.path(session).at(-1)?.message.id ?? null, "the heron again");
    talk(heart, "a heron in a conversation of its own");
    const { hits, complete } = heart.search("heron", 9);
    expect(hits.map((hit) => hit.excerpt).sort()).toEqual([
      "a heron in a conversation of its own",
      "another heron, never indexed",
      "old heron",
      "the heron again",
    ]);
    expect(complete).toBe(true);
    expect(heart.search("heron", 2).hits).toHaveLength(2);
  });

  test("a heart of the first version is searched by reading it, and holds nothing else", () => {
    using dir = tempDir("noctem-search-");
    {
      using heart = openIn(dir.path);
      talk(heart, "a heron of the first version");
    }
    // What the first version did not have is taken away again.
    using old = sqliteDriver.open(placeIn(dir.path).file, { create: false, readOnly: false });
    const tables = ["task_dot", "task_remove", "remove_floor", "incident", "entry", "entry_body", "leaf", "aside", "conflict", "witness"];
    for (const name of [...tables, "task_overview", "search"]) old.exec(`drop table ${name}`);
    for (const name of ["actor_dot", "vv_hot", "vv_gap"]) old.exec(`drop index ${name}`);
    for (const name of ["held", "total", "cold", "gap"]) old.exec(`alter table vv drop column ${name}`);
    old.exec("pragma user_version = 1");
    old[Symbol.dispose]();
    rmSync(placeIn(dir.path).keysDir, { recursive: true });
    using heart = openIn(dir.path);
    expect(heart.search("heron", 5)).toMatchObject({ complete: true, hits: [{ excerpt: "a heron of the first version" }] });
    expect([heart.tasks.open(5), heart.tasks.all(), heart.memory.list(), heart.incidents.list(), heart.entries.recent("skill", 5)]).toEqual(
      [[], [], [], [], []],
    );
    expect([heart.memory.recall("x"), heart.state.get("x"), heart.tasks.get("0".repeat(32)), heart.entries.get("0".repeat(32))]).toEqual([
      null,
      null,
      null,
      null,
    ]);
    for (const refused of [
      heart.tasks.add({ title: "x" }),
      heart.memory.remember("x", "y", BOTTOM),
      heart.memory.forget("x"),
      heart.entries.append({ kind: "skill", body: "x", label: BOTTOM }),
      heart.incidents.count("x", 1),
      heart.state.set("x", "y"),
    ]) {
      expect(refused).toMatchObject({ ok: false, error: { kind: "read-only" } });
    }
  });

  test("a heart in memory alone holds and finds everything", () => {
    using heart = must(openHeart(heartDeps(), "memory", BUILD));
    talk(heart, "a heron in memory");
    must(heart.memory.remember("bird", "it was a heron", BOTTOM));
    must(heart.tasks.add({ title: "look for the heron" }));
    expect(heart.search("heron", 5).hits.map((hit) => hit.kind)).toEqual(["memory", "message"]);
    expect(heart.tasks.open(5)).toHaveLength(1);
  });
});

describe("hits", () => {
  test("messages do not crowd out what was remembered, nor the other way round", () => {
    using dir = tempDir("noctem-search-");
    using heart = openIn(dir.path);
    talk(heart, ...Array.from({ length: 12 }, (_, i) => `dog number ${i}`));
    for (let i = 0; i < 12; i++) must(heart.memory.remember(`dog ${i}`, "barks", BOTTOM));
    const kinds = (limit: number): string[] => heart.search("dog", limit).hits.map((hit) => hit.kind);
    const count = (limit: number, kind: string): number => kinds(limit).filter((found) => found === kind).length;
    expect([count(8, "memory"), count(8, "message")]).toEqual([2, 6]);
    expect([count(1, "memory"), count(20, "memory"), count(20, "message"), count(99, "memory")]).toEqual([1, 8, 12, 12]);
    expect(kinds(0)).toEqual([]);
    // Equally good ones: the newest first.
    expect(heart.search("number", 2).hits.map((hit) => hit.excerpt)).toEqual(["dog number 11", "dog number 10"]);
  });

  test("excerpts are one line that moves no terminal, around the words and whole in their characters", () => {
    using dir = tempDir("noctem-search-");
    using heart = openIn(dir.path);
    talk(heart, "evil \x1b[31mred\x07\n\tcat", `${"\u{1f600}".repeat(500)} owl ${"\u{1f680}".repeat(500)}`);
    expect(heart.search("cat", 1).hits[0]?.excerpt).toBe("evil [31mred cat");
    const excerpt = heart.search("owl", 1).hits[0]?.excerpt ?? "";
    expect(excerpt).toContain(" owl ");
    expect(excerpt).not.toContain("\ufffd");
    expect(heart.search(`${"long-".repeat(100_000)}query`, 5).hits).toEqual([]);
  });

  test("texts that a whole copy brings back later are indexed, and each once", () => {
    using dir = tempDir("noctem-search-");
    using heart = openIn(dir.path);
    const said = talk(heart, "first heron", "second heron", "third heron");
    using db = raw(dir.path);
    // As a repair leaves it: the row without its text, and the stream marked.
    const lost = db.get("select n, salt, body from message_body order by n limit 1");
    db.run("delete from message_body where n = ?", lost?.["n"] ?? null);
    db.run("update vv set gap = 1");
    expect(heart.search("heron", 9).hits).toHaveLength(2);
    db.run(
      "insert into message_body (n, salt, body) values (?, ?, ?)",
      lost?.["n"] ?? null,
      lost?.["salt"] ?? null,
      lost?.["body"] ?? null,
    );
    db.run("update vv set gap = null");
    expect(heart.search("heron", 9).hits).toHaveLength(3);
    expect(db.get("select count(*) as n from search where search match 'heron'")).toEqual({ n: 3 });
    db.exec("insert into search (search) values ('integrity-check')");
    expect(said.messages).toHaveLength(3);
  });

  test("a question of the index sorts no table, and weighs a bounded number of matches", () => {
    using dir = tempDir("noctem-search-");
    openIn(dir.path)[Symbol.dispose]();
    using db = raw(dir.path);
    const plan = db.all(`explain query plan ${MATCHING}`, "heron", 5).map((row) => String(row["detail"]));
    expect(plan.filter((step) => /search/i.test(step) && /SCAN search VIRTUAL TABLE/.test(step))).toHaveLength(1);
    // One sort, of the matches that were taken; the matches themselves come in order.
    expect(plan.filter((step) => step.includes("TEMP B-TREE"))).toHaveLength(1);
  });
});
