import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { ENTRY_KINDS } from "../../src/heart/entries.ts";
import type { SqlRow } from "../../src/heart/sql.ts";
import type { Label } from "../../src/lib/label.ts";
import { miscounted, must, openIn, placeIn, raw } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";

const label: Label = { c: 1, k: [], i: 2, p: ["skill"] };

/** The text of a record, as it lies in the file. */
function sole(folder: string, id: string): SqlRow {
  using db = raw(folder);
  const row = db.get("select b.n, b.salt, b.body from entry e join entry_body b on b.n = e.n where e.id = ?", Uint8Array.fromHex(id));
  if (row === null) throw new Error("no text");
  return row;
}

test("every kind has a list of its own, newest first and bounded, over writing sessions", () => {
  using dir = tempDir("noctem-entries-");
  const ids: string[] = [];
  for (let session = 0; session < 3; session++) {
    using heart = openIn(dir.path);
    for (const kind of ENTRY_KINDS) {
      ids.push(must(heart.entries.append({ kind, body: `${kind} ${session}`, label })).id);
      expect(miscounted(dir.path)).toEqual([]);
    }
  }
  using heart = openIn(dir.path);
  for (const kind of ENTRY_KINDS) {
    const bodies = heart.entries.recent(kind, 2).map((entry) => entry.body);
    expect(bodies).toEqual([`${kind} 2`, `${kind} 1`]);
  }
  expect(heart.entries.get(ids[0] ?? "")).toMatchObject({ kind: "skill", body: "skill 0", label, ref: null, damaged: false });
});

test("a forgotten record, a damaged text and an altered record are told apart", () => {
  using dir = tempDir("noctem-entries-");
  using heart = openIn(dir.path);
  const [a, b, c, d] = ["Quetzalcoatl", "altered", "promoted", "lost"].map((body) =>
    must(heart.entries.append({ kind: "grant", body, label })),
  );
  if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error("four entries");
  const kept = sole(dir.path, a.id);
  must(heart.entries.forget(a.id));
  must(heart.entries.forget(a.id));
  expect(miscounted(dir.path)).toEqual([]);
  expect(readFileSync(placeIn(dir.path).file).toString("latin1")).not.toContain("Quetzalcoatl");
  {
    using db = raw(dir.path);
    db.run("update entry_body set body = 'everything' where body = 'altered'");
    db.run("update entry set label_i = 4 where id = ?", Uint8Array.fromHex(c.id));
    db.run("delete from entry_body where body = 'lost'");
    // A tool put back what was forgotten, as it was.
    db.run("insert into entry_body (n, salt, body) values (?, ?, ?)", kept["n"] ?? null, kept["salt"] ?? null, kept["body"] ?? null);
  }
  expect(heart.entries.recent("grant", 9).map(({ id, body, damaged }) => ({ id, body, damaged }))).toEqual([
    { id: d.id, body: null, damaged: true },
    { id: b.id, body: null, damaged: true },
    { id: a.id, body: null, damaged: false },
  ]);
  expect(heart.entries.get(c.id)).toBeNull();
  for (const nothing of ["", "xyz", "0".repeat(32)]) expect(heart.entries.forget(nothing)).toMatchObject({ ok: false });
});
