import { describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { readKeyFile } from "../../src/heart/key-file.ts";
import { rowMac } from "../../src/heart/mac.ts";
import { SCHEMA_VERSION } from "../../src/heart/schema.ts";
import { CELL } from "../../src/heart/tables.ts";
import { WritingSession } from "../../src/heart/writer.ts";
import { ok } from "../../src/lib/result.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn, raw, talk } from "../support/heart.ts";
import { mergeInto } from "../support/heart-hostile.ts";
import { tempDir } from "../support/noctem.ts";

/**
 * What a version that does not exist yet may do to the tables: append nullable columns, whose values its seals cover, and add merged tables.
 */
function fromTheFuture(folder: string, seal: "right" | "wrong" = "right"): void {
  const deps = heartDeps();
  const key = must(readKeyFile(readFileSync(join(placeIn(folder).keysDir, "heart.json")), deps.crypto));
  const mac = rowMac(deps.crypto, key.key);
  using db = raw(folder);
  db.exec(`alter table cell add column mood text;
    create table dream (id blob not null, actor integer not null, seq integer not null, hlc integer not null, text text not null,
      mac blob not null, primary key (id)) strict, without rowid;
    create unique index dream_dot on dream (actor, seq);
    pragma user_version = ${SCHEMA_VERSION + 1}`);
  const { clock, random, writer } = deps;
  const session = new WritingSession(db, { file: placeIn(folder).file, mac, clock, random, buildDate: BUILD, writer });
  must(
    session.transact((stamps) => {
      for (const name of ["one", "two"]) {
        const row = [random.bytes(16), stamps.actor, stamps.seq(), stamps.stamp(0), `dream ${name}`];
        const sealed = mac.seal("dream", seal === "right" ? row : [...row.slice(0, 4), "another dream"]);
        db.run("insert into dream (id, actor, seq, hlc, text, mac) values (?, ?, ?, ?, ?, ?)", ...row, sealed);
      }
      const plain = ["state", "plain", "as ever", stamps.stamp(0), stamps.actor, stamps.seq(), 0, "[]", 4, "[]"];
      const moody = ["state", "moody", "with a mood", stamps.stamp(0), stamps.actor, stamps.seq(), 0, "[]", 4, "[]", "cheerful"];
      const columns = [...CELL.columns, "mood"];
      for (const row of [[...plain, null], moody]) {
        db.run(
          `insert into cell (${columns.join(", ")}, mac) values (${columns.map(() => "?").join(", ")}, ?)`,
          ...row,
          mac.seal("cell", row),
        );
      }
      return ok(undefined);
    }),
  );
}

function copies(...names: readonly string[]) {
  const dir = tempDir("noctem-newer-");
  const first = join(dir.path, names[0] ?? "a");
  mkdirSync(first);
  {
    using heart = openIn(first);
    talk(heart, "known to all");
  }
  for (const name of names.slice(1)) cpSync(first, join(dir.path, name), { recursive: true });
  return { ...dir, at: (name: string) => join(dir.path, name) };
}

const aside = (folder: string) => {
  using db = raw(folder);
  return db.all("select tbl, part, actor, seq from aside order by tbl, seq").map((row) => `${String(row["tbl"])} ${String(row["part"])}`);
};
const sound = (folder: string) => must(verifyHeart(heartDeps(), placeIn(folder))).faults;

describe("a copy that a newer version wrote", () => {
  test("merges what both know, keeps the rest aside, and passes it on", () => {
    using dir = copies("newer", "here", "third");
    {
      using heart = openIn(dir.at("newer"));
      talk(heart, "said by the newer one");
    }
    fromTheFuture(dir.at("newer"));
    const report = must(mergeInto(dir.at("here"), placeIn(dir.at("newer")).file));
    expect(report).toMatchObject({ messages: 1, values: { state: 2 }, aside: 3 });
    expect(aside(dir.at("here"))).toEqual(["cell 1", "dream 0", "dream 0"]);
    expect(sound(dir.at("here"))).toEqual([]);
    expect(must(mergeInto(dir.at("here"), placeIn(dir.at("newer")).file)).same).toBe(true);

    expect(must(mergeInto(dir.at("third"), placeIn(dir.at("here")).file))).toMatchObject({ messages: 1, aside: 3 });
    expect(aside(dir.at("third"))).toEqual(["cell 1", "dream 0", "dream 0"]);
    expect(sound(dir.at("third"))).toEqual([]);
    using third = openIn(dir.at("third"));
    expect([third.state.get("plain"), third.state.get("moody")]).toEqual(["as ever", "with a mood"]);
    must(third.state.set("moody", "changed by the older one"));
  });

  test("what it says of a row goes with that row, wherever it was carried", () => {
    using dir = copies("newer", "here", "third");
    fromTheFuture(dir.at("newer"));
    must(mergeInto(dir.at("here"), placeIn(dir.at("newer")).file));
    must(mergeInto(dir.at("third"), placeIn(dir.at("here")).file));
    {
      using here = openIn(dir.at("here"));
      must(here.state.set("moody", "changed here"));
    }
    expect(aside(dir.at("here"))).toEqual(["dream 0", "dream 0"]);
    must(mergeInto(dir.at("third"), placeIn(dir.at("here")).file));
    expect(aside(dir.at("third"))).toEqual(["dream 0", "dream 0"]);
    expect([sound(dir.at("here")), sound(dir.at("third"))]).toEqual([[], []]);
  });

  test("what it says of a row that loses here is not carried", () => {
    using dir = copies("newer", "here");
    fromTheFuture(dir.at("newer"));
    {
      using here = openIn(dir.at("here"));
      must(here.state.set("moody", "later"));
    }
    must(mergeInto(dir.at("here"), placeIn(dir.at("newer")).file));
    expect(aside(dir.at("here"))).toEqual(["dream 0", "dream 0"]);
    expect(sound(dir.at("here"))).toEqual([]);
  });

  test("a row that is carried and taken out is missed", () => {
    using dir = copies("newer", "here", "third");
    fromTheFuture(dir.at("newer"));
    must(mergeInto(dir.at("here"), placeIn(dir.at("newer")).file));
    for (const part of [0, 1]) {
      cpSync(dir.at("here"), dir.at(`here ${part}`), { recursive: true });
      {
        using db = raw(dir.at(`here ${part}`));
        db.run("delete from aside where part = ?", part);
      }
      expect(mergeInto(dir.at("third"), placeIn(dir.at(`here ${part}`)).file)).toMatchObject({ ok: false, error: { kind: "damaged" } });
    }
    expect(aside(dir.at("third"))).toEqual([]);
  });

  test("a table of it that is code rather than rows is left alone", () => {
    using dir = copies("newer", "here");
    fromTheFuture(dir.at("newer"));
    {
      using db = raw(dir.at("newer"));
      db.exec("create virtual table words using fts5 (actor, seq, mac)");
      db.exec("insert into words select actor, 1, 'not sealed' from vv");
    }
    expect(must(mergeInto(dir.at("here"), placeIn(dir.at("newer")).file))).toMatchObject({ aside: 3 });
  });

  test("is refused when a row of a table nobody here knows is not what was written", () => {
    using dir = copies("newer", "here");
    fromTheFuture(dir.at("newer"), "wrong");
    expect(mergeInto(dir.at("here"), placeIn(dir.at("newer")).file)).toMatchObject({ ok: false, error: { kind: "damaged" } });
    expect(aside(dir.at("here"))).toEqual([]);
  });

  test("is not opened: only its own version may write to it", () => {
    using dir = copies("newer");
    fromTheFuture(dir.at("newer"));
    expect(() => openIn(dir.at("newer"))).toThrow("newer");
  });
});
