/** Bugs that somebody could make in questions, grants, the door and the pane; each is seen by the tests of its part. */
export interface Bug {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** The test file that has to see it. */
  readonly seenBy: string;
}

const bug = (seenBy: string, file: string, name: string, from: string, to: string): Bug => ({ name, file, from, to, seenBy });

const ASKING = "test/integration/approvals.test.ts";
const GRANTS = "test/integration/grants.test.ts";
const DOOR = "test/unit/parent-door.test.ts";
const KEY = "test/unit/parent-key.test.ts";
const PANE = "test/unit/tui/approvals.test.ts";
const RECORD = "src/bark/asking/record.ts";
const DESK = "src/bark/asking/desk.ts";
const DECIDE = "src/bark/asking/decide.ts";
const PATTERN = "src/bark/grants/pattern.ts";
const HOLDER = "src/bark/grants/holder.ts";

/** Not among them, because a second check holds: whose signature a grant has, how long a door stays open, and that a letter counts only when all was read. */
export const APPROVAL_BUGS: readonly Bug[] = [
  bug(
    ASKING,
    RECORD,
    "the last decision counts",
    'decisions.find(({ decision }) => decision.answer !== "allowed") ?? decisions[0]',
    "decisions.at(-1)",
  ),
  bug(ASKING, RECORD, "an unreadable note is no note", "notes.some(({ note }) => note === null)", "(false as boolean)"),
  bug(ASKING, RECORD, "an answer to other words counts", "decision.digest !== digest || at > pending.expires", "at > pending.expires"),
  bug(ASKING, RECORD, "what ran out waits on", "spent || now > pending.expires", "spent"),
  bug(ASKING, RECORD, "the digest forgets the text", "canonicalJson(pending)}`", "canonicalJson({ ...pending, lines: [] })}`"),
  bug(ASKING, RECORD, "any session goes on with it", "intent: _i, ...rest }", "intent: _i, session: _s, ...rest }"),
  bug(ASKING, DESK, "a yes is good twice", "if (spent || !spend(question))", "if ((false as boolean) && !spend(question))"),
  bug(ASKING, DESK, "who waits goes by the wall clock", "clock.monotonic() >= until", "clock.now() - clock.monotonic() < 0"),
  bug(ASKING, DESK, "a flood is asked", ">= MOST_OPEN", ">= 10 * MOST_OPEN"),
  bug(ASKING, DESK, "what cannot be shown is asked", 'if (rendered.kind === "uninspectable")', "if (false as boolean)"),
  bug(
    ASKING,
    DECIDE,
    "the second approver is taken too",
    'return question?.state.kind === "open" && question.digest === digest;',
    "return question !== null;",
  ),
  bug(ASKING, DECIDE, "answered without the log", "if (!logged.ok)", "if (!logged.ok && (false as boolean))"),
  bug(ASKING, DECIDE, "what was shown is not compared", 'if (before.digest !== digest) return { kind: "other" };', ""),
  bug(
    ASKING,
    "src/heart/entries.ts",
    "rows are read without their seal",
    "if (mac !== null && !mac.verify(ENTRY.name",
    "if ((false as boolean) && mac !== null && !mac.verify(ENTRY.name",
  ),
  bug(GRANTS, PATTERN, "a star takes an option", "[A-Za-z0-9_][A-Za-z0-9_.@%+,-]*`", "[A-Za-z0-9_-][A-Za-z0-9_.@%+,-]*`"),
  bug(GRANTS, PATTERN, "a star takes a folder", "[A-Za-z0-9_][A-Za-z0-9_.@%+,-]*`", "[A-Za-z0-9_][A-Za-z0-9_.@%+,/-]*`"),
  bug(GRANTS, PATTERN, "a star takes an assignment", "[A-Za-z0-9_][A-Za-z0-9_.@%+,-]*`", "[A-Za-z0-9_][A-Za-z0-9_.@%+,=/-]*`"),
  bug(GRANTS, PATTERN, "the first of several commands is enough", "only === undefined || more.length > 0 ||", "only === undefined ||"),
  bug(GRANTS, PATTERN, "redirections are no words", "|| only.redirections.length > 0", ""),
  bug(GRANTS, PATTERN, "an argument more is no matter", "words === null || words.length !== pattern.words.length", "words === null"),
  bug(
    GRANTS,
    PATTERN,
    "a dot in a pattern is any letter",
    String.raw`/[.*+?^${"${}"}()|[\]\\/-]/g`,
    String.raw`/[*+?^${"${}"}()|[\]\\/-]/g`,
  ),
  bug(GRANTS, PATTERN, "a shell may be granted", "setpriv sh", "setpriv"),
  bug(GRANTS, "src/bark/grants/rules.ts", "with text from outside", "context.i > Integrity.UNTRUSTED &&", ""),
  bug(GRANTS, "src/bark/grants/rules.ts", "over a trifecta", "decision.spoke.every((rule) => ANSWERABLE.has(rule)) &&", ""),
  bug(GRANTS, "src/bark/grants/rules.ts", "over a deny", 'decision.outcome === "ask" &&', ""),
  bug(GRANTS, "src/bark/grants/rules.ts", "for a program of the model's", 'skill !== "code_exec" &&\n    object.kind !== "code" &&', ""),
  bug(GRANTS, HOLDER, "in any folder", "grant.body.place !== place ||", ""),
  bug(GRANTS, HOLDER, "with any bytes in its files", "if (!sameInputs(grant.body.inputs, request)) continue;", ""),
  bug(GRANTS, HOLDER, "used without being counted", "if (used.ok && used.value !== null) return yes(by);", "if (used.ok) return yes(by);"),
  bug(GRANTS, HOLDER, "the words of a revoked one come back", "|| seen.has(grant.body.nonce)", ""),
  bug(
    GRANTS,
    "src/bark/grants/grant.ts",
    "nobody looks at the signature",
    "if (!verify(key, signedBytes(body), Uint8Array.fromHex(body.signature))) return null;",
    "",
  ),
  bug(
    DOOR,
    "src/platform/parent-door.ts",
    "a try is counted after it was looked at",
    "const counted = count(before.wrong + 1);",
    "const counted = count(before.wrong);",
  ),
  bug(DOOR, "src/platform/parent-door.ts", "a PIN never dies", "file !== null && wrong < MOST_TRIES", "file !== null"),
  bug(
    DOOR,
    "src/platform/parent-door.ts",
    "anybody sets a PIN",
    'auditCrypto.verify(parent, signed("pin", rest), Uint8Array.fromHex(signature))',
    "(true as boolean)",
  ),
  bug(
    DOOR,
    "src/platform/parent-door.ts",
    "an open door is believed unsigned",
    'if (!auditCrypto.verify(stick.value.publicKey, signed("unlocked", rest), Uint8Array.fromHex(signature))) return 0;',
    "",
  ),
  bug(DOOR, "src/platform/parent-door.ts", "others may write it", "|| (facts.mode & 0o077) !== 0", ""),
  bug(KEY, "src/platform/parent-key.ts", "the unencrypted half is not bound", "decipher.setAAD(additional(head));", ""),
  bug(KEY, "src/platform/parent-key.ts", "a broken key file is no parent", "return key === null", "return (false as boolean)"),
  bug(
    PANE,
    "tui/panes/approvals.ts",
    "a jump to the end reads all",
    "(visible[0]?.from ?? 0) <= ui.readTo ? Math.max(ui.readTo, end) : ui.readTo",
    "Math.max(ui.readTo, end)",
  ),
  bug(PANE, "tui/approval-pane.ts", "a burst is an answer", "if (!event.alone) {", "if (!event.alone && (false as boolean)) {"),
  bug(PANE, "tui/approval-pane.ts", "Enter may follow at once", "const LEAST_BEFORE_ENTER = 150;", "const LEAST_BEFORE_ENTER = 0;"),
  bug(PANE, "tui/approval-pane.ts", "no second to look", "const LEAST_SEEN = 1000;", "const LEAST_SEEN = 0;"),
  bug(
    PANE,
    "tui/approval-pane.ts",
    "any key goes on",
    'this.#ui = { ...ui, typed: counts ? typed : "", lastKey: now };',
    "this.#ui = { ...ui, typed: counts ? typed : ui.typed, lastKey: now };",
  ),
  bug(
    PANE,
    "tui/approval-pane.ts",
    "another text keeps what was typed",
    "|| textOf(approval) !== ui.shown) {\n      this.#clear",
    ") {\n      this.#clear",
  ),
  bug(
    PANE,
    "tui/approval-pane.ts",
    "the parent is not asked",
    "if (!approval.needsParent) return",
    "if (!approval.needsParent || (true as boolean)) return",
  ),
  bug(PANE, "tui/approval-pane.ts", "what came with other keys says why", "return event.alone && now", "return now"),
  bug(
    PANE,
    "tui/approval-pane.ts",
    "a paste says why",
    'if (event.kind === "paste") return "stays";\n    switch',
    'if (event.kind === "paste") return becomes(event.text);\n    switch',
  ),
  bug(
    PANE,
    "tui/panes/approvals.ts",
    "a long reason shows its beginning",
    'while (cells(kept.join("")) >= room) kept.shift();',
    'while (cells(kept.join("")) >= room) kept.pop();',
  ),
  bug(PANE, "tui/approval-pane.ts", "it rings each time", "for (const { id } of fresh) this.#rung.add(id);", ""),
];
