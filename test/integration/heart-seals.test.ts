import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readKeyFile } from "../../src/heart/key-file.ts";
import { rowMac } from "../../src/heart/mac.ts";
import { FIRST_USER_MESSAGE, MESSAGE_BY_N, RECENT_SESSIONS, SESSION_SHAPE, SESSIONS_BETWEEN } from "../../src/heart/reader.ts";
import { CELL } from "../../src/heart/rows.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "../../src/heart/sql.ts";
import type { MessageId } from "../../src/lib/brand.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { draft, must, openIn, placeIn, raw, say, talk, texts } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";

const { crypto } = heartDeps();
const SEALED = ["meta", "vv", "actor", "message", "redaction", "cell"];
/** Row numbers are local: they are in no merge and under no seal. */
const LOCAL = new Set(["n", "mac"]);

const columnsOf = (db: SqlDatabase, table: string): string[] =>
  db
    .all("select name from pragma_table_info(?) order by cid", table)
    .map((row) => String(row["name"]))
    .filter((name) => !LOCAL.has(name));

function model(folder: string) {
  using heart = openIn(folder);
  const { session, messages } = talk(heart, "one", "two", "three");
  say(heart, session, messages[0]?.id ?? null, "another two");
  must(heart.redact(messages[2]?.id as MessageId));
  must(heart.show(session, messages[1]?.id as MessageId));
  return { session, messages };
}

const keyOf = (folder: string) => must(readKeyFile(readFileSync(join(placeIn(folder).keysDir, "heart.json")), crypto));

/** Another value of the same type, within what the column's checks allow. */
function altered(name: string, value: SqlValue): SqlValue {
  if (value === null) return name === "parent" ? new Uint8Array(16) : "{}";
  if (typeof value === "number") return name.startsWith("label_") ? (value + 1) % 5 : name === "clock" ? value + 1 : value + 7;
  if (typeof value === "string") return `${value} `;
  if (value instanceof Uint8Array) return value.map((byte, i) => (i === value.length - 1 ? byte ^ 1 : byte));
  throw new Error("no such value in a heart");
}

describe("seals", () => {
  test("every row of every merged table carries one over all its columns in the table's order", () => {
    using dir = tempDir();
    model(dir.path);
    const mac = rowMac(crypto, keyOf(dir.path).key);
    using db = raw(dir.path);
    let altering = 0;
    for (const table of SEALED) {
      const columns = columnsOf(db, table);
      const rows = db.all(`select * from ${table}`);
      expect(rows.length).toBeGreaterThan(0);
      for (const row of rows) {
        const values = columns.map((name) => row[name] ?? null);
        expect(mac.verify(table, values, row["mac"] ?? null)).toBe(true);
        for (const [i, name] of columns.entries()) {
          const other = values.with(i, altered(name, values[i] ?? null));
          expect(mac.verify(table, other, row["mac"] ?? null)).toBe(false);
          altering++;
        }
      }
    }
    expect(altering).toBeGreaterThan(80);
  });

  test("a changed column of a message is shown as damage, without a word of it, and the rest of the path stands", () => {
    using dir = tempDir();
    const { session } = model(dir.path);
    using db = raw(dir.path);
    const sealed = columnsOf(db, "message").filter((name) => name !== "id" && name !== "session" && name !== "parent");
    for (const name of [...sealed, "mac"]) {
      using copy = tempDir();
      cpSync(dir.path, copy.path, { recursive: true });
      using broken = raw(copy.path);
      const row = broken.get("select * from message where n = 2") as SqlRow;
      broken.run(`update message set "${name}" = ? where n = 2`, altered(name, row[name] ?? null));
      using heart = openIn(copy.path);
      const path = heart.path(session);
      const hit = path.find((entry) => entry.damaged);
      expect([name, hit?.message.spans, hit?.message.redacted, hit?.message.label.i]).toEqual([name, [], true, 0]);
      expect(path.filter((entry) => !entry.damaged).map((entry) => entry.message.spans[0]?.text)).toContain("one");
    }
  });

  test("changed words, or words that are gone without having been forgotten, are damage too", () => {
    const deeds = [
      `update message_body set body = replace(body, 'two', 'too') where n = 2`,
      `update message_body set salt = zeroblob(16) where n = 2`,
      `update message_body set body = '[' where n = 2`,
      `delete from message_body where n = 2`,
    ];
    for (const deed of deeds) {
      using dir = tempDir();
      const { session } = model(dir.path);
      using db = raw(dir.path);
      db.exec(deed);
      using heart = openIn(dir.path);
      const entry = heart.path(session)[1];
      expect([deed, entry?.damaged, entry?.message.spans]).toEqual([deed, true, []]);
    }
  });

  test("a circle of parents, and a parent that is nowhere, still give a path that ends", () => {
    using dir = tempDir();
    const { session, messages } = model(dir.path);
    using db = raw(dir.path);
    db.run("update message set parent = ? where n = 1", Uint8Array.fromHex(messages[1]?.id ?? ""));
    {
      using heart = openIn(dir.path);
      expect(heart.path(session).length).toBeGreaterThan(0);
    }
    db.run("update message set parent = zeroblob(16) where n = 1");
    using heart = openIn(dir.path);
    expect(heart.path(session)[0]?.damaged).toBe(true);
  });

  test("a shown leaf that was altered is not followed", () => {
    using dir = tempDir();
    using heart = openIn(dir.path);
    const { session, messages } = talk(heart, "one", "two");
    const take = say(heart, session, messages[0]?.id ?? null, "newest two");
    must(heart.show(session, messages[1]?.id as MessageId));
    expect(texts(heart, session)).toEqual(["one", "two"]);
    using db = raw(dir.path);
    db.run("update cell set hlc = hlc + 1");
    expect(heart.path(session).at(-1)?.message.id).toBe(take.id);
  });

  test("an altered clock is not gone on from: writing is refused, reading is not", () => {
    using dir = tempDir();
    const { session } = model(dir.path);
    using db = raw(dir.path);
    db.run("update meta set v = v + 4096000000 where k = 'hlc'");
    using heart = openIn(dir.path);
    expect(heart.append(draft(session, null, "x"))).toMatchObject({ ok: false, error: { kind: "damaged" } });
    expect(heart.path(session).length).toBeGreaterThan(0);
  });

  test("random damage to a page is an error or damage that is said, never other words", () => {
    using dir = tempDir();
    using heart = openIn(dir.path);
    const said = Array.from({ length: 60 }, (_, i) => `message number ${i}`);
    const { session } = talk(heart, ...said);
    const { file } = placeIn(dir.path);
    const genuine = readFileSync(file);
    const known = new Set([...said, ""]);
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: genuine.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        fc.integer({ min: 1, max: 64 }),
        (at, flip, length) => {
          using broken = tempDir("noctem-broken-");
          const copy = placeIn(broken.path);
          cpSync(placeIn(dir.path).keysDir, copy.keysDir, { recursive: true });
          const bytes = Buffer.from(genuine);
          for (let i = at; i < Math.min(at + length, bytes.length); i++) bytes[i] = (bytes[i] ?? 0) ^ flip;
          writeFileSync(copy.file, bytes);
          let shown: string[] = [];
          try {
            using opened = openIn(broken.path);
            shown = texts(opened, session);
          } catch (error) {
            expect(String(error)).toMatch(/damaged|newer|foreign|cannot be read/);
          }
          for (const text of shown) expect(known.has(text)).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  }, 30_000);
});

describe("query plans", () => {
  test("nothing that a person waits for scans a table or sorts it", () => {
    using dir = tempDir();
    model(dir.path);
    using db = raw(dir.path);
    const id = new Uint8Array(16);
    const plan = (sql: string, ...params: SqlValue[]): string =>
      db
        .all(`explain query plan ${sql}`, ...params)
        .map((row) => String(row["detail"]))
        .join("; ");
    const plans = {
      sessions: plan(RECENT_SESSIONS, 50),
      prefix: plan(SESSIONS_BETWEEN, id, id, 100),
      shape: plan(SESSION_SHAPE, id),
      message: plan(MESSAGE_BY_N, 1),
      title: plan(FIRST_USER_MESSAGE, id),
      cell: plan(CELL, "leaf", "x"),
      redacted: plan("select 1 from redaction where target = ? limit 1", id),
      dots: plan("select n from message where actor = ? and seq > ?", 1, 1),
    };
    expect(plans.sessions).toBe("SCAN session_overview USING INDEX session_overview_recent");
    expect(plans.shape).toBe("SEARCH message USING COVERING INDEX message_session (session=?)");
    for (const [name, text] of Object.entries(plans)) {
      expect([name, text.includes("TEMP B-TREE")]).toEqual([name, false]);
      if (name !== "sessions") expect([name, text.includes("SCAN")]).toEqual([name, false]);
    }
  });
});
