/** Questions that wait in the heart, and every way of having one answered that should not count. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseEntry } from "../../src/audit/entry.ts";
import { questions, takeAnswer, wishRehearsal } from "../../src/bark/asking/decide.ts";
import { MOST_OPEN } from "../../src/bark/asking/desk.ts";
import { noteText, type Pending, pendingText, type Question, questionOf } from "../../src/bark/asking/record.ts";
import { renderApproval } from "../../src/bark/approvals.ts";
import { HeartFailure } from "../../src/heart/failure.ts";
import type { OpenHeart } from "../../src/heart/open.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { asking, decidingOn, questionFor, requestFor, TestClock } from "../support/asking.ts";
import { BUILD, must, openIn, placeIn, raw } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

const { sha256 } = auditCrypto;
let dir: TempDir;
let heart: OpenHeart;
let clock: TestClock;
beforeEach(() => {
  dir = tempDir();
  clock = new TestClock();
  heart = openIn(dir.path, { clock });
});
afterEach(() => {
  heart[Symbol.dispose]();
  dir[Symbol.dispose]();
});

const now = (): readonly Question[] => questions({ heart: heart.approvals, clock, sha256 }, 50);
const yes = (question: Question, by = "console") =>
  takeAnswer(decidingOn(heart, clock), question.id, { answer: "allowed", digest: question.digest, by, reason: null });
const no = (question: Question, reason: string | null = null) =>
  takeAnswer(decidingOn(heart, clock), question.id, { answer: "denied", digest: question.digest, by: "console", reason });
/** Answers at the second look. */
const answering =
  (answer: (question: Question) => unknown) =>
  (question: Question | null, look: number): void => {
    if (look === 2 && question !== null) answer(question);
  };

describe("a question in the heart", () => {
  test("is answered from elsewhere, once, and who answered stands in the log with how long it took", async () => {
    const reply = await asking(heart, clock, answering(yes)).ask(questionFor());
    expect(reply).toMatchObject({ answer: "allowed", by: "console" });
    expect(now()[0]?.state).toMatchObject({ kind: "decided", spent: true });
    const leaves = heart.audit.checkpoints().flatMap(({ session }) => heart.audit.leaves(session).map(parseEntry));
    expect(leaves.find((leaf) => leaf?.kind === "approval")).toMatchObject({
      answer: "allowed",
      by: "console",
      of: 1,
      where: "c".repeat(32),
      waited: 500,
      question: now()[0]?.id ?? "",
    });
  });

  test("a no goes back with its reason", async () => {
    const reply = await asking(
      heart,
      clock,
      answering((question) => no(question, "use mkdir")),
    ).ask(questionFor());
    expect(reply).toMatchObject({ answer: "denied", reason: "use mkdir" });
  });

  test("without an answer in time it is a no, and stays one", async () => {
    const reply = await asking(heart, clock, () => undefined).ask(questionFor());
    expect(reply).toMatchObject({ answer: "unanswered" });
    const [question] = now();
    if (question === undefined) throw new Error("it is gone");
    expect(question.state).toMatchObject({ kind: "decided", decision: { answer: "unanswered" } });
    expect(yes(question)).toMatchObject({ kind: "settled" });
  });

  test("it outlives who asked: the very same question goes on, with the answer that came meanwhile", async () => {
    const cut = asking(heart, clock, () => {
      throw new Error("killed");
    });
    expect(cut.ask(questionFor())).rejects.toThrow("killed");
    await Promise.resolve();
    heart[Symbol.dispose]();
    heart = openIn(dir.path, { clock });
    const [question] = now();
    if (question === undefined) throw new Error("it is gone");
    expect(question.state.kind).toBe("open");
    expect(yes(question)).toEqual({ kind: "taken" });
    expect(await asking(heart, clock, () => undefined).ask(questionFor())).toMatchObject({ answer: "allowed", question: question.id });
    expect(now().length).toBe(1);
  });

  test("it may be rehearsed by who waits, and goes on", async () => {
    const person = asking(heart, clock, (question, look) => {
      if (question === null) return;
      if (look === 1) expect(wishRehearsal({ heart: heart.approvals, sha256 }, question.id)).toBe(true);
      if (look === 3) {
        expect(question.rehearsal?.join("\n")).toContain("It changed nothing.");
        yes(question);
      }
    });
    expect(await person.ask(questionFor())).toBe("rehearse");
    const rehearsal = { status: "done", lines: ["It changed nothing."], cage: null } as const;
    expect(await person.ask(questionFor({ rehearsal }))).toMatchObject({ answer: "allowed" });
  });

  test("a stick that is pulled while it waits is no answer, and no bug", async () => {
    const gone = {
      ...heart.approvals,
      get: (id: string) => {
        if (clock.steady > 1000) throw new HeartFailure({ kind: "io", path: "", detail: "gone" });
        return heart.approvals.get(id);
      },
    };
    const reply = await asking(heart, clock, () => undefined, { heart: gone }).ask(questionFor());
    expect(reply).toMatchObject({ answer: "unanswered", reason: expect.stringContaining("io") as string });
  });

  test("a flood is not asked", async () => {
    for (let at = 0; at < MOST_OPEN; at++) {
      const { kind: _k, version: _v, ...draft } = pendingOf(at);
      must(heart.approvals.open(pendingText(draft), { c: 0, k: [], i: 3, p: [] }));
    }
    let floods = 0;
    const reply = await asking(heart, clock, () => undefined, { flooded: () => void floods++ }).ask(questionFor());
    expect(floods).toBe(1);
    expect(reply).toMatchObject({ answer: "unanswered", reason: expect.stringContaining("wait already") as string });
    expect(now().length).toBe(MOST_OPEN);
  });
});

const pendingOf = (at: number): Pending => ({
  kind: "pending",
  version: 1,
  session: "console",
  skill: "shell",
  tier: 3,
  rule: "policy",
  object: `touch ${at}`,
  effect: "a".repeat(64),
  policy: "b".repeat(64),
  context: { c: 0, k: [], i: 3, p: [] },
  intent: null,
  nonce: at.toString(16).padStart(32, "0"),
  expires: clock.wall + 60_000,
  mayRehearse: false,
  lines: ["shell wants to run."],
});

describe("what does not count as an answer", () => {
  test("the same yes a second time", async () => {
    await asking(heart, clock, answering(yes)).ask(questionFor());
    const [first] = now();
    if (first === undefined) throw new Error("it is gone");
    // Asked again, it is another question: nobody has answered it.
    expect(await asking(heart, clock, () => undefined).ask(questionFor())).toMatchObject({ answer: "unanswered" });
    expect(now().length).toBe(2);
    expect(yes(first)).toMatchObject({ kind: "settled" });
  });

  test("two who used it at the same moment: one of them has it", async () => {
    let others: Promise<unknown> = Promise.resolve();
    const second = asking(heart, clock, () => undefined);
    const first = asking(heart, clock, (question, look) => {
      if (question === null || look !== 1) return;
      yes(question);
      others = second.ask(questionFor());
    });
    const replies = [await first.ask(questionFor()), await others];
    expect(replies.filter((reply) => (reply as { answer: string }).answer === "allowed").length).toBe(1);
  });

  test("two approvers at once: the first wins, the second is told what stands", async () => {
    const told: unknown[] = [];
    const reply = await asking(
      heart,
      clock,
      answering((question) => told.push(no(question), yes(question))),
    ).ask(questionFor());
    expect(reply).toMatchObject({ answer: "denied" });
    expect(told).toMatchObject([{ kind: "taken" }, { kind: "settled", question: { state: { decision: { answer: "denied" } } } }]);
  });

  test("an answer to a changed script, a changed diff, other labels, another policy, another session", async () => {
    const cut = asking(heart, clock, answering(yes), { waitMs: 600 });
    await cut.ask(questionFor({}, "d".repeat(64)));
    // Answered but never used: a program that was killed between the two.
    const kept = asking(heart, clock, () => {
      throw new Error("killed");
    });
    expect(kept.ask(questionFor())).rejects.toThrow("killed");
    await Promise.resolve();
    const [question] = now();
    if (question === undefined) throw new Error("it is gone");
    yes(question);
    const changes = requestFor("file_ops", { path: "a" }).prepared;
    for (const [over, effect, session] of [
      [{}, "e".repeat(64), "console"],
      [{ prepared: { ...changes, effect: { kind: "changes", changes: [], diff: "-a\n+b", answer: "" } } }, undefined, "console"],
      [{ context: { c: 2, k: ["web"], i: 0, p: ["a page"] } }, undefined, "console"],
      [{ policy: "f".repeat(64) }, undefined, "console"],
      [{ skill: "code_exec" }, undefined, "console"],
      [{}, undefined, "0".repeat(32)],
    ] as const) {
      const reply = await asking(heart, clock, () => undefined, { session }).ask(questionFor(over, effect));
      expect(reply, JSON.stringify([over, effect, session])).toMatchObject({ answer: "unanswered" });
    }
    // And the one that it was given to still has it.
    expect(now().find(({ id }) => id === question.id)?.state).toMatchObject({ kind: "decided", spent: false });
  });

  test("an answer to what somebody else saw", () => {
    const { kind: _k, version: _v, ...draft } = pendingOf(1);
    must(heart.approvals.open(pendingText(draft), { c: 0, k: [], i: 3, p: [] }));
    const [question] = now();
    if (question === undefined) throw new Error("it is gone");
    const { id } = question;
    expect(takeAnswer(decidingOn(heart, clock), id, { answer: "allowed", digest: "0".repeat(64), by: "console", reason: null })).toEqual({
      kind: "other",
    });
    must(
      heart.approvals.note(
        id,
        noteText({ kind: "decision", answer: "allowed", digest: "0".repeat(64), by: "console", reason: null }),
        () => true,
      ),
    );
    expect(now()[0]?.state).toMatchObject({ kind: "closed" });
  });

  test("an answer after the end, also with the clock set back", async () => {
    const { kind: _k, version: _v, ...draft } = pendingOf(1);
    must(heart.approvals.open(pendingText(draft), { c: 0, k: [], i: 3, p: [] }));
    const [question] = now();
    if (question === undefined) throw new Error("it is gone");
    clock.pass(61_000);
    expect(yes(question)).toMatchObject({ kind: "settled" });
    // The heart has seen the later moment: whatever is written now comes after it.
    must(heart.incidents.count("test", 0));
    clock.wall -= 60_000;
    expect(yes(question)).not.toEqual({ kind: "taken" });
    expect(now()[0]?.state.kind).not.toBe("decided");
    // Who waits has a clock that nobody sets: with the wall clock set back at every look it still ends.
    const reply = await asking(heart, clock, () => void (clock.wall -= 250)).ask(questionFor());
    expect(reply).toMatchObject({ answer: "unanswered" });
  });

  test("an answer that could not be written to the log", async () => {
    const reply = await asking(
      heart,
      clock,
      answering((question) => {
        const deciding = decidingOn(heart, clock, { log: () => ({ ok: false, error: "no room" }) });
        const taken = takeAnswer(deciding, question.id, { answer: "allowed", digest: question.digest, by: "console", reason: null });
        expect(taken).toMatchObject({ kind: "failed", detail: expect.stringContaining("no room") as string });
      }),
    ).ask(questionFor());
    expect(reply).toMatchObject({ answer: "unanswered" });
  });

  test("a row that was put there without the key, and a question whose words were changed", async () => {
    const reply = await asking(
      heart,
      clock,
      answering((question) => {
        using db = raw(dir.path);
        const body = noteText({ kind: "decision", answer: "allowed", digest: question.digest, by: "console", reason: null });
        const salt = new Uint8Array(16);
        const hash = sha256(Uint8Array.from([...salt, ...new TextEncoder().encode(body)]));
        db.run(
          `insert into entry (id, kind, ref, hlc, actor, seq, label_c, label_k, label_i, label_p, body_hash, mac)
           select randomblob(16), kind, id, hlc + 1, actor, seq + 100000, label_c, label_k, label_i, label_p, ?, mac from entry where id = ?`,
          hash,
          Uint8Array.fromHex(question.id),
        );
        db.run("insert into entry_body (n, salt, body) select max(n), ?, ? from entry", salt, body);
        expect(now()[0]?.state.kind).toBe("open");
      }),
    ).ask(questionFor());
    expect(reply).toMatchObject({ answer: "unanswered" });
    const other = await asking(
      heart,
      clock,
      answering((question) => {
        using db = raw(dir.path);
        db.run(
          "update entry_body set body = replace(body, 'touch made', 'touch other') where n = (select n from entry where id = ?)",
          Uint8Array.fromHex(question.id),
        );
        expect(now().some(({ id }) => id === question.id)).toBe(false);
      }),
    ).ask(questionFor({}, "9".repeat(64)));
    expect(other).toMatchObject({ answer: "unanswered" });
  });

  test("a yes of before that was forgotten: what was settled stays settled", () => {
    const { kind: _k, version: _v, ...draft } = pendingOf(1);
    must(heart.approvals.open(pendingText(draft), { c: 0, k: [], i: 3, p: [] }));
    const [question] = now();
    if (question === undefined) throw new Error("it is gone");
    no(question);
    const [note] = heart.approvals.get(question.id)?.notes ?? [];
    must(heart.entries.forget(note?.id ?? ""));
    expect(now()[0]?.state).toEqual({ kind: "closed", because: "unreadable" });
    expect(yes(question)).toMatchObject({ kind: "settled" });
  });

  test.each(["allowed", "denied"] as const)("no merge opens what was decided: %s first, a no on either copy is a no on both", (first) => {
    const { kind: _k, version: _v, ...draft } = pendingOf(1);
    must(heart.approvals.open(pendingText(draft), { c: 0, k: [], i: 3, p: [] }));
    heart[Symbol.dispose]();
    const other = join(dir.path, "other");
    mkdirSync(join(other, "keys"), { recursive: true });
    copyFileSync(placeIn(dir.path).file, placeIn(other).file);
    copyFileSync(join(dir.path, "keys/heart.json"), join(other, "keys/heart.json"));
    heart = openIn(dir.path, { clock });
    const [question] = now();
    if (question === undefined) throw new Error("it is gone");
    if (first === "allowed") yes(question);
    else no(question);
    heart[Symbol.dispose]();
    clock.pass(1000);
    {
      using there = openIn(other, { clock });
      must(
        there.approvals.note(
          question.id,
          noteText({
            kind: "decision",
            answer: first === "allowed" ? "denied" : "allowed",
            digest: question.digest,
            by: "console",
            reason: null,
          }),
          () => true,
        ),
      );
    }
    const deps = heartDeps({ clock });
    must(heartCopies(deps, placeIn(dir.path), BUILD).merge(placeIn(other).file, { dryRun: false }));
    must(heartCopies(deps, placeIn(other), BUILD).merge(placeIn(dir.path).file, { dryRun: false }));
    for (const folder of [dir.path, other]) {
      using merged = openIn(folder, { clock });
      const dossier = merged.approvals.get(question.id);
      expect(dossier === null ? null : questionOf(dossier, clock.now(), sha256)?.state).toMatchObject({
        kind: "decided",
        decision: { answer: "denied" },
      });
    }
    heart = openIn(dir.path, { clock });
  });
});

describe("what a question shows", () => {
  const shown = (over: Parameters<typeof questionFor>[0]): string => {
    const rendered = renderApproval(questionFor(over));
    return rendered.kind === "lines" ? rendered.lines.join("\n") : `UNINSPECTABLE ${rendered.reason}`;
  };
  const command = (text: string) => ({ prepared: requestFor("shell", { command: text }).prepared });

  test("names that a terminal would act on, that hide or that turn around are spelled", () => {
    const text = shown(command("cat 'a\u001b[2Jb\u202etxt.exe' 'z\u200bz' '\u00a0'"));
    expect(text).toContain("\\u{1b}[2Jb\\u{202e}txt.exe");
    expect(text).toContain("z\\u{200b}z");
    expect(text).toContain("\\u{a0}");
    // oxlint-disable-next-line no-control-regex -- that none is left is what this is about
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u200b\u202e]/);
  });

  test("10,000 spaces hide nothing: what cannot be read on a screen is not asked about", () => {
    expect(shown(command(`echo hi${" ".repeat(10_000)}; rm -rf .`))).toStartWith("UNINSPECTABLE");
  });

  test("and a question that cannot be shown waits for nobody", async () => {
    const reply = await asking(heart, clock, () => undefined).ask(questionFor(command(`echo hi${" ".repeat(10_000)}; rm`)));
    expect(reply).toMatchObject({ answer: "denied", reason: expect.stringContaining("cannot be asked about") as string });
    expect(now()).toEqual([]);
  });

  test("its digest covers every part of it", () => {
    const base = pendingOf(1);
    const digest = (pending: object): string => {
      const opened = must(heart.approvals.open(JSON.stringify(pending), { c: 0, k: [], i: 3, p: [] }));
      return questionOf({ opened, notes: [] }, clock.now(), sha256)?.digest ?? "none";
    };
    const plain = digest(base);
    for (const [name, value] of Object.entries({
      session: "other",
      skill: "code_exec",
      tier: 2,
      rule: "plan",
      object: "touch x",
      effect: "1".repeat(64),
      policy: "2".repeat(64),
      context: { c: 1, k: [], i: 3, p: [] },
      nonce: "3".repeat(32),
      expires: base.expires + 1,
      mayRehearse: true,
      lines: ["shell wants to run!"],
    }))
      expect(digest({ ...base, [name]: value }), name).not.toBe(plain);
  });
});
