import { describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, rmSync } from "node:fs";
import * as fc from "fast-check";
import { OPEN_TASKS } from "../../src/heart/tasks.ts";
import { RECENT_ENTRIES } from "../../src/heart/entries.ts";
import { matchOf } from "../../src/heart/search.ts";
import { countStreams } from "../../src/heart/streams.ts";
import type { Label } from "../../src/lib/label.ts";
import type { MessageId } from "../../src/lib/brand.ts";
import { must, openIn, placeIn, raw, say, talk } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";

const label: Label = { c: 2, k: ["heart"], i: 2, p: ["console"] };

/** What every write must keep true: each stream holds the rows that the vector says it holds. */
function expectCounted(folder: string): void {
  using db = raw(folder);
  const counted = countStreams(db, "main");
  const rows = db.all("select actor, held, total from vv");
  expect(rows.map((row) => [row["actor"], row["held"], row["total"]])).toEqual(
    rows.map((row) => {
      const found = counted.get(Number(row["actor"])) ?? { rows: 0, total: 0 };
      return [row["actor"], found.rows, found.total];
    }),
  );
}

const bytesOf = (folder: string): string => readFileSync(placeIn(folder).file).toString("latin1");

describe("tasks", () => {
  test("are added, changed, listed by priority and due date, removed, and come back with what they were", () => {
    using dir = tempDir("noctem-parts-");
    using heart = openIn(dir.path);
    const low = must(heart.tasks.add({ title: "low", priority: 1 }, label));
    const later = must(heart.tasks.add({ title: "later", priority: 7, due: 2000 as never }));
    const soon = must(heart.tasks.add({ title: "soon", priority: 7, due: 1000 as never }));
    const undated = must(heart.tasks.add({ title: "undated", priority: 7 }));
    expect(heart.tasks.open(9).map((task) => task.title)).toEqual(["soon", "later", "undated", "low"]);
    expect(must(heart.tasks.update(low.id, { priority: 9, plan: "think" }))).toMatchObject({
      title: "low",
      priority: 9,
      plan: "think",
      damaged: false,
    });
    must(heart.tasks.update(soon.id, { status: "done", result: "made" }));
    expect(heart.tasks.open(9).map((task) => task.title)).toEqual(["low", "later", "undated"]);
    expect(heart.tasks.open(1)).toHaveLength(1);
    must(heart.tasks.remove(later.id));
    expect(heart.tasks.get(later.id)).toBeNull();
    expect(heart.tasks.remove(later.id)).toEqual({ ok: false, error: { kind: "not-found", what: later.id } });
    expect(must(heart.tasks.restore(later.id))).toMatchObject({ title: "later", due: 2000 });
    expect(
      heart.tasks
        .all()
        .map((task) => task.id)
        .sort(),
    ).toEqual([low.id, later.id, soon.id, undated.id].sort());
    for (const nothing of ["", "xyz", "0".repeat(32)]) expect(heart.tasks.update(nothing, { title: "x" }).ok).toBe(false);
    expectCounted(dir.path);
  });

  test("agree with a plain map through any edits and reopenings, and streams stay counted", () => {
    const operation = fc.record({ op: fc.constantFrom("add", "remove", "restore", "update", "reopen"), at: fc.nat(3), n: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 25 }), (operations) => {
        using dir = tempDir("noctem-parts-");
        let heart = openIn(dir.path);
        const model: { id: string; priority: number; there: boolean }[] = [];
        for (const { op, at, n } of operations) {
          const known = model[at];
          if (op === "reopen") {
            heart[Symbol.dispose]();
            heart = openIn(dir.path);
          } else if (op === "add") model.push({ id: must(heart.tasks.add({ title: "t", priority: n })).id, priority: n, there: true });
          else if (known !== undefined) {
            const worked =
              op === "remove"
                ? heart.tasks.remove(known.id)
                : op === "restore"
                  ? heart.tasks.restore(known.id)
                  : heart.tasks.update(known.id, { priority: n });
            expect(worked.ok).toBe(op === "restore" || known.there);
            if (op === "update" && known.there) known.priority = n;
            if (op === "remove") known.there = false;
            if (op === "restore") known.there = true;
          }
          const there = model.filter((task) => task.there);
          expect(
            heart.tasks
              .all()
              .map((task) => `${task.id} ${task.priority}`)
              .sort(),
          ).toEqual(there.map((task) => `${task.id} ${task.priority}`).sort());
          expect(heart.tasks.open(99)).toHaveLength(there.length);
        }
        heart[Symbol.dispose]();
        expectCounted(dir.path);
      }),
      { numRuns: 40 },
    );
  });

  test("an attribute that was altered in the file is left out and told", () => {
    using dir = tempDir("noctem-parts-");
    using heart = openIn(dir.path);
    const { id } = must(heart.tasks.add({ title: "pay 10 euro", priority: 3 }));
    {
      using db = raw(dir.path);
      db.run("update cell set v = ? where k = ?", '"pay 10000 euro"', `${id}.title`);
    }
    expect(heart.tasks.get(id)).toMatchObject({ title: "", priority: 3, damaged: true });
  });
});

describe("memory", () => {
  test("remembers with labels, and what is forgotten is in no file", () => {
    using dir = tempDir("noctem-parts-");
    {
      using heart = openIn(dir.path);
      expect(must(heart.memory.remember("dog", "is called Wolpertinger", label))).toMatchObject({ key: "dog", label });
      must(heart.memory.remember("dog", "is called Zebraquagga", label));
      must(heart.memory.remember("cat", "is called Mia", label));
      expect(heart.memory.list("d").map((item) => item.text)).toEqual(["is called Zebraquagga"]);
      expect(heart.search("zebraquag", 5).hits).toMatchObject([{ kind: "memory", key: "dog" }]);
      must(heart.memory.forget("dog"));
      expect(heart.memory.recall("dog")).toBeNull();
      expect(heart.memory.list()).toHaveLength(1);
      expect(heart.memory.forget("dog").ok).toBe(false);
      expect(heart.search("zebraquagga", 5).hits).toEqual([]);
    }
    expect(bytesOf(dir.path)).not.toMatch(/Zebraquagga|Wolpertinger|ebraquagg/i);
    expectCounted(dir.path);
  });
});

describe("entries, incidents and state", () => {
  test("entries only grow, newest first, and lose their body alone", () => {
    using dir = tempDir("noctem-parts-");
    using heart = openIn(dir.path);
    const first = must(heart.entries.append({ kind: "skill", body: "ran ls Quetzalcoatl", label }));
    const second = must(heart.entries.append({ kind: "skill", body: "ran cat", label, ref: first.id }));
    must(heart.entries.append({ kind: "report", body: "all well", label }));
    expect(heart.entries.recent("skill", 9).map((entry) => entry.id)).toEqual([second.id, first.id]);
    expect(second.ref).toBe(first.id);
    must(heart.entries.forget(first.id));
    expect(heart.entries.get(first.id)).toMatchObject({ body: null, label });
    expect(bytesOf(dir.path)).not.toContain("Quetzalcoatl");
    expectCounted(dir.path);
  });

  test("incidents add up over writing sessions and are acknowledged", () => {
    using dir = tempDir("noctem-parts-");
    for (let session = 0; session < 3; session++) {
      using heart = openIn(dir.path);
      must(heart.incidents.count("seal.bad", 3, `time ${session}`));
      must(heart.incidents.count("seal.bad", 3));
      must(heart.incidents.count("clock", 1));
    }
    using heart = openIn(dir.path);
    expect(heart.incidents.list()).toMatchObject([
      { kind: "seal.bad", severity: 3, count: 6, detail: "time 2", acknowledged: 0 },
      { kind: "clock", severity: 1, count: 3 },
    ]);
    must(heart.incidents.acknowledge("seal.bad", 3));
    must(heart.incidents.count("seal.bad", 3));
    expect(heart.incidents.list()[0]).toMatchObject({ count: 7, acknowledged: 6 });
    expectCounted(dir.path);
  });

  test("state is set, overwritten and cleared", () => {
    using dir = tempDir("noctem-parts-");
    using heart = openIn(dir.path);
    must(heart.state.set("plan", "a"));
    must(heart.state.set("plan", "b"));
    expect([heart.state.get("plan"), heart.state.get("none")]).toEqual(["b", null]);
    must(heart.state.set("plan", null));
    expect(heart.state.get("plan")).toBeNull();
    expectCounted(dir.path);
  });
});

describe("search", () => {
  test("finds words in any order, the beginning of the last one, and accents or not; what is typed is never syntax", () => {
    using dir = tempDir("noctem-parts-");
    using heart = openIn(dir.path);
    const { session, messages } = talk(heart, "the café by the river", "the river in winter", 'say "hello" OR NOT');
    say(heart, session, messages[0]?.id ?? null, "thinking", { spans: [{ kind: "reasoning", text: "hidden thoughts" }] });
    const texts = (query: string): (string | null)[] => heart.search(query, 9).hits.map((hit) => hit.excerpt);
    expect(texts("river cafe")).toEqual(["the café by the river"]);
    expect(texts("winte")).toEqual(["the river in winter"]);
    expect(texts("river")).toHaveLength(2);
    expect(texts("thoughts")).toEqual([]);
    for (const query of ['"', "'", "NEAR(", "a AND", "*", "text:x", "^river", "-", "", " ", "(", "\0"])
      expect(() => heart.search(query, 9)).not.toThrow();
    expect(texts('"hello" OR')).toHaveLength(1);
    expect(matchOf('a"b')).toBe('"a""b" *');
  });

  test("what is forgotten leaves the index and the file, wherever its words stood", () => {
    for (const [count, at] of [
      [3, 1],
      [150, 0],
      [150, 75],
      [150, 149],
    ] as const) {
      using dir = tempDir("noctem-parts-");
      {
        using heart = openIn(dir.path);
        const { session, messages } = talk(
          heart,
          ...Array.from({ length: count }, (_, i) => (i === at ? "zebraquagga wolpertinger" : `words ${i} about w${i % 37}`)),
        );
        expect(heart.search("wolpertinger", 5).hits).toHaveLength(1);
        must(heart.redact(messages[at]?.id as MessageId));
        expect(heart.search("wolpertinger", 5).hits).toEqual([]);
        expect(heart.search("about", 5).hits).toHaveLength(Math.min(5, count - 1));
        if (at === 75) must(heart.deleteSession(session));
      }
      expect(bytesOf(dir.path)).not.toMatch(/ebraquagg|olpertinge/);
      expectCounted(dir.path);
    }
  }, 60_000);

  test("works without writing on a stick that cannot be written", () => {
    using dir = tempDir("noctem-parts-");
    {
      using heart = openIn(dir.path);
      talk(heart, "indexed words");
      heart.search("words", 5);
      talk(heart, "later words");
      must(heart.memory.remember("m", "remembered words", label));
      must(heart.tasks.add({ title: "a task" }));
    }
    rmSync(placeIn(dir.path).keysDir, { recursive: true });
    const before = bytesOf(dir.path);
    {
      using heart = openIn(dir.path);
      expect(heart.mode.kind).toBe("memory");
      expect(
        heart
          .search("words", 9)
          .hits.map((hit) => hit.kind)
          .sort(),
      ).toEqual(["memory", "message", "message"]);
      expect(heart.tasks.open(9)).toHaveLength(1);
      expect(heart.tasks.add({ title: "x" })).toMatchObject({ ok: false, error: { kind: "read-only" } });
    }
    expect(bytesOf(dir.path) === before).toBe(true);
    chmodSync(dir.path, 0o700);
  });
});

test("no question of a list scans a table", () => {
  using dir = tempDir("noctem-parts-");
  openIn(dir.path)[Symbol.dispose]();
  using db = raw(dir.path);
  for (const [sql, ...params] of [
    [OPEN_TASKS, 9],
    [RECENT_ENTRIES, "skill", 9],
  ] as const) {
    const plan = db.all(`explain query plan ${sql}`, ...params).map((row) => String(row["detail"]));
    expect(plan.join("\n")).not.toMatch(/\bSCAN (?!task_overview USING (?:COVERING )?INDEX)|TEMP B-TREE/);
  }
});
