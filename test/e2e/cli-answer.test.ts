/** Answers of the compiled program, from tiny models that recite a script: exact text without a download. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeTinyModel } from "../support/gguf.ts";
import { cleanEnvironment, run, type RunOptions, type Stick, stickWith, tempDir } from "../support/noctem.ts";

const shelf = tempDir();
const says = writeTinyModel(join(shelf.path, "says.gguf"), { says: ["Hello", " there", ", friend", "."] });
/** Goes on until the context is full; what it repeats is too short to be taken for a loop. */
const ticks = writeTinyModel(join(shelf.path, "ticks.gguf"), {
  contextLength: 131_072,
  says: ["tick ", "tock "],
  afterwards: { repeatFrom: 0 },
});
// A first run measures threads; these runs are all first runs.
const env = { ...cleanEnvironment, NOCTEM_THREADS: "1" };
const ANSWER = "Hello there, friend.";

let stick: Stick;
beforeAll(() => {
  stick = stickWith({ models: [says] });
});
afterAll(() => {
  stick[Symbol.dispose]();
  shelf[Symbol.dispose]();
});

const noctem = (args: readonly string[], options: RunOptions = {}) => run(args, { env, program: stick.program, ...options });
type Json = Record<string, unknown>;
const json = (text: string): Json => JSON.parse(text) as Json;

interface Shown {
  readonly messages: readonly {
    readonly spans: readonly { readonly kind: string; readonly text: string }[];
    readonly label: { readonly i: number };
    readonly reply: { readonly stop: string } | null;
  }[];
}
const shown = async (id: unknown): Promise<Shown> => JSON.parse((await noctem(["sessions", "show", String(id), "--json"])).stdout) as Shown;

describe("one answer", () => {
  test("by -p, by a pipe, by --headless: the answer alone on stdout", async () => {
    for (const [args, options] of [
      [["-p", "Hi"], {}],
      [[], { stdin: "Hi\n" }],
      [["--headless"], { stdin: "Hi" }],
    ] as const)
      expect(await noctem([...args, "--no-store"], options)).toMatchObject({ code: 0, stdout: `${ANSWER}\n`, stderr: "" });
  });

  test("json has every field, and the session can be shown", async () => {
    const result = json((await noctem(["-p", "Hi", "-o", "json", "--seed", "5"])).stdout);
    expect(result).toMatchObject({
      answer: ANSWER,
      reasoning: null,
      stop: "end",
      denials: [],
      seed: 5,
      model: expect.stringContaining("says"),
      tier: "quick",
    });
    expect(Object.keys(result)).toEqual([
      "answer",
      "reasoning",
      "model",
      "tier",
      "reason",
      "stop",
      "denials",
      "tokens",
      "timings",
      "context",
      "session",
      "seed",
      "cage",
    ]);
    const { messages } = await shown(result["session"]);
    expect(messages.map((message) => message.spans)).toEqual([[{ kind: "typed", text: "Hi" }], [{ kind: "model", text: ANSWER }]]);
    expect(messages[0]?.label.i).toBe(3);
  });

  test("text beside -p is data, text alone is the prompt", async () => {
    const beside = await shown(json((await noctem(["-p", "Hi", "-o", "json"], { stdin: "log line\n" })).stdout)["session"]);
    expect(beside.messages[0]).toMatchObject({ spans: [{ kind: "typed" }, { kind: "piped", text: "\n\nlog line\n" }], label: { i: 0 } });
    const alone = await shown(json((await noctem(["-o", "json"], { stdin: "Hi\n" })).stdout)["session"]);
    expect(alone.messages[0]).toMatchObject({ spans: [{ kind: "piped", text: "Hi\n" }], label: { i: 2 } });
  });

  test("stream-json ends in the same object", async () => {
    const lines = (await noctem(["-p", "Hi", "-o", "stream-json", "--no-store"])).stdout.trimEnd().split("\n").map(json);
    expect(
      lines
        .filter((line) => line["type"] === "text")
        .map((line) => line["text"])
        .join(""),
    ).toBe(ANSWER);
    expect(lines.at(-1)).toMatchObject({ type: "result", answer: ANSWER, session: null });
    expect(lines.length).toBeLessThan(30);
  });

  test("--verbose explains on stderr", async () => {
    const { stderr } = await noctem(["-p", "Hi", "--verbose", "--no-store"]);
    for (const part of ["workspace ", "quick tier", "context ", "GPU 0 of", "threads 1", "prompt tokens", "seed "])
      expect(stderr).toContain(part);
  });

  test("an own --max-tokens is no failure", async () => {
    const { code, stdout } = await noctem(["-p", "Hi", "--max-tokens", "2", "-o", "json", "--no-store"]);
    expect({ code, ...json(stdout) }).toMatchObject({ code: 0, stop: "length", answer: "Hello there" });
  });

  test("a missing model, a prompt that is too long", async () => {
    const unknown = await noctem(["-p", "Hi", "--model", "nosuch", "--no-store"]);
    expect({ code: unknown.code, stdout: unknown.stdout }).toEqual({ code: 3, stdout: "" });
    const long = await noctem(["--no-store", "-o", "json"], { stdin: "word ".repeat(20_000) });
    expect(long.code).toBe(5);
    expect((json(long.stdout)["error"] as Json)["message"]).toMatch(/takes \d+ tokens, and the context holds \d+/u);
  });
});

describe("conversations", () => {
  test("--continue and --resume go on, --no-store leaves nothing", async () => {
    using own = stickWith({ models: [says] });
    const at = (args: readonly string[]) => noctem(args, { program: own.program });
    expect((await at(["-p", "Hi", "--no-store"])).code).toBe(0);
    expect(existsSync(join(own.path, "heart.sqlite"))).toBe(false);
    expect((await at(["--continue", "-p", "Hi"])).code).toBe(2);
    const { session } = json((await at(["-p", "First", "-o", "json"])).stdout);
    expect(json((await at(["--continue", "-p", "Second", "-o", "json"])).stdout)["session"]).toBe(session);
    expect(json((await at(["--resume", String(session).slice(0, 6).toUpperCase(), "-p", "Third", "-o", "json"])).stdout)["session"]).toBe(
      session,
    );
    expect((await at(["--resume", "ffff0000", "-p", "x"])).code).toBe(2);
    const list = JSON.parse((await at(["sessions", "list", "--json"])).stdout) as { sessions: Json[] };
    expect(list.sessions).toMatchObject([{ id: session, title: "First", messages: 6 }]);
  });

  test("show, export and delete", async () => {
    using own = stickWith({ models: [says] });
    const at = (args: readonly string[]) => noctem(args, { program: own.program, cwd: own.path });
    const { session } = json((await at(["-p", "What\u001b[31m?", "-o", "json"])).stdout);
    const id = String(session).slice(0, 8);
    expect((await at(["sessions", "show", id])).stdout).toContain(ANSWER);
    expect((await at(["sessions", "export", id, "talk.md"])).code).toBe(0);
    expect(readFileSync(join(own.path, "talk.md"), "utf8")).toContain(ANSWER);
    const again = await at(["sessions", "export", id, "talk.md"]);
    expect({ code: again.code, said: again.stderr.includes("exists already") }).toEqual({ code: 2, said: true });
    const exported = JSON.parse((await at(["sessions", "export", id, "--json"])).stdout) as { messages: unknown[] };
    expect(exported.messages).toHaveLength(2);
    expect((await at(["sessions", "delete", id])).code).toBe(2);
    expect((await at(["sessions", "delete", id, "--yes"])).stderr).toContain("Forgot 2 messages for good");
    expect(readFileSync(join(own.path, "heart.sqlite")).includes(ANSWER)).toBe(false);
  });
});

describe("batch", () => {
  test("JSON lines in, JSON lines out, in order", async () => {
    const lines = ['{"id": 1, "prompt": "Hi"}', "nonsense", '{"id": "b", "prompt": "Ho"}'];
    const { code, stdout } = await noctem(["--batch", "--no-store"], { stdin: `${lines.join("\n")}\n` });
    const answers = stdout.trimEnd().split("\n").map(json);
    expect(answers.map(({ id, line, answer }) => [id, line, answer])).toEqual([
      [1, 1, ANSWER],
      [null, 2, undefined],
      ["b", 3, ANSWER],
    ]);
    expect(code).toBe(2);
    expect((await noctem(["--batch", "--no-store"], { stdin: '{"prompt": "Hi"}' })).code).toBe(0);
  });

  test("a coprocess: each answer comes before the next question", async () => {
    const child = Bun.spawn([stick.program, "--batch", "--no-store"], {
      env,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
      timeout: 60_000,
    });
    const reader = child.stdout.getReader();
    for (let turn = 1; turn <= 3; turn++) {
      void child.stdin.write(`{"id": ${turn}, "prompt": "Hi"}\n`);
      await child.stdin.flush();
      let text = "";
      while (!text.endsWith("\n")) text += new TextDecoder().decode((await reader.read()).value);
      expect(json(text)).toMatchObject({ id: turn, answer: ANSWER });
    }
    await child.stdin.end();
    expect(await child.exited).toBe(0);
  });
});

describe("cut short", () => {
  const endless = ["-p", "go on", "--temperature", "0", "--model", ticks, "--context", "131072"];

  test("--timeout ends in 124 and keeps what there is", async () => {
    const { code, stdout, stderr } = await noctem([...endless, "--timeout", "1", "-o", "json"]);
    const result = json(stdout);
    expect({ code, stop: result["stop"] }).toEqual({ code: 124, stop: "timeout" });
    expect(stderr).toContain("The answer so far was kept");
    expect((await shown(result["session"])).messages[1]?.reply?.stop).toBe("timeout");
  });

  test("--timeout ends in 124 and keeps what there is, also when the engine stands still", async () => {
    const args = [...endless, "--timeout", "3", "-o", "stream-json"];
    const child = Bun.spawn([stick.program, ...args], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: 60_000 });
    let out = "";
    const decoder = new TextDecoder();
    let stopped = false;
    for await (const bytes of child.stdout) {
      out += decoder.decode(bytes, { stream: true });
      if (stopped || !out.includes("tick tock")) continue;
      stopped = true;
      process.kill(Number(await Bun.$`pgrep -P ${child.pid}`.text()), "SIGSTOP");
    }
    expect(stopped).toBe(true);
    const result = json(out.trimEnd().split("\n").at(-1) ?? "");
    expect({ code: await child.exited, stop: result["stop"], model: result["model"] }).toEqual({
      code: 124,
      stop: "timeout",
      model: "ticks",
    });
    expect((await shown(result["session"])).messages[1]?.reply?.stop).toBe("timeout");
  }, 30_000);

  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    test(`${signal} ends in ${code} and keeps what there is`, async () => {
      const child = Bun.spawn([stick.program, ...endless], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: 60_000 });
      const reader = child.stdout.getReader();
      await reader.read();
      child.kill(signal);
      expect(await child.exited).toBe(code);
      const { sessions } = JSON.parse((await noctem(["sessions", "list", "--json", "--limit", "1"])).stdout) as { sessions: Json[] };
      expect((await shown(sessions[0]?.["id"])).messages[1]?.reply?.stop).toBe("cancelled");
    });

  test("a reader that had enough ends in 0 and keeps what there is", async () => {
    const child = Bun.spawn(["bash", "-c", 'set -o pipefail; "$0" "$@" | head -c 1', stick.program, ...endless], {
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: 60_000,
    });
    expect([await child.exited, await child.stderr.text()]).toEqual([0, ""]);
    const { sessions } = JSON.parse((await noctem(["sessions", "list", "--json", "--limit", "1"])).stdout) as { sessions: Json[] };
    expect((await shown(sessions[0]?.["id"])).messages[1]?.reply?.stop).toBe("cancelled");
  });
});

test("--template and --json-schema are read before anything is loaded", async () => {
  using dir = tempDir();
  const schema = join(dir.path, "s.json");
  writeFileSync(schema, '{"type": "string", "pattern": "a"}');
  for (const [args, part] of [
    [["--json-schema", schema], '"pattern"'],
    [["--json-schema", join(dir.path, "none")], "there is no file"],
    [["--template", join(dir.path, "none")], "there is no file"],
  ] as const) {
    const { code, stderr } = await noctem(["-p", "Hi", ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(part);
  }
  writeFileSync(schema, '{"enum": ["yes", "no"]}');
  const { code, stdout } = await noctem(["-p", "Hi", "--json-schema", schema, "-o", "json", "--no-store"]);
  expect(code).toBe(0);
  expect(["yes", "no"]).toContain(json(stdout)["value"] as string);
});
