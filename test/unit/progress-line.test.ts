import { describe, expect, test } from "bun:test";
import type { CommandIo } from "../../src/cli/command.ts";
import { durationText, progressLine, progressText } from "../../src/cli/progress-line.ts";
import { columns } from "../../src/cli/text-table.ts";
import type { PullProgress } from "../../src/models/port.ts";

const at = (bytes: number, phase: PullProgress["phase"] = "download"): PullProgress => ({
  phase,
  bytes,
  total: 4_680_000_000,
  bytesPerSecond: 19_500_000,
  secondsLeft: 200,
  source: "huggingface.co/a/b",
});

function stderr(terminal: boolean, width = 80): { readonly io: CommandIo; readonly written: string[] } {
  const written: string[] = [];
  const io = {
    err: (text: string) => void written.push(text),
    stderrIsTerminal: terminal,
    columns: width,
    env: {},
  } as unknown as CommandIo;
  return { io, written };
}

describe("progress", () => {
  test("says share, bytes, speed, time left and where from, figures first", () => {
    expect(progressText(at(1_170_000_000))).toBe("25 %, 1.2 GB of 4.7 GB, 20 MB/s, 3 min left, downloading from huggingface.co/a/b");
    expect(progressText({ ...at(5000), total: 0, bytesPerSecond: 0, secondsLeft: null })).toBe("5 kB, downloading from huggingface.co/a/b");
    expect(progressText(at(0, "connect"))).toBe("asking huggingface.co/a/b");
  });

  test("on a terminal one line is drawn over, never wider than the terminal, and wiped at the end", () => {
    const { io, written } = stderr(true, 40);
    using line = progressLine(io, "qwen2.5:7b");
    line.show(at(1));
    line.show(at(2));
    line.clear();
    line.clear();
    expect(written).toHaveLength(3);
    for (const text of written) expect(Bun.stringWidth(text)).toBeLessThan(40);
    expect(written[0]).toStartWith("\rqwen2.5:7b: 0 %, 1 bytes of 4.7 GB");
    expect(written[2]).toBe("\r\u001b[K");
  });

  test("in a log a line comes with each phase and source, and every ten seconds", () => {
    let now = 0;
    const { io, written } = stderr(false);
    using line = progressLine(io, "m", () => now);
    for (let second = 0; second < 25; second++) {
      now = second * 1000;
      line.show(at(second * 2e7));
    }
    line.show(at(1, "verify"));
    expect(written).toHaveLength(4);
    expect(written.join("")).not.toContain("\r");
  });

  test("a name from outside cannot steer the terminal", () => {
    const { io, written } = stderr(false);
    progressLine(io, "a\u001b]52;c;x\u0007").show({ ...at(1), source: "evil\u001b[2J" });
    expect(written.join("")).not.toContain("\u001b");
  });

  test("times are said as people say them", () => {
    expect([0.2, 89, 100, 5399, 7200].map(durationText)).toEqual(["1 s", "89 s", "2 min", "90 min", "2.0 h"]);
  });
});

test("columns line up, wide characters included, without trailing spaces", () => {
  expect(
    columns(
      [
        ["a", "1", "x"],
        ["日本", "22", ""],
      ],
      ["left", "right", "left"],
      "  ",
    ),
  ).toBe("  a      1  x\n  日本  22\n");
});
