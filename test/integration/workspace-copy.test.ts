/** The bounded copy where overlayfs refuses: on a real file system that it does not stand on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitingCall } from "../../src/bark/pending.ts";
import { diffTexts } from "../../src/platform/workspace/writer.ts";
import { BarkRoom } from "../support/bark.ts";
import { NO_CAGE } from "../support/cage.ts";
import { loopStick, noStack, noStick, stackedFolder } from "../support/mounts.ts";
import type { TempDir } from "../support/noctem.ts";

/** exfat through FUSE carries an overlay, so it is no case for this. */
const CASES = [
  ["vfat", noStick("vfat"), () => loopStick("vfat", 64)],
  ["overlays as deep as they go", noStack(), stackedFolder],
] as const;

describe.each(CASES)("a workspace on %s", (kind, reason, make) => {
  const why = NO_CAGE ?? reason;
  const name = (text: string): string => (why === null ? text : `${text} (skipped: ${why})`);
  let stick: TempDir;
  let bark: BarkRoom;
  beforeAll(() => {
    if (why !== null) return;
    stick = make();
    bark = new BarkRoom(join(stick.path, "work"));
  });
  afterAll(() => {
    if (why !== null) return;
    bark[Symbol.dispose]();
    stick[Symbol.dispose]();
  });
  const read = (path: string): string => readFileSync(join(bark.workspace, path), "utf8");

  test.skipIf(why !== null)(name("is copied, and its difference judged, applied and taken back like any other"), async () => {
    bark.put({ "a.txt": "one\n", "d/b.txt": "two\n", "gone/c.txt": "three\n", ".git/config": "[core]\n" });
    utimesSync(join(bark.workspace, "a.txt"), 1_600_000_000, 1_600_000_000);
    const report = await bark.bash(
      "stat -c %Y a.txt; echo 2 > d/b.txt; rm -r gone; mkdir n; echo new > n/d.txt; mkdir -p .git/hooks; echo x > .git/hooks/pre-commit",
      "allowed",
    );
    expect(report.text.trim()).toBe("1600000000");
    expect(report.executed?.cage?.view).toBe("copy");
    expect([...(report.executed?.workspace?.applied ?? [])].sort()).toEqual([
      ".git/hooks",
      "d/b.txt",
      "gone",
      "gone/c.txt",
      "n",
      "n/d.txt",
    ]);
    expect(report.executed?.workspace?.refused.map(({ change }) => change.path)).toEqual([".git/hooks/pre-commit"]);
    expect(read("d/b.txt")).toBe("2\n");
    expect(read("n/d.txt")).toBe("new\n");
    expect(existsSync(join(bark.workspace, "gone"))).toBe(false);
    expect(await bark.steps.undo(bark.workspace, null)).toMatchObject({ ok: true });
    expect(read("d/b.txt")).toBe("two\n");
    expect(read("gone/c.txt")).toBe("three\n");
    expect(existsSync(join(bark.workspace, "n"))).toBe(false);
  });

  test.skipIf(why !== null)(name("a file that changed on the host meanwhile is a conflict"), async () => {
    bark.put({ "c.txt": "before\n", go: "" });
    const running = bark.bash("while [ ! -e /tmp/x ]; do echo mine > c.txt; sleep 1; touch /tmp/x; done", "allowed");
    await Bun.sleep(600);
    writeFileSync(join(bark.workspace, "c.txt"), "host\n");
    const report = await running;
    expect(report.executed?.workspace).toMatchObject({ applied: [], pending: [{ rule: "conflict" }] });
    expect(read("c.txt")).toBe("host\n");
    // A yes is given to what stands there now, not to what was copied.
    const waiting = bark.pending.get(report.executed?.workspace?.waiting ?? "");
    if (waiting === null) throw new Error("nothing waits");
    bark.answers.push("allowed");
    expect((await bark.call("file_ops", waitingCall(waiting, diffTexts(bark.workspace)))).status).toBe("done");
    expect(read("c.txt")).toBe("mine\n");
  });

  // vfat has no files with holes.
  test.skipIf(why !== null || kind === "vfat")(name("what is too large to be copied is one sentence, and nothing runs"), async () => {
    writeFileSync(join(bark.workspace, "large"), "");
    truncateSync(join(bark.workspace, "large"), 600 << 20);
    const report = await bark.bash("echo ran > ran.txt", "allowed");
    expect(report.status).toBe("failed");
    expect(report.text).toContain("more than 20000 files or 512 MB");
    expect(existsSync(join(bark.workspace, "ran.txt"))).toBe(false);
  });
});
