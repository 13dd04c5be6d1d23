/** What is asked about after a program ran: kept with all its bytes, decided later, written once and taken back like any call. Judged by the workspace. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderApproval } from "../../src/bark/approvals.ts";
import { waitingCall, type Waiting } from "../../src/bark/pending.ts";
import type { CallReport } from "../../src/bark/monitor/monitor.ts";
import { diffTexts } from "../../src/platform/workspace/writer.ts";
import { BarkRoom } from "../support/bark.ts";
import { NO_CAGE } from "../support/cage.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;

describe.skipIf(NO_CAGE !== null)(`what waits for a person${why}`, () => {
  let bark: BarkRoom;
  beforeEach(() => void (bark = new BarkRoom()));
  afterEach(() => bark[Symbol.dispose]());

  const read = (path: string): string => readFileSync(join(bark.workspace, path), "utf8");
  const waiting = (report: CallReport): Waiting => {
    const set = bark.pending.get(report.executed?.workspace?.waiting ?? "");
    if (set === null) throw new Error(`nothing waits: ${JSON.stringify(report.blocked)}`);
    return set;
  };
  const decide = async (set: Waiting, ...answers: readonly ("allowed" | "denied")[]): Promise<CallReport> => {
    bark.answers.push(...answers);
    return await bark.call("file_ops", waitingCall(set, diffTexts(bark.workspace)));
  };
  const shown = (): string => {
    const question = bark.questions.at(-1);
    const rendered = question === undefined ? null : renderApproval(question);
    return rendered?.kind === "lines" ? rendered.lines.join("\n") : "not shown";
  };

  test("settings of an editor wait with their diff, are written by a yes, and taken back by one undo", async () => {
    bark.put({ ".vscode/settings.json": '{"a": 1}\n', "a.txt": "1\n" });
    const report = await bark.bash(`echo '{"a": 2}' > .vscode/settings.json; mkdir .idea; echo x > .idea/w.xml; echo 2 > a.txt`, "allowed");
    expect(read("a.txt")).toBe("2\n");
    expect(read(".vscode/settings.json")).toBe('{"a": 1}\n');
    const set = waiting(report);
    expect(report.blocked.map(({ what }) => what).sort()).toEqual([".idea/w.xml", ".vscode/settings.json"]);
    expect(report.blocked[0]?.instead).toContain(set.id);
    expect((await decide(set)).status).toBe("unanswered");
    expect(read(".vscode/settings.json")).toBe('{"a": 1}\n');
    const done = await decide(set, "allowed");
    expect(shown()).toContain('-{"a": 1}');
    expect(shown()).toContain('+{"a": 2}');
    expect(done).toMatchObject({ status: "done", executed: { workspace: { conflicts: [], refused: [] } } });
    expect(read(".vscode/settings.json")).toBe('{"a": 2}\n');
    expect(read(".idea/w.xml")).toBe("x\n");
    expect(bark.approvals).toEqual(["allowed", "unanswered", "allowed"]);
    expect(await bark.steps.undo(bark.workspace, null)).toMatchObject({ ok: true });
    expect(read(".vscode/settings.json")).toBe('{"a": 1}\n');
  });

  test("a file that changed on the host meanwhile keeps what the person wrote; the program's waits against it", async () => {
    bark.put({ "a.txt": "before\n", "b.txt": "b\n" });
    const running = bark.bash("echo mine > a.txt; echo mine > b.txt; sleep 1", "allowed");
    await Bun.sleep(600);
    writeFileSync(join(bark.workspace, "a.txt"), "host\n");
    const report = await running;
    expect(report.executed?.workspace?.applied).toEqual(["b.txt"]);
    expect(read("a.txt")).toBe("host\n");
    const set = waiting(report);
    expect(set.changes.map(({ rule }) => rule)).toEqual(["conflict"]);
    // It changes once more: the yes was for something else.
    writeFileSync(join(bark.workspace, "a.txt"), "host again\n");
    expect((await decide(set, "allowed")).status).toBe("failed");
    expect(read("a.txt")).toBe("host again\n");
    writeFileSync(join(bark.workspace, "a.txt"), "host\n");
    expect((await decide(set, "allowed")).status).toBe("done");
    expect(shown()).toContain("-host");
    expect(read("a.txt")).toBe("mine\n");
  });

  test("more than goes through unasked waits whole, and is asked about as a sum", async () => {
    bark[Symbol.dispose]();
    bark = new BarkRoom(undefined, { files: 300, bytes: 1 << 20 });
    const files = 300;
    const report = await bark.bash(
      `mkdir -p d; seq ${files + 1} | while read i; do : > d/$i; done; mkdir .vscode; echo x > .vscode/a`,
      "allowed",
    );
    expect(report.executed?.workspace?.applied).toEqual([]);
    expect(existsSync(join(bark.workspace, "d"))).toBe(false);
    const set = waiting(report);
    const done = await decide(set, "allowed");
    expect(shown()).toContain(`d/: ${files + 1} written, 0 bytes; 0 deleted`);
    expect(shown()).toContain("new .vscode/a: 2 bytes, SHA-256 ");
    expect(done.status).toBe("done");
    expect(readdirSync(join(bark.workspace, "d"))).toHaveLength(files + 1);
  });

  test("what waits outlives the process, is bounded in age, and its bytes are those that were judged", async () => {
    const report = await bark.bash("mkdir .vscode; echo x > .vscode/a", "allowed");
    const set = waiting(report);
    const [entry] = set.changes.filter(({ change }) => change.kind === "write");
    if (entry?.change.kind !== "write") throw new Error("no bytes");
    expect(statSync(entry.change.content.file).mode & 0o077).toBe(0);
    writeFileSync(entry.change.content.file, "other\n");
    expect((await decide(set, "allowed")).status).toBe("failed");
    expect(existsSync(join(bark.workspace, ".vscode/a"))).toBe(false);
    expect(bark.pending.get(`../${set.id}`)).toBeNull();
    expect(bark.pending.list().map(({ id }) => id)).toEqual([set.id]);
    bark.now += 31 * 24 * 3_600_000;
    expect(bark.pending.list()).toEqual([]);
  });

  test("a folder that became a link leads nowhere", async () => {
    bark.put({ ".vscode/settings.json": "1\n" });
    const set = waiting(await bark.bash("echo 2 > .vscode/settings.json", "allowed"));
    const outside = join(bark.room.folder, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "settings.json"), "1\n");
    const { renameSync } = await import("node:fs");
    renameSync(join(bark.workspace, ".vscode"), join(bark.workspace, "x"));
    symlinkSync(outside, join(bark.workspace, ".vscode"));
    expect((await decide(set, "allowed")).status).toBe("failed");
    expect(readFileSync(join(outside, "settings.json"), "utf8")).toBe("1\n");
  });
});
