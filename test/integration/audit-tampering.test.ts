import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { readAnchors, writeAnchor } from "../../src/audit/anchor.ts";
import { cosign } from "../../src/audit/cosign.ts";
import { entryText } from "../../src/audit/entry.ts";
import { checkpointText, signNote } from "../../src/audit/note.ts";
import { originOf } from "../../src/audit/entry.ts";
import type { Verdict } from "../../src/audit/verdict.ts";
import { openAuditFile } from "../../src/heart/audit-file.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { rowMac } from "../../src/heart/mac.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { anchorOf, judged, logIn, intent, sha256, sitting, type Stage, stageIn, Thief } from "../support/audit-forge.ts";
import { must, openIn, placeIn } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

/**
 * Whoever holds the heart's key and the stick's can seal every row, count every stream and certify new keys. What they do to the log is found by whoever
 * kept one anchor, taken before the last session. `heart verify`, which trusts those keys, finds none of it.
 */
let dir: TempDir;
let stage: Stage;
beforeAll(() => {
  dir = tempDir("noctem-tamper-");
  stage = stageIn(dir.path);
});
afterAll(() => dir[Symbol.dispose]());

type Attack = readonly [name: string, expected: Verdict, (thief: Thief, sessions: Stage["sessions"]) => void];

const ATTACKS: readonly Attack[] = [
  ["an object in an old entry is another", "altered", (t, [a]) => t.edit(a, 1, { object: "b.txt" })],
  ["a refusal becomes a permission", "altered", (t, [, b]) => t.edit(b, 1, { decision: "deny" })],
  ["the last entry of the anchored session is another", "altered", (t, [, , c]) => t.edit(c, 7, { reason: "other" })],
  ["an entry of the newest session, which no anchor knows, is another", "altered", (t, [, , , d]) => t.edit(d, 1, { object: "x" })],
  ["edited, and signed anew with the stick's key", "key", (t, [a]) => (t.edit(a, 1, { object: "x" }), t.resign(a, t.stick))],
  [
    "edited, and signed anew with a key of the thief's",
    "key",
    (t, [a]) => (t.edit(a, 1, { object: "x" }), t.resign(a, auditCrypto.ephemeral())),
  ],
  [
    "edited, with the thief's key in the beginning and the old certificate",
    "key",
    (t, [a]) => {
      const key = auditCrypto.ephemeral();
      t.edit(a, 0, { key: key.publicKey.toHex() });
      t.edit(a, 1, { object: "x" });
      t.resign(a, key);
    },
  ],
  [
    "an old session anew, under a key that the stick's key certifies",
    "altered",
    (t, [a]) => t.replace(a, () => t.edit(a, 1, { object: "x" })),
  ],
  ["the same, with not a word changed", "altered", (t, [a]) => t.replace(a, () => undefined)],
  [
    "the anchored session anew, under a key that the stick's key certifies",
    "altered",
    (t, [, , c]) => t.replace(c, () => t.edit(c, 1, { object: "x" })),
  ],
  ["a session anew, certified by a stick of the thief's", "key", (t, [, b]) => t.replace(b, () => undefined, auditCrypto.ephemeral())],
  [
    "a forged certificate",
    "key",
    (t, [, , , d]) => (t.edit(d, 0, { certificate: "ab".repeat(64) }), t.resign(d, t.stage.keys.get(d) ?? t.stick)),
  ],
  ["an entry in the middle is gone", "altered", (t, [a]) => t.remove(a, 2)],
  ["the last entry of an old session is gone", "truncated", (t, [a]) => t.remove(a, 7)],
  ["the last entries of the newest session are gone", "truncated", (t, [, , , d]) => (t.remove(d, 5), t.remove(d, 4))],
  [
    "the last entry of an old session is gone, and the rest signed anew by certificate",
    "truncated",
    (t, [a]) => t.replace(a, () => (t.remove(a, 7), t.edit(a, 1, { object: "x" }))),
  ],
  [
    "an entry at the end more",
    "altered",
    (t, [a]) => t.insert(a, entryText({ ...t.row(a, 7).entry, seq: 8, hlc: t.row(a, 7).entry.hlc + 1 })),
  ],
  [
    "an entry in the middle more, and the others pushed on",
    "altered",
    (t, [a]) => {
      for (const seq of [7, 6, 5, 4, 3, 2]) t.edit(a, seq, { seq: seq + 1 });
      t.insert(a, entryText({ ...t.row(a, 1).entry, seq: 2, hlc: t.row(a, 1).entry.hlc + 1 }));
    },
  ],
  [
    "two entries in each other's place",
    "altered",
    (t, [a]) => {
      const [one, other] = [t.row(a, 1), t.row(a, 3)];
      t.setText(one.n, entryText({ ...other.entry, seq: 1 }));
      t.setText(other.n, entryText({ ...one.entry, seq: 3 }));
    },
  ],
  ["a second entry of one number", "altered", (t, [a]) => t.insert(a, entryText({ ...t.row(a, 1).entry, object: "x" } as never))],
  ["an entry copied, byte for byte", "altered", (t, [a]) => t.insert(a, t.row(a, 1).leaf)],
  ["a whole session between others is gone", "truncated", (t, [, b]) => t.removeSession(b)],
  ["the first session is gone", "truncated", (t, [a]) => t.removeSession(a)],
  ["the anchored session is gone, and the one after it", "truncated", (t, [, , c, d]) => (t.removeSession(c), t.removeSession(d))],
  [
    "the entries of a session are gone, its checkpoint stays",
    "truncated",
    (t, [, , , d]) => t.rows(d).forEach(({ entry }) => t.remove(d, entry.seq)),
  ],
  ["a checkpoint is gone", "altered", (t, [a]) => t.setNote(a, null)],
  ["another session's checkpoint", "key", (t, [a, b]) => t.setNote(a, t.note(b))],
  ["a checkpoint of a smaller tree", "altered", (t, [a]) => t.setNote(a, t.note(a).replace("\n8\n", "\n7\n"))],
  ["a checkpoint that is no note", "key", (t, [a]) => t.setNote(a, "nothing")],
  [
    "an older checkpoint of the session's own, all entries there",
    "altered",
    (t, [a]) =>
      t.setNote(
        a,
        t.sign(
          a,
          t.stage.keys.get(a) ?? t.stick,
          t
            .rows(a)
            .slice(0, 5)
            .map(({ leaf }) => leaf),
        ),
      ),
  ],
  [
    "an older checkpoint of the session's own, and the later entries gone",
    "truncated",
    (t, [a]) => {
      for (const seq of [7, 6, 5]) t.remove(a, seq);
      t.resign(a, t.stage.keys.get(a) ?? t.stick);
    },
  ],
  [
    "cut short, then resumed under a new certificate",
    "altered",
    (t, [, , c]) =>
      t.replace(c, () => {
        for (const seq of [7, 6, 5]) t.remove(c, seq);
        for (const seq of [5, 6, 7, 8]) t.insert(c, entryText({ ...t.row(c, 1).entry, seq, hlc: t.row(c, 4).entry.hlc + seq }));
      }),
  ],
  [
    "all of it gone, and a new log in its place",
    "truncated",
    (t, all) => (all.forEach((session) => t.removeSession(session)), void t.addSession("new")),
  ],
  [
    "all of it gone, and a new log by a stick of the thief's",
    "key",
    (t, all) => (all.forEach((session) => t.removeSession(session)), void t.addSession("new", auditCrypto.ephemeral())),
  ],
  ["a session more, by a stick of the thief's", "key", (t) => void t.addSession("new", auditCrypto.ephemeral())],
  [
    "an entry filed under another session",
    "altered",
    (t, [a, b]) => void t.db.run("update leaf set session = ? where n = ?", Uint8Array.fromHex(b), t.row(a, 2).n),
  ],
  [
    "hidden from the view of the log: the last entry, under a session that is none",
    "altered",
    (t, [a]) => void t.db.run("update leaf set session = randomblob(16) where n = ?", t.row(a, 7).n),
  ],
  [
    "hidden from the view of the log: one in the middle, under a session that is none",
    "altered",
    (t, [a]) => void t.db.run("update leaf set session = randomblob(16) where n = ?", t.row(a, 3).n),
  ],
  [
    "hidden from the view of the log: the beginning",
    "altered",
    (t, [a]) => void t.db.run("update leaf set session = randomblob(16) where n = ?", t.row(a, 0).n),
  ],
  [
    "hidden from the view of the log: no text",
    "altered",
    (t, [a]) => void t.db.run("update leaf set leaves = '' where n = ?", t.row(a, 3).n),
  ],
  ["the beginning is gone", "altered", (t, [a]) => t.remove(a, 0)],
  ["a beginning in the middle", "altered", (t, [a]) => t.setText(t.row(a, 3).n, entryText({ ...t.row(a, 0).entry, seq: 3 }))],
  [
    "two payloads in each other's place",
    "altered",
    (t, [a]) => {
      const [one, other] = [1, 3].map((seq) => t.row(a, seq).entry) as unknown as [{ reference: string }, { reference: string }];
      const id = (entry: { reference: string }) => Uint8Array.fromHex(entry.reference);
      const body = (entry: { reference: string }) =>
        t.db.get("select b.n as n, b.salt as salt, b.body as body from entry_body b join entry e on e.n = b.n where e.id = ?", id(entry));
      const [x, y] = [body(one), body(other)];
      for (const [to, from] of [
        [x, y],
        [y, x],
      ] as const)
        t.db.run("update entry_body set salt = ?, body = ? where n = ?", from?.["salt"] ?? null, from?.["body"] ?? null, to?.["n"] ?? null);
    },
  ],
  ["a payload is another", "altered", (t) => void t.db.run("update entry_body set body = 'text of a9' where body = 'text of a0'")],
  ["an entry points to another payload", "altered", (t, [a]) => t.edit(a, 1, { reference: "12".repeat(16) })],
  ["the clock of an entry", "altered", (t, [a]) => t.edit(a, 4, { hlc: t.row(a, 4).entry.hlc + 1 })],
  ["the clock of the newest session, set back", "altered", (t, [, , , d]) => t.edit(d, 2, { hlc: 1 })],
  ["a session commits to less than it did", "altered", (t, [, , , d]) => t.edit(d, 0, { heads: [] })],
  [
    "a session commits to nothing of another: size zero",
    "altered",
    (t, [a, , , d]) => t.edit(d, 0, { heads: [{ session: a, size: 0, root: "0".repeat(64) }] }),
  ],
  [
    "the same, under the session's own key that was taken from memory",
    "altered",
    (t, [a, , , d]) => (
      t.edit(d, 0, { heads: [{ session: a, size: 0, root: "0".repeat(64) }] }),
      t.resign(d, t.stage.keys.get(d) ?? t.stick)
    ),
  ],
  ["another spelling of the same entry", "altered", (t, [a]) => t.setText(t.row(a, 1).n, t.row(a, 1).leaf.replace(":", ": "))],
  [
    "a key twice in an entry",
    "altered",
    (t, [a]) => t.setText(t.row(a, 1).n, t.row(a, 1).leaf.replace('"decision"', '"decision":"deny","decision"')),
  ],
  [
    "a lone surrogate in an entry",
    "altered",
    (t, [a]) => t.setText(t.row(a, 1).n, t.row(a, 1).leaf.replace('"object":"', '"object":"\\ud800')),
  ],
  ["a number in another form", "altered", (t, [a]) => t.setText(t.row(a, 1).n, t.row(a, 1).leaf.replace('"seq":1', '"seq":1.0'))],
  [
    "two beginnings of one session, each with its tree",
    "altered",
    (t, [, b]) => {
      const key = auditCrypto.ephemeral();
      const leaf = entryText({ ...t.row(b, 0).entry, ...t.certify(b, key) });
      t.insert(b, leaf);
      t.setNote(`${b}/0123`, t.sign(b, key, [leaf]));
    },
  ],
  [
    "two versions of a session, both under its own key",
    "fork",
    (t, [, , , d]) => {
      const key = t.stage.keys.get(d) ?? t.stick;
      const leaves = t.rows(d).map(({ leaf }) => leaf);
      const other = entryText({ ...t.row(d, 5).entry, reason: "forked" } as never);
      t.insert(d, other, 9_999_999);
      t.setNote(`${d}/0123`, t.sign(d, key, [...leaves.slice(0, 5), other]));
    },
  ],
  [
    "the anchored session anew, under its own key that was taken from memory",
    "altered",
    (t, [, , c]) => (t.edit(c, 1, { object: "x" }), t.resign(c, t.stage.keys.get(c) ?? t.stick)),
  ],
  [
    "edited, and every row sealed under a newer heart key",
    "altered",
    (t, [a]) => {
      t.edit(a, 1, { object: "x" });
      t.mac = rowMac(heartDeps().crypto, new Uint8Array(32).fill(7));
    },
  ],
  ["another heart's identity", "cannot", (t) => void t.db.run("update meta set v = ? where k = 'heart'", new Uint8Array(16).fill(1))],
];

describe("with one anchor from outside", () => {
  test("what was not touched is sound", () => {
    expect(judged(stage.folder, { anchors: [stage.anchor] }).verdict).toBe("sound");
    expect(judged(stage.folder).verdict).toBe("unwitnessed");
  });

  test("there are at least forty attacks, each by its own name", () => {
    expect(new Set(ATTACKS.map(([name]) => name)).size).toBe(ATTACKS.length);
    expect(ATTACKS.length).toBeGreaterThanOrEqual(40);
  });

  test.each(ATTACKS)("%s: %s", (_, expected, attack) => {
    using place = tempDir("noctem-tamper-");
    {
      using thief = new Thief(stage, place.path);
      attack(thief, stage.sessions);
    }
    const { verdict, checked } = judged(place.path, { anchors: [stage.anchor] });
    expect(`${verdict}: ${checked.findings.map(({ detail }) => detail).join("; ")}`).toStartWith(`${expected}: `);
    // Not an accident of the forgery: the heart's own seals and counts, which the thief can make, are in order.
    if (expected !== "cannot" && !/heart key|no text/u.test(_))
      expect(must(verifyHeart(heartDeps(), placeIn(place.path))).faults.slice(0, 3)).toEqual([]);
  });

  test("the whole file rolled back to what it was before the anchor", () => {
    using place = tempDir("noctem-tamper-");
    {
      using _ = new Thief(stage, place.path, stage.old);
    }
    expect(judged(place.path, { anchors: [stage.anchor] }).verdict).toBe("truncated");
    expect(judged(place.path).verdict).toBe("unwitnessed");
  });

  test("rolled back, and gone on with from there", () => {
    using place = tempDir("noctem-tamper-");
    {
      using thief = new Thief(stage, place.path, stage.old);
      thief.addSession("later");
    }
    expect(judged(place.path, { anchors: [stage.anchor] }).verdict).toBe("truncated");
    expect(judged(place.path).verdict).toBe("unwitnessed");
  });

  test("a foreign log spliced in", () => {
    using place = tempDir("noctem-tamper-");
    using other = tempDir("noctem-tamper-");
    const foreign = sitting(other.path, new Map(), 2, "foreign");
    for (const relabelled of [false, true]) {
      {
        using theirs = new Thief({ ...stageIn(other.path), folder: other.path }, join(other.path, "copy"));
        using thief = new Thief(stage, place.path);
        for (const { leaf } of theirs.rows(foreign))
          thief.insert(foreign, relabelled ? leaf.replace(theirs.stage.heart, stage.heart) : leaf, 77);
        thief.setNote(foreign, theirs.note(foreign));
      }
      expect(judged(place.path, { anchors: [stage.anchor] }).verdict).toBe("key");
    }
  }, 30_000);

  test("a table that is not ours to the letter is not read at all", () => {
    using place = tempDir("noctem-tamper-");
    {
      using thief = new Thief(stage, place.path);
      thief.settle();
      thief.db.exec("create view log as select * from leaf");
    }
    expect(openAuditFile(heartDeps(), placeIn(place.path).file)).toMatchObject({ ok: false, error: { kind: "damaged" } });
  });
});

describe("without anything from outside it is not seen", () => {
  const UNSEEN: readonly (readonly [string, (thief: Thief, sessions: Stage["sessions"]) => void])[] = [
    ["that the newest session is gone", (t, [, , , d]) => t.removeSession(d)],
    ["that a thief with the stick's key added one", (t) => void t.addSession("added")],
    [
      "that all of it was written anew with the stick's key",
      (t, all) => (all.forEach((session) => t.removeSession(session)), void t.addSession("new")),
    ],
  ];
  test.each(UNSEEN)("%s", (_, attack) => {
    using place = tempDir("noctem-tamper-");
    {
      using thief = new Thief(stage, place.path);
      attack(thief, stage.sessions);
    }
    expect(judged(place.path).verdict).toBe("unwitnessed");
  });

  test("and even with an anchor not what came after it: a session gone, or added by the thief", () => {
    for (const attack of [UNSEEN[0], UNSEEN[1]]) {
      using place = tempDir("noctem-tamper-");
      {
        using thief = new Thief(stage, place.path);
        attack?.[1](thief, stage.sessions);
      }
      expect(judged(place.path, { anchors: [stage.anchor] }).verdict).toBe("sound");
    }
  });
});

describe("anchors", () => {
  const { verify } = auditCrypto;
  test("are read as they were written, several in one file, and say how much came later", () => {
    const key = auditCrypto.ephemeral();
    const anchor = { heart: stage.heart, time: 1, heads: stage.anchor.heads, sticks: [key.publicKey.toHex()] };
    const file = writeAnchor(anchor, key, sha256) + stage.anchor.note;
    expect(must(readAnchors(file, { sha256, verify })).map(({ time }) => time)).toEqual([1, 1_800_000_000]);
    expect(judged(stage.folder, { anchors: [stage.anchor] }).checked.unwitnessed).toBe(6);
  });

  test("are refused when a letter of them is another, or when they name nothing", () => {
    const key = auditCrypto.ephemeral();
    const note = writeAnchor({ heart: stage.heart, time: 1, heads: stage.anchor.heads, sticks: [key.publicKey.toHex()] }, key, sha256);
    const wrong = [
      note.replace("time 1", "time 2"),
      // Without a signature the root over its lines is what tells.
      stage.anchor.note.replace("time 1", "time 2"),
      note.replace(/head ([0-9a-f]{32}) 8/u, "head $1 7"),
      note.slice(0, -8) + "AAAAAA=\n",
      note.replace("\n3\n", "\n2\n"),
      "",
      "hello",
      writeAnchor({ heart: stage.heart, time: 1, heads: [], sticks: [] }, null, sha256),
      writeAnchor(
        { heart: stage.heart, time: 1, heads: [{ session: stage.sessions[0], size: 0, root: "0".repeat(64) }], sticks: [] },
        null,
        sha256,
      ),
    ];
    for (const text of wrong) expect(readAnchors(text, { sha256, verify })).toMatchObject({ ok: false });
    expect(readAnchors(note, { sha256, verify })).toMatchObject({ ok: true });
  });

  test("the parent's countersignature witnesses, and one that is not theirs is told", () => {
    const parent = { name: "noctem-parent", ...auditCrypto.ephemeral() };
    const parentKey = { name: parent.name, publicKey: parent.publicKey };
    const signed = must(readAnchors(cosign(stage.anchor.note, parent, 1_800_000_100, sha256), { sha256, verify }));
    expect(judged(stage.folder, { anchors: signed, parentKey })).toMatchObject({ verdict: "sound", parent: 1_800_000_100 });
    const forged = must(
      readAnchors(cosign(stage.anchor.note, parent, 1_800_000_100, sha256).replace(/.{6}=?\n$/u, "AAAAAA\n"), { sha256, verify }),
    );
    expect(judged(stage.folder, { anchors: forged, parentKey }).verdict).toBe("key");
    // Of somebody else's there is nothing to say: it is as if it were not there.
    const other = must(readAnchors(cosign(stage.anchor.note, { ...parent, ...auditCrypto.ephemeral() }, 1, sha256), { sha256, verify }));
    expect(judged(stage.folder, { anchors: other, parentKey })).toMatchObject({ verdict: "sound", parent: null });
  });
});

describe("against another copy", () => {
  test("a copy that went on is no fault, and what both know agrees", () => {
    using place = tempDir("noctem-tamper-");
    {
      using thief = new Thief(stage, place.path);
      thief.addSession("later");
    }
    using other = must(openAuditFile(heartDeps(), placeIn(place.path).file));
    expect(judged(stage.folder, { against: other })).toMatchObject({ verdict: "sound", against: { agree: 4, onlyThere: 1, onlyHere: 0 } });
    using own = must(openAuditFile(heartDeps(), placeIn(stage.folder).file));
    expect(judged(place.path, { against: own })).toMatchObject({ verdict: "sound", against: { agree: 4, onlyThere: 0, onlyHere: 1 } });
  });

  test("another version of one session under its own key is a fork, under another key a replacement", () => {
    for (const [expected, attack] of [
      [
        "fork",
        (t: Thief) => (
          t.edit(stage.sessions[3], 1, { object: "x" }),
          t.resign(stage.sessions[3], stage.keys.get(stage.sessions[3]) ?? t.stick)
        ),
      ],
      ["altered", (t: Thief) => t.replace(stage.sessions[3], () => undefined)],
    ] as const) {
      using place = tempDir("noctem-tamper-");
      {
        using thief = new Thief(stage, place.path);
        attack(thief);
      }
      expect(judged(place.path).verdict).toBe("unwitnessed");
      using own = must(openAuditFile(heartDeps(), placeIn(stage.folder).file));
      expect(judged(place.path, { against: own }).verdict).toBe(expected);
    }
  });
});

test("a log that still grows while it is copied is the beginning of what it becomes", () => {
  using place = tempDir("noctem-tamper-");
  using copy = tempDir("noctem-tamper-");
  using heart = openIn(place.path);
  const log = logIn(place.path, heart);
  intent(log, "a");
  copyFileSync(placeIn(place.path).file, placeIn(copy.path).file);
  const anchor = anchorOf(place.path);
  intent(log, "b");
  expect(judged(place.path, { anchors: [anchor] }).verdict).toBe("sound");
  using older = must(openAuditFile(heartDeps(), placeIn(copy.path).file));
  expect(judged(place.path, { against: older }).verdict).toBe("sound");
  expect(judged(copy.path, { anchors: [anchorOf(place.path)] }).verdict).toBe("truncated");
  const name = originOf(heart.id, log.session ?? "");
  expect(() =>
    signNote(
      checkpointText({ origin: name, size: 1, root: new Uint8Array(32) }),
      { name: "a b", publicKey: new Uint8Array(32) },
      () => new Uint8Array(64),
      sha256,
    ),
  ).toThrow();
});
