import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { entryText, parseEntry } from "../../src/audit/entry.ts";
import type { SigningKey } from "../../src/audit/log.ts";
import type { Verdict } from "../../src/audit/verdict.ts";
import { forksBetween, keepForks } from "../../src/cli/audit-forks.ts";
import { openAuditFile } from "../../src/heart/audit-file.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { leavesIn, MOST_IN_ROW } from "../../src/heart/leaf-groups.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { anchorOf, intent, judged, logIn, type Stage, Thief } from "../support/audit-forge.ts";
import { BUILD, must, openIn, placeIn, raw } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

let dir: TempDir;
let keys: Map<string, SigningKey>;
let session = "";
let one = "";
const NOTES = Array.from({ length: 10 }, (_, i) => ({ draft: { kind: "heart", what: "test", detail: `number ${i}` } as const }));

/** A session of a beginning, one entry by itself (2 with what lies apart from it), ten in one commit, and its end. */
beforeEach(() => {
  dir = tempDir("noctem-groups-");
  one = join(dir.path, "one");
  mkdirSync(one);
  keys = new Map();
  using heart = openIn(one);
  const log = logIn(one, heart, keys);
  intent(log, "alone");
  must(log.write(NOTES));
  session = log.session ?? "";
  must(log.end("done"));
});
afterEach(() => dir[Symbol.dispose]());

const stage = (folder: string): Stage => ({
  folder,
  heart: heartOf(folder),
  keys,
  sessions: ["", "", "", ""],
  anchor: null as never,
  old: "",
});
const heartOf = (folder: string): string => {
  using heart = openIn(folder);
  return heart.id;
};
const kinds = (leaves: readonly string[]) => leaves.map((leaf) => parseEntry(leaf)?.seq);
const UP_TO_12 = Array.from({ length: 13 }, (_, i) => i);

/** Each leaf in a row of its own, as earlier versions of this program wrote all of them. */
function separate(thief: Thief): void {
  const rows = thief.db.all("select n, leaves as body from leaf order by n");
  for (const { n, body } of rows.slice(1)) {
    thief.db.run("delete from leaf where n = ?", n ?? null);
    for (const leaf of leavesIn(String(body))) thief.insert(session, leaf);
  }
}

describe("entries of one commit", () => {
  test("lie in one row, the beginning in its own, and everything that reads them reads each", () => {
    using db = raw(one);
    const bodies = db.all("select leaves as body from leaf order by n");
    expect(bodies.map(({ body }) => kinds(leavesIn(String(body))))).toEqual([[0], [1], [2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [12]]);
    using heart = openIn(one);
    expect(kinds(heart.audit.leaves(session))).toEqual(UP_TO_12);
    expect(parseEntry(heart.audit.beginning(session) ?? "")?.kind).toBe("genesis");
    using file = must(openAuditFile(heartDeps(), placeIn(one).file));
    expect(kinds(file.leavesOf(session))).toEqual(UP_TO_12);
    expect(kinds(file.session(session).map(({ leaf }) => leaf))).toEqual(UP_TO_12);
    expect(kinds(file.recent(4).map(({ leaf }) => leaf))).toEqual([12, 11, 10, 9]);
    const begun: (number | undefined)[] = [];
    file.beginnings(({ leaf }) => begun.push(parseEntry(leaf)?.seq));
    expect(begun).toEqual([0]);
    expect(judged(one)).toMatchObject({ verdict: "unwitnessed", checked: { count: 0, entries: 13 } });
    expect(must(verifyHeart(heartDeps(), placeIn(one))).faults).toEqual([]);
  });

  test("of more than a row may hold are several rows", () => {
    using heart = openIn(one);
    const log = logIn(one, heart, keys);
    // After the beginning comes what the first session never told the end of.
    must(log.write(Array.from({ length: 30 }, () => ({ draft: { kind: "heart", what: "test", detail: "x".repeat(3900) } as const }))));
    using db = raw(one);
    const rows = db.all("select leaves as body from leaf where session = ? order by n", Uint8Array.fromHex(log.session ?? ""));
    const bodies = rows.map(({ body }) => String(body));
    expect(bodies.flatMap((body) => kinds(leavesIn(body)))).toEqual(Array.from({ length: 32 }, (_, i) => i));
    expect(Math.max(...bodies.map((body) => body.length))).toBeWithin(16 << 10, 33 << 10);
    expect(judged(one)).toMatchObject({ verdict: "unwitnessed", checked: { count: 0 } });
  });

  test("that an earlier version wrote into a row each are the same log, and go on beside those of this one", () => {
    const anchor = anchorOf(one);
    const old = join(dir.path, "old");
    {
      using thief = new Thief(stage(one), old);
      cpSync(placeIn(one).keysDir, placeIn(old).keysDir, { recursive: true });
      separate(thief);
    }
    expect(judged(old, { anchors: [anchor] })).toMatchObject({ verdict: "sound", checked: { count: 0, entries: 13 } });
    expect(must(verifyHeart(heartDeps(), placeIn(old))).faults).toEqual([]);
    const two = join(dir.path, "two");
    cpSync(old, two, { recursive: true });
    for (const folder of [old, two]) {
      using heart = openIn(folder);
      must(logIn(folder, heart, keys).write(NOTES));
    }
    expect(forksBetween(placeIn(old).file, placeIn(two).file)).toEqual([]);
    must(heartCopies(heartDeps(), placeIn(old), BUILD).merge(placeIn(two).file, { dryRun: false }));
    expect(judged(old, { anchors: [anchor] })).toMatchObject({ verdict: "sound", checked: { count: 0, sessions: 3, entries: 37 } });
  });
});

type Change = (leaves: readonly string[]) => readonly string[];
const CHANGES: readonly (readonly [name: string, expected: Verdict, change: Change])[] = [
  ["one says something else", "altered", (all) => all.with(3, (all[3] ?? "").replace("number 3", "number 4"))],
  ["one is gone", "altered", (all) => all.toSpliced(3, 1)],
  ["the last is gone", "altered", (all) => all.slice(0, -1)],
  [
    "two have changed places",
    "altered",
    (all) =>
      all
        .with(3, all[4] ?? "")
        .with(4, all[3] ?? "")
        .with(4, ""),
  ],
  ["one stands there twice", "altered", (all) => all.toSpliced(3, 0, all[3] ?? "")],
  ["one is an earlier entry", "altered", (all) => all.with(3, all[0] ?? "")],
  ["an empty line", "altered", (all) => [...all, ""]],
  ["a line of something else", "altered", (all) => [...all.slice(0, 2), "{}", ...all.slice(2)]],
  ["a line ends as on another system", "altered", (all) => all.with(3, `${all[3] ?? ""}\r`)],
  ["one of another session", "altered", (all) => all.with(3, (all[3] ?? "").replace(session, "0".repeat(32)))],
  ["more than a row may be", "altered", (all) => [...all, "x".repeat(MOST_IN_ROW.characters)]],
  ["more lines than a row may have", "altered", (all) => [...all, ...Array.from({ length: MOST_IN_ROW.leaves }, () => "")]],
];

describe("what is changed in a row of several", () => {
  test.each(CHANGES)("%s: %s", (_, expected, change) => {
    const anchor = anchorOf(one);
    const copy = join(dir.path, "copy");
    {
      using thief = new Thief(stage(one), copy);
      const { n, body } = thief.db.get("select n, leaves as body from leaf where leaves like '%number 3%'") ?? {};
      thief.setText(Number(n), change(String(body).split("\n")).join("\n"));
    }
    const { verdict, checked } = judged(copy, { anchors: [anchor] });
    expect(`${verdict}: ${checked.findings.map(({ detail }) => detail).join("; ")}`).toStartWith(`${expected}: `);
    expect(must(verifyHeart(heartDeps(), placeIn(copy))).faults).toEqual([]);
  });

  test("a row that says again what another says", () => {
    const copy = join(dir.path, "copy");
    {
      using thief = new Thief(stage(one), copy);
      const { body } = thief.db.get("select leaves as body from leaf where leaves like '%number 3%'") ?? {};
      thief.insert(session, String(body).split("\n").slice(2, 4).join("\n"));
    }
    expect(judged(copy).checked.findings.map(({ kind, detail }) => `${kind}: ${detail}`)).toEqual(["altered: entry 4 stands there twice"]);
  });
});

test("of two versions that begin alike inside one commit both are kept, whole, in each copy", () => {
  const two = join(dir.path, "two");
  cpSync(one, two, { recursive: true });
  const temp = join(dir.path, "temp");
  {
    using thief = new Thief(stage(one), temp);
    const { n, body } = thief.db.get("select n, leaves as body from leaf where leaves like '%number 3%'") ?? {};
    const leaves = String(body).split("\n");
    const other = leaves.map((leaf, i) => {
      const entry = parseEntry(leaf);
      return i < 4 || entry?.kind !== "heart" ? leaf : entryText({ ...entry, detail: `elsewhere ${i}` });
    });
    thief.setText(Number(n), other.join("\n"));
    const key = keys.get(session);
    if (key === undefined) throw new Error("the session's key was not kept");
    const signed = thief.db.all("select leaves as body from leaf order by n").flatMap(({ body: row }) => leavesIn(String(row)));
    thief.setNote(session, thief.sign(session, key, signed));
  }
  cpSync(placeIn(temp).file, placeIn(two).file);
  expect(judged(two).verdict).toBe("unwitnessed");
  const meet = (folder: string, other: string): readonly string[] => {
    const forks = forksBetween(placeIn(folder).file, placeIn(other).file);
    must(heartCopies(heartDeps(), placeIn(folder), BUILD).merge(placeIn(other).file, { dryRun: false }));
    using heart = openIn(folder);
    return keepForks(heart, placeIn(folder).keysDir, forks);
  };
  const findings = (folder: string): readonly string[] => [
    ...new Set(judged(folder).checked.findings.map(({ kind, detail }) => `${kind}: ${detail}`)),
  ];
  const FORK = ["fork: two versions of it were signed by its own key; they part at entry 6"];
  expect(meet(one, two)).toHaveLength(1);
  expect(findings(one)).toEqual(FORK);
  // What came along as single rows comes back beside the row that they were in.
  meet(two, one);
  expect(findings(two)).toEqual(FORK);
  meet(one, two);
  expect(findings(one)).toEqual(FORK);
  expect(must(verifyHeart(heartDeps(), placeIn(one))).faults).toEqual([]);
});
