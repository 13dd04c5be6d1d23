import { describe, expect, test } from "bun:test";
import { startPlain } from "../../../tui/plain.ts";
import { type ScriptedAnswer, ScriptedSession } from "../../support/scripted-session.ts";

/** Lines that are entered when the test says so. */
class Typist implements AsyncIterable<string> {
  readonly #waiting: ((line: IteratorResult<string>) => void)[] = [];
  readonly #lines: IteratorResult<string>[] = [];

  enter(...lines: readonly string[]): void {
    for (const value of lines) this.#give({ done: false, value });
  }

  end(): void {
    this.#give({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterator<string> {
    return {
      next: () => {
        const line = this.#lines.shift();
        return line ? Promise.resolve(line) : new Promise((resolve) => this.#waiting.push(resolve));
      },
    };
  }

  #give(line: IteratorResult<string>): void {
    const reader = this.#waiting.shift();
    if (reader) reader(line);
    else this.#lines.push(line);
  }
}

function chat(answers: readonly ScriptedAnswer[]) {
  const session = new ScriptedSession(answers);
  const typist = new Typist();
  const abort = new AbortController();
  let written = "";
  const done = startPlain({
    session,
    explain: () => "the engine failed.",
    signal: abort.signal,
    write: (text) => void (written += text),
    lines: typist,
  });
  const until = async (text: string) => {
    for (let turn = 0; turn < 200 && !written.includes(text); turn++) await Bun.sleep(1);
    expect(written).toContain(text);
  };
  return { session, typist, done, abort, until, written: () => written };
}

describe("the chat in lines", () => {
  test("answers in order, says why one stopped, and never sends a control character", async () => {
    const { typist, done, session, written } = chat([
      { text: ["Hel", "lo\u001b[2J\u202e"] },
      { text: ["so", " so"], stop: "loop" },
      { failure: { kind: "no-model", hint: "" } },
    ]);
    typist.enter("one", "//two", "three", "/quit");
    expect(await done).toBe(0);
    expect(session.prompts.map(([span]) => span?.text)).toEqual(["one", "/two", "three"]);
    expect(written()).toContain("> Noctem: Hello\n> Noctem: so so\n(stopped: loop)\n> Error: the engine failed.\n> \n");
    // oxlint-disable-next-line no-control-regex -- control characters are what this is about
    expect(written()).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/u);
  });

  test("an empty line stops an answer; another one waits for it", async () => {
    const { typist, done, session, until } = chat([{ text: ["on and on"], hangs: true }, { text: ["second"] }]);
    typist.enter("go");
    await until("on and on");
    typist.enter("");
    await until("(stopped: cancelled)");
    typist.enter("again");
    await until("second");
    typist.end();
    expect(await done).toBe(0);
    expect(session.commands.map((command) => command.type)).toEqual(["prompt", "cancel", "prompt"]);
  });

  test("a mistyped command is said and not sent; one that needs a screen says so", async () => {
    const { typist, done, session, written } = chat([]);
    typist.enter("/quti", "/copy", "/pull", "/find", "/branch", "/edit", "/tasks");
    typist.end();
    await done;
    expect(session.commands).toEqual([]);
    expect(written()).toContain("There is no command /quti.");
    expect(written()).toContain("/copy needs the full screen.");
    expect(written()).toContain("Nothing runs.");
  });

  test("a signal leaves in the middle of an answer", async () => {
    const { typist, done, abort, until } = chat([{ text: ["on and on"], deaf: true }]);
    typist.enter("go");
    await until("on and on");
    abort.abort();
    expect(await done).toBe(0);
  });
});
