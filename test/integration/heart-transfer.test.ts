/** Exports and imports of a heart: what a person has, as lines that any program reads, and back as data from outside. */
import { afterEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PARENT_STATE } from "../../src/heart/state.ts";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import { exportLines, MESSAGES_AFTER, type ExportCounts } from "../../src/heart/transfer/export.ts";
import { DataLine, EndLine, HeaderLine, type LineOf } from "../../src/heart/transfer/format.ts";
import { importLines, type ImportReport } from "../../src/heart/transfer/import.ts";
import { openReadable } from "../../src/heart/transfer/reading.ts";
import type { OpenHeart } from "../../src/heart/open.ts";
import type { HeartError } from "../../src/heart/port.ts";
import type { Millis } from "../../src/lib/brand.ts";
import type { Label } from "../../src/lib/label.ts";
import type { Result } from "../../src/lib/result.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn, raw, say, talk, texts } from "../support/heart.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "noctem-transfer-"));
  folders.push(path);
  return path;
}

const NOW = Date.UTC(2026, 10, 23) as Millis;
const OWN: Label = { c: 2, k: ["home"], i: 3, p: ["console"] };

function exported(from: string): { readonly lines: string[]; readonly counts: ExportCounts } {
  using heart = must(openReadable(heartDeps(), placeIn(from)));
  const pages = exportLines(heart, heartDeps(), NOW);
  const text: string[] = [];
  for (let page = pages.next(); ; page = pages.next()) {
    if (page.done === true) return { lines: text.join("").trimEnd().split("\n"), counts: page.value };
    text.push(page.value);
  }
}

const imported = (into: string, lines: readonly string[]): Result<ImportReport, HeartError> =>
  importLines(heartDeps(), placeIn(into), BUILD, { source: "/export.jsonl", lines: lines.map((text) => ({ text })) });

const dataOf = (lines: readonly string[]): readonly DataLine[] => lines.slice(1, -1).map((line) => v.parse(DataLine, JSON.parse(line)));
const ofType = <T extends DataLine["type"]>(lines: readonly string[], type: T): readonly LineOf<T>[] =>
  dataOf(lines).filter((line): line is LineOf<T> => line.type === type);

/** One of everything. */
function fill(path: string): void {
  using heart = openIn(path);
  const { session, messages } = talk(heart, "hello", "forget me", "three");
  say(heart, session, messages[0]?.id ?? null, "another take");
  heart.show(session, messages[2]!.id);
  must(heart.redact(messages[1]!.id));
  const parent = must(heart.tasks.add({ title: "plan a trip", due: NOW }, OWN));
  must(heart.tasks.add({ title: "book a train", parent: parent.id, status: "waiting" }, OWN));
  must(heart.tasks.remove(must(heart.tasks.add({ title: "never mind" })).id));
  must(heart.memory.remember("colour", "green", OWN));
  must(heart.memory.remember("secret", "gone", OWN));
  must(heart.memory.forget("secret"));
  must(heart.state.set("plan", "b"));
  must(heart.incidents.count("egress", 3, "tried it"));
  must(heart.incidents.count("egress", 3));
  must(heart.incidents.acknowledge("egress", 3));
  must(heart.entries.append({ kind: "skill", body: '{"ran":true}', label: OWN }));
  must(heart.entries.forget(must(heart.entries.append({ kind: "skill", body: "forgotten", label: OWN })).id));
  must(heart.entries.append({ kind: "grant", body: "all of it", label: OWN }));
}

function edit(path: string, change: (heart: OpenHeart) => void): void {
  using heart = openIn(path);
  change(heart);
}

const sound = (path: string) => expect(must(verifyHeart(heartDeps(), placeIn(path)))).toMatchObject({ count: 0, faults: [] });

describe("export", () => {
  test("holds everything but what was forgotten or removed, between a header and a count", () => {
    const home = folder();
    fill(home);
    const { lines, counts } = exported(home);
    expect(v.parse(HeaderLine, JSON.parse(lines[0] ?? ""))).toMatchObject({ version: 1, checked: true });
    expect(v.parse(EndLine, JSON.parse(lines.at(-1) ?? ""))).toEqual({ type: "end", lines: lines.length - 2, leftOut: 0 });
    expect(counts).toEqual({ lines: { message: 4, shown: 1, task: 2, memory: 1, state: 1, incident: 1, entry: 3 }, leftOut: 0 });
    expect(lines.join("")).not.toMatch(/forget me|never mind|gone|"forgotten"/u);
    expect(ofType(lines, "message").map(({ redacted, spans }) => [redacted, spans.map((span) => span.text).join("")])).toEqual([
      [false, "hello"],
      [true, ""],
      [false, "three"],
      [false, "another take"],
    ]);
    expect(ofType(lines, "task").map((task) => task.attributes["title"]?.value)).toContainAllValues(["plan a trip", "book a train"]);
    expect(ofType(lines, "incident")).toMatchObject([{ kind: "egress", severity: 3, count: 2, detail: "tried it", acknowledged: 2 }]);
  });

  test("more than one page, in the order in which things were said", () => {
    const home = folder();
    const said = Array.from({ length: 257 }, (_, i) => `message ${i}`);
    using heart = openIn(home);
    talk(heart, ...said);
    const messages = ofType(exported(home).lines, "message");
    expect(messages.map(({ spans }) => spans[0]?.text)).toEqual(said);
  });

  test("what is not what was written is left out and counted", () => {
    const home = folder();
    fill(home);
    using db = raw(home);
    db.exec("update cell set v = 'red' where k = 'colour'; update message set role = 'assistant' where n = 1");
    const { lines, counts } = exported(home);
    expect(counts).toMatchObject({ leftOut: 2, lines: { message: 3, memory: 0 } });
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ leftOut: 2 });
  });

  test("works without keys, and says that nothing was checked", () => {
    const home = folder();
    fill(home);
    rmSync(join(home, "keys"), { recursive: true });
    const { lines } = exported(home);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ checked: false });
    expect(ofType(lines, "message")).toHaveLength(4);
  });

  test("reads messages by an index", () => {
    const home = folder();
    fill(home);
    using db = raw(home);
    const plan = db
      .all(`explain query plan ${MESSAGES_AFTER}`, new Uint8Array(), -1, new Uint8Array(), 10)
      .map((row) => String(row["detail"]));
    expect(plan[0]).toContain("USING INDEX message_session");
    expect(plan.join()).not.toContain("TEMP B-TREE");
  });
});

describe("import", () => {
  test("brings everything over, without integrity and saying where from", () => {
    const [home, other] = [folder(), folder()];
    fill(home);
    openIn(other)[Symbol.dispose]();
    const { lines } = exported(home);
    const report = must(imported(other, lines));
    expect(report).toMatchObject({
      added: { message: 4, shown: 1, task: 2, memory: 1, state: 1, incident: 1, entry: 2 },
      known: 0,
      permissions: 1,
    });
    sound(other);
    using heart = openIn(other);
    const [overview] = heart.sessions(10);
    expect(overview).toMatchObject({ title: "hello", messages: 3 });
    expect(texts(heart, overview!.id)).toEqual(["hello", "", "three"]);
    for (const message of heart.messages(overview!.id)) {
      expect(message.label.i).toBe(0);
      expect(message.label).toMatchObject({ c: 1, k: ["heart"], p: ["console", "import"] });
      expect(message.spans.every((span) => span.kind === "pasted")).toBe(true);
    }
    const trip = heart.tasks.all().find((task) => task.title === "plan a trip");
    expect(trip).toMatchObject({ due: NOW });
    expect(heart.tasks.open(10).find((task) => task.title === "book a train")).toMatchObject({ parent: trip!.id, status: "waiting" });
    expect(heart.memory.recall("colour")).toMatchObject({ text: "green", label: { c: 2, i: 0, p: ["console", "import"] } });
    expect(heart.memory.recall("secret")).toBeNull();
    expect(heart.state.get("plan")).toBe("b");
    expect(heart.incidents.list()).toMatchObject([{ count: 2, acknowledged: 2, detail: "tried it" }]);
    expect(heart.entries.recent("skill", 9).map((entry) => entry.body)).toContainAllValues(['{"ran":true}', null]);
    expect(heart.entries.recent("grant", 9)).toEqual([]);
    expect(heart.search("another", 5).hits).toHaveLength(1);
  });

  test("another heart's parent is not this one's", () => {
    const [home, other] = [folder(), folder()];
    fill(home);
    openIn(other)[Symbol.dispose]();
    {
      using heart = openIn(home);
      must(heart.state.set(PARENT_STATE, "noctem-parent+00000000+AA=="));
    }
    must(imported(other, exported(home).lines));
    using heart = openIn(other);
    expect(heart.state.get(PARENT_STATE)).toBeNull();
    expect(heart.state.get("plan")).toBe("b");
  });

  test("twice adds nothing, nor does a heart's own export", () => {
    const [home, other] = [folder(), folder()];
    fill(home);
    openIn(other)[Symbol.dispose]();
    const { lines } = exported(home);
    must(imported(other, lines));
    const none = { message: 0, shown: 0, task: 0, memory: 0, state: 0, incident: 0, entry: 0 };
    expect(must(imported(other, lines)).added).toEqual(none);
    expect(must(imported(home, lines)).added).toEqual(none);
    sound(other);
  });

  test("what was forgotten or removed here stays so, and what stands is not overwritten", () => {
    const [home, other] = [folder(), folder()];
    fill(home);
    const { lines } = exported(home);
    {
      using heart = openIn(other);
      must(heart.memory.remember("colour", "mine", OWN));
    }
    must(imported(other, lines));
    {
      using heart = openIn(other);
      expect(heart.memory.recall("colour")?.text).toBe("mine");
      must(heart.memory.forget("colour"));
      for (const task of heart.tasks.all()) must(heart.tasks.remove(task.id));
      must(heart.deleteSession(heart.sessions(1)[0]!.id));
    }
    must(imported(other, lines));
    using heart = openIn(other);
    expect(heart.memory.recall("colour")).toBeNull();
    expect(heart.tasks.all()).toEqual([]);
    expect(heart.sessions(5)).toEqual([]);
  });

  test("a removed task stays removed even where nothing was known of it", () => {
    const [home, other] = [folder(), folder()];
    fill(home);
    openIn(other)[Symbol.dispose]();
    const bare = exported(home).lines.map((line) => line.replace(/"attributes":.*/u, '"attributes":{}}'));
    must(imported(other, bare));
    edit(other, (heart) => heart.tasks.all().forEach((task) => must(heart.tasks.remove(task.id))));
    must(imported(other, bare));
    edit(other, (heart) => expect(heart.tasks.all()).toEqual([]));
  });

  test("the take that was picked is shown, also when all happened within a millisecond", () => {
    const [home, other] = [folder(), folder()];
    fill(home);
    openIn(other)[Symbol.dispose]();
    const { lines } = exported(home);
    const take = ofType(lines, "message").find(({ spans }) => spans[0]?.text === "another take");
    const changed = lines
      .map((line) => line.replaceAll(/"at":"[^"]*"/gu, '"at":"2026-01-02T03:04:05.678Z"'))
      .map((line) => (line.includes('"type":"shown"') ? line.replace(/"message":"\w+"/u, `"message":"${take?.id}"`) : line));
    must(imported(other, changed));
    edit(other, (heart) => expect(texts(heart, heart.sessions(1)[0]!.id)).toEqual(["hello", "another take"]));
  });

  test("on two copies, which then merge: nothing is there twice", () => {
    const [home, one, two] = [folder(), folder(), folder()];
    fill(home);
    openIn(one)[Symbol.dispose]();
    const fork = placeIn(two);
    rmSync(two, { recursive: true });
    mkdirSync(two);
    Bun.spawnSync(["cp", "-r", `${one}/.`, two]);
    const { lines } = exported(home);
    must(imported(one, lines));
    must(imported(two, lines));
    const copies = heartCopies(heartDeps(), placeIn(one), BUILD);
    must(copies.merge(fork.file, { dryRun: false }));
    sound(one);
    using heart = openIn(one);
    expect(heart.sessions(10)).toHaveLength(1);
    expect(heart.tasks.all()).toHaveLength(2);
    expect(heart.incidents.list()).toMatchObject([{ count: 4 }]);
  });

  test("of dates in the future, none stands above what is said now", () => {
    const [home, other] = [folder(), folder()];
    fill(home);
    openIn(other)[Symbol.dispose]();
    const { lines } = exported(home);
    must(
      imported(
        other,
        lines.map((line) => line.replaceAll(/"at":"2\d{3}/gu, '"at":"2093')),
      ),
    );
    using heart = openIn(other);
    expect(heart.sessions(1)[0]!.lastAt).toBeLessThanOrEqual(Date.now() + 1000);
  });
});

describe("a line that is wrong", () => {
  const refusedLine = (change: (lines: string[]) => string[]): string => {
    const [home, other] = [folder(), folder()];
    fill(home);
    openIn(other)[Symbol.dispose]();
    const result = imported(other, change(exported(home).lines));
    using db = raw(other);
    expect(db.get("select (select count(*) from message) + (select count(*) from cell) + (select count(*) from actor) as n")).toEqual({
      n: 0,
    });
    if (result.ok || result.error.kind !== "damaged") throw new Error(`not expected: ${JSON.stringify(result)}`);
    expect(result.error.path).toBe("/export.jsonl");
    return result.error.detail;
  };
  const replaced = (at: number, text: string) => (lines: string[]) => lines.with(at, text);

  test("is named by its number, and nothing is changed", () => {
    expect(refusedLine(replaced(3, "{"))).toBe("line 4 is not JSON");
    expect(refusedLine((lines) => lines.with(2, (lines[2] ?? "").replace('"user"', '"root"')))).toStartWith("line 3: role: ");
    expect(refusedLine((lines) => lines.with(2, (lines[2] ?? "").replace(/"at":"[^"]*"/u, '"at":"yesterday"')))).toContain(
      "line 3: at: a time looks like",
    );
    expect(refusedLine((lines) => lines.with(2, (lines[2] ?? "").replace('"type"', '"extra":1,"type"')))).toStartWith("line 3: ");
    expect(refusedLine((lines) => [...lines, lines[1] ?? ""])).toEndWith("something follows its last line");
  });

  test("one that is missing is noticed", () => {
    expect(refusedLine((lines) => lines.slice(0, -1))).toContain("it was cut off");
    expect(refusedLine((lines) => lines.toSpliced(3, 1))).toContain("some are missing");
    expect(refusedLine(() => [])).toBe("it is empty");
  });

  test("what is no export is called that", () => {
    expect(refusedLine(replaced(0, "hello"))).toBe("its first line is not that of an export of Noctem");
    expect(refusedLine((lines) => lines.slice(1))).toBe("its first line is not that of an export of Noctem");
    expect(refusedLine((lines) => lines.with(0, (lines[0] ?? "").replace('"version":1', '"version":2')))).toContain("version 2");
  });
});

test("any text goes through unchanged", () => {
  const [home, other] = [folder(), folder()];
  const pairs = new Map<string, string>();
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 40 }), fc.string({ unit: "binary" }), (key, text) => {
      pairs.set(key.toWellFormed(), text.toWellFormed());
    }),
    { numRuns: 40 },
  );
  {
    using heart = openIn(home);
    for (const [key, text] of pairs) {
      must(heart.memory.remember(key, text, OWN));
      talk(heart, text);
    }
  }
  openIn(other)[Symbol.dispose]();
  must(imported(other, exported(home).lines));
  sound(other);
  using heart = openIn(other);
  for (const [key, text] of pairs) expect([key, heart.memory.recall(key)?.text]).toEqual([key, text]);
  expect(new Set(ofType(exported(other).lines, "message").map((line) => line.spans[0]?.text))).toEqual(new Set(pairs.values()));
});
