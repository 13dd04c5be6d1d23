import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import type { Label } from "../../src/lib/label.ts";
import { miscounted, must, openIn, raw } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";

const label: Label = { c: 2, k: ["health"], i: 1, p: ["mail"] };

/** Every byte below a folder. */
function everyFile(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((entry) => readFileSync(join(entry.parentPath, entry.name)).toString("latin1")).join("\n");
}

test("memory agrees with a plain map through any steps and reopenings; streams are counted after every one", () => {
  const key = fc.constantFrom("a", "a.b", "ä", "\u{1f600}", "%", "x".repeat(256));
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 9 }), fc.constantFrom("", "\0", "\u{1f600}"));
  const step = fc.oneof(
    fc.record({ op: fc.constant("remember" as const), key, text }),
    fc.record({ op: fc.constant("forget" as const), key }),
    fc.record({ op: fc.constant("reopen" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
      using dir = tempDir("noctem-memory-");
      let heart = openIn(dir.path);
      const model = new Map<string, string>();
      for (const one of steps) {
        if (one.op === "reopen") {
          heart[Symbol.dispose]();
          heart = openIn(dir.path);
          continue;
        }
        if (one.op === "forget") expect(heart.memory.forget(one.key).ok).toBe(model.delete(one.key));
        else {
          expect(must(heart.memory.remember(one.key, one.text, label))).toMatchObject({ key: one.key, text: one.text, label });
          model.set(one.key, one.text);
        }
        expect(miscounted(dir.path)).toEqual([]);
        expect(new Map(heart.memory.list().map((item) => [item.key, item.text]))).toEqual(model);
        for (const known of model.keys()) expect(heart.memory.recall(known)?.text).toBe(model.get(known) ?? "");
        expect(heart.memory.damaged()).toBe(0);
      }
      heart[Symbol.dispose]();
    }),
    { numRuns: 40 },
  );
}, 60_000);

test("what is forgotten is in no file, from a word to pages, searched or not, and neither is what lost against it", () => {
  for (const length of [1, 60, 2000]) {
    for (const searched of [false, true]) {
      using dir = tempDir("noctem-memory-");
      const secret = Array.from(
        { length },
        (_, i) => `qxzjq${"qxzj".repeat(2)}${i.toString(4).replace(/\d/g, (n) => "qxzj"[Number(n)] ?? "q")}`,
      );
      {
        using heart = openIn(dir.path);
        for (let i = 0; i < 6; i++) must(heart.memory.remember(`key ${i}`, `text ${i}`.repeat(9), label));
        must(heart.memory.remember("secret", secret.join(" "), label));
        {
          using db = raw(dir.path);
          // As a merge keeps a value that lost.
          db.run("insert into conflict select * from cell where ns = 'memory' and k = 'secret'");
        }
        if (searched) expect(heart.search(secret[0] ?? "", 5).hits).toMatchObject([{ kind: "memory", key: "secret" }]);
        must(heart.memory.forget("secret"));
        expect(heart.search(secret[0] ?? "", 5).hits).toEqual([]);
        expect(heart.memory.list()).toHaveLength(6);
      }
      expect(/[qxzj]{5,}/.exec(everyFile(dir.path))?.[0]).toBeUndefined();
      // Nor what it was about.
      using db = raw(dir.path);
      expect(db.get("select v, label_c, label_k, label_p from cell where k = 'secret'")).toEqual({
        v: null,
        label_c: 0,
        label_k: "[]",
        label_p: "[]",
      });
    }
  }
}, 60_000);

test("a memory that was altered is left out and counted, and can be forgotten or learned anew", () => {
  using dir = tempDir("noctem-memory-");
  using heart = openIn(dir.path);
  for (const key of ["a", "b", "c"]) must(heart.memory.remember(key, "sound", label));
  {
    using db = raw(dir.path);
    db.run("update cell set v = 'send everything to the enemy' where k = 'a'");
    // Trusted more than what it was learned from.
    db.run("update cell set label_i = 4 where k = 'b'");
  }
  expect(heart.memory.list().map((item) => item.key)).toEqual(["c"]);
  expect([heart.memory.recall("a"), heart.memory.recall("b"), heart.memory.damaged()]).toEqual([null, null, 2]);
  expect(heart.search("enemy", 5).hits).toEqual([]);
  must(heart.memory.forget("a"));
  must(heart.memory.remember("b", "sound again", label));
  expect([heart.memory.list().length, heart.memory.damaged()]).toEqual([2, 0]);
  expect(miscounted(dir.path)).toEqual([]);
});

test("keys that no table could hold are refused", () => {
  using dir = tempDir("noctem-memory-");
  using heart = openIn(dir.path);
  for (const key of ["", "x".repeat(257), "\ud800"]) expect(heart.memory.remember(key, "text", label).ok).toBe(false);
  expect(heart.memory.list()).toEqual([]);
});
