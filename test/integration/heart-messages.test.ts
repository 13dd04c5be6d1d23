import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { cellRow, putCell } from "../../src/heart/cells.ts";
import { readKeyFile } from "../../src/heart/key-file.ts";
import { hlcOf, millisOf, type Hlc } from "../../src/heart/hlc.ts";
import { rowMac } from "../../src/heart/mac.ts";
import { writeMeta } from "../../src/heart/meta.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { type OpenHeart, withStoredHeart } from "../../src/heart/open.ts";
import { Namespace } from "../../src/heart/tables.ts";
import { WritingSession } from "../../src/heart/writer.ts";
import { BOTTOM } from "../../src/lib/label.ts";
import { ok } from "../../src/lib/result.ts";
import type { MessageId, Millis, SessionId } from "../../src/lib/brand.ts";
import type { ReplyFacts, Span } from "../../src/lib/message.ts";
import { BUILD, draft, must, openIn, placeIn, raw, say, talk, textOf, texts } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";

const REPLY: ReplyFacts = {
  model: "starter",
  tier: "quick",
  reason: "short question",
  stop: "end",
  seed: 42,
  tokens: { prompt: 10, cached: 3, completion: 5, reasoning: 0 },
  timings: { firstTokenMs: 12.5, promptMs: 11.25, generateMs: 99.875, tokensPerSecond: 50.0625 },
};

/** Whether any file beside the heart still holds these bytes. */
function foundOnDisk(folder: string, text: string): boolean {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.some((entry) => readFileSync(join(entry.parentPath, entry.name)).includes(text));
}

describe("messages", () => {
  test("come back as they were, in another process too", () => {
    using dir = tempDir();
    const written = [];
    let session: SessionId;
    {
      using heart = openIn(dir.path);
      session = must(heart.createSession());
      const question = say(heart, session, null, "Was ist 2+2?", {
        spans: [
          { kind: "typed", text: "Was " },
          { kind: "pasted", text: "ist 2+2?" },
        ],
      });
      const answer = say(heart, session, question.id, "", {
        role: "assistant",
        spans: [
          { kind: "reasoning", text: "easy" },
          { kind: "model", text: "4" },
        ],
        label: { c: 2, k: ["files:/x", "heart"], i: 0, p: ["a", "b"] },
        origin: "agent",
        reply: REPLY,
      });
      written.push(question, answer);
      expect(heart.messages(session)).toEqual(written);
    }
    using heart = openIn(dir.path);
    expect(heart.messages(session)).toEqual(written);
    expect(heart.path(session).map((entry) => entry.message)).toEqual(written);
    expect(heart.newestSession()).toBe(session);
  });

  test("a rate over zero milliseconds, and labels out of order, are no reason to lose an answer", () => {
    using dir = tempDir();
    using heart = openIn(dir.path);
    const session = must(heart.createSession());
    const reply = { ...REPLY, timings: { ...REPLY.timings, tokensPerSecond: Infinity } };
    const message = say(heart, session, null, "x", { reply, label: { c: 0, k: ["b", "a", "b"], i: 4, p: [] } });
    expect(message.reply?.timings.tokensPerSecond).toBe(0);
    expect(message.label.k).toEqual(["a", "b"]);
    expect(heart.messages(session)).toEqual([message]);
  });

  test("any text survives; what UTF-8 cannot carry is replaced where it enters", () => {
    using dir = tempDir();
    using heart = openIn(dir.path);
    const session = must(heart.createSession());
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" }), { maxLength: 4 }), (parts) => {
        const spans: Span[] = parts.map((text, i) => ({ kind: i % 2 === 0 ? "typed" : "pasted", text }));
        const message = say(heart, session, null, "", { spans });
        expect(message.spans).toEqual(spans.map(({ kind, text }) => ({ kind, text: text.toWellFormed() })));
        expect(heart.path(session).at(-1)?.message).toEqual(message);
      }),
      { numRuns: 60, examples: [[["\u0000a\u0000", "\ud800", "\udc00\ud800"]], [["", "\u2028\ufeff"]]] },
    );
    const megabyte = say(heart, session, null, "äöü\0 \n".repeat(150_000));
    expect(heart.path(session).at(-1)?.message).toEqual(megabyte);
  }, 20_000);

  test("a parent that is unknown or elsewhere, and ids that are none, are not found", () => {
    using dir = tempDir();
    using heart = openIn(dir.path);
    const [a, b] = [talk(heart, "a"), talk(heart, "b")];
    const nobody = "ab".repeat(16) as MessageId;
    const refused = [
      heart.append(draft(a.session, nobody, "x")),
      heart.append(draft(a.session, b.messages[0]?.id ?? null, "x")),
      heart.append(draft("short" as SessionId, null, "x")),
      heart.show(a.session, nobody),
      heart.show(a.session, b.messages[0]?.id ?? nobody),
      heart.redact(nobody),
      heart.deleteSession(nobody as never),
    ];
    for (const result of refused) expect(result).toMatchObject({ ok: false, error: { kind: "not-found" } });
    expect(heart.path(nobody as never)).toEqual([]);
    expect(heart.messages("x" as SessionId)).toEqual([]);
  });

  test("stamps go on when the host's clock stands still, runs back to 1970 or leaps, and the session is flagged", () => {
    using dir = tempDir();
    let now = Date.parse("2026-05-01");
    const clock = { now: () => now as Millis, monotonic: () => 0 };
    const clocks: number[] = [];
    const sit = (at: number, ...said: string[]) => {
      now = at;
      using heart = openIn(dir.path, { clock });
      talk(heart, ...said);
      using db = raw(dir.path);
      clocks.push(Number(db.get("select clock from actor order by hlc desc limit 1")?.["clock"]));
      return new Date(heart.sessions(1)[0]?.lastAt ?? 0).toISOString().slice(0, 10);
    };
    const day = 86_400_000;
    const start = now;
    expect(sit(start, "a", "b")).toBe("2026-05-01");
    expect(sit(0, "c")).toBe("2026-05-01");
    expect(sit(start + 200 * day, "d")).toBe("2026-05-01");
    expect(sit(start + 200 * day, "e")).toBe("2026-11-17");
    expect(clocks).toEqual([0, 3, 4, 0]);
    using heart = openIn(dir.path, { clock });
    expect(heart.sessions(10).map((entry) => entry.title)).toEqual(["e", "d", "c", "a"]);
  });
});

test("a writing session goes on from what stands, whoever wrote it: it remembers only what nobody has touched since", () => {
  using dir = tempDir();
  openIn(dir.path)[Symbol.dispose]();
  const deps = heartDeps();
  const place = placeIn(dir.path);
  const result = withStoredHeart(deps, place, ({ db, mac }) => {
    const { clock, random, writer } = deps;
    const writing = new WritingSession(db, { file: place.file, mac, clock, random, writer, buildDate: BUILD });
    const put = (key: string): number =>
      must(
        writing.transact((stamps) => {
          putCell(db, mac, stamps, { ns: Namespace.STATE, key, value: "x", label: BOTTOM });
          return ok(Number(cellRow(db, Namespace.STATE, key)?.["hlc"]));
        }),
      );
    put("a");
    const far = put("b") + 100_000_000;
    writeMeta(db, mac, ["hlc", far]);
    expect(put("c")).toBeGreaterThan(far);
    using other = raw(dir.path);
    writeMeta(other, mac, ["hlc", 2 * far]);
    expect(put("d")).toBeGreaterThan(2 * far);
    return ok(undefined);
  });
  expect(result.ok).toBe(true);
  expect(must(verifyHeart(deps, place)).faults).toEqual([]);
});

describe("stamps from a wild clock, come by a merge", () => {
  /** What a merge leaves: rows stamped 460 days ahead, while the heart's own clock is where it was. */
  function afterMerge(folder: string, now: Millis, picks: number) {
    const ahead = (now + 460 * 86_400_000) as Millis;
    using wild = openIn(folder, { clock: { now: () => ahead, monotonic: () => 0 } });
    const { session, messages } = talk(wild, "one", "two");
    say(wild, session, messages[0]?.id ?? null, "another two");
    for (let i = 0; i < picks; i++) must(wild.show(session, messages[1]?.id as MessageId));
    using db = raw(folder);
    const { key } = must(readKeyFile(readFileSync(join(placeIn(folder).keysDir, "heart.json")), heartDeps().crypto));
    writeMeta(db, rowMac(heartDeps().crypto, key), ["hlc", hlcOf(now)]);
    return { session, messages };
  }
  const now = Date.parse("2026-05-01") as Millis;
  const clock = { now: () => now, monotonic: () => 0 };
  const ownClock = (folder: string): Millis => {
    using db = raw(folder);
    return millisOf(Number(db.get("select v from meta where k = 'hlc'")?.["v"]) as Hlc);
  };

  test("are beaten by what is said after them, one step each, and do not drag the heart's clock along", () => {
    for (const picks of [0, 3]) {
      using dir = tempDir();
      const { session, messages } = afterMerge(dir.path, now, picks);
      using heart = openIn(dir.path, { clock });
      expect(texts(heart, session)).toEqual(["one", picks === 0 ? "another two" : "two"]);
      say(heart, session, messages[0]?.id ?? null, "a third two");
      expect(texts(heart, session)).toEqual(["one", "a third two"]);
      expect(ownClock(dir.path)).toBe(now);
      talk(heart, "elsewhere");
      expect(heart.sessions(5).map((entry) => new Date(entry.lastAt).getUTCFullYear())).toEqual([2027, 2026]);
    }
  });

  test("are beaten by picking another take", () => {
    using dir = tempDir();
    const { session, messages } = afterMerge(dir.path, now, 1);
    using heart = openIn(dir.path, { clock });
    const takes = heart.path(session)[1]?.siblings ?? [];
    must(heart.show(session, takes[1] as MessageId));
    expect(texts(heart, session)).toEqual(["one", "another two"]);
    must(heart.show(session, messages[1]?.id as MessageId));
    expect(texts(heart, session)).toEqual(["one", "two"]);
    expect(ownClock(dir.path)).toBe(now);
  });
});

describe("conversations", () => {
  test("are listed newest first, with a title of the first words and a count", () => {
    using dir = tempDir();
    using heart = openIn(dir.path);
    must(heart.createSession());
    const first = talk(heart, "  What is\n\n\tthe \u001b[31mcapital\u0007 of France?  ", "Paris");
    const second = talk(heart, "word ".repeat(100));
    say(heart, first.session, first.messages[1]?.id ?? null, "and of Spain?");
    const third = must(heart.createSession());
    say(heart, third, null, "You are terse.", { role: "system" });
    const list = heart.sessions(10);
    expect(list.map(({ id, title, messages }) => ({ id, title, messages }))).toEqual([
      { id: third, title: "", messages: 1 },
      { id: first.session, title: "What is the [31mcapital of France?", messages: 3 },
      { id: second.session, title: `${"word ".repeat(15).trim()}…`, messages: 1 },
    ]);
    expect(heart.sessions(1)).toHaveLength(1);
    expect(list[1]?.startedAt).toBeLessThanOrEqual(list[1]?.lastAt ?? 0);
  });

  test("are found by a prefix of at least four digits, and an ambiguous one says how many it fits", () => {
    using dir = tempDir();
    let n = 0;
    const ids = ["aaaa1", "aaaa2", "bbbb0"].map((head) => Uint8Array.fromHex(head.padEnd(32, "0")));
    using heart = openIn(dir.path);
    const found: SessionId[] = ids.map((bytes) => bytes.toHex() as SessionId);
    for (const session of found) say(heart, session, null, `message ${n++}`);
    expect(heart.findSession("bbbb")).toEqual({ ok: true, value: found[2] as SessionId });
    expect(heart.findSession("AAAA1")).toEqual({ ok: true, value: found[0] as SessionId });
    expect(heart.findSession(found[1] ?? "")).toEqual({ ok: true, value: found[1] as SessionId });
    expect(heart.findSession("aaaa")).toEqual({ ok: false, error: { kind: "ambiguous", prefix: "aaaa", matches: 2 } });
    for (const none of ["bbb", "", "cccc", "zzzz", `${found[0]}0`]) expect(heart.findSession(none).ok).toBe(false);
  });
});

describe("takes", () => {
  test("agree with a plain tree in memory, through edits, retries, branches, forgetting and reopening", () => {
    const command = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("append" as const), at: fc.nat(20) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("show" as const), at: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("redact" as const), at: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const), at: fc.constant(0) }) },
    );
    fc.assert(
      fc.property(fc.array(command, { minLength: 5, maxLength: 40, size: "max" }), (commands) => {
        using dir = tempDir("noctem-takes-");
        let heart: OpenHeart = openIn(dir.path);
        const session = must(heart.createSession());
        const oracle = new Oracle();
        try {
          for (const [i, { do: what, at }] of commands.entries()) {
            const target = oracle.pick(at);
            if (what === "append") oracle.add(say(heart, session, target, `text ${i}`).id, target, `text ${i}`);
            else if (what === "reopen") heart = must(heart.reopen());
            else if (target !== null && what === "show") {
              must(heart.show(session, target));
              oracle.show(target);
            } else if (target !== null) {
              must(heart.redact(target));
              oracle.forget(target);
            }
            const path = heart.path(session);
            expect(path.map(({ message, siblings }) => ({ id: message.id, text: textOf(message), siblings }))).toEqual(oracle.path());
          }
          expect(heart.messages(session).map((message) => message.id)).toEqual(oracle.order);
          expect(heart.sessions(5)[0]?.messages ?? 0).toBe(oracle.live());
        } finally {
          heart[Symbol.dispose]();
        }
      }),
      { numRuns: 40 },
    );
  }, 30_000);
});

describe("forgetting", () => {
  test("a redacted message keeps its place and loses its words, in every file", () => {
    using dir = tempDir();
    using heart = openIn(dir.path);
    const { session, messages } = talk(heart, "keep one", "SECRET-ABOUT-THE-CAT", "keep two");
    expect(foundOnDisk(dir.path, "SECRET-ABOUT-THE-CAT")).toBe(true);
    must(heart.redact(messages[1]?.id as MessageId));
    must(heart.redact(messages[1]?.id as MessageId));
    expect(foundOnDisk(dir.path, "SECRET-ABOUT-THE-CAT")).toBe(false);
    expect(texts(heart, session)).toEqual(["keep one", "", "keep two"]);
    expect(heart.path(session)[1]?.message.redacted).toBe(true);
    expect(heart.path(session)[1]?.damaged).toBeUndefined();
    expect(heart.sessions(1)[0]?.messages).toBe(2);
    using db = raw(dir.path);
    expect(db.get("select count(*) as n from redaction")).toEqual({ n: 1 });
  });

  test("a deleted conversation is in no list and in no file, long texts on many pages included", () => {
    using dir = tempDir();
    using heart = openIn(dir.path);
    const long = "LONG-SECRET ".repeat(20_000);
    const { session, messages } = talk(heart, "SHORT-SECRET", long, "MIDDLE-SECRET".repeat(100));
    const other = talk(heart, "stays");
    expect(must(heart.deleteSession(session))).toEqual({ forgotten: 3 });
    expect(must(heart.deleteSession(session))).toEqual({ forgotten: 0 });
    for (const secret of ["SHORT-SECRET", "LONG-SECRET", "MIDDLE-SECRET"]) expect(foundOnDisk(dir.path, secret)).toBe(false);
    expect(heart.sessions(10).map((entry) => entry.id)).toEqual([other.session]);
    expect(heart.findSession(session)).toMatchObject({ ok: false });
    expect(heart.newestSession()).toBe(other.session);
    // Something said afterwards brings it back into the list, under what is left of it.
    say(heart, session, messages[2]?.id as MessageId, "on we go");
    expect(heart.sessions(1)).toMatchObject([{ id: session, title: "on we go", messages: 1 }]);
  });

  test("a body that some tool put back stays forgotten", () => {
    using dir = tempDir();
    using heart = openIn(dir.path);
    const { session, messages } = talk(heart, "once said");
    using db = raw(dir.path);
    const body = db.get("select n, salt, body from message_body");
    must(heart.redact(messages[0]?.id as MessageId));
    db.run(
      "insert into message_body (n, salt, body) values (?, ?, ?)",
      body?.["n"] ?? null,
      body?.["salt"] ?? null,
      body?.["body"] ?? null,
    );
    expect(texts(heart, session)).toEqual([""]);
    expect(placeIn(dir.path).file).toBeString();
  });
});

class Oracle {
  readonly order: MessageId[] = [];
  readonly #parent = new Map<MessageId, MessageId | null>();
  readonly #text = new Map<MessageId, string>();
  #leaf: MessageId | null = null;

  pick(at: number): MessageId | null {
    return at >= this.order.length ? (this.order.at(-1) ?? null) : at === 0 ? null : (this.order[at] ?? null);
  }

  add(id: MessageId, parent: MessageId | null, text: string): void {
    this.order.push(id);
    this.#parent.set(id, parent);
    this.#text.set(id, text);
    this.#leaf = id;
  }

  show(id: MessageId): void {
    const isBelow = (leaf: MessageId): boolean => {
      for (let at: MessageId | null = leaf; at !== null; at = this.#parent.get(at) ?? null) if (at === id) return true;
      return false;
    };
    const parents = new Set(this.#parent.values());
    this.#leaf = this.order.findLast((leaf) => !parents.has(leaf) && isBelow(leaf)) ?? id;
  }

  forget(id: MessageId): void {
    this.#text.set(id, "");
  }

  live(): number {
    return [...this.#text.values()].filter((text) => text !== "").length;
  }

  path(): { id: MessageId; text: string; siblings: MessageId[] }[] {
    const path = [];
    for (let at = this.#leaf; at !== null; at = this.#parent.get(at) ?? null) {
      const parent = this.#parent.get(at) ?? null;
      path.unshift({
        id: at,
        text: this.#text.get(at) ?? "",
        siblings: this.order.filter((id) => (this.#parent.get(id) ?? null) === parent),
      });
    }
    return path;
  }
}
