/** What is painted ahead of Ink, seen on a terminal: whatever comes in between, the screen ends up as the newest frame says. */
import { describe, expect, test } from "bun:test";
import { Terminal } from "@xterm/headless";
import fc from "fast-check";
import { EchoAhead } from "../../../tui/echo-ahead.ts";

const ROWS = 10;
const COLUMNS = 20;
const frame = (rows: readonly string[], x = 0) => ({ rows, cursor: { x, y: ROWS - 1 } });
const blank = Array.from({ length: ROWS }, () => "");
const withRow = (index: number, text: string): string[] => blank.map((row, at) => (at === index ? text : row));

async function screenOf(bytes: string): Promise<{ rows: string[]; x: number; y: number }> {
  const terminal = new Terminal({ cols: COLUMNS, rows: ROWS, scrollback: 0, allowProposedApi: true });
  await new Promise<void>((resolve) => terminal.write(bytes, resolve));
  const { active } = terminal.buffer;
  const rows = Array.from({ length: ROWS }, (_, row) => active.getLine(row)?.translateToString(true) ?? "");
  const at = { rows, x: active.cursorX, y: active.cursorY };
  terminal.dispose();
  return at;
}

describe("the echo of a key, ahead of Ink", () => {
  test("a changed row is on the screen at once, and the cursor stands where Ink left it", async () => {
    const echo = new EchoAhead();
    echo.paint(frame(blank), false);
    echo.inkWrote();
    const seen = await screenOf(echo.paint(frame(withRow(9, "> a"), 3), true));
    expect(seen.rows[9]).toBe("> a");
    expect([seen.x, seen.y]).toEqual([0, 9]);
  });

  test("before Ink has drawn, and for what nobody typed, nothing is painted", () => {
    const echo = new EchoAhead();
    expect(echo.paint(frame(blank), true)).toBe("");
    echo.inkWrote();
    expect(echo.paint(frame(withRow(1, "token")), false)).toBe("");
  });

  test("a new view is Ink's", () => {
    const echo = new EchoAhead();
    echo.paint(frame(blank), false);
    echo.inkWrote();
    expect(echo.paint(frame(blank.map((_, index) => `row ${index}`)), true)).toBe("");
  });

  test("a row that is its old self again before Ink wrote is painted back, though no key asked", async () => {
    const echo = new EchoAhead();
    echo.paint(frame(blank), false);
    echo.inkWrote();
    const typed = echo.paint(frame(withRow(9, "> a")), true);
    const back = echo.paint(frame(blank), false);
    expect((await screenOf(typed + back)).rows[9]).toBe("");
  });

  test("with an Ink that writes only what it finds different, the screen is the newest frame once Ink has written", async () => {
    const row = fc.string({ unit: fc.constantFrom("a", "b", " ", "é"), maxLength: 5 }).map((text) => text.trimEnd());
    const step = fc.oneof(
      fc.record({ kind: fc.constant("frame" as const), urgent: fc.boolean(), row: fc.nat(ROWS - 1), text: row, x: fc.nat(COLUMNS - 1) }),
      fc.constant({ kind: "ink" as const }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const echo = new EchoAhead();
        let [rows, x, ink] = [blank, 0, blank];
        let bytes = "";
        const inkWrites = (): void => {
          // As Ink does: what it wrote last against what it writes now.
          rows.forEach((text, index) => void (ink[index] === text ? 0 : (bytes += `\u001b[${index + 1};1H${text}\u001b[K`)));
          ink = rows;
          bytes += `\u001b[${ROWS};${x + 1}H`;
          echo.inkWrote();
        };
        echo.paint(frame(rows, x), false);
        inkWrites();
        for (const one of steps) {
          if (one.kind === "ink") inkWrites();
          else {
            rows = rows.map((text, index) => (index === one.row ? one.text : text));
            x = one.x;
            bytes += echo.paint(frame(rows, x), one.urgent);
          }
        }
        inkWrites();
        const seen = await screenOf(bytes);
        expect(seen).toEqual({ rows, x, y: ROWS - 1 });
      }),
      { numRuns: 200 },
    );
  });
});
