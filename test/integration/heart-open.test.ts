import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openHeart } from "../../src/heart/open.ts";
import { APPLICATION_ID } from "../../src/heart/schema.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { BUILD, draft, must, openIn, placeIn, raw, refusal, say, talk, texts } from "../support/heart.ts";
import { canMount, inMounts, loopStick, noStick } from "../support/mounts.ts";
import { tempDir } from "../support/noctem.ts";

const CHILD = join(import.meta.dir, "../support/heart-child.ts");
/** Root reads everything; only as somebody else do modes mean anything. Not where the repository itself is closed to others. */
const AS_NOBODY = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
const canBeNobody = ((): boolean => {
  if (AS_NOBODY.length > 0 && Bun.which("setpriv") === null) return false;
  return Bun.spawnSync([...AS_NOBODY, process.execPath, "-e", `await Bun.file(${JSON.stringify(CHILD)}).text()`]).exitCode === 0;
})();
const bytesOf = (folder: string): string => Bun.hash(readFileSync(placeIn(folder).file)).toString();

/** A folder with a heart that holds `said`. */
function heartWith(...said: readonly string[]) {
  const dir = tempDir("noctem-heart-");
  using heart = openIn(dir.path);
  const { session } = talk(heart, ...said);
  return { ...dir, session, id: heart.id, ...placeIn(dir.path) };
}

describe("a first heart", () => {
  test("is made with its keys, for the owner's eyes only, and opens again as the same heart", () => {
    using dir = tempDir();
    const { file, keysDir } = placeIn(dir.path);
    using first = openIn(dir.path);
    expect(first.mode).toEqual({ kind: "stored" });
    expect(readdirSync(keysDir)).toEqual(["heart.json"]);
    expect(statSync(join(keysDir, "heart.json")).mode & 0o777).toBe(0o600);
    expect(statSync(keysDir).mode & 0o777).toBe(0o700);
    const key = JSON.parse(readFileSync(join(keysDir, "heart.json"), "utf8")) as Record<string, string>;
    expect(Object.keys(key)).toEqual(["check", "heart", "key", "kind", "protection", "version"]);
    expect(key["heart"]).toBe(first.id);
    using again = openIn(dir.path);
    expect(again.id).toBe(first.id);
    expect(readFileSync(file).includes(Buffer.from(key["key"] ?? "", "hex"))).toBe(false);
  });

  test("opening an existing heart writes nothing, and a process that stores nothing leaves no writing session", () => {
    using made = heartWith("one");
    const before = bytesOf(made.path);
    {
      using heart = openIn(made.path);
      must(heart.createSession());
      expect(heart.sessions(10)).toHaveLength(1);
    }
    expect(bytesOf(made.path)).toBe(before);
    using db = raw(made.path);
    expect(db.get("select count(*) as n from actor")).toEqual({ n: 1 });
  });

  test("each process is a writing session of its own, on the same replica", () => {
    using dir = tempDir();
    for (const text of ["one", "two"]) {
      using heart = openIn(dir.path, { writer: { label: "stick", host: "test" } });
      talk(heart, text);
    }
    using db = raw(dir.path);
    const rows = db.all("select actor, device, label, host, clock, seq from actor");
    expect(new Set(rows.map((row) => row["actor"])).size).toBe(2);
    expect(new Set(rows.map((row) => (row["device"] as Uint8Array).toHex())).size).toBe(1);
    expect(rows.map(({ label, host, clock, seq }) => ({ label, host, clock, seq }))).toEqual([
      { label: "stick", host: "test", clock: 0, seq: 1 },
      { label: "stick", host: "test", clock: 0, seq: 1 },
    ]);
    // The row of the writing session, and a message.
    expect(db.all("select seq from vv").map((row) => row["seq"])).toEqual([2, 2]);
  });

  test("wherever its making is cut off, the next start finishes it", () => {
    const cuts: Record<string, (folder: string) => void> = {
      "after the mark": () => {},
      "after the empty file": (folder) => writeFileSync(placeIn(folder).file, ""),
      "after the keys": (folder) => {
        using donor = tempDir();
        openIn(donor.path)[Symbol.dispose]();
        copyFileSync(join(donor.path, "keys/heart.json"), join(folder, "keys/heart.json"));
        writeFileSync(placeIn(folder).file, "");
      },
      "with a draft of the keys left over": (folder) => writeFileSync(join(folder, "keys/heart.json.0123.tmp"), '{"kind":'),
    };
    for (const cut of Object.values(cuts)) {
      using dir = tempDir();
      mkdirSync(placeIn(dir.path).keysDir);
      writeFileSync(join(dir.path, "keys/heart.making"), "");
      cut(dir.path);
      using heart = openIn(dir.path);
      expect(heart.mode.kind).toBe("stored");
      expect(existsSync(join(dir.path, "keys/heart.making"))).toBe(false);
      talk(heart, "hello");
    }
  });

  test("keys without a heart belong to a heart that was moved away: the new one is its replica", () => {
    using made = heartWith("one");
    rmSync(made.file);
    using heart = openIn(made.path);
    expect(heart.id).toBe(made.id);
    expect(heart.sessions(10)).toEqual([]);
  });

  test("eight first starts at once make one heart", async () => {
    using dir = tempDir();
    const children = Array.from({ length: 8 }, () => Bun.spawn([process.execPath, CHILD, "append", dir.path, "1"], { stdout: "pipe" }));
    const said = await Promise.all(
      children.map(async (child) => JSON.parse(await new Response(child.stdout).text()) as { written?: string }),
    );
    expect(said.every((line) => line.written !== undefined)).toBe(true);
    using heart = openIn(dir.path);
    expect(heart.sessions(20)).toHaveLength(8);
    expect(readdirSync(placeIn(dir.path).keysDir)).toEqual(["heart.json"]);
  }, 30_000);
});

describe.each(["exfat", "vfat"] as const)("a stick without links and modes, %s", (kind) => {
  const missing = noStick(kind);
  test.skipIf(missing !== null)(`holds a heart all the same${missing === null ? "" : ` (${missing})`}`, () => {
    using stick = loopStick(kind, 40);
    {
      using heart = openIn(stick.path);
      expect(heart.mode.kind).toBe("stored");
      talk(heart, "hello");
    }
    using again = openIn(stick.path);
    expect(again.sessions(5)).toHaveLength(1);
    expect(readdirSync(placeIn(stick.path).keysDir)).toEqual(["heart.json"]);
  });
});

describe("what is refused, and left as it was", () => {
  const damage: Record<string, { readonly expect: string; readonly by: (folder: string, file: string) => void }> = {
    "not a SQLite file": { expect: "damaged", by: (_, file) => writeFileSync(file, "my diary\n".repeat(1000)) },
    empty: { expect: "damaged", by: (_, file) => writeFileSync(file, "") },
    "fifty bytes": { expect: "damaged", by: (_, file) => writeFileSync(file, readFileSync(file).subarray(0, 50)) },
    "its first page alone": { expect: "damaged", by: (_, file) => writeFileSync(file, readFileSync(file).subarray(0, 4096)) },
    "cut off by one page": { expect: "damaged", by: (_, file) => writeFileSync(file, readFileSync(file).subarray(0, -4096)) },
    "its schema overwritten": {
      expect: "damaged",
      by: (_, file) => {
        const bytes = readFileSync(file);
        bytes.fill(0xa5, 200, 4096);
        writeFileSync(file, bytes);
      },
    },
    "a SQLite file of something else": {
      expect: "damaged",
      by: (_, file) => {
        rmSync(file);
        using db = sqliteDriver.open(file, { create: true, readOnly: false });
        db.exec("create table bookmarks (url text); insert into bookmarks values ('x')");
      },
    },
    "a SQLite file of something else where a heart was once begun": {
      expect: "damaged",
      by: (folder, file) => {
        rmSync(file);
        writeFileSync(join(folder, "keys/heart.making"), "");
        using db = sqliteDriver.open(file, { create: true, readOnly: false });
        db.exec("create table bookmarks (url text); insert into bookmarks values ('x')");
      },
    },
    "a heart with a trigger in it": {
      expect: "damaged",
      by: (folder) => {
        using db = raw(folder);
        db.exec("create trigger t after insert on message begin delete from message_body; end");
      },
    },
    "a heart without a table": {
      expect: "damaged",
      by: (folder) => {
        using db = raw(folder);
        db.exec("drop table redaction");
      },
    },
    "its identity altered": {
      expect: "damaged",
      by: (folder) => {
        using db = raw(folder);
        db.exec("update meta set mac = zeroblob(16) where k = 'heart'");
      },
    },
    "made under other keys": {
      expect: "foreign",
      by: (_, file) => {
        using other = heartWith("theirs");
        copyFileSync(other.file, file);
      },
    },
    "written by a newer version": {
      expect: "newer",
      by: (folder) => {
        using db = raw(folder);
        db.exec(`pragma user_version = 99; pragma application_id = ${APPLICATION_ID}`);
      },
    },
    "a folder": {
      expect: "damaged",
      by: (_, file) => {
        rmSync(file);
        mkdirSync(file);
      },
    },
    "keys cut off": { expect: "keys-broken", by: (folder) => writeFileSync(join(folder, "keys/heart.json"), '{"kind":"noctem-heart-k') },
    "keys empty": { expect: "keys-broken", by: (folder) => writeFileSync(join(folder, "keys/heart.json"), "") },
    "keys a folder": {
      expect: "keys-broken",
      by: (folder) => {
        rmSync(join(folder, "keys/heart.json"));
        mkdirSync(join(folder, "keys/heart.json"));
      },
    },
  };

  for (const [name, { expect: kind, by }] of Object.entries(damage)) {
    test(`${name}: ${kind}`, () => {
      using made = heartWith("one", "two");
      by(made.path, made.file);
      const isFile = statSync(made.file).isFile();
      const before = isFile ? bytesOf(made.path) : "";
      const list = readdirSync(made.path).toSorted();
      expect(refusal(made.path)).toBe(kind);
      expect(isFile ? bytesOf(made.path) : "").toBe(before);
      expect(readdirSync(made.path).toSorted()).toEqual(list);
    });
  }

  test("a folder that is not there: unreadable", () => {
    using dir = tempDir();
    expect(refusal(join(dir.path, "nowhere"))).toBe("unreadable");
  });

  test("a journal that is no file: damaged, at once, and left as it is", () => {
    using made = heartWith("one");
    const journal = `${made.file}-journal`;
    const before = bytesOf(made.path);
    rmSync(journal, { force: true });
    expect(Bun.spawnSync(["mkfifo", journal]).exitCode).toBe(0);
    // In a process of its own: SQLite would wait at a pipe for ever, deaf to signals.
    const child = Bun.spawnSync([process.execPath, CHILD, "append", made.path, "1"], { timeout: 20_000, killSignal: "SIGKILL" });
    expect(JSON.parse(child.stdout.toString())).toEqual({ error: "damaged" });
    rmSync(journal);
    mkdirSync(journal);
    expect(refusal(made.path)).toBe("damaged");
    expect(bytesOf(made.path)).toBe(before);
  });

  test.skipIf(!canBeNobody)(
    "keys that this user may not read: history unchecked, memory on top (needs a user other than root who can read this folder)",
    () => {
      using made = heartWith("one");
      chmodSync(made.path, 0o755);
      const before = bytesOf(made.path);
      // As root makes it, the folder is closed to others; as a normal user it must be closed to oneself.
      if (AS_NOBODY.length === 0) chmodSync(join(made.keysDir, "heart.json"), 0);
      const child = Bun.spawnSync([...AS_NOBODY, process.execPath, CHILD, "append", made.path, "1"]);
      expect(JSON.parse(child.stdout.toString())).toMatchObject({
        written: expect.any(String),
        mode: { kind: "memory", warning: expect.stringContaining("closed to this user") },
      });
      expect(bytesOf(made.path)).toBe(before);
    },
  );

  test.skipIf(!canBeNobody)("modes that forbid reading: unreadable (needs a user other than root who can read this folder)", () => {
    using made = heartWith("one");
    chmodSync(made.file, 0);
    chmodSync(made.path, 0o755);
    const child = Bun.spawnSync([...AS_NOBODY, process.execPath, CHILD, "open", made.path]);
    expect(JSON.parse(child.stdout.toString())).toEqual({ error: "unreadable" });
    chmodSync(made.file, 0o600);
  });
});

describe("a heart that cannot be written", () => {
  test("without keys it is read, says so, and what goes on does so in memory", () => {
    using made = heartWith("one", "two");
    renameSync(made.keysDir, `${made.keysDir}.away`);
    const before = bytesOf(made.path);
    using heart = openIn(made.path);
    expect(heart.id).toBe(made.id);
    expect(heart.mode.kind === "memory" && heart.mode.warning).toContain("keys/ is missing");
    expect(texts(heart, made.session)).toEqual(["one", "two"]);
    const parent = heart.path(made.session).at(-1)?.message.id ?? null;
    say(heart, made.session, parent, "three");
    expect(texts(heart, made.session)).toEqual(["one", "two", "three"]);
    talk(heart, "elsewhere");
    expect(heart.sessions(10).map(({ title, messages }) => ({ title, messages }))).toEqual([
      { title: "elsewhere", messages: 1 },
      { title: "one", messages: 3 },
    ]);
    expect(heart.findSession(made.session.slice(0, 8))).toEqual({ ok: true, value: made.session });
    expect(bytesOf(made.path)).toBe(before);
    expect(existsSync(made.keysDir)).toBe(false);
  });

  test("branches made in memory stand beside those on the stick, and forgetting what lies there is refused", () => {
    using made = heartWith("one", "two");
    renameSync(made.keysDir, `${made.keysDir}.away`);
    using heart = openIn(made.path);
    const [first, second] = heart.path(made.session).map((entry) => entry.message);
    const take = say(heart, made.session, first?.id ?? null, "another two");
    expect(heart.path(made.session).at(-1)?.siblings).toEqual([second?.id, take.id] as never);
    must(heart.show(made.session, second?.id as never));
    expect(texts(heart, made.session)).toEqual(["one", "two"]);
    expect(heart.deleteSession(made.session)).toMatchObject({ ok: false, error: { kind: "read-only" } });
    expect(heart.redact(first?.id as never)).toMatchObject({ ok: false, error: { kind: "read-only" } });
    const own = talk(heart, "mine");
    expect(must(heart.deleteSession(own.session))).toEqual({ forgotten: 1 });
  });

  test.skipIf(!canMount)("on a read-only medium (needs root and mounts)", () => {
    using made = heartWith("one", "two");
    const before = bytesOf(made.path);
    const mounts = [`mount --bind '${made.path}' '${made.path}'`, `mount -o remount,bind,ro '${made.path}'`];
    const read = Bun.spawnSync(inMounts(mounts, [process.execPath, CHILD, "open", made.path]));
    expect(JSON.parse(read.stdout.toString())).toMatchObject({ sessions: 1, id: made.id, mode: { kind: "memory" } });
    const written = JSON.parse(Bun.spawnSync(inMounts(mounts, [process.execPath, CHILD, "append", made.path, "1"])).stdout.toString()) as {
      written?: string;
      mode: { warning: string };
    };
    expect(written.written).toBeString();
    expect(written.mode.warning).toContain("read-only");
    rmSync(made.file);
    const empty = Bun.spawnSync(inMounts(mounts, [process.execPath, CHILD, "append", made.path, "1"]));
    expect(JSON.parse(empty.stdout.toString())).toMatchObject({ mode: { kind: "memory" } });
    expect(before).not.toBe("");
  });

  test("asked for: memory without a warning, and nothing on the disk", () => {
    using heart = must(openHeart(heartDeps(), "memory", BUILD));
    expect(heart.mode).toEqual({ kind: "memory", warning: null });
    const { session } = talk(heart, "secret", "answer");
    expect(texts(heart, session)).toEqual(["secret", "answer"]);
  });
});

describe("reopening", () => {
  test("gives the same heart back", () => {
    using made = heartWith("one");
    const heart = openIn(made.path);
    using again = must(heart.reopen());
    expect(texts(again, made.session)).toEqual(["one"]);
  });

  test("refuses another heart in the same place", () => {
    using made = heartWith("one");
    using other = heartWith("theirs");
    const heart = openIn(made.path);
    rmSync(made.keysDir, { recursive: true });
    rmSync(made.file);
    mkdirSync(made.keysDir);
    copyFileSync(other.file, made.file);
    copyFileSync(join(other.keysDir, "heart.json"), join(made.keysDir, "heart.json"));
    expect(heart.reopen()).toMatchObject({ ok: false, error: { kind: "foreign" } });
  });

  test("a heart whose file was taken away refuses every write until it is back", () => {
    using made = heartWith("one");
    const heart = openIn(made.path);
    const { id } = say(heart, made.session, null, "before");
    renameSync(made.file, `${made.file}.away`);
    const refused = heart.append(draft(made.session, id, "lost"));
    expect(refused).toMatchObject({ ok: false, error: { kind: "io" } });
    renameSync(`${made.file}.away`, made.file);
    expect(heart.redact(id)).toMatchObject({ ok: false, error: { kind: "io" } });
    using back = must(heart.reopen());
    expect(texts(back, made.session)).toEqual(["before"]);
    say(back, made.session, id, "after");
  });
});
