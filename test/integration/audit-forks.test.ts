import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseEntry } from "../../src/audit/entry.ts";
import type { SigningKey } from "../../src/audit/log.ts";
import { forksBetween, keepForks } from "../../src/cli/audit-forks.ts";
import { openAuditFile } from "../../src/heart/audit-file.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { intent, judged, logIn, sitting } from "../support/audit-forge.ts";
import { goOn } from "../support/audit-twin.ts";
import { BUILD, miscounted, must, openIn, placeIn, raw } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

let dir: TempDir;
let [one, two] = ["", ""];
let keys: Map<string, SigningKey>;
let session = "";

/** A stick that was copied while a session was open: both copies have its first entries, and its key was in one process's memory. */
beforeEach(() => {
  dir = tempDir("noctem-fork-");
  [one, two] = [join(dir.path, "one"), join(dir.path, "two")];
  keys = new Map();
  mkdirSync(one);
  sitting(one, keys, 1, "before");
  using heart = openIn(one);
  const log = logIn(one, heart, keys);
  intent(log, "shared");
  session = log.session ?? "";
  cpSync(one, two, { recursive: true });
  intent(log, "here");
});
afterEach(() => dir[Symbol.dispose]());

const goOnIn = (folder: string, actor: "same" | "other", key?: SigningKey): void =>
  goOn({ folder, keys, session, actor, ...(key && { key }) });

function mergeInto(folder: string, other: string): readonly string[] {
  const forks = forksBetween(placeIn(folder).file, placeIn(other).file);
  must(heartCopies(heartDeps(), placeIn(folder), BUILD).merge(placeIn(other).file, { dryRun: false }));
  using heart = openIn(folder);
  return keepForks(heart, placeIn(folder).keysDir, forks);
}

describe("copies that diverged inside one session", () => {
  test("one that only went on is no fork", () => {
    expect(mergeInto(two, one)).toEqual([]);
    expect(mergeInto(one, two)).toEqual([]);
    expect(judged(two).verdict).toBe("unwitnessed");
  });

  for (const [actor, hand] of [
    ["same", "the same hand, which a version vector takes for one"],
    ["other", "another hand"],
  ] as const) {
    test(`two versions under the session's key, by ${hand}: both stay, with an incident`, () => {
      goOnIn(two, actor, keys.get(session));
      expect(judged(two).verdict).toBe("unwitnessed");
      const told = mergeInto(one, two);
      expect(told).toHaveLength(1);
      expect(told[0]).toContain("from entry 2: two versions under its own key");
      using heart = openIn(one);
      expect(heart.incidents.list()).toMatchObject([{ kind: "audit.fork", severity: 4, count: 1 }]);
      const { verdict, checked } = judged(one);
      expect(verdict).toBe("fork");
      expect(checked.findings.map(({ detail }) => detail)).toEqual(["two versions of it were signed by its own key; they part at entry 2"]);
      expect(must(verifyHeart(heartDeps(), placeIn(one))).faults).toEqual([]);
      expect(miscounted(one)).toEqual([]);
      // Once more changes nothing but the incident's count, and the other copy learns of it in turn.
      const rows = judged(one).checked.entries;
      mergeInto(one, two);
      expect(judged(one).verdict).toBe("fork");
      expect(judged(one).checked.entries - rows).toBeLessThanOrEqual(5);
      mergeInto(two, one);
      expect(
        `${judged(two).verdict} ${judged(two)
          .checked.findings.map(({ detail }) => detail)
          .join("; ")}`,
      ).toStartWith("fork ");
      // What a list shows it shows once, although the other copy has some of it as its own and as it was kept here.
      using file = must(openAuditFile(heartDeps(), placeIn(two).file));
      const listed = file.recent(99).map(({ leaf }) => leaf);
      expect(listed).toEqual([...new Set(listed)]);
      const second = listed.map(parseEntry).filter((entry) => entry?.session === session && entry.seq === 2);
      expect(second).toHaveLength(2);
    });
  }

  test("what its own key did not sign is no version: it is not taken in", () => {
    goOnIn(two, "same", auditCrypto.ephemeral());
    expect(judged(two).verdict).toBe("key");
    expect(mergeInto(one, two)).toEqual([]);
    expect(judged(one).verdict).toBe("unwitnessed");
  });
});

test("a version is kept once", () => {
  const leaf = '{"no":"entry","seq":7}';
  using heart = openIn(one);
  expect(must(heart.audit.keepVersion({ session, leaves: [leaf], checkpoint: "a note", payloads: [] }))).toBe(1);
  expect(must(heart.audit.keepVersion({ session, leaves: [leaf], checkpoint: "a note", payloads: [] }))).toBe(0);
  expect(heart.audit.leaves(session)).not.toContain(leaf);
  using db = raw(one);
  expect(db.all("select n from leaf where leaves = ?", leaf)).toHaveLength(1);
});

test("what lies apart stands together in the index of names", () => {
  using heart = openIn(one);
  const log = logIn(one, heart, keys);
  for (let i = 0; i < 10; i++) intent(log, `with a payload ${i}`);
  using db = raw(one);
  const own = Uint8Array.fromHex(log.session ?? "");
  const named = db.all("select id from entry where ref = ?", own).map(({ id }) => id as Uint8Array);
  expect(named).toHaveLength(10);
  expect(named.filter((id) => id[0] !== own[0] || id[1] !== own[1])).toEqual([]);
});
