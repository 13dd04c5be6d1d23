import { describe, expect, test } from "bun:test";
import { repairText, verifyText } from "../../../src/cli/heart-care-text.ts";
import { conflictText, type ShownConflict, subjectText } from "../../../src/cli/heart-conflicts-text.ts";
import { copyErrorText, heartErrorText } from "../../../src/cli/heart-error-text.ts";
import { type Around, infoText, statusText } from "../../../src/cli/heart-status-text.ts";
import { syncText, type SyncWords } from "../../../src/cli/heart-sync-text.ts";
import { importText } from "../../../src/cli/heart-transfer-run.ts";
import type { HeartFacts } from "../../../src/heart/describe.ts";
import type { MergeReport } from "../../../src/heart/merge/merge.ts";
import type { HeartError } from "../../../src/heart/port.ts";
import type { HeartStatus, Replica } from "../../../src/heart/replicas.ts";
import type { Millis } from "../../../src/lib/brand.ts";

const at = new Date(2026, 10, 23, 14, 5).getTime() as Millis;
const in2031 = new Date(2031, 5, 1).getTime() as Millis;

describe("sync", () => {
  const nothing: MergeReport = {
    same: false,
    mode: "delta",
    replica: "ab".repeat(16),
    messages: 0,
    forgotten: 0,
    tasksAdded: 0,
    tasksRemoved: 0,
    values: {},
    entries: 0,
    incidents: 0,
    sessions: 0,
    aside: 0,
    conflicts: 0,
    fenced: { rows: 0, furthest: null },
  };
  const take: SyncWords = { other: "/media/b", dryRun: false, direction: "take", verbose: false };
  const said = (report: Partial<MergeReport>, words: Partial<SyncWords> = {}) => syncText({ ...nothing, ...report }, { ...take, ...words });

  test("what came, in words, and nothing of what did not", () => {
    expect(said({ messages: 12, tasksAdded: 2, values: { task: 9, memory: 1, state: 2, leaf: 1 }, entries: 1 })).toBe(
      "Took from /media/b: 12 messages, 2 tasks, 1 memory, 2 settings, 1 log entry, 1 choice of what is shown.\n",
    );
    expect(said({ values: { task: 1 }, tasksRemoved: 1, forgotten: 3, incidents: 1, aside: 1 })).toBe(
      "Took from /media/b: 3 texts forgotten, 1 change to tasks, 1 task removed, 1 change to incidents, 1 row of a newer version, carried on unread.\n",
    );
    expect(said({ messages: 1 }, { dryRun: true })).toBe("Would take from /media/b: 1 message.\n");
    expect(said({ messages: 1 }, { direction: "give" })).toBe("Gave to /media/b: 1 message.\n");
  });

  test("nothing is said to be nothing", () => {
    expect(said({ same: true })).toBe("Both have the same already.\n");
    expect(said({ same: true }, { direction: "give" })).toBe("/media/b has the same already.\n");
    expect(said({ sessions: 1 })).toBe("Nothing new in /media/b.\n");
    expect(said({}, { direction: "give" })).toBe("Nothing new for /media/b.\n");
  });

  test("what lost, and where to find it", () => {
    expect(said({ messages: 1, conflicts: 1 })).toEndWith(
      "\n1 value lost against a concurrent write and is kept: noctem heart conflicts\n",
    );
    expect(said({ conflicts: 2 })).toContain("2 values lost against a concurrent write and are kept: ");
    expect(said({ conflicts: 2 }, { dryRun: true })).toEndWith("2 values would lose against a concurrent write.\n");
    expect(said({ conflicts: 2 }, { direction: "give" })).toContain("listed on /media/b");
  });

  test("clocks that ran ahead", () => {
    expect(said({ fenced: { rows: 3, furthest: in2031 } })).toEndWith(
      "3 rows are stamped up to 2031-06-01 by a clock that ran ahead; they were taken, your clock was not moved.\n",
    );
    expect(said({ fenced: { rows: 1, furthest: in2031 } })).toContain(
      "1 row is stamped on 2031-06-01 by a clock that ran ahead; it was taken,",
    );
  });

  test("how it was done only when asked", () => {
    expect(said({ messages: 1, mode: "full", values: { memory: 2 } })).not.toContain("in full");
    const verbose = said({ messages: 1, mode: "full", values: { memory: 2 } }, { verbose: true });
    for (const part of ["in full", "abab", "2 of memory"]) expect(verbose).toContain(part);
  });
});

describe("conflicts", () => {
  const here = { replica: "aa".repeat(16), here: true, label: "", host: "linux-x64" };
  const away = { replica: "bb".repeat(16), here: false, label: "blue stick", host: "linux-arm64" };
  const conflict: ShownConflict = {
    id: "3fa9c1d200000000",
    short: "3fa9c1d2",
    namespace: "memory",
    key: "colour",
    title: null,
    lost: { value: "green", at, actor: 1 },
    stands: { value: "blue", at, actor: 2 },
    lostBy: away,
    standsBy: here,
  };

  test("both sides, by whom and when", () => {
    expect(conflictText(conflict)).toBe(
      [
        '3fa9c1d2  memory "colour"',
        '          lost    "green", written 2026-11-23 14:05 on blue stick (linux-arm64)',
        '          stands  "blue", written 2026-11-23 14:05 here',
        "",
      ].join("\n"),
    );
  });

  test("tasks by their title, values as a person wrote them", () => {
    const task: ShownConflict = {
      ...conflict,
      namespace: "task",
      key: `${"0".repeat(32)}.status`,
      title: "buy milk",
      lost: { value: '"done"', at, actor: 1 },
      stands: null,
      standsBy: null,
    };
    expect(subjectText(task)).toBe('status of task "buy milk"');
    expect(conflictText(task)).toContain('lost    "done"');
    expect(conflictText(task)).toContain("stands  nothing");
    expect(subjectText({ ...task, title: null })).toBe("status of task 00000000");
  });

  test("a value that was forgotten, a writer nobody knows", () => {
    const shown = conflictText({
      ...conflict,
      stands: { value: null, at, actor: 3 },
      standsBy: { ...away, replica: "", label: "", host: "" },
    });
    expect(shown).toContain("stands  forgotten, written 2026-11-23 14:05 by a writing session that is not known here");
  });

  test("long values are cut in the list, whole when shown, and never steer the terminal", () => {
    const long = { ...conflict, lost: { ...conflict.lost, value: `\u001b]52;c;x\u0007${"word\n".repeat(50)}` } };
    expect(conflictText(long, 60).split("\n")).toHaveLength(4);
    expect(conflictText(long, 60)).toContain("…");
    expect(conflictText(long)).toContain("word\nword");
    expect(conflictText(long)).not.toContain("\u001b");
  });
});

describe("status", () => {
  const facts: HeartFacts = {
    format: 2,
    pageSize: 4096,
    pages: 42,
    freePages: 1,
    conversations: 1,
    messages: 3,
    forgotten: 1,
    tasks: 1,
    memories: 2,
    entries: 0,
    incidents: 0,
    sessions: 2,
    oldest: at,
    newest: at,
  };
  const replica = (changes: Partial<Replica>): Replica => ({
    id: "11".repeat(16),
    here: false,
    retired: false,
    label: "",
    host: "",
    sessions: 1,
    lastWrite: null,
    behind: null,
    ...changes,
  });
  const status: HeartStatus = {
    id: "ee".repeat(16),
    replica: "aa".repeat(16),
    replicas: [replica({}), replica({ id: "aa".repeat(16), here: true, lastWrite: at, behind: 0, host: "linux-x64" })],
    rows: {},
    streams: { all: 2, settled: 0, withGaps: 0 },
    conflicts: 0,
    prunable: 0,
    clockFaults: [],
    fenced: { rows: 0, furthest: null },
    lastWrite: at,
  };
  const around: Around = { file: "/s/heart.sqlite", size: 172_032, free: 12e9, backup: null, now: at };

  test("a quiet heart is said to be quiet", () => {
    expect(statusText(status, facts, around)).toBe(
      [
        "heart      /s/heart.sqlite, 172 kB, 12 GB free beside it",
        "replica    aaaaaaaa, last write 2026-11-23 14:05",
        "holds      3 messages (1 forgotten) in 1 conversation, 1 task, 2 memories",
        "conflicts  none",
        "backup     none yet: noctem heart backup",
        "",
        "REPLICA   STICK  HOST       LAST WRITE        STATE",
        "aaaaaaaa  -      linux-x64  2026-11-23 14:05  here",
        "11111111  -      -          nothing written   never synced with directly",
        "",
      ].join("\n"),
    );
  });

  test("what needs a look is said plainly", () => {
    const text = statusText(
      {
        ...status,
        conflicts: 2,
        streams: { all: 2, settled: 0, withGaps: 1 },
        clockFaults: [{ actor: 1, replica: "bb".repeat(16), at, faults: ["behind", "before-build"] }],
        fenced: { rows: 2, furthest: in2031 },
        replicas: [replica({ retired: true, label: "old" }), replica({ behind: 3, label: "new" }), replica({ behind: 0 })],
      },
      facts,
      { ...around, free: null, backup: { file: "/s/backups/x.sqlite", at } },
    );
    for (const part of [
      "2 values lost against a concurrent write: noctem heart conflicts",
      "on bbbbbbbb about 2026-11-23 14:05 the host's clock was behind what was written before and before this program was made; it was not followed",
      "2 rows are stamped ahead of now, the furthest at 2031-06-01 00:00; they were kept, and your clock was not moved",
      "1 writing session with rows missing",
      "2026-11-23 14:05, /s/backups/x.sqlite",
      "retired\n",
      "had not seen 3 writing sessions in full when last synced",
      "has all that is here",
    ]) {
      expect(text).toContain(part);
    }
    expect(text).not.toContain("free beside");
  });

  test("info", () => {
    const text = infoText({ ...facts, file: "/s/h", size: 172_032, id: "ee", replica: "aa", keys: false, rows: { message: 3 } });
    for (const part of ["172 kB: 42 pages of 4096 bytes, 1 of them free", "missing: nothing can be checked", "message rows"]) {
      expect(text).toContain(part);
    }
    expect(infoText({ ...facts, oldest: null, file: "", size: 0, id: "", replica: "", keys: true, rows: {} })).toContain("no message yet");
  });
});

test("verify and repair", () => {
  const sound = { faults: [], count: 0, rows: 18, streams: 5, gaps: 0 };
  expect(verifyText(sound, "/s/h", true)).toBe("Sound: 18 rows of 5 writing sessions, each as it was written.\n");
  expect(verifyText({ ...sound, gaps: 1 }, "/s/h", true)).toContain("1 writing session has rows missing");
  const faults = Array.from({ length: 30 }, (_, i) => ({
    kind: "seal" as const,
    table: "cell",
    where: `1:${i}`,
    detail: `Row ${i} is not what was written.`,
  }));
  const bad = verifyText({ ...sound, faults, count: 250 }, "/s/h", true);
  expect(bad).toStartWith("/s/h is damaged: 250 faults.\n  cell: Row 0 is not what was written.\n");
  expect(bad).toContain("  … and 230 more\n");
  expect(bad).toContain("noctem heart repair");
  expect(verifyText({ ...sound, faults, count: 30 }, "/s/b", false)).not.toContain("repair");
  const repaired = repairText({ file: "/s/r", kept: { message: 3, cell: 1 }, lost: { cell: 1, entry: 0 }, missing: 2, gaps: 1 });
  for (const part of ["Saved 4 rows into /s/r.", "1 of cell.", "2 rows, of 1 writing session", "noctem heart restore /s/r"]) {
    expect(repaired).toContain(part);
  }
  expect(repairText({ file: "/s/r", kept: {}, lost: {}, missing: null, gaps: 0 })).toContain("cannot be told");
});

test("import", () => {
  const none = { message: 0, shown: 0, task: 0, memory: 0, state: 0, incident: 0, entry: 0 };
  expect(importText({ heart: "", added: { ...none, message: 2 }, known: 0, permissions: 0 })).toBe(
    "Imported 2 messages, as data of no standing: nothing in them is followed as yours.\n",
  );
  expect(importText({ heart: "", added: none, known: 1, permissions: 2 })).toBe(
    "Nothing new in it.\n1 line was here already.\n2 approvals and grants left out: what was allowed elsewhere is not allowed here.\n",
  );
});

describe("errors", () => {
  const copy = "/media/b/heart.sqlite";
  const detail = "the reason";
  const all: readonly HeartError[] = [
    { kind: "damaged", path: copy, detail },
    { kind: "damaged", path: copy, detail: "it is empty" },
    { kind: "foreign", path: copy },
    { kind: "newer", path: copy, found: 9, known: 2 },
    { kind: "outdated", path: copy },
    { kind: "unfinished", path: copy },
    { kind: "unreadable", path: copy, detail },
    { kind: "io", path: copy, detail },
    { kind: "locked", path: copy },
    { kind: "same-file", path: copy },
    { kind: "exists", path: copy },
    { kind: "keys-missing", path: copy },
    { kind: "keys-broken", path: copy, detail },
    { kind: "full", path: copy },
    { kind: "read-only", path: copy },
  ];
  for (const error of all) {
    test(`of a copy: ${error.kind}`, () => {
      const { text, code } = copyErrorText(error, copy);
      expect(text).toMatch(/^[A-Z/].+(?:[.?]|--heart \/media\/b\/heart\.sqlite)$/u);
      expect(text).toContain(copy);
      expect(text).not.toMatch(/undefined|null|\[object/u);
      expect([2, 6, 7]).toContain(code);
    });
  }

  test("of the heart in use stay about that one", () => {
    const own: HeartError = { kind: "damaged", path: "/mine/heart.sqlite", detail };
    expect(copyErrorText(own, copy)).toEqual(heartErrorText(own));
    expect(heartErrorText({ kind: "unfinished", path: "/mine" }).text).toContain("noctem heart status");
  });

  test("what is not found is named with its list", () => {
    expect(heartErrorText({ kind: "not-found", what: "zz" }, "conflict").text).toBe(
      'There is no conflict "zz". It takes at least the first four digits of an id. "noctem heart conflicts" shows what there is.',
    );
    expect(heartErrorText({ kind: "not-found", what: "abcd" }, "replica").text).toBe(
      'There is no other replica "abcd". "noctem heart status" shows what there is.',
    );
    expect(heartErrorText({ kind: "ambiguous", prefix: "abcd", matches: 2 }, "conflict").text).toBe(
      '"abcd" fits 2 conflicts. Type more of the id.',
    );
  });
});
