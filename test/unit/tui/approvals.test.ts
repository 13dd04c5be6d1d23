/** The pane of questions as a function: what has to be read, what counts as an answer, and what never does. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ShownApproval } from "../../../src/session/approvals.ts";
import type { SessionCommand } from "../../../src/session/command.ts";
import { INITIAL_VIEW } from "../../../src/session/view.ts";
import { ApprovalPane } from "../../../tui/approval-pane.ts";
import { type InputEvent, InputSplitter } from "../../../tui/input/splitter.ts";
import { approvalFrame, openApproval } from "../../../tui/panes/approvals.ts";
import { statusRow } from "../../../tui/panes/status.ts";
import { themeFor } from "../../../tui/theme.ts";

const theme = themeFor({ setting: "none", noColor: true, colorfgbg: undefined });
const approval = (over: Partial<ShownApproval> = {}): ShownApproval => ({
  id: "a".repeat(32),
  digest: "d".repeat(64),
  skill: "shell",
  tier: 3,
  lines: Array.from({ length: 40 }, (_, at) => `line ${at + 1}`),
  rehearsal: null,
  mayRehearse: true,
  needsParent: false,
  secondsLeft: 581,
  ...over,
});

/** A pane, a clock, and keys that come alone in their reads. */
class Sitting {
  approvals: readonly ShownApproval[];
  readonly commands: SessionCommand[] = [];
  bells = 0;
  now = 100_000;
  height = 20;
  width = 80;
  readonly pane: ApprovalPane;
  readonly #splitter = new InputSplitter();

  constructor(...approvals: readonly ShownApproval[]) {
    this.approvals = approvals;
    this.pane = new ApprovalPane({
      session: { view: () => ({ ...INITIAL_VIEW, approvals: this.approvals }), dispatch: (command) => void this.commands.push(command) },
      timers: { monotonic: () => this.now },
      terminal: { send: () => void this.bells++ },
    });
  }

  draw(): string {
    return this.pane.frame(this.width, this.height, theme)?.join("\n") ?? "";
  }
  /** One read, and what is drawn after it. */
  read(bytes: string, after = 200): string {
    this.now += after;
    for (const event of this.#splitter.feed(bytes)) this.pane.takes(event);
    if (this.#splitter.pending) for (const event of this.#splitter.flush()) this.pane.takes(event);
    return this.draw();
  }
  type(text: string, gap = 200): string {
    for (const key of text) this.read(key, gap);
    return this.draw();
  }
  open(): this {
    expect(this.pane.open()).toBe(true);
    this.draw();
    return this;
  }
  /** To its end, page by page, as a person does. */
  readAll(): this {
    for (let page = 0; page < 30 && !this.draw().includes("type a"); page++) this.read(" ", 500);
    this.now += 1000;
    return this;
  }
  get answers(): readonly string[] {
    return this.commands.flatMap((command) => (command.type === "answer-approval" ? [command.answer] : []));
  }
}

describe("a question in the chat", () => {
  test("read to its end and answered by the whole word, key by key, is allowed, for exactly what was shown", () => {
    const sitting = new Sitting(approval()).open();
    expect(sitting.draw()).toContain("APPROVAL 1/1  shell  tier 3  expires 9:41");
    expect(sitting.draw()).toContain("read it to its end");
    sitting.readAll();
    expect(sitting.draw()).toContain("type allow and Enter");
    sitting.type("allow\r");
    expect(sitting.commands).toEqual([
      { type: "answer-approval", id: "a".repeat(32), digest: "d".repeat(64), answer: "allowed", secret: null, reason: null },
    ]);
    expect(sitting.pane.isOpen).toBe(false);
  });

  test("up to tier 2 a letter is enough, and a whole word is not what it asks for", () => {
    const sitting = new Sitting(approval({ tier: 2 })).open().readAll();
    sitting.type("allow\r");
    expect(sitting.answers).toEqual([]);
    sitting.type("a\r");
    expect(sitting.answers).toEqual(["allowed"]);
  });

  test("d denies at once, unread; Esc and Ctrl-C leave it; r wants it rehearsed", () => {
    const sitting = new Sitting(approval()).open();
    sitting.read("d", 1000);
    expect(sitting.answers).toEqual(["denied"]);
    for (const key of ["\u001b", "\u0003", "\u000f"]) {
      sitting.open();
      sitting.read(key, 1000);
      expect(sitting.pane.isOpen).toBe(false);
    }
    sitting.open();
    sitting.read("r", 1000);
    expect(sitting.commands.at(-1)).toEqual({ type: "rehearse-approval", id: "a".repeat(32) });
    expect(sitting.answers).toEqual(["denied"]);
  });

  test("n says why not, for the model, unread; a paste, a burst and an Enter that came along send nothing", () => {
    const sitting = new Sitting(approval()).open();
    sitting.read("n", 500);
    // Too soon after it was opened.
    expect(sitting.draw()).not.toContain("tell the model why");
    sitting.read("n", 1000);
    expect(sitting.draw()).toContain("tell the model why");
    for (const bytes of [
      "\r",
      "not that",
      "\rx",
      "\u007f",
      " \r",
      "\u001b[200~pasted\u001b[201~",
      "x".repeat(30),
      "\u202e",
      "\u001b[A",
      " file!\r",
    ])
      sitting.read(bytes, 300);
    expect(sitting.draw()).toContain("not that  file!");
    sitting.read("\u007f");
    sitting.read("\r", 149);
    expect(sitting.answers).toEqual([]);
    // Keys that mean something elsewhere are letters here.
    sitting.type(", dear");
    sitting.read("\r", 150);
    expect(sitting.commands).toEqual([
      {
        type: "answer-approval",
        id: "a".repeat(32),
        digest: "d".repeat(64),
        answer: "denied",
        secret: null,
        reason: "not that  file, dear",
      },
    ]);
    expect(sitting.pane.isOpen).toBe(false);
    // Esc takes the reason back, not the question; what was said is for this question alone.
    sitting.open().read("n", 1000);
    sitting.type("because");
    expect(sitting.read("\u001b")).toContain("read it to its end");
    sitting.read("n", 1000);
    sitting.type("other");
    sitting.approvals = [approval({ lines: ["something else"] })];
    sitting.read("\r", 300);
    expect(sitting.answers).toEqual(["denied"]);
  });

  test("with a parent the word is followed by the PIN, unseen", () => {
    const sitting = new Sitting(approval({ needsParent: true })).open().readAll();
    const asked = sitting.type("allow\r");
    expect(sitting.answers).toEqual([]);
    expect(asked).toContain("PIN or passphrase");
    expect(sitting.type("24dr10")).toContain("••••••");
    expect(sitting.draw()).not.toContain("24dr10");
    sitting.read("\r");
    expect(sitting.commands.at(-1)).toMatchObject({ answer: "allowed", secret: "24dr10" });
  });
});

describe("nothing else is a yes", () => {
  const refuses = (sitting: Sitting): void => expect(sitting.answers).toEqual([]);

  test("unread, or read to the end by a jump", () => {
    const sitting = new Sitting(approval()).open();
    sitting.now += 2000;
    sitting.type("allow\r");
    refuses(sitting);
    // A wheel that turns as far as it goes reads what it showed on the way; a page that is skipped was not read.
    sitting.height = 60;
    const tall = new Sitting(approval({ lines: Array.from({ length: 400 }, (_, at) => `line ${at}`) })).open();
    for (let at = 0; at < 400; at++) tall.pane.takes({ kind: "wheel", rows: 1 } satisfies InputEvent);
    tall.now += 2000;
    // Nothing was drawn between: only the first and the last page have been on the screen.
    tall.draw();
    tall.type("allow\r");
    refuses(tall);
    const place = { number: 1, of: 1, width: 80, height: 20 };
    const ui = { ...openApproval(approval(), 0), top: 1e6 };
    expect(approvalFrame(approval(), ui, place, theme)).toMatchObject({ isRead: false, readTo: 0 });
  });

  test("typed too soon after it was opened", () => {
    const sitting = new Sitting(approval({ lines: ["short"] })).open();
    sitting.type("allow\r", 150);
    sitting.type("d", 99);
    refuses(sitting);
  });

  test("in one read, in two, pasted, behind an end marker of its own, or with Enter too close", () => {
    for (const reads of [
      ["allow\r"],
      ["allow", "\r"],
      ["al", "low", "\r"],
      ["\u001b[200~allow\r\u001b[201~"],
      ["\u001b[200~x\u001b[201~allow\r"],
      ["\u001b[200~x\u001b[201~", "a", "llow", "\r"],
      ["a", "l", "l", "o", "w\r"],
    ]) {
      const sitting = new Sitting(approval({ lines: ["short"] })).open().readAll();
      for (const bytes of reads) sitting.read(bytes, 300);
      refuses(sitting);
    }
    const close = new Sitting(approval({ lines: ["short"] })).open().readAll();
    close.type("allow", 200);
    close.read("\r", 149);
    refuses(close);
    const reading = new Sitting(approval({ lines: ["short"] })).open().readAll();
    reading.type("allow", 200);
    reading.read("\r", 150);
    expect(reading.answers).toEqual(["allowed"]);
  });

  test("another word, the right one in other letters, or with a key between", () => {
    for (const word of [
      "yes",
      "allo",
      "ALLOW",
      "\u0430llow",
      "allow ",
      "xallow".slice(1).replace("w", "vv"),
      "all ow",
      "al\u001b[Alow",
      "allow\u007f",
    ]) {
      const sitting = new Sitting(approval({ lines: ["short"] })).open().readAll();
      for (const key of word === "al\u001b[Alow" ? ["a", "l", "\u001b[A", "l", "o", "w"] : Array.from(word))
        if (sitting.pane.isOpen) sitting.read(key);
      sitting.read("\r");
      refuses(sitting);
    }
  });

  test("text that changed while it was read, or after the word was typed", () => {
    const sitting = new Sitting(approval()).open().readAll();
    sitting.type("allow");
    sitting.approvals = [approval({ lines: ["other"] })];
    sitting.pane.heard();
    sitting.draw();
    sitting.read("\r", 500);
    refuses(sitting);
    // And before anybody has told the pane.
    const untold = new Sitting(approval()).open().readAll();
    untold.type("allow");
    untold.approvals = [approval({ lines: ["other"] })];
    untold.read("\r", 500);
    refuses(untold);
    // What a rehearsal showed is read as well, and only that.
    const rehearsed = new Sitting(approval()).open().readAll();
    rehearsed.approvals = [approval({ rehearsal: Array.from({ length: 50 }, (_, at) => `would change ${at}`) })];
    rehearsed.pane.heard();
    expect(rehearsed.draw()).toContain("read it to its end");
    rehearsed.readAll().type("allow\r");
    expect(rehearsed.answers).toEqual(["allowed"]);
  });

  test("another question than the one that was read", () => {
    const other = approval({ id: "b".repeat(32), digest: "e".repeat(64), lines: ["rm -rf"] });
    const sitting = new Sitting(approval(), other).open().readAll();
    sitting.type("allo");
    sitting.read("\t");
    sitting.type("w");
    sitting.read("\r", 300);
    refuses(sitting);
    // The one that was read is gone: its keys answer nothing.
    const gone = new Sitting(approval(), other).open().readAll();
    gone.type("allow");
    gone.approvals = [other];
    gone.pane.heard();
    gone.read("\r", 300);
    refuses(gone);
    expect(gone.pane.isOpen).toBe(false);
  });

  test("whatever is typed at 20 keys a second while it is open", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", "l", "o", "w", "\r", " ", "e", "x"), { maxLength: 200 }), (keys) => {
        const sitting = new Sitting(approval({ lines: ["short"] })).open().readAll();
        for (const key of [...keys, ...Array.from("allow\r")]) sitting.read(key, 50);
        refuses(sitting);
      }),
      { numRuns: 100 },
    );
  });

  test("a window that is too small to read in, and a text that nobody can", () => {
    const small = new Sitting(approval({ lines: ["short"] })).open();
    small.height = 5;
    small.readAll().type("allow\r");
    refuses(small);
    const long = new Sitting(approval({ lines: Array.from({ length: 400 }, () => "x".repeat(1200)) })).open();
    for (let page = 0; page < 60; page++) long.read(" ", 100);
    expect(long.draw()).toContain("it can only be denied");
    long.type("allow\r");
    refuses(long);
    long.read("d", 1000);
    expect(long.answers).toEqual(["denied"]);
  });
});

describe("what is seen of it", () => {
  test("another width neither skips nor forgets what was read", () => {
    const lines = Array.from({ length: 30 }, (_, at) => `${at}: ${"word ".repeat(40)}`);
    const sitting = new Sitting(approval({ lines })).open();
    for (let page = 0; page < 4; page++) sitting.read(" ", 300);
    sitting.width = 35;
    expect(sitting.draw()).toContain("read it to its end");
    for (let page = 0; page < 60 && !sitting.draw().includes("type allow"); page++) sitting.read(" ", 300);
    sitting.width = 200;
    sitting.now += 1000;
    sitting.type("allow\r");
    expect(sitting.answers).toEqual(["allowed"]);
  });

  test.each([
    [80, 24],
    [40, 24],
    [40, 12],
    [24, 8],
  ])("at %i × %i every row fits, every key is there, and a reason shows its end", (width, height) => {
    const sitting = new Sitting(approval({ lines: ["cat p\\u{430}ypal.txt", ...approval().lines] }), approval({ id: "b".repeat(32) }));
    Object.assign(sitting, { width, height });
    sitting.open();
    const plain = (): readonly string[] => Bun.stripANSI(sitting.draw()).split("\n");
    const fits = (): void => {
      expect(plain().length).toBe(height);
      for (const row of plain()) expect(Bun.stringWidth(row)).toBeLessThanOrEqual(width);
    };
    fits();
    if (width === 80) expect(plain()[0]).toBe(" APPROVAL 1/2  shell  tier 3  expires 9:41  ⚠ 1 odd character");
    if (width >= 40) expect(plain()[height - 2]).toEndWith(" Space·d no·n why·r try·Tab·Esc ");
    sitting.read("n", 1000);
    sitting.type("because it is not the file that I spoke of, but 漢字 of mine", 10);
    fits();
    expect(plain().at(-1)).toMatch(/ mine$/);
  });

  test("right-to-left letters, odd characters and long words are whole, and counted", () => {
    const sitting = new Sitting(approval({ lines: ["cat a\\u{202e}b", "\u05d0\u05d1", `${"w".repeat(200)}!`] })).open();
    const screen = sitting.draw();
    expect(screen).toContain("⚠ 3 odd characters");
    expect(screen).toContain("\\u{5d0}\\u{5d1}");
    expect(screen.replaceAll(/\n↪/g, "")).toContain(`${"w".repeat(200)}!`);
  });

  test("with room its keys are words", () => {
    const sitting = new Sitting(approval({ mayRehearse: false })).open();
    sitting.height = 24;
    expect(Bun.stripANSI(sitting.draw()).split("\n")[22]).toBe(
      " rows 1–21 of 40           Space read on · d deny · n deny, say why · Esc later ".padEnd(80),
    );
  });

  test("the badge counts, and says when the first ends", () => {
    const view = { ...INITIAL_VIEW, approvals: [approval(), approval({ id: "b".repeat(32), secondsLeft: 61 })] };
    const facts = { workspace: "~/w", tokensPerSecond: null, hint: null };
    expect(statusRow(view, facts, 80, theme)).toContain("! 2 approvals 1:01 Ctrl-O");
    expect(statusRow(view, facts, 30, theme)).toContain("! 2 approvals 1:01");
  });

  test("it rings once for each question, when nobody has pressed a key for ten seconds, and never while it is open", () => {
    const sitting = new Sitting(approval());
    sitting.pane.heard();
    expect(sitting.bells).toBe(1);
    sitting.pane.heard();
    expect(sitting.bells).toBe(1);
    sitting.read("x");
    sitting.approvals = [approval(), approval({ id: "b".repeat(32) })];
    sitting.now += 9_000;
    sitting.pane.heard();
    expect(sitting.bells).toBe(1);
    sitting.now += 2_000;
    sitting.pane.heard();
    expect(sitting.bells).toBe(2);
  });

  test("it takes no key before it was opened", () => {
    const sitting = new Sitting(approval({ lines: ["short"] }));
    sitting.type("allow\rd r");
    expect(sitting.commands).toEqual([]);
    expect(sitting.pane.isOpen).toBe(false);
  });
});
