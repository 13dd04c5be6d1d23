import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseEntry } from "../../src/audit/entry.ts";
import type { SigningKey } from "../../src/audit/log.ts";
import type { Verdict } from "../../src/audit/verdict.ts";
import { forksBetween } from "../../src/cli/audit-forks.ts";
import { repairHeart } from "../../src/heart/care/repair.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import { liveHeads, sizeOf } from "../../src/heart/live-heads.ts";
import { writeMeta } from "../../src/heart/meta.ts";
import type { OpenHeart } from "../../src/heart/open.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { anchorOf, intent, judged, logIn, sitting, type Stage, Thief } from "../support/audit-forge.ts";
import { BUILD, miscounted, must, openIn, placeIn, raw } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

let dir: TempDir;
let keys: Map<string, SigningKey>;
let [one, two] = ["", ""];
beforeEach(() => {
  dir = tempDir("noctem-heads-");
  [one, two] = [join(dir.path, "one"), join(dir.path, "two")];
  mkdirSync(one);
  keys = new Map();
  sitting(one, keys, 2, "before");
});
afterEach(() => dir[Symbol.dispose]());

/** A session that is never told the end of: `calls` intents after its beginning. */
function cutOff(folder: string, calls: number): string {
  using heart = openIn(folder);
  const log = logIn(folder, heart, keys);
  for (let i = 0; i < calls; i++) intent(log, `cut${i}`);
  return log.session ?? "";
}
const heads = (folder: string) => {
  using db = raw(folder);
  return liveHeads(db, null).map(({ session, note }) => `${session}:${sizeOf(note)}`);
};
const registers = (folder: string) => {
  using db = raw(folder);
  return db.all("select k from cell where ns = 'audit' order by k").map(({ k }) => String(k));
};
const take = (folder: string, from: string) =>
  must(heartCopies(heartDeps(), placeIn(folder), BUILD).merge(placeIn(from).file, { dryRun: false }));
/** A session of one call in the first copy. */
function begunIn(heart: OpenHeart) {
  const log = logIn(one, heart, keys);
  intent(log, "open");
  return { log, session: log.session ?? "" };
}
const clone = (from: string, to: string): void => cpSync(from, to, { recursive: true });
const isWhole = (folder: string): void => {
  expect(must(verifyHeart(heartDeps(), placeIn(folder))).faults).toEqual([]);
  expect(miscounted(folder)).toEqual([]);
  expect(judged(folder)).toMatchObject({ verdict: "unwitnessed", checked: { count: 0 } });
};

describe("the checkpoint of a session", () => {
  test("is a note of the file while it grows, and a register once it has ended", () => {
    const before = registers(one);
    expect(heads(one)).toEqual([]);
    using heart = openIn(one);
    const log = logIn(one, heart, keys);
    intent(log, "first");
    const session = log.session ?? "";
    expect(heads(one)).toEqual([`${session}:2`]);
    intent(log, "second");
    expect(heads(one)).toEqual([`${session}:3`]);
    expect(registers(one)).toEqual(before);
    expect(heart.audit.checkpoint(session)?.split("\n")[1]).toBe("3");
    isWhole(one);
    must(log.end("done"));
    expect(heads(one)).toEqual([]);
    expect(registers(one)).toEqual([...before, session].sort());
    expect(heart.audit.checkpoint(session)?.split("\n")[1]).toBe("4");
    isWhole(one);
  });

  test("stays a note where the session was cut off, and the next session commits to it", () => {
    const session = cutOff(one, 2);
    using heart = openIn(one);
    const log = logIn(one, heart, keys);
    // After what it says of the calls that were cut off.
    intent(log, "later");
    const genesis = parseEntry(heart.audit.beginning(log.session ?? "") ?? "");
    expect(genesis?.kind === "genesis" ? genesis.heads.map((head) => `${head.session}:${head.size}`) : []).toEqual([`${session}:3`]);
    expect(heads(one).sort()).toEqual([`${session}:3`, `${log.session ?? ""}:4`].sort());
    isWhole(one);
  });
});

describe("in a merge", () => {
  test("notes come along, the longer one stays, and copies come to rest", () => {
    using heart = openIn(one);
    const log = logIn(one, heart, keys);
    intent(log, "in both");
    clone(one, two);
    intent(log, "here");
    const session = log.session ?? "";
    {
      // Something of its own, so that the two differ both ways.
      using there = openIn(two);
      must(there.memory.remember("x", "y", { c: 1, k: [], i: 3, p: [] }));
    }
    take(one, two);
    expect(heads(one)).toEqual([`${session}:3`]);
    take(two, one);
    expect(heads(two)).toEqual([`${session}:3`]);
    expect(take(two, one).same).toBe(true);
    expect(take(one, two).same).toBe(true);
    expect(forksBetween(placeIn(one).file, placeIn(two).file)).toEqual([]);
    isWhole(one);
    isWhole(two);
  });

  test("of copies that have the same otherwise, one that lost a note has it back", () => {
    const session = cutOff(one, 2);
    clone(one, two);
    {
      using db = raw(two);
      db.run("delete from meta where k = ?", `head:${session}`);
    }
    expect(judged(two).verdict).toBe("altered");
    expect(take(two, one).same).toBe(true);
    expect(heads(two)).toEqual([`${session}:3`]);
    isWhole(two);
  });

  test("a note of another form is left where it is, and the rest is taken", () => {
    clone(one, two);
    const session = cutOff(one, 2);
    {
      using thief = new Thief(stageOf(one), join(dir.path, "temp"));
      writeMeta(thief.db, thief.mac, ["head:of another kind", "x"], [`head:${"0".repeat(32)}`, '{"form":2}']);
    }
    cpSync(placeIn(join(dir.path, "temp")).file, placeIn(one).file);
    take(two, one);
    expect(heads(two)).toEqual([`${session}:3`]);
    isWhole(two);
  });

  test("a copy that knew nothing of the session has its note and its entries", () => {
    clone(one, two);
    const session = cutOff(one, 3);
    take(two, one);
    expect(heads(two)).toEqual([`${session}:4`]);
    isWhole(two);
  });

  test("a session that ended elsewhere has a register and no note, and the note does not come back", () => {
    using heart = openIn(one);
    const { log, session } = begunIn(heart);
    clone(one, two);
    must(log.end("done"));
    expect(heads(two)).toEqual([`${session}:2`]);
    {
      // Something of its own, so that the two differ.
      using there = openIn(two);
      must(there.memory.remember("x", "y", { c: 1, k: [], i: 3, p: [] }));
    }
    take(one, two);
    expect(heads(one)).toEqual([]);
    take(two, one);
    expect(heads(two)).toEqual([]);
    expect(registers(two)).toContain(session);
    isWhole(one);
    isWhole(two);
  });

  test("a note that its seal does not bear out is refused, and nothing is taken", () => {
    clone(one, two);
    const session = cutOff(one, 2);
    {
      using db = raw(one);
      db.run("update meta set v = replace(v, '\\n3\\n', '\\n9\\n') where k = ?", `head:${session}`);
    }
    const merged = heartCopies(heartDeps(), placeIn(two), BUILD).merge(placeIn(one).file, { dryRun: false });
    expect(merged).toMatchObject({ ok: false, error: { kind: "damaged" } });
    expect(heads(two)).toEqual([]);
    isWhole(two);
  });

  test("a log that is open here goes on in a new session where a merge brought the end of this one", () => {
    using heart = openIn(one);
    const { log, session } = begunIn(heart);
    clone(one, two);
    {
      // The other copy's process had the key as well.
      using thief = new Thief(stageOf(two), join(dir.path, "temp"));
      thief.setHead(session, null);
      thief.setNote(session, thief.sign(session, keyOf(session)));
    }
    cpSync(placeIn(join(dir.path, "temp")).file, placeIn(two).file);
    {
      using db = raw(two);
      // Another hand's, as a fork of the process would be.
      expect(db.get("select count(*) as n from cell where ns = 'audit' and k = ?", session)?.["n"]).toBe(1);
    }
    take(one, two);
    const after = intent(log, "later");
    expect(after.session).not.toBe(session);
    expect(heart.audit.leaves(session)).toHaveLength(2);
    isWhole(one);
  });
});

test("a repair keeps no note of a session that ended, wherever a page of the time before it turns up", () => {
  using heart = openIn(one);
  const log = logIn(one, heart, keys);
  intent(log, "open");
  const session = log.session ?? "";
  using db = raw(one);
  const note = db.get("select k, v, mac from meta where k = ?", `head:${session}`);
  must(log.end("done"));
  // As anybody can who has an earlier copy of the file.
  db.run("insert into meta (k, v, mac) values (?, ?, ?)", note?.["k"] ?? null, note?.["v"] ?? null, note?.["mac"] ?? null);
  db[Symbol.dispose]();
  expect(judged(one).verdict).toBe("altered");
  expect(must(verifyHeart(heartDeps(), placeIn(one))).faults).toMatchObject([{ kind: "note", where: session }]);
  heart[Symbol.dispose]();
  const target = join(dir.path, "repaired.sqlite");
  must(repairHeart(heartDeps(), placeIn(one), target));
  cpSync(target, placeIn(one).file);
  expect(heads(one)).toEqual([]);
  isWhole(one);
});

test("a session is gone on with by the writing session that began it, and by no other", () => {
  const session = "ab".repeat(16);
  const batch = (after: string | null, size: number) => ({
    session,
    after,
    payloads: [null],
    make: () => ({ leaves: [`{"no":"entry","seq":${size}}`], checkpoint: `log\n${size}\n` }),
  });
  using here = openIn(one);
  using there = openIn(one);
  expect(must(here.audit.append(batch(null, 1)))).toBe("written");
  expect(must(there.audit.append(batch("log\n1\n", 2)))).toBe("moved");
  expect(must(here.audit.append(batch("log\n1\n", 2)))).toBe("written");
  expect(must(here.audit.append(batch("log\n1\n", 3)))).toBe("moved");
  // Also where the other one knows as much.
  expect(must(there.audit.append({ ...batch(null, 1), session: "cd".repeat(16) }))).toBe("written");
  expect(must(there.audit.append(batch("log\n2\n", 3)))).toBe("moved");
  expect(heads(one)).toContain(`${session}:2`);
});

test("a repair keeps the notes of sessions that were cut off", () => {
  const session = cutOff(one, 2);
  const target = join(dir.path, "repaired.sqlite");
  must(repairHeart(heartDeps(), placeIn(one), target));
  cpSync(target, placeIn(one).file);
  expect(heads(one)).toEqual([`${session}:3`]);
  isWhole(one);
});

const stageOf = (folder: string): Stage => {
  using heart = openIn(folder);
  return { folder, heart: heart.id, keys, sessions: ["", "", "", ""], anchor: null as never, old: "" };
};

type Attack = readonly [name: string, expected: Verdict, attack: (thief: Thief, session: string) => void];
/** What is done to a session that was cut off after three entries, by somebody who can seal every row. */
const BY_A_THIEF: readonly Attack[] = [
  ["its note is gone", "altered", (t, s) => t.setHead(s, null)],
  ["its note is another session's", "key", (t, s) => t.setHead(s, { ...headOf(t, s), note: t.note(otherThan(t, s)) })],
  ["its note is nothing that was signed", "key", (t, s) => t.setHead(s, { ...headOf(t, s), note: "nothing\n3\n" })],
  ["its note is of no size", "altered", (t, s) => t.setHead(s, { ...headOf(t, s), note: "nothing" })],
  [
    "a session that ended has an earlier checkpoint beside its last",
    "altered",
    (t) => {
      const ended = otherThan(t, "");
      const leaves = t.rows(ended).map(({ leaf }) => leaf);
      t.setHead(ended, { actor: t.actor(ended), note: t.sign(ended, keyOf(ended), leaves.slice(0, 2)) });
    },
  ],
  ["its note is no note of ours", "altered", (t, s) => void t.db.run("update meta set v = '{}' where k = ?", `head:${s}`)],
  ["its last entry is gone", "truncated", (t, s) => t.remove(s, 2)],
  ["an entry is another", "altered", (t, s) => t.edit(s, 1, { object: "x" })],
  ["an entry more", "altered", (t, s) => t.insert(s, t.row(s, 2).leaf.replace('"seq":2', '"seq":3'))],
  ["its entries are gone, the note stays", "truncated", (t, s) => t.rows(s).forEach(({ entry }) => t.remove(s, entry.seq))],
];
/** He has the session's own key, or takes all of it away: only something from outside knows better. */
const BY_MORE_THAN_A_THIEF: readonly Attack[] = [
  ["its last entry is gone, and the note is of what is left", "truncated", (t, s) => (resign(t, s, 2), t.remove(s, 2))],
  ["its note is of fewer entries", "altered", (t, s) => resign(t, s, 2)],
  ["an entry is another, and signed", "altered", (t, s) => (t.edit(s, 1, { object: "x" }), resign(t, s, 3))],
  ["all of it is gone", "truncated", (t, s) => (t.rows(s).forEach(({ entry }) => t.remove(s, entry.seq)), t.setHead(s, null))],
];
const headOf = (t: Thief, session: string) => t.head(session) ?? { actor: 1, note: "" };
const otherThan = (t: Thief, session: string): string =>
  String(t.db.get("select k from cell where ns = 'audit' and k <> ? limit 1", session)?.["k"]);
const keyOf = (session: string): SigningKey => {
  const key = keys.get(session);
  if (key === undefined) throw new Error("the session's key was not kept");
  return key;
};
function resign(t: Thief, session: string, size: number): void {
  const leaves = t.rows(session).map(({ leaf }) => leaf);
  t.setHead(session, { ...headOf(t, session), note: t.sign(session, keyOf(session), leaves.slice(0, size)) });
}

function attacked(attack: Attack[2], anchored: boolean): Verdict {
  const session = cutOff(one, 2);
  const outside = anchored ? { anchors: [anchorOf(one)] } : {};
  expect(judged(one, outside).verdict).toBe(anchored ? "sound" : "unwitnessed");
  const copy = join(dir.path, "copy");
  {
    using thief = new Thief(stageOf(one), copy);
    attack(thief, session);
  }
  return judged(copy, outside).verdict;
}

describe("of a session that was cut off", () => {
  test.each(BY_A_THIEF)("%s: %s, with nothing from outside", (_, expected, attack) => {
    expect(attacked(attack, false)).toBe(expected);
  });
  test.each(BY_A_THIEF)("%s: %s, with an anchor", (_, expected, attack) => {
    expect(attacked(attack, true)).toBe(expected);
  });
  test.each(BY_MORE_THAN_A_THIEF)("%s: %s, with an anchor that speaks of it", (_, expected, attack) => {
    expect(attacked(attack, true)).toBe(expected);
  });
});
