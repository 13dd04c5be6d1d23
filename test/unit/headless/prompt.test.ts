import { expect, test } from "bun:test";
import { promptSpans } from "../../../src/headless/prompt.ts";

test("typed words are the prompt, piped text beside them is data, piped text alone is the prompt", () => {
  expect(promptSpans("Why?", null)).toEqual({ ok: true, value: [{ kind: "typed", text: "Why?" }] });
  expect(promptSpans("Why?", "log\n")).toEqual({
    ok: true,
    value: [
      { kind: "typed", text: "Why?" },
      { kind: "piped", text: "\n\nlog\n" },
    ],
  });
  expect(promptSpans("Why?", " \n")).toEqual({ ok: true, value: [{ kind: "typed", text: "Why?" }] });
  expect(promptSpans(null, "Why?\n")).toEqual({ ok: true, value: [{ kind: "piped", text: "Why?\n" }] });
});

test("nothing to say is an error", () => {
  for (const [typed, piped] of [
    [null, null],
    [null, " \n\t"],
    ["  ", null],
  ] as const)
    expect(promptSpans(typed, piped)).toEqual({ ok: false, error: { kind: "empty" } });
});

test("a slash command is an error; paths, text with a slash and several lines are not", () => {
  for (const text of ["/retry", "/model qwen", "/foo\n"])
    expect(promptSpans(text, null)).toMatchObject({ error: { kind: "slash-command" } });
  expect(promptSpans(null, "/help\n")).toMatchObject({ error: { kind: "slash-command", name: "/help" } });
  for (const text of ["/usr/bin/env is what?", " /retry", "/etc\nlists configuration", "/ is the root", "/Users is what?"])
    expect(promptSpans(text, null).ok).toBe(true);
});
