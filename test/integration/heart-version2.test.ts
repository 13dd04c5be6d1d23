import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEntry } from "../../src/audit/entry.ts";
import type { SigningKey } from "../../src/audit/log.ts";
import { forksBetween } from "../../src/cli/audit-forks.ts";
import { repairHeart } from "../../src/heart/care/repair.ts";
import { restoreHeart } from "../../src/heart/care/restore.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { sealAside } from "../../src/heart/aside.ts";
import { KEY_FILE, readKeyFile } from "../../src/heart/key-file.ts";
import { rowEncoder, rowMac } from "../../src/heart/mac.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import { openAuditFile } from "../../src/heart/audit-file.ts";
import type { SqlValue } from "../../src/heart/sql.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { anchorOf, intent, judged, LABEL, logIn, sitting } from "../support/audit-forge.ts";
import { asVersion2 } from "../support/audit-version2.ts";
import { BUILD, miscounted, must, openIn, placeIn, raw, refusal, talk, texts } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

/** Hearts of the version before, whose log lies among the entries: they are read as they are, brought up to this version, merged and restored. */
let dir: TempDir;
let keys: Map<string, SigningKey>;
let old = "";
let ended = "";
let cut = "";
let conversation = "" as ReturnType<typeof talk>["session"];
beforeEach(() => {
  dir = tempDir("noctem-version2-");
  old = join(dir.path, "old");
  mkdirSync(old);
  keys = new Map();
  ended = sitting(old, keys, 2, "ended");
  using heart = openIn(old);
  conversation = talk(heart, "said to the version before").session;
  const log = logIn(old, heart, keys);
  intent(log, "cut off");
  must(log.write(Array.from({ length: 3 }, (_, i) => ({ draft: { kind: "heart", what: "test", detail: `together ${i}` } as const }))));
  cut = log.session ?? "";
});
afterEach(() => dir[Symbol.dispose]());

const copyOf = (name: string): string => {
  const folder = join(dir.path, name);
  cpSync(old, folder, { recursive: true });
  return folder;
};
const copyOfFolder = (from: string, name: string): string => {
  const folder = join(dir.path, name);
  rmSync(folder, { recursive: true, force: true });
  cpSync(from, folder, { recursive: true });
  return folder;
};
const versionOf = (folder: string): number => {
  using db = raw(folder);
  return Number(db.get("pragma user_version")?.["user_version"]);
};
const seqs = (leaves: readonly string[]) => leaves.map((leaf) => parseEntry(leaf)?.seq);
const take = (folder: string, from: string) =>
  must(heartCopies(heartDeps(), placeIn(folder), BUILD).merge(placeIn(from).file, { dryRun: false }));
const isWhole = (folder: string): void => {
  expect(must(verifyHeart(heartDeps(), placeIn(folder))).faults).toEqual([]);
  expect(judged(folder)).toMatchObject({ verdict: "unwitnessed", checked: { count: 0 } });
};

test("is checked as it is, by the heart's keys and without", () => {
  const anchor = anchorOf(old);
  const entries = judged(old).checked.entries;
  asVersion2(old);
  expect(versionOf(old)).toBe(2);
  isWhole(old);
  expect(judged(old, { anchors: [anchor] })).toMatchObject({ verdict: "sound", checked: { entries } });
  expect(versionOf(old)).toBe(2);
  {
    using file = must(openAuditFile(heartDeps(), placeIn(old).file));
    expect(seqs(file.leavesOf(cut))).toEqual([0, 1, 2, 3, 4]);
    expect(seqs(file.session(ended).map(({ leaf }) => leaf))).toEqual([0, 1, 2, 3, 4, 5]);
    expect(seqs(file.recent(2).map(({ leaf }) => leaf))).toEqual([4, 3]);
  }
  {
    // And what was altered is found.
    using db = raw(old);
    db.run("update entry_body set body = replace(body, 'together 1', 'together 7')");
  }
  expect(judged(old).verdict).toBe("altered");
  expect(must(verifyHeart(heartDeps(), placeIn(old))).count).toBeGreaterThan(0);
});

test("goes on in this one: its log is read where it lies, and the next session commits to it", () => {
  const anchor = anchorOf(old);
  asVersion2(old);
  using heart = openIn(old);
  expect(versionOf(old)).toBe(3);
  expect(texts(heart, conversation)).toEqual(["said to the version before"]);
  expect(seqs(heart.audit.leaves(cut))).toEqual([0, 1, 2, 3, 4]);
  expect(parseEntry(heart.audit.beginning(cut) ?? "")?.kind).toBe("genesis");
  expect(heart.audit.checkpoint(cut)?.split("\n")[1]).toBe("5");
  expect(
    heart.audit
      .checkpoints()
      .map(({ session }) => session)
      .sort(),
  ).toEqual([cut, ended].sort());
  const log = logIn(old, heart, keys);
  intent(log, "after");
  const genesis = parseEntry(heart.audit.beginning(log.session ?? "") ?? "");
  expect(genesis?.kind === "genesis" ? genesis.heads.map(({ session, size }) => `${session}:${size}`) : []).toEqual([`${cut}:5`]);
  // Which it told of: a call that was begun and never ended.
  expect(log.interrupted).toEqual([`${cut}:1 file_ops read cut off`]);
  must(log.end("done"));
  isWhole(old);
  expect(judged(old, { anchors: [anchor] }).verdict).toBe("sound");
  expect(miscounted(old)).toEqual([]);
  using file = must(openAuditFile(heartDeps(), placeIn(old).file));
  // The newest of both tables, by their time.
  expect(seqs(file.recent(4).map(({ leaf }) => leaf))).toEqual([3, 2, 1, 0]);
  expect(
    file
      .recent(6)
      .slice(4)
      .map(({ session }) => session),
  ).toEqual([cut, cut]);
  expect(file.rows).toBeGreaterThan(5);
});

test("is merged as it is into one of this version, and sessions that come so late are committed to", () => {
  const here = copyOf("here");
  asVersion2(old);
  {
    using heart = openIn(here);
    intent(logIn(here, heart, keys), "here");
  }
  // Written by the version before, after the two parted.
  const later = join(dir.path, "later");
  cpSync(join(dir.path, "here"), later, { recursive: true });
  const session = sitting(later, keys, 1, "later");
  asVersion2(later);
  const report = take(here, later);
  expect(report).toMatchObject({ same: false, mode: "delta" });
  expect(versionOf(later)).toBe(2);
  isWhole(here);
  expect(take(here, later).same).toBe(true);
  using heart = openIn(here);
  const log = logIn(here, heart, keys);
  intent(log, "next");
  const genesis = parseEntry(heart.audit.beginning(log.session ?? "") ?? "");
  expect(genesis?.kind === "genesis" ? genesis.heads.map((head) => head.session) : []).toContain(session);
  expect(forksBetween(placeIn(here).file, placeIn(later).file)).toEqual([]);
  isWhole(here);
});

test("is brought up without making up for a row that is missing", () => {
  asVersion2(old);
  {
    using db = raw(old);
    db.exec("delete from message; delete from message_body");
  }
  const before = must(verifyHeart(heartDeps(), placeIn(old))).faults.map(({ kind }) => kind);
  openIn(old)[Symbol.dispose]();
  expect(versionOf(old)).toBe(3);
  expect(before).toContain("count");
  expect(must(verifyHeart(heartDeps(), placeIn(old))).faults.map(({ kind }) => kind)).toEqual(before);
});

test("is restored from its backup", () => {
  const backup = join(dir.path, "backup.sqlite");
  const here = copyOf("here");
  asVersion2(old);
  cpSync(placeIn(old).file, backup);
  must(restoreHeart(heartDeps(), placeIn(here), backup, join(dir.path, "aside.sqlite")));
  using heart = openIn(here);
  expect(texts(heart, conversation)).toEqual(["said to the version before"]);
  isWhole(here);
});

test("that carried leaves of this version aside has them in their place once it is one", () => {
  using db = raw(old);
  const rows = Number(db.get("select count(*) as n from leaf")?.["n"]);
  db[Symbol.dispose]();
  asVersion2(old, "aside");
  {
    using carried = raw(old);
    expect(carried.get("select count(*) as n from aside where tbl = 'leaf'")?.["n"]).toBe(rows);
    // One that its seal does not bear out stays where it is, and is told of.
    carried.run("update aside set mac = zeroblob(16) where instr(cast(bytes as text), 'together 2') > 0");
  }
  openIn(old)[Symbol.dispose]();
  using now = raw(old);
  expect(now.get("select count(*) as n from leaf")?.["n"]).toBe(rows - 1);
  expect(now.get("select count(*) as n from aside")?.["n"]).toBe(1);
  expect(miscounted(old).filter((line) => !line.includes("not in the vector"))).toEqual([]);
  expect(must(verifyHeart(heartDeps(), placeIn(old))).faults.map(({ kind }) => kind)).toEqual(["aside"]);
  using heart = openIn(old);
  expect(seqs(heart.audit.leaves(ended))).toEqual([0, 1, 2, 3, 4, 5]);
  // Notes of sessions under way are facts of the file that they were written in: a copy that has them brings them.
  expect(judged(old).checked.findings).toContainEqual(
    expect.objectContaining({ kind: "altered", session: cut, detail: "its checkpoint is gone" }),
  );
});

test("that carries leaves of this version aside gives them to one as what they are, once", () => {
  const here = copyOf("here");
  const carrier = copyOf("carrier");
  {
    using heart = openIn(carrier);
    const log = logIn(carrier, heart, keys);
    intent(log, "of this version");
    must(log.end("done"));
  }
  const whole = join(dir.path, "whole");
  cpSync(carrier, whole, { recursive: true });
  asVersion2(carrier, "aside");
  take(here, carrier);
  isWhole(here);
  expect(miscounted(here)).toEqual([]);
  using db = raw(here);
  expect(db.get("select count(*) as n from aside")?.["n"]).toBe(0);
  const rows = db.get("select count(*) as n from leaf")?.["n"];
  // And by another way they are the same.
  expect(take(here, whole).entries).toBe(0);
  expect(db.get("select count(*) as n from leaf")?.["n"]).toBe(rows);
  expect(miscounted(here)).toEqual([]);
});

test("that carries a row which fits no table is refused in a merge, and one of a still newer version is carried on", () => {
  const folder = copyOf("carrier");
  asVersion2(folder, "aside");
  const { crypto } = heartDeps();
  const mac = rowMac(crypto, must(readKeyFile(readFileSync(join(placeIn(folder).keysDir, KEY_FILE)), crypto)).key);
  const other = join(dir.path, "empty");
  const carry = (columns: readonly SqlValue[]): void => {
    using db = raw(folder);
    const { actor = null, seq = null } = db.get("select actor, seq from aside where tbl = 'leaf' order by seq desc limit 1") ?? {};
    const bytes = rowEncoder()("leaf", [...columns.slice(0, 2), actor, seq, ...columns.slice(2)]).slice();
    const seal = sealAside(mac, { actor, seq, tbl: "leaf", part: 0, bytes });
    db.run("update aside set bytes = ?, mac = ? where actor = ? and seq = ?", bytes, seal, actor, seq);
  };
  const merged = () => {
    rmSync(other, { recursive: true, force: true });
    mkdirSync(other);
    cpSync(placeIn(folder).keysDir, placeIn(other).keysDir, { recursive: true });
    openIn(other)[Symbol.dispose]();
    return heartCopies(heartDeps(), placeIn(other), BUILD).merge(placeIn(folder).file, { dryRun: false });
  };
  const session = new Uint8Array(16);
  for (const columns of [
    [session.slice(3), 5, "text"],
    [session, -5, "text"],
    [session, 5, null],
    [session, 5, 7],
  ]) {
    carry(columns);
    expect(merged()).toMatchObject({ ok: false, error: { kind: "damaged" } });
    // Where it lies it stays: the heart opens.
    const brought = copyOfFolder(folder, "brought");
    expect(refusal(brought)).toBeNull();
    using db = raw(brought);
    expect(db.get("select count(*) as n from aside")?.["n"]).toBe(1);
    expect(miscounted(brought)).toEqual([]);
  }
  carry([session, 5, "text", "and one column more"]);
  expect(merged()).toMatchObject({ ok: true, value: { aside: 1 } });
  expect(miscounted(other)).toEqual([]);
  expect(must(verifyHeart(heartDeps(), placeIn(other))).faults).toEqual([]);
});

test("put in place under an open heart is told of in a sentence, and written to by nobody", () => {
  const earlier = copyOf("earlier");
  asVersion2(earlier);
  const bytes = readFileSync(placeIn(earlier).file);
  using heart = openIn(old);
  const log = logIn(old, heart, keys);
  intent(log, "before");
  writeFileSync(placeIn(old).file, bytes);
  expect(heart.memory.remember("x", "y", LABEL)).toMatchObject({ ok: false, error: { kind: "io" } });
  expect(log.incident({ what: "x", detail: "", severity: 1 })).toMatchObject({ ok: false, error: { kind: "heart" } });
  expect(readFileSync(placeIn(old).file).equals(bytes)).toBe(true);
});

test("that can only be read says what is in its log", () => {
  asVersion2(old);
  rmSync(placeIn(old).keysDir, { recursive: true });
  using heart = openIn(old);
  expect(versionOf(old)).toBe(2);
  expect([seqs(heart.audit.leaves(cut)), seqs([heart.audit.beginning(cut) ?? ""])]).toEqual([[0, 1, 2, 3, 4], [0]]);
  expect(heart.audit.checkpoint(cut)?.split("\n")[1]).toBe("5");
  expect(heart.audit.checkpoints().map(({ session }) => session)).toHaveLength(2);
  expect(heart.audit.newBeginnings()).toBeNull();
});

test("is repaired into one of this version, with its log and what it kept aside of it", () => {
  for (const leaves of ["entries", "aside"] as const) {
    const folder = copyOf(`broken ${leaves}`);
    asVersion2(folder, leaves);
    const target = join(folder, "repaired.sqlite");
    must(repairHeart(heartDeps(), placeIn(folder), target));
    cpSync(target, placeIn(folder).file);
    expect(versionOf(folder)).toBe(3);
    expect(must(verifyHeart(heartDeps(), placeIn(folder))).faults).toEqual([]);
    expect(miscounted(folder)).toEqual([]);
    using heart = openIn(folder);
    expect(seqs(heart.audit.leaves(ended))).toEqual([0, 1, 2, 3, 4, 5]);
    using db = raw(folder);
    expect(db.get("select count(*) as n from aside")?.["n"]).toBe(0);
  }
});

describe("what is done to its log is found", () => {
  const of = (seq: number): string =>
    `n = (select e.n from entry e join entry_body b on b.n = e.n where e.kind = 'audit' and b.body like '%"seq":${seq},"session":"' || (select k from cell where ns = 'audit' order by hlc desc limit 1) || '%')`;
  test.each([
    [
      "an entry is another",
      `update entry_body set body = replace(body, '"operation":"read"', '"operation":"list"') where ${of(1)}`,
      "altered",
    ],
    ["an entry is gone", `delete from entry where ${of(2)}`, "altered"],
    ["the last is gone", `delete from entry_body where ${of(5)}`, "truncated"],
    ["an entry is of another kind", `update entry set kind = 'skill' where ${of(3)}`, "altered"],
    ["an entry is filed elsewhere", `update entry set ref = zeroblob(16) where ${of(3)}`, "altered"],
    ["a text is empty", `update entry_body set body = '' where ${of(0)}`, "altered"],
    ["a checkpoint is gone", "delete from cell where ns = 'audit' and hlc = (select max(hlc) from cell where ns = 'audit')", "altered"],
    [
      "a checkpoint is of another size",
      "update cell set v = replace(v, char(10) || '6' || char(10), char(10) || '5' || char(10)) where ns = 'audit'",
      "altered",
    ],
  ] as const)("%s", (_, sql, verdict) => {
    const anchor = anchorOf(old);
    asVersion2(old);
    expect(judged(old, { anchors: [anchor] }).verdict).toBe("sound");
    {
      using db = raw(old);
      expect(db.run(sql).changes).toBeGreaterThan(0);
    }
    expect(judged(old, { anchors: [anchor] }).verdict).toBe(verdict);
    // In a heart that was brought up as well.
    openIn(old)[Symbol.dispose]();
    expect(versionOf(old)).toBe(3);
    expect(judged(old, { anchors: [anchor] }).verdict).toBe(verdict);
  });

  test("its tables are looked at before anything is written", () => {
    asVersion2(old);
    {
      using db = raw(old);
      db.exec("create trigger evil after insert on meta begin delete from message; end");
    }
    expect(refusal(old)).toBe("damaged");
    expect(versionOf(old)).toBe(2);
  });
});
