/** A bug must leave a person with their terminal and with the report, not with the screen of a dead program. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openPty } from "../support/pty.ts";

test.each(["throw", "reject", "draw"])(
  "%s: the terminal is put back, and the report stands where it can be read",
  async (how) => {
    await using chat = openPty([process.execPath, join(import.meta.dir, "../support/tui-crash.ts")], { env: { HOW: how } });
    await chat.see(/Noctem: a private assistant/u);
    if (how === "draw") {
      await Bun.sleep(400);
      chat.send("x");
    }
    expect(await chat.exited).toBe(1);
    const screen = await chat.see(/a bug was reported: (?:in a|while)/u);
    expect(screen).not.toContain("Noctem: a private assistant");
    expect(chat.restored()).toEqual({ mainScreen: true, cursorShown: true, plainPaste: true });
  },
  20_000,
);
