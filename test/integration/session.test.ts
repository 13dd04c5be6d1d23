import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHeart } from "../../src/heart/open.ts";
import type { Millis } from "../../src/lib/brand.ts";
import { visibleText } from "../../src/lib/message.ts";
import { err } from "../../src/lib/result.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { INITIAL_VIEW, reduce } from "../../src/session/view.ts";
import { outcome, saying, sayingForever } from "../support/scripted-engine.ts";
import { memoryHeart, planned, ScriptedLibrary, sit, type Sitting } from "../support/session.ts";

const shown = (sitting: Sitting) => sitting.session.view().path.map(({ message }) => `${message.role}: ${visibleText(message.spans)}`);
const until = async (condition: () => boolean) => {
  for (let turns = 0; !condition(); turns++) {
    if (turns > 2000) throw new Error("it did not come about");
    await Bun.sleep(1);
  }
};

describe("a conversation", () => {
  test("a prompt is stored before it is answered, and the answer after it", async () => {
    await using sitting = sit((request, emit, signal) => {
      expect(sitting.heart.path(sitting.session.view().session!.id).length).toBe(1);
      return saying("Paris it is")(request, emit, signal);
    });
    await sitting.ask("capital of France?");
    expect(shown(sitting)).toEqual(["user: capital of France?", "assistant: Paris it is"]);
    const stored = sitting.heart.path(sitting.session.view().session!.id);
    expect(stored.map(({ message }) => visibleText(message.spans))).toEqual(["capital of France?", "Paris it is"]);
    expect(stored[1]?.message.reply).toMatchObject({ model: "test-model", stop: "end" });
    expect(sitting.session.view().session?.title).toBe("capital of France?");
  });

  test("the view is the fold of the events", async () => {
    await using sitting = sit(saying("one two"));
    const before = sitting.session.view();
    sitting.events.length = 0;
    await sitting.ask("hello");
    expect(sitting.events.reduce(reduce, before)).toEqual(sitting.session.view());
  });

  test("the model sees the whole shown path, and no system prompt when it is small", async () => {
    await using sitting = sit(saying("yes"));
    await sitting.ask("first");
    await sitting.ask("second");
    expect(sitting.engine.requests[1]?.messages).toEqual([
      { role: "user", text: "first" },
      { role: "assistant", text: "yes" },
      { role: "user", text: "second" },
    ]);
  });

  test("reasoning is kept apart and is not told to the model again", async () => {
    await using sitting = sit((_request, emit) => {
      emit({ type: "reasoning", text: "let me think", tokens: 3 });
      emit({ type: "text", text: "done", tokens: 1 });
      return { ok: true, value: outcome() };
    });
    await sitting.ask("a");
    await sitting.ask("b");
    expect(sitting.session.view().path[1]?.message.spans).toEqual([
      { kind: "reasoning", text: "let me think" },
      { kind: "model", text: "done" },
    ]);
    expect(JSON.stringify(sitting.engine.requests[1]?.messages)).not.toContain("think");
  });

  test("labels: typed words carry the console's integrity, pasted and piped ones do not, and the answer joins them", async () => {
    await using sitting = sit(saying("ok"));
    await sitting.ask("typed");
    sitting.session.dispatch({
      type: "prompt",
      spans: [
        { kind: "typed", text: "look: " },
        { kind: "pasted", text: "evil" },
      ],
    });
    await sitting.session.settled();
    const labels = sitting.session.view().path.map(({ message }) => message.label.i);
    expect(labels).toEqual([3, 2, 0, 0]);
    expect(sitting.session.view().path[3]?.message.label.p).toEqual(["paste"]);
  });

  test("prompts queue and are answered in order", async () => {
    await using sitting = sit(saying("ok"));
    for (const text of ["a", "b", "c"]) sitting.session.dispatch({ type: "prompt", spans: [{ kind: "typed", text }] });
    await sitting.session.settled();
    expect(shown(sitting)).toEqual(["user: a", "assistant: ok", "user: b", "assistant: ok", "user: c", "assistant: ok"]);
  });

  test("a prompt that comes while the last one is just being put away is answered all the same", async () => {
    for (let microtasks = 0; microtasks < 30; microtasks++) {
      await using sitting = sit(saying("yes"), { interactive: false });
      const { session } = sitting;
      const again = Promise.withResolvers<void>();
      const stop = session.subscribe((event) => {
        if (event.type !== "turn-ended") return;
        stop();
        void (async () => {
          for (let step = 0; step < microtasks; step++) await Promise.resolve();
          await sitting.ask("second");
          again.resolve();
        })();
      });
      await sitting.ask("first");
      await again.promise;
      expect(shown(sitting)).toEqual(["user: first", "assistant: yes", "user: second", "assistant: yes"]);
    }
  });

  test("too many waiting prompts are refused aloud", async () => {
    await using sitting = sit(sayingForever("…"));
    for (let count = 0; count < 40; count++) sitting.session.dispatch({ type: "prompt", spans: [{ kind: "typed", text: `${count}` }] });
    expect(sitting.session.view().notices.at(-1)?.text).toContain("was not taken");
  });

  test("what falls out of the context is said, and its label falls out too", async () => {
    await using sitting = sit(saying("ok"));
    sitting.engine.contextSize = 80;
    sitting.session.dispatch({ type: "prompt", spans: [{ kind: "pasted", text: "old ".repeat(50).trim() }] });
    await sitting.session.settled();
    await sitting.ask("new ".repeat(30).trim());
    expect(sitting.events.find((event) => event.type === "turn-trimmed")).toMatchObject({ dropped: 2, contextSize: 80 });
    expect(sitting.session.view().path.at(-1)?.message.label).toMatchObject({ i: 2, p: [] });
  });

  test("a prompt that cannot fit fails with the numbers and stays stored", async () => {
    await using sitting = sit(saying("ok"));
    sitting.engine.contextSize = 50;
    await sitting.ask("word ".repeat(60).trim());
    expect(sitting.session.view().lastFailure).toEqual({
      kind: "engine",
      error: { kind: "prompt-too-long", promptTokens: 61, contextSize: 50 },
    });
    expect(shown(sitting).length).toBe(1);
  });
});

describe("takes", () => {
  test("retry adds a sibling; both stay; branch goes back to the first", async () => {
    let count = 0;
    await using sitting = sit((request, emit, signal) => saying(`take ${++count}`)(request, emit, signal));
    await sitting.ask("q");
    sitting.session.dispatch({ type: "retry" });
    await sitting.session.settled();
    expect(shown(sitting)).toEqual(["user: q", "assistant: take 2"]);
    const [, answer] = sitting.session.view().path;
    expect(answer).toMatchObject({ take: 2, takes: 2 });
    sitting.session.dispatch({ type: "branch", message: answer!.siblings[0]! });
    await sitting.session.settled();
    expect(shown(sitting)).toEqual(["user: q", "assistant: take 1"]);
    expect(sitting.engine.requests[0]?.seed).not.toBe(sitting.engine.requests[1]?.seed);
  });

  test("edit asks anew beside the old question and answers it", async () => {
    await using sitting = sit(saying("ok"));
    await sitting.ask("old words");
    await sitting.ask("more");
    const first = sitting.session.view().path[0]!.message.id;
    sitting.session.dispatch({ type: "edit", message: first, spans: [{ kind: "typed", text: "new words" }] });
    await sitting.session.settled();
    expect(shown(sitting)).toEqual(["user: new words", "assistant: ok"]);
    expect(sitting.session.view().path[0]).toMatchObject({ take: 2, takes: 2 });
    sitting.session.dispatch({ type: "branch", message: first });
    await sitting.session.settled();
    expect(shown(sitting).length).toBe(4);
  });

  test("a retry that fails shows the old answer again", async () => {
    let failing = false;
    await using sitting = sit((request, emit, signal) =>
      failing ? err({ kind: "hung", seconds: 9 }) : saying("good")(request, emit, signal),
    );
    await sitting.ask("q");
    failing = true;
    sitting.session.dispatch({ type: "retry" });
    await sitting.session.settled();
    expect(shown(sitting)).toEqual(["user: q", "assistant: good"]);
    expect(sitting.session.view().lastFailure).toEqual({ kind: "engine", error: { kind: "hung", seconds: 9 } });
  });
});

describe("stopping", () => {
  test("a cancelled answer keeps what there is, with its reason", async () => {
    await using sitting = sit(sayingForever("half an ans"));
    sitting.session.dispatch({ type: "prompt", spans: [{ kind: "typed", text: "q" }] });
    await until(() => sitting.session.view().live?.text === "half an ans");
    sitting.session.dispatch({ type: "cancel", because: "timeout" });
    await sitting.session.settled();
    expect(shown(sitting)).toEqual(["user: q", "assistant: half an ans"]);
    expect(sitting.session.view().path[1]?.message.reply?.stop).toBe("timeout");
    expect(sitting.session.view().live).toBeNull();
  });

  test.each([
    ["cancelled", "Stopped before an answer began. /retry asks again."],
    ["timeout", "Stopped by the time limit before an answer began. /retry asks again."],
  ] as const)("an answer stopped (%s) before its first word says so below the question, and a retry answers it", async (because, text) => {
    let silent = true;
    await using sitting = sit(async (request, emit, signal) => {
      if (!silent) return saying("here it is")(request, emit, signal);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return err({ kind: "cancelled" });
    });
    sitting.session.dispatch({ type: "prompt", spans: [{ kind: "typed", text: "q" }] });
    await until(() => sitting.engine.requests.length > 0);
    sitting.session.dispatch(because === "timeout" ? { type: "cancel", because } : { type: "cancel" });
    await sitting.session.settled();
    expect(shown(sitting)).toEqual(["user: q"]);
    const { path, notices } = sitting.session.view();
    expect(notices).toMatchObject([{ severity: "info", text, after: path[0]?.message.id }]);
    silent = false;
    sitting.session.dispatch({ type: "retry" });
    await sitting.session.settled();
    expect(shown(sitting)).toEqual(["user: q", "assistant: here it is"]);
  });

  test("a crash keeps what there is and the next prompt works", async () => {
    let crash = true;
    await using sitting = sit((request, emit, signal) => {
      if (!crash) return saying("fine")(request, emit, signal);
      emit({ type: "text", text: "I was say", tokens: 3 });
      return err({ kind: "crashed", exitCode: null, signal: "SIGABRT", detail: "GGML_ASSERT" });
    });
    await sitting.ask("q");
    expect(shown(sitting)).toEqual(["user: q", "assistant: I was say"]);
    expect(sitting.session.view().lastFailure?.kind).toBe("engine");
    crash = false;
    sitting.engine.restart({ kind: "crashed", exitCode: null, signal: "SIGABRT", detail: "" });
    await sitting.ask("again");
    expect(shown(sitting).at(-1)).toBe("assistant: fine");
    expect(sitting.engine.loads.length).toBe(2);
  });

  test("a loop is folded: the repeats are not stored", async () => {
    const unit = "and then he said the very same thing again. ";
    await using sitting = sit((_request, emit) => {
      emit({ type: "text", text: unit.repeat(4), tokens: 40 });
      return { ok: true, value: outcome({ stop: "loop", repeated: unit.length * 3 }) };
    });
    await sitting.ask("q");
    expect(shown(sitting)[1]).toBe(`assistant: ${unit}`);
  });

  test("closing while an answer runs keeps it", async () => {
    const heart = memoryHeart();
    const sitting = sit(sayingForever("partial"), { heart });
    sitting.session.dispatch({ type: "prompt", spans: [{ kind: "typed", text: "q" }] });
    await until(() => sitting.session.view().live?.text === "partial");
    await sitting.session[Symbol.asyncDispose]();
    const stored = heart.path(heart.newestSession()!);
    expect(stored.map(({ message }) => visibleText(message.spans))).toEqual(["q", "partial"]);
  });
});

describe("models", () => {
  test("without one a message waits, and is answered when one arrives", async () => {
    await using sitting = sit(saying("at last"), { library: new ScriptedLibrary() });
    await sitting.ask("anyone?");
    expect(sitting.session.view()).toMatchObject({ queued: "anyone?", lastFailure: null });
    sitting.session.dispatch({ type: "pull-model", name: "tiny" });
    await until(() => sitting.library.pulls.length === 1);
    expect(sitting.session.view().jobs[0]).toMatchObject({ state: "running", fraction: 0.1, detail: "download at 0.0 MB/s, 18 s left" });
    sitting.library.pulls[0]!.finish();
    await until(() => shown(sitting).length === 2);
    expect(shown(sitting)).toEqual(["user: anyone?", "assistant: at last"]);
    expect(sitting.session.view().jobs[0]?.state).toBe("done");
  });

  test("a pipe does not wait: no model is a failed turn", async () => {
    await using sitting = sit(saying("never"), { library: new ScriptedLibrary(), interactive: false });
    await sitting.ask("anyone?");
    expect(sitting.session.view().lastFailure).toEqual({ kind: "no-model", hint: "noctem models pull something" });
  });

  test("a pipe that found none finds one that was put there since", async () => {
    await using sitting = sit(saying("at last"), { library: new ScriptedLibrary(), interactive: false });
    await sitting.ask("anyone?");
    sitting.library.installed = [planned("tiny")];
    await sitting.ask("anyone now?");
    expect(shown(sitting).at(-1)).toBe("assistant: at last");
  });

  test("an interactive session loads its model at once, a pipe when it is needed; each loads once", async () => {
    await using interactive = sit(saying("ok"));
    await until(() => interactive.session.view().models.quick.kind === "ready");
    expect(interactive.engine.requests.length).toBe(0);
    await interactive.ask("q");
    expect(interactive.engine.loads.length).toBe(1);
    expect(interactive.library.recorded).toEqual(["models/test-model.gguf"]);
    await using pipe = sit(saying("ok"), { interactive: false });
    await Bun.sleep(5);
    expect(pipe.engine.loads.length).toBe(0);
  });

  test("two tiers: a short question goes to the small one, work to the large one", async () => {
    await using sitting = sit(saying("ok"), { library: new ScriptedLibrary(planned("small"), planned("large")) });
    await sitting.ask("hi");
    await sitting.ask("write a long poem");
    expect(sitting.session.view().path.flatMap(({ message }) => message.reply?.model ?? [])).toEqual(["small", "large"]);
  });

  test("a wish that cannot be met is a failed turn with the reason", async () => {
    await using sitting = sit(saying("ok"), { interactive: false });
    sitting.library.error = { kind: "unknown-model", name: "gpt", near: [] };
    await sitting.ask("q");
    expect(sitting.session.view().lastFailure).toEqual({ kind: "model", error: { kind: "unknown-model", name: "gpt", near: [] } });
  });

  test("a model that does not load fails its turn, and another try loads again", async () => {
    await using sitting = sit(saying("ok"), { interactive: false });
    sitting.engine.loadError = { kind: "model-broken", path: "x", detail: "bad magic" };
    await sitting.ask("q");
    expect(sitting.session.view().lastFailure).toMatchObject({ kind: "engine", error: { kind: "model-broken" } });
    sitting.engine.loadError = null;
    sitting.session.dispatch({ type: "retry" });
    await sitting.session.settled();
    expect(shown(sitting)).toEqual(["user: q", "assistant: ok"]);
  });

  test("changing the model unloads the old one", async () => {
    await using sitting = sit(saying("ok"));
    await sitting.ask("q");
    sitting.library.installed = [planned("other")];
    sitting.session.dispatch({ type: "use-model", name: "other" });
    await sitting.ask("q2");
    expect(sitting.engine.unloaded).toEqual(["model-1"]);
    expect(sitting.session.view().path.at(-1)?.message.reply?.model).toBe("other");
  });

  test("a cancelled download says that it resumes", async () => {
    await using sitting = sit(saying("ok"));
    sitting.session.dispatch({ type: "pull-model", name: "tiny" });
    await until(() => sitting.session.view().jobs[0]?.fraction === 0.1);
    sitting.session.dispatch({ type: "cancel-job", job: sitting.session.view().jobs[0]!.id });
    await until(() => sitting.session.view().jobs[0]?.state === "cancelled");
    expect(sitting.library.pulls[0]?.signal.aborted).toBe(true);
  });
});

describe("hearts", () => {
  test("a sitting without a message leaves no session", async () => {
    const heart = memoryHeart();
    const sitting = sit(saying("ok"), { heart });
    await sitting.session[Symbol.asyncDispose]();
    expect(heart.sessions(10)).toEqual([]);
  });

  test("a private conversation never reaches the stick's heart", async () => {
    const heart = memoryHeart();
    await using sitting = sit(saying("secret answer"), { heart });
    await sitting.ask("public");
    sitting.session.dispatch({ type: "new-session", ephemeral: true });
    await sitting.ask("secret");
    expect(shown(sitting)).toEqual(["user: secret", "assistant: secret answer"]);
    expect(sitting.session.view().store).toEqual({ kind: "memory", warning: null });
    expect(heart.sessions(10).length).toBe(1);
    sitting.session.dispatch({ type: "new-session", ephemeral: false });
    await sitting.session.settled();
    await sitting.ask("public again");
    expect(heart.sessions(10).length).toBe(2);
  });

  test("sessions are listed, opened, deleted", async () => {
    await using sitting = sit(saying("ok"));
    await sitting.ask("first talk");
    sitting.session.dispatch({ type: "new-session", ephemeral: false });
    await sitting.session.settled();
    await sitting.ask("second talk");
    sitting.session.dispatch({ type: "list-sessions" });
    const listed = sitting.session.view().sessions;
    expect(listed.map((session) => session.title)).toEqual(["second talk", "first talk"]);
    sitting.session.dispatch({ type: "open-session", session: listed[1]!.id });
    await sitting.session.settled();
    expect(shown(sitting)[0]).toBe("user: first talk");
    sitting.session.dispatch({ type: "delete-session", session: listed[1]!.id });
    await sitting.session.settled();
    expect(sitting.session.view().path).toEqual([]);
    expect(sitting.session.view().sessions.map((session) => session.title)).toEqual(["second talk"]);
    expect(sitting.session.view().notices.at(-1)?.text).toBe("Forgot 2 messages for good.");
  });

  test("another process's message shows within a tick", async () => {
    const heart = memoryHeart();
    await using sitting = sit(saying("ok"), { heart });
    await sitting.ask("mine");
    const { id } = sitting.session.view().session!;
    const label = { c: 2, k: [], i: 3, p: [] } as const;
    const parent = sitting.session.view().path.at(-1)!.message.id;
    heart.append({ session: id, parent, role: "user", spans: [{ kind: "typed", text: "theirs" }], label, origin: "tui", reply: null });
    sitting.tick();
    expect(shown(sitting).at(-1)).toBe("user: theirs");
  });

  test("export writes the shown path once", async () => {
    await using sitting = sit(saying("**bold** answer"));
    await sitting.ask("question");
    sitting.session.dispatch({ type: "export", path: "talk.md" });
    sitting.session.dispatch({ type: "export", path: "talk.md" });
    await sitting.session.settled();
    expect(sitting.files.get("talk.md")).toContain("**bold** answer");
    expect(sitting.session.view().notices.map((notice) => notice.text)).toEqual(["Wrote talk.md.", "talk.md exists"]);
  });
});

test("a view folds unknown turns to nothing", () => {
  expect(reduce(INITIAL_VIEW, { type: "turn-text", turn: 7, text: "late", tokens: 1 })).toBe(INITIAL_VIEW);
});

describe("a pulled stick", () => {
  const onDisk = () => {
    const folder = mkdtempSync(join(tmpdir(), "noctem-session-"));
    const place = { file: join(folder, "heart.sqlite"), keysDir: join(folder, "keys") };
    const opened = openHeart(heartDeps(), place, 0 as Millis);
    if (!opened.ok) throw new Error(opened.error.kind);
    return { heart: opened.value, folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
  };

  test("is noticed, stops the answer, and with the same heart back it goes on", async () => {
    using disk = onDisk();
    await using sitting = sit(sayingForever("half"), { heart: disk.heart });
    sitting.session.dispatch({ type: "prompt", spans: [{ kind: "typed", text: "q" }] });
    await until(() => sitting.session.view().live?.text === "half");
    sitting.present = false;
    sitting.tick();
    expect(sitting.session.view().stick).toBe("gone");
    await sitting.session.settled();
    expect(sitting.session.view().live).toBeNull();
    sitting.present = true;
    sitting.tick();
    expect(sitting.session.view().stick).toBe("present");
    sitting.engine.answer = saying("back");
    await sitting.ask("again");
    expect(shown(sitting).at(-1)).toBe("assistant: back");
  });

  test("a private sitting on a gone stick goes on: its heart is in memory", async () => {
    await using sitting = sit(saying("ok"), { start: { kind: "new", ephemeral: true } });
    sitting.present = false;
    sitting.tick();
    await sitting.ask("q");
    expect(shown(sitting)).toEqual(["user: q", "assistant: ok"]);
  });
});
