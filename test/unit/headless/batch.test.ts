import { expect, test } from "bun:test";
import { batchLineErrorText, verdictText } from "../../../src/cli/error-text.ts";
import { answerBatch } from "../../../src/headless/batch.ts";
import type { PipedError } from "../../../src/headless/piped-text.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import { ManualTimers, type ScriptedAnswer, ScriptedSession } from "../../support/scripted-session.ts";

async function batch(lines: readonly (string | PipedError)[], answers: readonly ScriptedAnswer[]) {
  let stdout = "";
  let stderr = "";
  const session = new ScriptedSession(answers);
  async function* input(): AsyncGenerator<Result<string, PipedError>> {
    for (const line of lines) yield typeof line === "string" ? ok(line) : err(line);
  }
  const code = await answerBatch(session, input(), {
    output: "json",
    thinking: "hide",
    verbose: false,
    workspace: "/somewhere",
    timeoutMs: null,
    maxTokens: null,
    schema: null,
    io: {
      out: (text) => (stdout += text),
      err: (text) => (stderr += text),
      stdoutIsTerminal: false,
      stderrIsTerminal: false,
      signal: new AbortController().signal,
    },
    timers: new ManualTimers(),
    explain: verdictText,
    explainLine: batchLineErrorText,
    ephemeral: false,
  });
  const objects = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { code, objects, stderr, session };
}

test("one line for each, in order, each a conversation of its own", async () => {
  const { code, objects, session } = await batch(
    ['{"id": "a", "prompt": "one"}', "", '{"prompt": "two", "input": "data"}'],
    [{ text: ["1"] }, { text: ["2"] }],
  );
  expect(code).toBe(0);
  expect(objects.map(({ id, line, answer }) => ({ id, line, answer }))).toEqual([
    { id: "a", line: 1, answer: "1" },
    { id: null, line: 2, answer: "2" },
  ]);
  expect(session.prompts).toEqual([
    [{ kind: "typed", text: "one" }],
    [
      { kind: "typed", text: "two" },
      { kind: "piped", text: "\n\ndata" },
    ],
  ]);
  expect(session.commands.filter((command) => command.type === "new-session")).toHaveLength(2);
});

test("a bad line is answered in its place and the rest goes on", async () => {
  const { code, objects } = await batch(
    [
      "{",
      '{"id": 2, "promt": "x"}',
      '{"id": 3, "prompt": ""}',
      '{"id": 4, "prompt": "/retry"}',
      { kind: "binary", offset: 3 },
      '{"id": 6, "prompt": "fails"}',
      '{"id": 7, "prompt": "works"}',
      String.raw`{"id": 8, "prompt": "a\u0000b"}`,
    ],
    [{ failure: { kind: "engine", error: { kind: "hung", seconds: 30 } } }, { text: ["yes"] }],
  );
  expect(objects.map((object) => [object["id"], (object["error"] as { kind?: string } | undefined)?.kind ?? object["answer"]])).toEqual([
    [null, "not-json"],
    [2, "bad-line"],
    [3, "empty"],
    [4, "slash-command"],
    [null, "binary"],
    [6, "hung"],
    [7, "yes"],
    [8, "bad-line"],
  ]);
  // The first failure decides.
  expect(code).toBe(2);
});

test("an input that ends in trouble is the last line", async () => {
  const { code, objects } = await batch(['{"prompt": "a"}', { kind: "silent", seconds: 30 }, '{"prompt": "never"}'], [{ text: ["1"] }]);
  expect(objects).toHaveLength(2);
  expect(code).toBe(2);
});
