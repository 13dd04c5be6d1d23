import { describe, expect, test } from "bun:test";
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { heartCopies } from "../../src/heart/copies.ts";
import type { MessageId } from "../../src/lib/brand.ts";
import type { Label } from "../../src/lib/label.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn, raw, say, talk, texts } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";

const label: Label = { c: 2, k: ["heart"], i: 2, p: ["console"] };

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
  mkdirSync(folder, { recursive: true, mode: 0o700 });
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
    // That it is so is noted once, and then nothing is written any more.
    const bytes = readFileSync(placeIn(pair.a).file);
    expect(must(merge(pair.a, pair.b)).same).toBe(true);
    expect(readFileSync(placeIn(pair.a).file).equals(bytes)).toBe(true);
    expect(must(heartCopies(heartDeps(), placeIn(pair.a), BUILD).status()).conflicts).toBe(0);
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

describe("what two copies changed at once", () => {
  test("values: one stands, the other is listed, restored and swapped back", () => {
    using pair = twins("x");
    for (const [folder, text] of [
      [pair.a, "blue"],
      [pair.b, "green"],
    ] as const) {
      using heart = openIn(folder);
      must(heart.memory.remember("colour", text, label));
      must(heart.state.set("same", "equal"));
    }
    expect(must(merge(pair.a, pair.b))).toMatchObject({ conflicts: 1, values: { memory: 1, state: 1 } });
    expect(must(merge(pair.b, pair.a)).conflicts).toBe(0);
    const copies = heartCopies(heartDeps(), placeIn(pair.a), BUILD);
    const [conflict] = must(copies.conflicts());
    expect(conflict).toMatchObject({ namespace: "memory", key: "colour", lost: { value: "blue" }, stands: { value: "green" } });
    must(copies.restore(conflict?.id ?? ""));
    expect(must(copies.conflicts())).toMatchObject([{ lost: { value: "green" }, stands: { value: "blue" } }]);
    expect(must(merge(pair.b, pair.a)).conflicts).toBe(0);
    {
      using b = openIn(pair.b);
      expect(b.memory.recall("colour")?.text).toBe("blue");
    }
    must(copies.dismiss(must(copies.conflicts())[0]?.id ?? ""));
    expect(must(copies.conflicts())).toEqual([]);
    expect(copies.restore("00ff")).toMatchObject({ ok: false, error: { kind: "not-found" } });
  });

  test("a text that is forgotten on one side is kept on neither, not even as a loser", () => {
    using pair = twins("x");
    {
      using a = openIn(pair.a);
      must(a.memory.remember("secret", "Wolpertinger", label));
    }
    must(merge(pair.b, pair.a));
    {
      using b = openIn(pair.b);
      must(b.memory.remember("secret", "Wolpertinger two", label));
    }
    {
      using a = openIn(pair.a);
      must(a.memory.forget("secret"));
    }
    for (const folders of [
      [pair.a, pair.b],
      [pair.b, pair.a],
    ] as const)
      must(merge(...folders));
    for (const folder of [pair.a, pair.b]) {
      using heart = openIn(folder);
      expect(heart.memory.recall("secret")).toBeNull();
      expect(readFileSync(placeIn(folder).file).toString("latin1")).not.toContain("olpertinge");
    }
  });

  test("tasks: adding wins over removing, and what is removed everywhere stays away", () => {
    using pair = twins("x");
    let id = "";
    let other = "";
    {
      using a = openIn(pair.a);
      id = must(a.tasks.add({ title: "shared" })).id;
      other = must(a.tasks.add({ title: "other" })).id;
    }
    must(merge(pair.b, pair.a));
    {
      using a = openIn(pair.a);
      must(a.tasks.remove(id));
      must(a.tasks.remove(other));
      using b = openIn(pair.b);
      must(b.tasks.restore(id));
      must(b.tasks.update(id, { title: "shared, renamed" }));
    }
    expect(must(merge(pair.a, pair.b))).toMatchObject({ tasksAdded: 1, tasksRemoved: 0 });
    expect(must(merge(pair.b, pair.a))).toMatchObject({ tasksAdded: 0, tasksRemoved: 2 });
    for (const folder of [pair.a, pair.b]) {
      using heart = openIn(folder);
      expect(heart.tasks.all()).toMatchObject([{ id, title: "shared, renamed" }]);
      expect(heart.tasks.open(9)).toHaveLength(1);
    }
  });

  test("incidents and entries add up", () => {
    using pair = twins("x");
    for (const folder of [pair.a, pair.b]) {
      using heart = openIn(folder);
      must(heart.incidents.count("seal", 3));
      must(heart.incidents.count("seal", 3));
      must(heart.entries.append({ kind: "skill", body: `ran in ${folder === pair.a ? "a" : "b"}`, label }));
    }
    must(merge(pair.a, pair.b));
    must(merge(pair.b, pair.a));
    for (const folder of [pair.a, pair.b]) {
      using heart = openIn(folder);
      expect(heart.incidents.list()).toMatchObject([{ kind: "seal", count: 4 }]);
      expect(
        heart.entries
          .recent("skill", 9)
          .map((entry) => entry.body ?? "")
          .sort(),
      ).toEqual(["ran in a", "ran in b"]);
    }
  });

  test("a dry run says the same and leaves every byte", () => {
    using pair = twins("x");
    {
      using b = openIn(pair.b);
      talk(b, "one", "two");
    }
    const before = readFileSync(placeIn(pair.a).file);
    const dry = must(merge(pair.a, pair.b, true));
    expect(dry.messages).toBe(2);
    expect(readFileSync(placeIn(pair.a).file).equals(before)).toBe(true);
    expect(must(merge(pair.a, pair.b))).toEqual(dry);
  });
});

describe("what is refused", () => {
  test("itself, another heart, no heart, nothing; and the heart stays as it was", () => {
    using pair = twins("x");
    using other = tempDir("noctem-merge-");
    openIn(other.path)[Symbol.dispose]();
    writeFileSync(join(other.path, "text"), "not a heart");
    const copies = heartCopies(heartDeps(), placeIn(pair.a), BUILD);
    const before = readFileSync(placeIn(pair.a).file);
    const kinds = [placeIn(pair.a).file, placeIn(other.path).file, join(other.path, "text"), join(other.path, "none"), other.path].map(
      (file) => {
        const result = copies.merge(file, { dryRun: false });
        return result.ok ? "merged" : result.error.kind;
      },
    );
    expect(kinds).toEqual(["same-file", "foreign", "damaged", "unreadable", "damaged"]);
    expect(readFileSync(placeIn(pair.a).file).equals(before)).toBe(true);
  });

  test("a row that was altered: nothing comes in, and the parent can read of it", () => {
    using pair = twins("x");
    {
      using b = openIn(pair.b);
      talk(b, "pay 10 euro");
    }
    {
      using db = raw(pair.b);
      db.run("update message set role = 'assistant' where seq = (select max(seq) from message)");
    }
    expect(merge(pair.a, pair.b)).toMatchObject({ ok: false, error: { kind: "damaged", path: placeIn(pair.b).file } });
    using a = openIn(pair.a);
    expect(a.sessions(9)).toHaveLength(1);
    expect(a.incidents.list()).toMatchObject([{ kind: "merge.refused", severity: 3, count: 1 }]);
  });

  test.each([
    ["a message", "delete from message where n = (select max(n) from message)"],
    ["a text", "delete from message_body where n = (select max(n) from message_body)"],
    ["a task", "delete from task_dot"],
    ["a value", "delete from cell where ns = 'memory'"],
    ["its vector's row", "delete from vv where actor = (select max(actor) from vv)"],
    ["its summary", "delete from meta where k = 'vector'"],
  ])("%s that was taken out is missed", (_, sql) => {
    using pair = twins("x");
    {
      using b = openIn(pair.b);
      talk(b, "one", "two");
      must(b.tasks.add({ title: "t" }));
      must(b.memory.remember("m", "text", label));
    }
    using genuine = tempDir("noctem-merge-");
    cpSync(pair.b, genuine.path, { recursive: true });
    {
      using db = raw(pair.b);
      db.run(sql);
    }
    expect(merge(pair.a, pair.b)).toMatchObject({ ok: false, error: { kind: "damaged" } });
    expect(must(merge(pair.a, genuine.path))).toMatchObject({ messages: 2, tasksAdded: 1 });
  });
});

describe("a copy that was taken in the middle of a write", () => {
  const copied = (folder: string, from: string, work: string): void => {
    using db = raw(from);
    db.exec(`pragma journal_mode = truncate; pragma cache_size = 4; begin immediate; ${work}`);
    for (const end of ["", "-journal"]) copyFileSync(`${placeIn(from).file}${end}`, `${placeIn(folder).file}${end}`);
    db.exec("rollback");
  };

  test("is read where nothing of the write is in it yet, as SQLite tells", () => {
    using pair = twins("first", "second");
    const [third, fourth] = [mk(join(pair.path, "third")), mk(join(pair.path, "fourth"))];
    copied(third, pair.b, "update message_body set body = body || 'x' where n = 1");
    const journal = readFileSync(`${placeIn(third).file}-journal`);
    expect([journal.length > 512, journal[0]]).toEqual([true, 0]);
    expect(merge(pair.a, third)).toMatchObject({ ok: true, value: { same: true } });

    {
      using heart = openIn(pair.b);
      for (let i = 0; i < 40; i++) talk(heart, "long ".repeat(700));
    }
    copied(fourth, pair.b, "update message_body set body = body || 'x'");
    expect(readFileSync(`${placeIn(fourth).file}-journal`)[0]).not.toBe(0);
    expect(merge(pair.a, fourth)).toMatchObject({ ok: false, error: { kind: "unfinished" } });
  });
});
