import { describe, expect, test } from "bun:test";
import { verdictText } from "../../../src/cli/error-text.ts";
import { answerOnce, type HeadlessSetup } from "../../../src/headless/headless.ts";
import { compileSchema } from "../../../src/headless/json-schema.ts";
import type { HeadlessIo } from "../../../src/headless/ports.ts";
import type { Span } from "../../../src/lib/message.ts";
import { ManualTimers, SCRIPTED_SESSION, type ScriptedAnswer, ScriptedSession } from "../../support/scripted-session.ts";

const HELLO: readonly Span[] = [{ kind: "typed", text: "Hello" }];

class Capture implements HeadlessIo {
  stdout = "";
  stderr = "";
  readonly abort = new AbortController();
  readonly signal = this.abort.signal;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  constructor(terminal = false) {
    this.stdoutIsTerminal = terminal;
    this.stderrIsTerminal = terminal;
  }
  out(text: string): void {
    this.stdout += text;
  }
  err(text: string): void {
    this.stderr += text;
  }
}

function setup(io: HeadlessIo, rest: Partial<HeadlessSetup> = {}): HeadlessSetup & { timers: ManualTimers } {
  return {
    output: "text",
    thinking: "hide",
    verbose: false,
    workspace: "/somewhere",
    timeoutMs: null,
    maxTokens: null,
    schema: null,
    io,
    explain: verdictText,
    ...rest,
    timers: new ManualTimers(),
  };
}

async function once(answer: ScriptedAnswer, rest: Partial<HeadlessSetup> = {}, io = new Capture()) {
  const code = await answerOnce(new ScriptedSession([answer]), HELLO, setup(io, rest));
  return { code, stdout: io.stdout, stderr: io.stderr };
}

const schemaOf = (source: unknown) => {
  const compiled = compileSchema(source);
  if (!compiled.ok) throw new Error(compiled.error);
  return compiled.value;
};

describe("text", () => {
  test("the answer alone on stdout, with one line end", async () => {
    expect(await once({ text: ["Par", "is."] })).toEqual({ code: 0, stdout: "Paris.\n", stderr: "" });
    expect((await once({ text: ["Paris.\n"] })).stdout).toBe("Paris.\n");
  });

  test("leading space of the model is dropped, space inside is not", async () => {
    expect((await once({ text: [" ", "\n", " a", " b"] })).stdout).toBe("a b\n");
  });

  test("reasoning is on neither stream unless asked for", async () => {
    const answer = { reasoning: "Let me see.", text: ["Four."] };
    expect(await once(answer)).toEqual({ code: 0, stdout: "Four.\n", stderr: "" });
    expect(await once(answer, { thinking: "stderr" })).toEqual({ code: 0, stdout: "Four.\n", stderr: "Let me see.\n" });
  });

  test("a terminal never gets control sequences, a pipe gets the text as it is", async () => {
    const hostile = "a\u001b]52;c;aGk=\u0007b\u202ec\r\n\td";
    expect((await once({ text: [hostile] })).stdout).toBe(`${hostile}\n`);
    expect((await once({ text: [hostile] }, {}, new Capture(true))).stdout).toBe("a\\u{1b}]52;c;aGk=\\u{7}b\\u{202e}c\n\td\n");
  });

  test("notices and failures go to stderr with their exit code", async () => {
    const trimmed = { type: "turn-trimmed", turn: 1, dropped: 2, contextSize: 2048 } as const;
    const shortened = await once({ text: ["Yes."], before: [trimmed] });
    expect(shortened).toEqual({
      code: 0,
      stdout: "Yes.\n",
      stderr: "noctem: The 2 oldest messages were left out: the context holds 2048 tokens.\n",
    });
    const failed = await once({ text: ["Ye"], failure: { kind: "no-model", hint: "Pull one." } });
    expect(failed).toEqual({ code: 3, stdout: "Ye\n", stderr: "noctem: Pull one.\n" });
  });

  test("--verbose says what ran", async () => {
    const { stderr } = await once({ text: ["Yes."] }, { verbose: true });
    expect(stderr).toContain("noctem: workspace /somewhere\n");
    expect(stderr).toContain("noctem: quick tier, scripted: a short question\n");
    expect(stderr).toContain("12 prompt tokens (4 reused)");
  });
});

describe("what an answer ends in", () => {
  test("an own limit is done, another is cut off", async () => {
    expect((await once({ text: ["a", "b"], stop: "length" }, { maxTokens: 2 })).code).toBe(0);
    expect((await once({ text: ["a", "b"], stop: "length" })).code).toBe(13);
    // Stopped short of the own limit: the context was full first.
    expect((await once({ text: ["a", "b"], stop: "length" }, { maxTokens: 100 })).code).toBe(13);
  });

  test("a loop, and nothing but reasoning, are cut off; silence is said", async () => {
    expect((await once({ text: ["ha ha"], stop: "loop" })).code).toBe(13);
    expect((await once({ reasoning: "Hmm." })).code).toBe(13);
    expect(await once({})).toEqual({ code: 0, stdout: "", stderr: "noctem: The model answered with nothing.\n" });
  });

  test("a time-out cancels with its reason and keeps the partial answer", async () => {
    const io = new Capture();
    const session = new ScriptedSession([{ text: ["par"], hangs: true }]);
    const options = setup(io, { timeoutMs: 3000 });
    const running = answerOnce(session, HELLO, options);
    await Bun.sleep(0);
    options.timers.advance(2999);
    expect(session.commands).toHaveLength(1);
    options.timers.advance(1);
    expect(await running).toBe(124);
    expect(session.commands[1]).toEqual({ type: "cancel", because: "timeout" });
    expect(io.stdout).toBe("par\n");
    expect(io.stderr).toBe("noctem: The time given by --timeout is over. The answer so far was kept.\n");
    expect(options.timers.pending).toBe(0);
  });

  test("an interruption cancels; an engine that ignores it is not waited for", async () => {
    for (const script of [{ hangs: true }, { deaf: true }] as const) {
      const io = new Capture();
      const options = setup(io);
      const running = answerOnce(new ScriptedSession([{ text: ["par"], ...script }]), HELLO, options);
      await Bun.sleep(0);
      io.abort.abort();
      await Bun.sleep(0);
      options.timers.advance(60_000);
      expect(await running).toBe(130);
      expect(io.stdout).toBe("par\n");
    }
  });

  test("a session that says nothing about the turn is a bug, not a hang", async () => {
    expect((await once({ text: ["a"], forgets: true })).code).toBe(1);
  });
});

describe("json", () => {
  test("one object with every field", async () => {
    const { code, stdout, stderr } = await once({ reasoning: "Hmm.", text: ["Par", "is."] }, { output: "json" });
    expect(code).toBe(0);
    expect(stderr).toBe("");
    expect(stdout.endsWith("}\n")).toBe(true);
    expect(JSON.parse(stdout)).toEqual({
      answer: "Paris.",
      reasoning: "Hmm.",
      model: "scripted",
      tier: "quick",
      reason: "a short question",
      stop: "end",
      denials: [],
      tokens: { prompt: 12, cached: 4, completion: 2, reasoning: 1 },
      timings: { firstTokenMs: 5, promptMs: 4, generateMs: 10, tokensPerSecond: 100 },
      context: { used: 20, size: 2048 },
      session: SCRIPTED_SESSION,
      seed: 7,
      cage: null,
    });
  });

  test("an object on failure too, with the sentence that stderr has", async () => {
    const { code, stdout, stderr } = await once(
      { failure: { kind: "engine", error: { kind: "prompt-too-long", promptTokens: 9000, contextSize: 2048 } } },
      { output: "json" },
    );
    const { error, answer, stop } = JSON.parse(stdout) as {
      error: { kind: string; message: string; code: number };
      answer: string;
      stop: string;
    };
    expect({ code, answer, stop }).toEqual({ code: 5, answer: "", stop: "error" });
    expect(error).toEqual({ kind: "prompt-too-long", message: expect.stringContaining("9000 tokens"), code: 5 });
    expect(stderr).toBe(`noctem: ${error.message}\n`);
  });

  test("a schema that is met gives the value, one that is missed ends in 13", async () => {
    const schema = schemaOf({ type: "object", properties: { n: { type: "integer" } }, required: ["n"] });
    const met = await once({ text: ['{"n": 4}'] }, { output: "json", schema });
    expect(met.code).toBe(0);
    expect((JSON.parse(met.stdout) as { value: unknown }).value).toEqual({ n: 4 });
    const missed = await once({ text: ['{"n": 4'], stop: "length" }, { output: "json", schema, maxTokens: 1 });
    expect(missed.code).toBe(13);
    expect(missed.stderr).toContain("it is not JSON");
  });

  test("what is not kept has no session", async () => {
    const io = new Capture();
    await answerOnce(new ScriptedSession([{ text: ["a"] }], { stored: false }), HELLO, setup(io, { output: "json" }));
    expect((JSON.parse(io.stdout) as { session: unknown }).session).toBeNull();
  });
});

describe("stream-json", () => {
  test("one event a line, the result last", async () => {
    const loading = {
      type: "model",
      tier: "quick",
      state: { kind: "loading", name: "scripted", phase: "reading", fraction: 0.5, bytesPerSecond: 1e6, secondsLeft: 3 },
    } as const;
    const { stdout } = await once(
      { reasoning: "Hmm.", text: ["Par", "is."], before: [loading, { ...loading, tier: "task" }] },
      { output: "stream-json" },
    );
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.slice(0, -1)).toEqual([
      { type: "start", model: "scripted", tier: "quick", reason: "a short question" },
      { type: "loading", model: "scripted", phase: "reading", fraction: 0.5, secondsLeft: 3 },
      { type: "prompt", tokens: 12, cached: 4 },
      { type: "reasoning", text: "Hmm." },
      { type: "text", text: "Par" },
      { type: "text", text: "is." },
    ]);
    expect(lines.at(-1)).toMatchObject({ type: "result", answer: "Paris.", stop: "end", denials: [] });
  });

  test("a heartbeat every ten seconds, none after the result", async () => {
    const io = new Capture();
    const options = setup(io, { output: "stream-json", timeoutMs: 25_000 });
    const running = answerOnce(new ScriptedSession([{ text: ["a"], hangs: true }]), HELLO, options);
    await Bun.sleep(0);
    options.timers.advance(25_000);
    expect(await running).toBe(124);
    options.timers.advance(60_000);
    expect(io.stdout.match(/"type":"heartbeat","elapsedMs":\d+/gu)).toEqual([
      '"type":"heartbeat","elapsedMs":10000',
      '"type":"heartbeat","elapsedMs":20000',
    ]);
    expect(options.timers.pending).toBe(0);
  });
});
