import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { heartErrorOf } from "../../src/heart/failure.ts";
import { openHeart } from "../../src/heart/open.ts";
import { SqlError, type SqlDatabase, type SqlDriver } from "../../src/heart/sql.ts";
import type { MessageId, SessionId } from "../../src/lib/brand.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { faultsAfter, killOnce, lines, writer, type Acknowledged } from "../support/heart-kill.ts";
import { BUILD, draft, must, openIn, placeIn, raw, talk, texts } from "../support/heart.ts";
import { canMount, inMounts } from "../support/mounts.ts";
import { tempDir } from "../support/noctem.ts";

const CHILD = join(import.meta.dir, "../support/heart-child.ts");

describe("several processes at one heart", () => {
  test("four write and one reads: nothing is lost, stamps are unique, and each change is seen once it is acknowledged", async () => {
    using dir = tempDir();
    using reader = openIn(dir.path);
    const children = Array.from({ length: 4 }, () => writer(dir.path, 50));
    const acknowledged: Acknowledged[] = [];
    const before = reader.version();
    let unseen = 0;
    await Promise.all(
      children.map(async (child) => {
        for await (const { session, id } of lines(child.stdout)) {
          if (session === undefined) continue;
          acknowledged.push({ session: session as SessionId, id: id as MessageId });
          if (!reader.messages(session as SessionId).some((message) => message.id === id)) unseen++;
        }
        expect(await child.exited).toBe(0);
      }),
    );
    expect(reader.version()).not.toBe(before);
    expect(unseen).toBe(0);
    expect(acknowledged).toHaveLength(200);
    expect(faultsAfter(dir.path, acknowledged)).toEqual([]);
    expect(reader.sessions(10)).toHaveLength(4);
    using db = raw(dir.path);
    const stamps = db.get("select count(*) as n, count(distinct hlc) as d, count(distinct actor) as a from message");
    expect(stamps).toEqual({ n: 200, d: 200, a: 4 });
  }, 60_000);

  test("the version changes with each commit, whoever made it, and with nothing else", () => {
    using dir = tempDir();
    using one = openIn(dir.path);
    using two = openIn(dir.path);
    const seen = new Set<number>([one.version()]);
    const { session, messages } = talk(two, "theirs");
    seen.add(one.version());
    talk(one, "mine");
    seen.add(one.version());
    must(two.redact(messages[0]?.id as MessageId));
    seen.add(one.version());
    expect(seen.size).toBe(4);
    one.path(session);
    one.sessions(5);
    must(two.redact(messages[0]?.id as MessageId));
    expect(seen.has(one.version())).toBe(true);
  });

  test("a lock that is held for longer than five seconds is an error, and the next write goes through", () => {
    using dir = tempDir();
    using heart = openIn(dir.path);
    const { session } = talk(heart, "one");
    {
      using other = raw(dir.path);
      other.exec("begin immediate");
      expect(heart.append(draft(session, null, "two"))).toMatchObject({ ok: false, error: { kind: "locked" } });
      other.exec("rollback");
    }
    must(heart.append(draft(session, null, "two")));
  }, 20_000);
});

describe("kill -9", () => {
  test("thirty at random moments: every acknowledged message is there, whole, and the heart is sound", async () => {
    using dir = tempDir();
    const all: Acknowledged[] = [];
    // A fixed seed for the moments; the scheduler adds chance of its own.
    let state = 20_260_501;
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let i = 0; i < 30; i++) {
      all.push(...(await killOnce(dir.path, random)));
      if (i % 10 === 9) expect(faultsAfter(dir.path, all)).toEqual([]);
    }
    expect(all.length).toBeGreaterThan(100);
    expect(readdirSync(placeIn(dir.path).keysDir)).toEqual(["heart.json"]);
  }, 60_000);
});

describe("kill -9 of a first start", () => {
  test("at twenty random moments: the next start makes, finishes or finds the heart", async () => {
    let state = 7;
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let i = 0; i < 20; i++) {
      using dir = tempDir();
      const child = Bun.spawn([process.execPath, CHILD, "append", dir.path, "1"], { stdout: "pipe", stderr: "inherit" });
      // From before the first file appears to after the last: the child needs some tens of milliseconds to get there.
      for (let waited = 0; waited < 2000 && !existsSync(placeIn(dir.path).keysDir) && child.exitCode === null; waited++) await Bun.sleep(1);
      await Bun.sleep(Math.floor(random() * 8));
      child.kill("SIGKILL");
      await child.exited;
      using heart = openIn(dir.path);
      const { session } = talk(heart, "after all");
      expect(heart.mode.kind).toBe("stored");
      expect(texts(heart, session)).toEqual(["after all"]);
    }
  }, 60_000);
});

describe("a medium that fails", () => {
  test.skipIf(!canMount)("full while writing: an error, and everything acknowledged is there (needs root and mounts)", () => {
    using dir = tempDir();
    const run = Bun.spawnSync(inMounts([`mount -t tmpfs -o size=512k none '${dir.path}'`], [process.execPath, CHILD, "fill", dir.path]));
    expect(JSON.parse(run.stdout.toString())).toEqual({
      error: "full",
      acknowledged: expect.any(Number),
      kept: true,
      forgotten: expect.any(Boolean),
    });
  });

  test.skipIf(!canMount)("full from the start: an error, and a heart once there is room (needs root and mounts)", () => {
    using dir = tempDir();
    const full = [
      `mount -t tmpfs -o size=64k none '${dir.path}'`,
      `dd if=/dev/zero of='${dir.path}/ballast' bs=1k count=64 2>/dev/null || true`,
    ];
    const run = Bun.spawnSync(
      inMounts(full, [
        "sh",
        "-c",
        `"$0" "$1" open "$2"; rm "$2/ballast"; mount -o remount,size=1m "$2"; "$0" "$1" append "$2" 1`,
        process.execPath,
        CHILD,
        dir.path,
      ]),
    );
    const [first, second] = run.stdout
      .toString()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(first).toEqual({ error: "full" });
    expect(second).toMatchObject({ mode: { kind: "stored" } });
  });

  test("an I/O error at the commit: writing stops until the heart is opened anew, and then says what really happened", () => {
    using dir = tempDir();
    const failing = failAt(sqliteDriver, (sql) => sql === "commit");
    const heart = must(openHeart(heartDeps({ sql: failing.driver }), placeIn(dir.path), BUILD));
    const { session, messages } = talk(heart, "one");
    const last = messages[0]?.id ?? null;
    failing.arm("SQLITE_IOERR_FSYNC");
    expect(heart.append(draft(session, last, "two"))).toMatchObject({ ok: false, error: { kind: "io" } });
    expect(heart.append(draft(session, last, "three"))).toMatchObject({ ok: false, error: { kind: "io" } });
    expect(texts(heart, session)).toEqual(["one"]);
    using back = must(heart.reopen());
    expect(texts(back, session)).toEqual(["one"]);
    must(back.append(draft(session, last, "four")));
    expect(texts(back, session)).toEqual(["one", "four"]);
  });

  test("a page that cannot be read is an error that carries its kind, not a stack trace", () => {
    using dir = tempDir();
    const failing = failAt(sqliteDriver, (sql) => sql.startsWith("select"));
    using heart = must(openHeart(heartDeps({ sql: failing.driver }), placeIn(dir.path), BUILD));
    const { session } = talk(heart, "one");
    failing.arm("SQLITE_IOERR_READ");
    expect(() => heart.path(session)).toThrow(
      expect.objectContaining({ name: "HeartFailure", error: expect.objectContaining({ kind: "io" }) }) as never,
    );
    expect(texts(heart, session)).toEqual(["one"]);
  });

  test("every code of SQLite that is no bug has a kind", () => {
    const kinds = {
      SQLITE_BUSY: "locked",
      SQLITE_BUSY_SNAPSHOT: "locked",
      SQLITE_LOCKED: "locked",
      SQLITE_FULL: "full",
      SQLITE_READONLY: "read-only",
      SQLITE_READONLY_ROLLBACK: "read-only",
      SQLITE_READONLY_DBMOVED: "io",
      SQLITE_CORRUPT: "damaged",
      SQLITE_CORRUPT_INDEX: "damaged",
      SQLITE_NOTADB: "damaged",
      SQLITE_IOERR: "io",
      SQLITE_IOERR_FSYNC: "io",
      SQLITE_CANTOPEN: "io",
      SQLITE_PERM: "unreadable",
    };
    for (const [code, kind] of Object.entries(kinds))
      expect([code, heartErrorOf(new SqlError(code, ""), "x").kind]).toEqual([code, kind as never]);
    expect(() => heartErrorOf(new SqlError("SQLITE_CONSTRAINT_CHECK", "a bug"), "x")).toThrow("a bug");
    expect(() => heartErrorOf(new TypeError("a bug"), "x")).toThrow("a bug");
  });
});

/** A real driver whose next matching statement fails once. */
function failAt(real: SqlDriver, matches: (sql: string) => boolean): { readonly driver: SqlDriver; arm(code: string): void } {
  let armed: string | null = null;
  const strike = (sql: string): void => {
    if (armed === null || !matches(sql.trim())) return;
    const code = armed;
    armed = null;
    throw new SqlError(code, "disk I/O error");
  };
  const wrap = (db: SqlDatabase): SqlDatabase => ({
    exec: (sql) => (strike(sql), db.exec(sql)),
    run: (sql, ...params) => (strike(sql), db.run(sql, ...params)),
    all: (sql, ...params) => (strike(sql), db.all(sql, ...params)),
    get: (sql, ...params) => (strike(sql), db.get(sql, ...params)),
    values: (sql, ...params) => (strike(sql), db.values(sql, ...params)),
    each: (sql, visit, ...params) => (strike(sql), db.each(sql, visit, ...params)),
    [Symbol.dispose]: () => db[Symbol.dispose](),
  });
  return { driver: { open: (path, options) => wrap(real.open(path, options)) }, arm: (code) => void (armed = code) };
}
