import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AuditLog, auditLog, SESSION_LIMIT } from "../../src/audit/log.ts";
import { parseEntry } from "../../src/audit/entry.ts";
import { verifySession } from "../../src/audit/verify.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import { forkHeart } from "../../src/heart/care/fork.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import type { OpenHeart } from "../../src/heart/open.ts";
import type { Millis } from "../../src/lib/brand.ts";
import { BOTTOM } from "../../src/lib/label.ts";
import { auditCrypto, stickKey } from "../../src/platform/audit-crypto.ts";
import { sittingPresence } from "../../src/platform/audit-presence.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn, raw } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

let dir: TempDir;
beforeEach(() => (dir = tempDir("noctem-audit-")));
afterEach(() => dir[Symbol.dispose]());

const logOf = (heart: OpenHeart, keys = placeIn(dir.path).keysDir): AuditLog =>
  auditLog({
    heart: heart.audit,
    heartId: heart.id,
    crypto: auditCrypto,
    random: heartDeps().random,
    stick: () => stickKey(keys, heart.id),
  });
const intent = (log: AuditLog, object = "a.txt") =>
  must(
    log.intent(
      {
        subject: "file_ops",
        operation: "read",
        object,
        label: { c: 1, k: [], i: 3, p: [] },
        decision: "allow",
        rule: "default",
        policy: "p",
        effect: "0".repeat(64),
        severity: 0,
      },
      `read ${object}`,
    ),
  );
const faultsOf = (heart: OpenHeart, session: string, leaves = heart.audit.leaves(session)) => {
  const note = heart.audit.checkpoints().find((checkpoint) => checkpoint.session === session)?.note ?? null;
  const stick = must(stickKey(placeIn(dir.path).keysDir, heart.id)).publicKey;
  return verifySession(leaves, note, { heart: heart.id, session, stick }, auditCrypto).map(({ kind }) => kind);
};

describe("the audit log", () => {
  test("is nothing until something is written, and then a session under a key that the stick certified", () => {
    using heart = openIn(dir.path);
    const log = logOf(heart);
    expect(log.session).toBeNull();
    expect(heart.audit.checkpoints()).toEqual([]);
    expect(existsSync(join(placeIn(dir.path).keysDir, "stick.json"))).toBe(false);
    const ref = intent(log);
    must(log.approval({ of: ref, answer: "allowed", digest: "1".repeat(64), by: "console" }));
    must(log.outcome({ of: ref, status: "done", detail: "" }, "hello", BOTTOM));
    must(log.incident({ what: "test", detail: "x", severity: 3 }));
    const session = log.session ?? "";
    const entries = heart.audit.leaves(session).map(parseEntry);
    expect(entries.map((entry) => entry?.kind)).toEqual(["genesis", "intent", "approval", "outcome", "incident"]);
    expect(faultsOf(heart, session)).toEqual([]);
    const [, first] = entries;
    expect(first?.kind === "intent" ? heart.audit.payload(first.reference) : null).toBe("read a.txt");
    expect(statSync(join(placeIn(dir.path).keysDir, "stick.json")).mode & 0o077).toBe(0);
    expect(must(verifyHeart(heartDeps(), placeIn(dir.path))).faults).toEqual([]);
  });

  test("shows whatever is done to stored leaves", () => {
    using heart = openIn(dir.path);
    const log = logOf(heart);
    for (const name of ["a", "b", "c"]) intent(log, name);
    const session = log.session ?? "";
    const leaves = heart.audit.leaves(session);
    expect(faultsOf(heart, session, leaves)).toEqual([]);
    const [genesis = "", a = "", b = "", c = ""] = leaves;
    expect(faultsOf(heart, session, [genesis, a, b.replace('"b"', '"x"'), c])).toEqual(["checkpoint"]);
    expect(faultsOf(heart, session, [genesis, a, c])).toContain("truncated");
    expect(faultsOf(heart, session, [genesis, a, b])).toContain("truncated");
    expect(faultsOf(heart, session, [genesis, b, a, c])).toContain("leaf");
    expect(faultsOf(heart, session, [genesis, a, b, c, c])).toContain("leaf");
    expect(faultsOf(heart, session, [genesis, a, `${b} `, c])).toContain("leaf");
    expect(faultsOf(heart, session, [a, b, c])).toContain("certificate");
    // Signed anew by a key of the thief's own, with the stick's certificate for the old one.
    const mine = auditCrypto.ephemeral().publicKey.toHex();
    const entry = parseEntry(genesis);
    const key = entry?.kind === "genesis" ? entry.key : "";
    expect(faultsOf(heart, session, [genesis.replace(key, mine), a, b, c])).toContain("certificate");
    expect(faultsOf(heart, "0".repeat(32), leaves)).toContain("leaf");
  });

  test("a group of entries is one commit, and what is about an intent names it", () => {
    using heart = openIn(dir.path);
    const log = logOf(heart);
    const ref = intent(log);
    const before = heart.version();
    const refs = must(
      log.write([
        { draft: { kind: "execution", of: ref, level: "namespaces", view: "overlay", code: "0", stopped: "", wall: 12 } },
        { draft: { kind: "outcome", of: ref, status: "done", detail: "" }, payload: { body: "x", label: BOTTOM } },
        { draft: { kind: "end", reason: "done" } },
      ]),
    );
    expect(heart.version()).toBe(before + 1);
    expect(refs.map(({ seq }) => seq)).toEqual([2, 3, 4]);
    expect(heart.audit.leaves(ref.session).map((leaf) => parseEntry(leaf)?.kind)).toEqual([
      "genesis",
      "intent",
      "execution",
      "outcome",
      "end",
    ]);
    expect(faultsOf(heart, ref.session)).toEqual([]);
  });

  test("a full session gives way to the next once nothing in it waits, and not before", () => {
    using heart = openIn(dir.path);
    const log = logOf(heart);
    const open = intent(log);
    const many = (n: number) => Array.from({ length: n }, () => ({ draft: { kind: "heart", what: "test", detail: "" } as const }));
    must(log.write(many(SESSION_LIMIT)));
    must(log.write(many(1)));
    expect(log.session).toBe(open.session);
    must(log.outcome({ of: open, status: "done", detail: "" }, "", BOTTOM));
    must(log.write(many(1)));
    const next = log.session ?? "";
    expect(next).not.toBe(open.session);
    for (const session of [open.session, next]) expect(faultsOf(heart, session)).toEqual([]);
    const genesis = parseEntry(heart.audit.leaves(next)[0] ?? "");
    expect(genesis?.kind === "genesis" ? genesis.heads.map(({ session }) => session) : null).toEqual([open.session]);
  });

  test("an older file put in place under an open log: it begins anew, and what was before stands", () => {
    const log = (() => {
      using heart = openIn(dir.path);
      intent(logOf(heart));
      return heart.audit.checkpoints()[0]?.session ?? "";
    })();
    const file = placeIn(dir.path).file;
    const old = readFileSync(file);
    using heart = openIn(dir.path);
    const open = logOf(heart);
    const first = intent(open);
    writeFileSync(file, old);
    const second = intent(open);
    expect(second.session).not.toBe(first.session);
    expect(
      heart.audit
        .checkpoints()
        .map(({ session }) => session)
        .sort(),
    ).toEqual([log, second.session].sort());
    expect(faultsOf(heart, second.session)).toEqual([]);
  });

  test.each([
    [false, false],
    [true, false],
    [false, true],
  ])(
    "a checkpoint that another hand wrote under an open log stays as it is: the log begins anew (two logs: %p, something written in between: %p)",
    (two, later) => {
      using heart = openIn(dir.path);
      const open = logOf(heart);
      const first = intent(open);
      if (two) intent(logOf(heart));
      expect(intent(open).session).toBe(first.session);
      if (two) intent(logOf(heart));
      {
        using db = raw(dir.path);
        db.run("update meta set mac = zeroblob(16) where k = ?", `head:${first.session}`);
      }
      const before = heart.audit.leaves(first.session);
      // Something else of the same writing session comes in between, which sees that somebody wrote.
      if (later) must(heart.memory.remember("x", "y", { c: 1, k: [], i: 3, p: [] }));
      const after = intent(open);
      expect(after.session).not.toBe(first.session);
      expect(heart.audit.leaves(first.session)).toEqual(before);
      using db = raw(dir.path);
      expect(db.get("select mac from meta where k = ?", `head:${first.session}`)?.["mac"]).toEqual(new Uint8Array(16));
      expect(faultsOf(heart, after.session)).toEqual([]);
    },
  );

  test("a session that two processes saw grow is committed to at its whole size in the end", () => {
    using one = openIn(dir.path);
    using two = openIn(dir.path);
    const [first, second] = [logOf(one), logOf(two)];
    const a = intent(first);
    const b = intent(second);
    intent(first);
    intent(first);
    using three = openIn(dir.path);
    const third = logOf(three);
    const c = intent(third);
    const genesis = parseEntry(three.audit.leaves(c.session)[0] ?? "");
    const heads = genesis?.kind === "genesis" ? genesis.heads.map(({ session, size }) => `${session}:${size}`) : [];
    expect(heads.sort()).toEqual([`${a.session}:4`, `${b.session}:3`].sort());
  });

  test("what was begun and never told the end of is said by the next session, once", () => {
    {
      using heart = openIn(dir.path);
      intent(logOf(heart), "cut-off");
    }
    using heart = openIn(dir.path);
    const log = logOf(heart);
    const ref = intent(log, "b");
    expect(log.interrupted).toHaveLength(1);
    expect(log.interrupted[0]).toContain("cut-off");
    expect(heart.audit.leaves(ref.session).map((leaf) => parseEntry(leaf)?.kind)).toEqual(["genesis", "incident", "intent"]);
    must(log.outcome({ of: ref, status: "done", detail: "" }, "", BOTTOM));
    const next = logOf(heart);
    intent(next, "c");
    expect(next.interrupted).toEqual([]);
  });

  test("what still runs in another process is not told of as cut off, and is once that process is gone", async () => {
    using heart = openIn(dir.path);
    const first = logOf(heart);
    const { session } = intent(first, "goes-on");
    const held = sittingPresence.hold(session);
    const watching = (): AuditLog =>
      auditLog({
        heart: heart.audit,
        heartId: heart.id,
        crypto: auditCrypto,
        random: heartDeps().random,
        stick: () => stickKey(placeIn(dir.path).keysDir, heart.id),
        presence: sittingPresence,
      });
    expect([sittingPresence.isHeld(session), sittingPresence.isHeld("0".repeat(32))]).toEqual([true, false]);
    const beside = watching();
    must(beside.incident({ what: "test", detail: "", severity: 1 }));
    expect(beside.interrupted).toEqual([]);
    intent(first, "goes-on-still");
    held[Symbol.dispose]();
    await Bun.sleep(0);
    expect(sittingPresence.isHeld(session)).toBe(false);
    const after = watching();
    must(after.incident({ what: "test", detail: "", severity: 1 }));
    expect(after.interrupted.join()).toContain("goes-on-still");
  });

  test("a clock that stands before the heart's past is an incident of the log", () => {
    {
      using heart = openIn(dir.path);
      intent(logOf(heart));
    }
    const past = { now: () => (Date.now() - 30 * 86_400_000) as Millis, monotonic: () => 0 };
    using heart = openIn(dir.path, { clock: past });
    const ref = intent(logOf(heart));
    const entries = heart.audit.leaves(ref.session).map(parseEntry);
    expect(entries[1]).toMatchObject({ kind: "incident", what: "audit.clock" });
    // What was written with the beginning stands where it is said to stand.
    expect(entries[ref.seq]).toMatchObject({ kind: "intent" });
    expect(faultsOf(heart, ref.session)).toEqual([]);
  });

  test("a session that says all it has to say in one commit has ended with it", () => {
    const past = { now: () => (Date.now() - 30 * 86_400_000) as Millis, monotonic: () => 0 };
    {
      using heart = openIn(dir.path);
      intent(logOf(heart));
    }
    for (const clock of [undefined, past]) {
      using heart = openIn(dir.path, clock === undefined ? {} : { clock });
      const log = logOf(heart);
      const [said, end] = must(
        log.write([{ draft: { kind: "heart", what: "backup", detail: "x" } }, { draft: { kind: "end", reason: "done" } }]),
      );
      expect(log.session).toBeNull();
      const entries = heart.audit.leaves(said?.session ?? "").map(parseEntry);
      expect([entries[said?.seq ?? -1]?.kind, entries[end?.seq ?? -1]?.kind, entries.length - 1]).toEqual(["heart", "end", end?.seq ?? -1]);
      using db = raw(dir.path);
      expect(db.all("select k from meta where k = ?", `head:${said?.session ?? ""}`)).toEqual([]);
      expect(db.all("select k from cell where ns = 'audit' and k = ?", said?.session ?? "")).toHaveLength(1);
      // And what is said after it is another session.
      expect(intent(log).session).not.toBe(said?.session);
    }
  });

  test("each session commits to the heads that it sees, and to those alone that nobody else has", () => {
    const sessions: string[] = [];
    for (let i = 0; i < 3; i++) {
      using heart = openIn(dir.path);
      const log = logOf(heart);
      intent(log);
      sessions.push(log.session ?? "");
    }
    using heart = openIn(dir.path);
    const heads = sessions.map((session) => {
      const genesis = parseEntry(heart.audit.leaves(session)[0] ?? "");
      return genesis?.kind === "genesis" ? genesis.heads.map((head) => [head.session, head.size]) : null;
    });
    // The second also tells of the first's intent, whose outcome nobody wrote.
    expect(heads).toEqual([[], [[sessions[0] ?? "", 2]], [[sessions[1] ?? "", 3]]]);
  });

  test("an entry that cannot be committed is an error, and the log goes on from what stands", () => {
    const heart = openIn(dir.path);
    const log = logOf(heart);
    intent(log);
    {
      using db = raw(dir.path);
      db.exec("begin immediate");
      const failed = log.intent(
        {
          subject: "s",
          operation: "read",
          object: "o",
          label: BOTTOM as never,
          decision: "allow",
          rule: "r",
          policy: "p",
          effect: "0".repeat(64),
          severity: 0,
        },
        "",
      );
      expect(failed).toMatchObject({ ok: false, error: { kind: "heart" } });
      db.exec("rollback");
    }
    intent(log);
    expect(faultsOf(heart, log.session ?? "")).toEqual([]);
    expect(heart.audit.leaves(log.session ?? "")).toHaveLength(3);
    heart[Symbol.dispose]();
  }, 30_000);

  test("a payload can be forgotten and the log stays sound; an entry cannot", () => {
    using heart = openIn(dir.path);
    const log = logOf(heart);
    const ref = intent(log, "secret");
    const entry = parseEntry(heart.audit.leaves(ref.session)[ref.seq] ?? "");
    const reference = entry?.kind === "intent" ? entry.reference : "";
    must(heart.entries.forget(reference));
    expect(heart.audit.payload(reference)).toBeNull();
    expect(faultsOf(heart, ref.session)).toEqual([]);
    for (const { id } of heart.entries.recent("audit", 9)) expect(heart.entries.forget(id)).toMatchObject({ ok: false });
    expect(readFileSync(placeIn(dir.path).file).includes("read secret")).toBe(false);
  });

  test("travels with the heart, both ways", () => {
    using other = tempDir("noctem-audit-");
    const copies = (path: string) => heartCopies(heartDeps(), placeIn(path), BUILD);
    {
      using heart = openIn(dir.path);
      intent(logOf(heart));
    }
    must(forkHeart(heartDeps(), placeIn(dir.path), placeIn(join(other.path, "b"))));
    const there = join(other.path, "b");
    let session = "";
    {
      using heart = openIn(there);
      const log = logOf(heart, placeIn(there).keysDir);
      intent(log);
      session = log.session ?? "";
    }
    must(copies(dir.path).merge(placeIn(there).file, { dryRun: false }));
    using heart = openIn(dir.path);
    expect(heart.audit.checkpoints()).toHaveLength(2);
    const stick = must(stickKey(placeIn(there).keysDir, heart.id)).publicKey;
    const note = heart.audit.checkpoints().find((checkpoint) => checkpoint.session === session)?.note ?? null;
    expect(verifySession(heart.audit.leaves(session), note, { heart: heart.id, session, stick }, auditCrypto)).toEqual([]);
    // The other stick signs with a key of its own.
    expect(faultsOf(heart, session)).toContain("certificate");
  });

  test("a stick's key that is damaged or another heart's is said, and nothing is written", () => {
    using heart = openIn(dir.path);
    const path = join(placeIn(dir.path).keysDir, "stick.json");
    must(stickKey(placeIn(dir.path).keysDir, heart.id));
    const text = readFileSync(path, "utf8");
    chmodSync(path, 0o600);
    for (const [broken, says] of [
      ["{", "damaged"],
      ["{}", "no stick's key"],
      [text.replace(heart.id, "0".repeat(32)), "another heart"],
      [text.replace(/"seed":"../, '"seed":"00'), "halves"],
    ] as const) {
      writeFileSync(path, broken);
      const tried = stickKey(placeIn(dir.path).keysDir, heart.id);
      expect(tried.ok ? "" : tried.error).toContain(says);
    }
    expect(heart.audit.checkpoints()).toEqual([]);
  });
});
