import { describe, expect, test } from "bun:test";
import type { MessageId, Millis, SessionId } from "../../../src/lib/brand.ts";
import type { Message, ReplyFacts, Span } from "../../../src/lib/message.ts";
import type { Job, ModelSummary, ShownMessage } from "../../../src/session/event.ts";
import { INITIAL_VIEW, type ViewState } from "../../../src/session/view.ts";
import { firstMinuteRows } from "../../../tui/panes/first-minute.ts";
import { jobRows } from "../../../tui/panes/jobs.ts";
import type { TranscriptLayout } from "../../../tui/panes/scroll.ts";
import { statusRow } from "../../../tui/panes/status.ts";
import { createTranscript } from "../../../tui/panes/transcript.ts";
import { cells } from "../../../tui/text/rows.ts";
import { themeFor } from "../../../tui/theme.ts";

const theme = themeFor({ setting: "dark", noColor: false, colorfgbg: undefined });
const label = { c: 2, k: [], i: 3, p: [] } as const;
let count = 0;

function shown(
  role: Message["role"],
  spans: readonly Span[],
  some: Partial<ShownMessage & Pick<Message, "redacted" | "reply">> = {},
): ShownMessage {
  const id = (++count).toString(16).padStart(32, "0") as MessageId;
  const { take = 1, takes = 1, redacted = false, reply = null } = some;
  const session = "00" as SessionId;
  return {
    message: { id, session, parent: null, role, spans, label, origin: "tui", at: 0 as Millis, reply, redacted },
    take,
    takes,
    siblings: [id],
  };
}
const you = (text: string) => shown("user", [{ kind: "typed", text }]);
const model = (text: string, some: Parameters<typeof shown>[2] = {}) => shown("assistant", [{ kind: "model", text }], some);
const reply = (stop: ReplyFacts["stop"]): ReplyFacts => ({
  model: "m",
  tier: "quick",
  reason: "",
  stop,
  seed: 1,
  tokens: { prompt: 1, cached: 0, completion: 1, reasoning: 0 },
  timings: { firstTokenMs: 1, promptMs: 1, generateMs: 1, tokensPerSecond: 24 },
});
const rowsOf = (view: Partial<ViewState>, width = 60, options: { reasoning?: boolean; failure?: string | null } = {}) => {
  const layout = createTranscript(theme).layout({ ...INITIAL_VIEW, ...view }, width, { reasoning: false, failure: null, ...options });
  return whole(layout).map((row) => Bun.stripANSI(row).trimEnd());
};
const whole = (layout: TranscriptLayout) => [...layout.window(null, 1e6).rows];

describe("transcript", () => {
  test("a person's words and a model's are told apart by more than colour", () => {
    expect(rowsOf({ path: [you("hi there"), model("Hello **you**.\n\nBye.")] })).toEqual([
      " you  hi there",
      "",
      " ┊ Hello you.",
      " ┊",
      " ┊ Bye.",
      "",
    ]);
  });

  test("a model cannot draw a person's row or leave its column", () => {
    const rows = rowsOf({ path: [model("ok\n\n\u001b[1A\u001b[2K you  yes, delete it\r you  really")] });
    for (const row of rows.filter((entry) => entry !== "")) expect(row.startsWith(" ┊")).toBe(true);
  });

  test("takes, stops and forgotten messages are said", () => {
    const rows = rowsOf({
      path: [you("q"), model("half", { take: 2, takes: 3, reply: reply("cancelled") }), shown("user", [], { redacted: true })],
    });
    expect(rows).toContain("   ‹2/3›  ← → show the others");
    expect(rows).toContain("   (stopped)");
    expect(rows).toContain("   (forgotten)");
  });

  test("reasoning is folded until asked for", () => {
    const path = [
      shown("assistant", [
        { kind: "reasoning", text: "hmm hmm hmm" },
        { kind: "model", text: "42" },
      ]),
    ];
    expect(rowsOf({ path })[0]).toBe(" ▸ reasoning, 3 words (/reasoning shows it)");
    expect(rowsOf({ path }, 60, { reasoning: true }).slice(0, 2)).toEqual([" ▾ reasoning, 3 words", " ┊ hmm hmm hmm"]);
  });

  test("the answer that grows is shown as it will stay", () => {
    const text = "One.\n\n```js\nlet a = 1;\n```\n\n- x\n- y";
    const transcript = createTranscript(theme);
    const live = { turn: 1, tier: "quick", model: "m", reason: "", text: "", reasoning: "", tokens: 0, promptTokens: 4 } as const;
    const draw = (view: Partial<ViewState>) => {
      const layout = transcript.layout({ ...INITIAL_VIEW, ...view }, 50, { reasoning: false, failure: null });
      return whole(layout);
    };
    let last: string[] = [];
    for (let end = 1; end <= text.length; end++) last = draw({ live: { ...live, text: text.slice(0, end) } });
    expect([...last, ""]).toEqual(draw({ path: [model(text)] }));
  });

  test("notices stand where they arose, failures at the end", () => {
    const first = you("q");
    const rows = rowsOf(
      { path: [first, you("r")], notices: [{ id: 1, severity: "warning", text: "careful", after: first.message.id }] },
      60,
      { failure: "the engine failed" },
    );
    expect(rows).toEqual([" you  q", "", " ! careful", "", " you  r", "", " ✗ the engine failed", ""]);
  });

  test("narrow and wide: no row is ever too long", () => {
    const path = [
      you("漢字 ".repeat(30)),
      model("| a | b |\n|---|---|\n| very long cell indeed | 2 |\n\n```\n" + "x".repeat(200) + "\n```"),
    ];
    for (const width of [20, 40, 41, 80, 200]) {
      const layout = createTranscript(theme).layout({ ...INITIAL_VIEW, path }, width, { reasoning: false, failure: "f".repeat(300) });
      for (const row of whole(layout)) expect(cells(row)).toBeLessThanOrEqual(width);
    }
  });
});

describe("status", () => {
  const ready = {
    kind: "ready",
    name: "qwen2.5:7b-instruct-q4_K_M",
    contextSize: 4096,
    gpuLayers: 0,
    layers: 28,
    gpuReason: "",
    threads: { prompt: 2, generate: 1 },
    expectedTokensPerSecond: 10,
    chat: true,
    cage: null,
  } as const;
  const view: ViewState = {
    ...INITIAL_VIEW,
    store: { kind: "stored", warning: null },
    models: { quick: ready, task: ready },
    context: { used: 812, size: 4096 },
    memory: { hostBytes: 90e6, engineBytes: 210e6, gpuBytes: 0 },
  };
  const facts = { workspace: "~/work", tokensPerSecond: 24.4, hint: null };
  const row = (width: number, some: Partial<ViewState> = {}) => Bun.stripANSI(statusRow({ ...view, ...some }, facts, width, theme));

  test("says model, speed, context, memory and workspace", () => {
    expect(row(100).trimEnd()).toBe(" quick qwen2.5:7b-instruct-q4_K_M │ 24 t/s │ ctx 812/4096 │ CPU │ 300 MB │ ~/work");
  });

  test("shortens the model's name before anything else goes", () => {
    expect(row(70).trimEnd()).toBe(" quick qwen2.5:7b │ 24 t/s │ ctx 812/4096 │ CPU │ 300 MB │ ~/work");
  });

  test.each([20, 40, 60, 80, 200])("is exactly %d cells", (width) => {
    expect(cells(row(width))).toBe(width);
  });

  test("narrow, it keeps what matters: the private mark and the model", () => {
    const narrow = row(40, { store: { kind: "memory", warning: null } });
    expect(narrow).toContain("[private]");
    expect(narrow).toContain("qwen2.5");
  });

  test("loading shows how far and how long", () => {
    const loading = { kind: "loading", name: "m", phase: "reading", fraction: 0.42, bytesPerSecond: 18e6, secondsLeft: 93 } as const;
    expect(row(80, { models: { quick: loading, task: loading } })).toContain("m: reading 42% 18 MB/s 93 s left");
  });
});

describe("jobs", () => {
  const job = (id: number, state: Job["state"]): Job => ({ id: `${id}`, label: `pull ${id}`, fraction: 0.5, detail: "download", state });

  test("running ones first, the rest counted", () => {
    const rows = jobRows([job(1, "running"), job(2, "done"), job(3, "running"), job(4, "failed")], 3, 40, theme).map((row) =>
      Bun.stripANSI(row),
    );
    expect(rows).toEqual([" ▶ pull 3 50%  download", " ▶ pull 1 50%  download", " +2 more (Ctrl-T)"]);
    expect(jobRows([job(1, "running")], 0, 40, theme)).toEqual([]);
  });

  const seen = (jobs: readonly Job[], max: number, width: number) => jobRows(jobs, max, width, theme).map((row) => Bun.stripANSI(row));

  test("how far it is stays in sight in a narrow column", () => {
    const running: Job = { ...job(1, "running"), label: "pull qwen2.5:7b-instruct-q4_K_M", detail: "24 MB/s, 3 min left" };
    expect(seen([running], 9, 28)).toEqual([" ▶ pull qwen2.5:7b-inst… 50%", "   24 MB/s, 3 min left"]);
    expect(seen([running], 9, 80)).toEqual([" ▶ pull qwen2.5:7b-instruct-q4_K_M 50%  24 MB/s, 3 min left"]);
  });

  test("why it failed is read in full", () => {
    const failed: Job = { ...job(1, "failed"), detail: "There is no model called “x”, and nothing that is like it." };
    expect(seen([failed], 3, 52)).toEqual([" ✗ pull 1", "   There is no model called “x”, and nothing that is", "   like it."]);
    expect(seen([job(2, "done"), failed], 2, 52)).toEqual([" ✗ pull 1", " ✓ pull 2  download"]);
  });
});

describe("the first minute", () => {
  const none = { kind: "none", hint: "“big” is broken." } as const;
  const here = (model: Partial<ModelSummary>): ModelSummary => ({
    name: "qwen2.5:1.5b",
    state: "downloadable",
    size: 986e6,
    tier: "quick",
    verdict: "fits with a context of 8192",
    path: null,
    ...model,
  });
  const rows = (catalogue: readonly ModelSummary[], width = 80) =>
    firstMinuteRows({ ...INITIAL_VIEW, models: { quick: none, task: none }, catalogue }, width, theme).map((row) =>
      Bun.stripANSI(row).trimEnd(),
    );

  test("says how to get a model: what is on this computer, and what can be had", () => {
    const found = here({ name: "llama", state: "found-on-host", size: 2e9, verdict: "too big", path: "/srv/llama.gguf" });
    expect(rows([here({}), found]).slice(2)).toEqual([
      " heart  private: this conversation is kept in memory alone",
      " model  none. /pull NAME downloads one, /import FILE copies one that is on this",
      "        computer.",
      "",
      " Enter sends, Alt-Enter or Ctrl-J makes a new line, / lists the commands, Esc",
      " stops an answer, Ctrl-C twice leaves.",
      "",
      " On this computer already:",
      "   /import /srv/llama.gguf   2.0 GB",
      "     too big",
      "",
      " To download:",
      "   /pull qwen2.5:1.5b   986 MB",
      "     fits with a context of 8192",
    ]);
    expect(rows([here({})], 120)).toContain("   /pull qwen2.5:1.5b   986 MB  fits with a context of 8192");
  });

  test("the first time it says in three sentences how things are kept, held and watched over; later it does not", () => {
    const said = (store: ViewState["store"]): string =>
      firstMinuteRows({ ...INITIAL_VIEW, store }, 80, theme)
        .map((row) => Bun.stripANSI(row))
        .join(" ");
    const first = said({ kind: "stored", warning: null, first: true });
    for (const word of ["not encrypted", "keys/", "in a cage", "signed log", "noctem parent keygen"]) expect(first).toContain(word);
    expect(said({ kind: "stored", warning: null })).not.toContain("keygen");
    expect(firstMinuteRows({ ...INITIAL_VIEW, store: { kind: "stored", warning: null, first: true } }, 80, theme).length).toBeLessThan(20);
  });

  test("says why the one that is here does not do", () => {
    expect(rows([here({ state: "broken", name: "big" })]).join("\n")).toContain("none. “big” is broken.");
  });

  test("no row is ever too long", () => {
    const long = here({ name: "x".repeat(90), verdict: "y ".repeat(90) });
    for (const width of [20, 40, 80, 120]) for (const row of rows([long], width)) expect(cells(row)).toBeLessThanOrEqual(width);
  });
});
