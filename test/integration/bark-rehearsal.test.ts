/** A rehearsal in the real cage: what it shows, and that nothing of it stays. Judged by the workspace and by what was written to the log. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { renderApproval } from "../../src/bark/approvals.ts";
import { BarkRoom } from "../support/bark.ts";
import { NO_CAGE } from "../support/cage.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;

describe.skipIf(NO_CAGE !== null)(`a rehearsal${why}`, () => {
  let bark: BarkRoom;
  beforeEach(() => void (bark = new BarkRoom()));
  afterEach(() => bark[Symbol.dispose]());

  test("shows the difference and the output, keeps nothing, and asks again", async () => {
    bark.put({ "a.txt": "one\ntwo\n" });
    const report = await bark.bash(
      "sed -i s/two/2/ a.txt; echo new > b.txt; mkdir .git; touch .git/hooks; echo said",
      "rehearse",
      "denied",
    );
    expect(report.status).toBe("denied");
    const [first, second] = bark.questions;
    expect(first).toMatchObject({ mayRehearse: true, rehearsal: null });
    const lines = second?.rehearsal?.lines.map((line) => line.trim()) ?? [];
    expect(lines).toContain("said");
    expect(lines).toContain("-two");
    expect(lines).toContain("+2");
    expect(lines).toContain("+++ b.txt");
    expect(readFileSync(join(bark.workspace, "a.txt"), "utf8")).toBe("one\ntwo\n");
    expect(existsSync(join(bark.workspace, "b.txt"))).toBe(false);
    expect(bark.steps.list(bark.workspace)).toEqual([]);
    // The rehearsal has an intent and an outcome of its own; its effect is not the one that was asked about.
    expect(bark.intents.map(({ operation }) => operation)).toEqual(["run", "rehearse"]);
    expect(bark.intents[1]?.effect).not.toBe(bark.intents[0]?.effect);
    expect(bark.outcomes.map(({ status }) => status)).toEqual(["done", "denied"]);
    expect(bark.approvals).toEqual(["denied"]);
  });

  test("is followed by the real thing when the answer is yes", async () => {
    const report = await bark.bash("echo new > b.txt", "rehearse", "allowed");
    expect(report.status).toBe("done");
    expect(readFileSync(join(bark.workspace, "b.txt"), "utf8")).toBe("new\n");
    expect(bark.steps.list(bark.workspace)).toHaveLength(1);
  });

  test("spells out what it shows, and is bounded", async () => {
    await bark.bash(String.raw`printf 'x\u202ey\033[2J\n'; seq 100000; for i in $(seq 300); do echo $i > $i; done`, "rehearse", "denied");
    const [, question] = bark.questions;
    const rendered = question === undefined ? null : renderApproval(question);
    if (rendered?.kind !== "lines") throw new Error("not rendered");
    const text = rendered.lines.join("\n");
    expect(text).toContain("x\\u{202e}y\\u{1b}[2J");
    expect(text).toContain("more changes, which are not shown");
    expect(rendered.lines.length).toBeLessThan(250);
  });

  test("cannot go on for ever", async () => {
    const report = await bark.bash("true", ...Array.from({ length: 9 }, () => "rehearse" as const));
    expect(report.status).toBe("unanswered");
    expect(bark.intents.filter(({ operation }) => operation === "rehearse")).toHaveLength(5);
    expect(bark.questions.at(-1)?.mayRehearse).toBe(false);
  });
});
