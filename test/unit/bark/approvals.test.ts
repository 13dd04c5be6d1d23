import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type AnswerState, answerKey, newAnswer, renderApproval } from "../../../src/bark/approvals.ts";
import { exact } from "../../../src/lib/exact.ts";
import { ok } from "../../../src/lib/result.ts";
import type { ApprovalQuestion } from "../../../src/bark/monitor/monitor.ts";

const keys = (state: AnswerState, text: string, from: number, gap: number): AnswerState =>
  Array.from(text).reduce((at, key, index) => answerKey(at, key === "\n" ? "enter" : key, from + index * gap), state);

describe("an answer", () => {
  test("is a whole word, typed after a pause", () => {
    expect(keys(newAnswer(0), "yes\n", 1000, 100).answer).toBe("allowed");
    expect(keys(newAnswer(0), "no\n", 1000, 100).answer).toBe("denied");
    expect(keys(newAnswer(0), "\n\n\n\n", 1000, 1000).answer).toBeNull();
    expect(keys(newAnswer(0), "y\n", 1000, 100).answer).toBeNull();
    expect(keys(newAnswer(0), "yes please\n", 1000, 100).answer).toBeNull();
    expect(keys(newAnswer(0), "\u0000yes\n", 1000, 100).answer).toBeNull();
    expect(answerKey(newAnswer(0), "cancel", 1).answer).toBe("denied");
  });

  test("may be a rehearsal only where one can be had", () => {
    for (const word of ["r\n", "rehearse\n", "R\n"]) {
      expect(keys(newAnswer(0, true), word, 1000, 100).answer).toBe("rehearse");
      expect(keys(newAnswer(0), word, 1000, 100).answer).toBeNull();
    }
    expect(keys(newAnswer(0, true), "r\n", 10, 50).answer).toBeNull();
  });

  test("somebody who goes on typing at 20 keys a second approves nothing, whatever they type", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("y", "e", "s", "\n", " ", "a"), { maxLength: 400 }), (typed) => {
        expect(keys(newAnswer(0), typed.join(""), 10, 50).answer).toBeNull();
        expect(keys(newAnswer(0), `${typed.join("")}yes\n`, 10, 50).answer).toBeNull();
      }),
    );
  });
});

const question = (over: Partial<ApprovalQuestion>): ApprovalQuestion => ({
  skill: "file_ops",
  decision: { outcome: "ask", tier: 3, rule: "approval", reason: "It asks.", incident: false, batchable: false, spoke: [] },
  context: { c: 1, k: [], i: 0, p: ["web:example.org"] },
  effect: "0".repeat(64) as ApprovalQuestion["effect"],
  policy: "",
  intent: { session: "", seq: 0 },
  remark: null,
  mayRehearse: false,
  offer: null,
  rehearsal: null,
  prepared: {
    tier: 3,
    operation: "write",
    changesState: true,
    object: { kind: "file", name: "a\u202e.txt", label: { c: 1, k: [], i: 0, p: [] }, reserved: false },
    declassifiable: true,
    sink: null,
    arguments: [],
    ruled: null,
    resultLabel: { c: 1, k: [], i: 0, p: [] },
    effect: { kind: "changes", changes: [], diff: "-old\n+new\u001b[2J\n", answer: "" },
  },
  ...over,
});

describe("an approval's text", () => {
  test("spells out what an eye would miss and a terminal would act on", () => {
    const rendered = renderApproval(question({ remark: "approved by the user\u001b]52;c;x\u0007" }));
    const text = rendered.kind === "lines" ? rendered.lines.join("\n") : "";
    expect(text).toContain("change a\\u{202e}.txt");
    expect(text).toContain("+new\\u{1b}[2J");
    expect(text).toContain("web:example.org");
    // What the model says comes last and in a box.
    expect(text.split("\n").slice(-2)).toEqual(["The model says (believe nothing of it):", "  | approved by the user\\u{1b}]52;c;x\\u{7}"]);
    expect(text).not.toMatch(/[^\P{C}\n\t]/u);
  });

  test("look-alikes are spelled out and counted, in names more of them than in what is written, and encoded names are said to be such", () => {
    const { prepared } = question({});
    const linesOf = (over: Partial<ApprovalQuestion["prepared"]>): readonly string[] => {
      const rendered = renderApproval(question({ prepared: { ...prepared, ...over } }));
      return rendered.kind === "lines" ? rendered.lines : [];
    };
    const named = (name: string): Partial<ApprovalQuestion["prepared"]> => ({ object: { ...prepared.object, name } });
    const diff = "--- сосо\n+++ сосо\n+сосо и p\u0430ypal\n";
    const lines = linesOf({ ...named("p\u0430ypal.txt"), effect: { kind: "changes", changes: [], diff, answer: "" } });
    expect(lines[0]).toContain("p\\u{430}ypal.txt");
    // One in its name, four in each of the two headings, one in the line.
    expect(lines[1]).toBe("⚠ 10 of its characters are spelled out as \\u{…}: they cannot be seen, or look like others.");
    expect(lines).toContain("  | +сосо и p\\u{430}ypal");
    expect(linesOf(named("plain.txt")).join("\n")).not.toContain("⚠ 10");
    expect(linesOf(named("https://xn--pypal-4ve.com/"))[1]).toContain("xn--");
    expect(linesOf(named("axn--b"))[1]).not.toContain("letters of other scripts");
  });

  test("nothing invisible comes through, ever", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(exact(text)).not.toMatch(/[^\P{Cc}\t]|\p{Cf}|\p{Default_Ignorable_Code_Point}|\p{Zl}|\p{Zp}/u);
      }),
      { numRuns: 1000 },
    );
  });

  test("what is too long to be read is not asked about", () => {
    const prepared = question({}).prepared;
    const long = { ...prepared, effect: { kind: "changes", changes: [], diff: "+x\n".repeat(500), answer: "" } } as const;
    expect(renderApproval(question({ prepared: long }))).toMatchObject({ kind: "uninspectable" });
    const wide = { ...prepared, effect: { kind: "store", text: "x".repeat(3000), write: () => ok("") } } as const;
    expect(renderApproval(question({ prepared: wide }))).toMatchObject({ kind: "uninspectable" });
  });
});
