import { describe, expect, test } from "bun:test";
import { Composer } from "../../../tui/parts/composer.ts";

function typed(text: string, composer = new Composer()): Composer {
  for (const key of text) composer.key(key);
  return composer;
}

describe("composer", () => {
  test("typed words are typed, pasted ones are pasted, in order", () => {
    const composer = typed("look: ");
    composer.paste("evil");
    typed(" and ", composer);
    composer.paste("two\nlines");
    expect(composer.text).toBe("look: [paste #1 4 chars] and [paste #2 +2 lines]");
    expect(composer.submit()).toEqual([
      { kind: "typed", text: "look: " },
      { kind: "pasted", text: "evil" },
      { kind: "typed", text: " and " },
      { kind: "pasted", text: "two\nlines" },
    ]);
    expect(composer.empty).toBe(true);
  });

  test("a chip is one character to the cursor and to Backspace", () => {
    const composer = typed("a");
    composer.paste("pasted text");
    composer.key("\u007f");
    expect(composer.text).toBe("a");
  });

  test("what is typed to look like a chip is only text", () => {
    expect(typed("[paste #7 +3 lines]").submit()).toEqual([{ kind: "typed", text: "[paste #7 +3 lines]" }]);
  });

  test("a draft from history keeps what was pasted as pasted", () => {
    const composer = typed("see ");
    composer.paste("data");
    composer.submit();
    composer.key("\u001b[A");
    expect(composer.text).toBe("see [paste #1 4 chars]");
    expect(composer.submit()).toEqual([
      { kind: "typed", text: "see " },
      { kind: "pasted", text: "data" },
    ]);
  });

  test("a chip can be made the person's own", () => {
    const composer = typed("x ");
    composer.paste("mine");
    expect(composer.promote()).toBe(true);
    expect(composer.submit()).toEqual([{ kind: "typed", text: "x mine" }]);
    expect(composer.promote()).toBe(false);
  });

  test("several lines, a backslash before Enter, and the cursor", () => {
    const composer = typed("one\\");
    expect(composer.takeBackslash()).toBe(true);
    composer.newline();
    typed("漢字", composer);
    const frame = composer.frame(20);
    expect(frame.rows).toEqual(["one", "漢字"]);
    expect(frame.cursor).toEqual({ x: 4, y: 1 });
    expect(composer.takeBackslash()).toBe(false);
  });

  test("never more than six rows, and the cursor is among them", () => {
    const composer = new Composer();
    for (let line = 0; line < 20; line++) {
      typed(`line ${line}`, composer);
      composer.newline();
    }
    const frame = composer.frame(30);
    expect(frame.rows.length).toBe(6);
    expect(frame.cursor.y).toBe(5);
  });
});
